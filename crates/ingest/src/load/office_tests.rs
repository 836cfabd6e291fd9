//! Office files, e-books and mail, from fixtures built in memory.

use super::archive_tests::zip_of;
use super::*;
use crate::document::Block;

fn one(name: &str, bytes: &[u8]) -> Document {
    let mut loaded = load(name, bytes, &Limits::default());
    assert_eq!(loaded.skipped, []);
    loaded.documents.remove(0)
}

fn parts(document: &Document) -> Vec<(&str, &str)> {
    let text = |block: &Block| &document.text[block.range.clone()];
    document.blocks.iter().map(|b| (b.part.as_deref().unwrap_or(""), text(b))).collect()
}

const CORE: &[u8] = b"<cp:coreProperties><dc:title>Stated &amp; true</dc:title>\
    <dc:creator>Ann</dc:creator><dcterms:modified>2024-05-01T10:00:00Z</dcterms:modified>\
    </cp:coreProperties>";

#[test]
fn docx_gives_headings_lists_and_tables() {
    let body = br#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "bomb">]><w:document><w:body>
        <w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:t>Head</w:t></w:r></w:p>
        <w:p><w:r><w:t>One </w:t></w:r><w:r><w:t>&lt;two&gt;&a;</w:t><w:tab/></w:r></w:p>
        <w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>item</w:t></w:r></w:p>
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t>
        </w:r></w:p></w:tc></w:tr><w:tr><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p></w:tc></w:tr>
        </w:tbl></w:body></w:document>"#;
    let styles = br#"<w:styles><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/>
        </w:style></w:styles>"#;
    let bytes = zip_of(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("word/document.xml", body),
        ("word/styles.xml", styles),
        ("docProps/core.xml", CORE),
    ]);
    let document = one("a.docx", &bytes);
    let texts: Vec<&str> = parts(&document).into_iter().map(|part| part.1).collect();
    assert_eq!(texts, ["Head", "One <two>", "item", "a  | b", "1"]);
    assert_eq!(document.blocks[0].kind, BlockKind::Heading { level: 1, title: "Head".to_owned() });
    assert_eq!(document.blocks[3].kind, BlockKind::TableHeader);
    assert_eq!(document.title, "Stated & true");
    assert_eq!(document.metadata["author"], "Ann");
    assert_eq!(document.metadata["date"], "2024-05-01");
    assert!(!document.is_original);
    assert_eq!(one("no-name", &bytes).kind, Kind::Docx);
}

#[test]
fn pptx_gives_slides_in_the_order_of_the_presentation() {
    let slide = |title: &str| {
        format!(
            "<p:sld><p:sp><p:nvPr><p:ph type=\"title\"/></p:nvPr><a:p><a:r><a:t>{title}</a:t></a:r>\
             </a:p></p:sp><p:sp><a:p><a:r><a:t>text</a:t></a:r></a:p></p:sp></p:sld>"
        )
    };
    let bytes = zip_of(&[
        ("ppt/slides/slide1.xml", slide("Later").as_bytes()),
        ("ppt/slides/slide2.xml", slide("Sooner").as_bytes()),
        (
            "ppt/presentation.xml",
            br#"<p:p><p:sldId id="1" r:id="rId2"/><p:sldId id="2" r:id="rId1"/></p:p>"#,
        ),
        (
            "ppt/_rels/presentation.xml.rels",
            br#"<R><Relationship Id="rId1" Target="slides/slide1.xml"/>
                <Relationship Id="rId2" Target="slides/slide2.xml"/></R>"#,
        ),
    ]);
    let document = one("a.pptx", &bytes);
    let want =
        [("slide 1", "Sooner"), ("slide 1", "text"), ("slide 2", "Later"), ("slide 2", "text")];
    assert_eq!(parts(&document), want);
    assert_eq!(document.title, "Sooner");
}

#[test]
fn xlsx_gives_rows_with_their_cells_named() {
    let sheet = br#"<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>name</t></is>
        </c><c r="B1" t="inlineStr"><is><t>count</t></is></c></row><row r="2">
        <c r="A2" t="inlineStr"><is><t>fish</t></is></c><c r="B2"><v>12</v></c></row>
        <row r="1048576"><c r="XFD1048576"><v>0.5</v></c></row></sheetData></worksheet>"#;
    let bytes = zip_of(&[
        (
            "xl/workbook.xml",
            br#"<workbook xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Stock" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            br#"<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/>
                </Relationships>"#,
        ),
        (
            "_rels/.rels",
            br#"<Relationships><Relationship Id="rId1" Target="xl/workbook.xml"
                Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>
                </Relationships>"#,
        ),
        ("xl/worksheets/sheet1.xml", sheet),
    ]);
    let document = one("a.xlsx", &bytes);
    let want = [
        ("Stock!A1:B1", "name | count"),
        ("Stock!A2:B2", "fish | 12"),
        ("Stock!XFD1048576:XFD1048576", "0.5"),
    ];
    assert_eq!(parts(&document), want);
    assert_eq!(document.blocks[0].kind, BlockKind::TableHeader);
}

#[test]
fn epub_gives_chapters_in_reading_order() {
    let opf =
        br#"<package><metadata><dc:title>Book</dc:title><dc:creator>Ann</dc:creator></metadata>
        <manifest><item id="b" href="b.xhtml"/><item id="a" href="a.xhtml"/></manifest>
        <spine><itemref idref="a"/><itemref idref="b"/></spine></package>"#;
    let bytes = zip_of(&[
        ("mimetype", b"application/epub+zip"),
        (
            "META-INF/container.xml",
            br#"<container><rootfile full-path="OEBPS/p.opf"/></container>"#,
        ),
        ("OEBPS/p.opf", opf),
        ("OEBPS/a.xhtml", b"<html><head><title/></head><h1>One</h1><p>first</p></html>"),
        ("OEBPS/b.xhtml", b"<html><h1>Two</h1></html>"),
    ]);
    let document = one("a.epub", &bytes);
    assert_eq!(document.title, "Book");
    let want = [("OEBPS/a.xhtml", "One"), ("OEBPS/a.xhtml", "first"), ("OEBPS/b.xhtml", "Two")];
    assert_eq!(parts(&document), want);
}

#[test]
fn a_message_gives_its_text_and_its_attachments() {
    let mail = b"From: Ann <ann@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        Date: Wed, 1 May 2024 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; \
        charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6n.\r\n--x\r\n\
        Content-Type: text/markdown\r\nContent-Disposition: attachment; filename=n.md\r\n\r\n# Note\r\n\
        --x--\r\n";
    let loaded = load("a.eml", mail, &Limits::default());
    assert_eq!(loaded.skipped, []);
    let message = &loaded.documents[0];
    assert_eq!(parts(message), [("subject", "Grüße"), ("body", "Schön.")]);
    assert_eq!((&*message.title, &*message.metadata["author"]), ("Grüße", "Ann"));
    assert_eq!(message.metadata["date"], "2024-05-01");
    assert_eq!((&*loaded.documents[1].name, &*loaded.documents[1].title), ("n.md", "Note"));
}

/// A PDF with one line of text on each page.
fn pdf_of(pages: &[&str]) -> Vec<u8> {
    let mut objects = vec!["<</Type/Catalog/Pages 2 0 R>>".to_owned()];
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    objects.push(format!("<</Type/Pages/Count {}/Kids[{}]>>", pages.len(), kids.join(" ")));
    objects.push("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned());
    for (page, text) in pages.iter().enumerate() {
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {} 0 R\
             /Resources<</Font<</F1 3 0 R>>>>>>",
            5 + 2 * page
        ));
        let content = format!("BT /F1 12 Tf 72 700 Td ({text}) Tj ET");
        objects.push(format!("<</Length {}>>stream\n{content}\nendstream", content.len()));
    }
    let mut out = "%PDF-1.5\n".to_owned();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(out.len());
        out.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let start = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    for offset in &offsets {
        out.push_str(&format!("{offset:010} 00000 n \n"));
    }
    let size = objects.len() + 1;
    out.push_str(&format!("trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n"));
    out.into_bytes()
}

#[test]
fn a_pdf_gives_text_with_pages() {
    let document = one("a.pdf", &pdf_of(&["First page.", "Second page."]));
    let found: Vec<(Option<u32>, &str)> = document
        .blocks
        .iter()
        .map(|block| (block.page, &document.text[block.range.clone()]))
        .collect();
    assert_eq!(found, [(Some(1), "First page."), (Some(2), "Second page.")]);
}

#[test]
fn a_pdf_without_text_or_sense_has_a_reason() {
    let reason = |bytes: &[u8]| load("a.pdf", bytes, &Limits::default()).skipped.remove(0).reason;
    assert_eq!(reason(&pdf_of(&[""])), "no text on its 1 pages; they are probably scanned");
    assert_eq!(reason(b"%PDF-1.5\nnonsense"), "damaged, or not pdf as this program knows it");
}

#[test]
fn a_pdf_page_that_cannot_be_read_costs_no_other_page() {
    let bytes = String::from_utf8(pdf_of(&["First.", "Second.", "Third."])).unwrap();
    // Of the same length, so that all offsets stay true.
    let broken = bytes.replacen("(Second.) Tj", "/None 1 Tf  ", 1);
    let document = one("a.pdf", broken.as_bytes());
    let pages: Vec<Option<u32>> = document.blocks.iter().map(|block| block.page).collect();
    assert_eq!(pages, [Some(1), Some(3)]);
    assert_eq!(document.warnings, ["text could not be read on page 2"]);
}

#[test]
fn ods_gives_rows_with_their_cells_named() {
    let content =
        b"<office:document-content xmlns:office=\"o\" xmlns:table=\"t\" xmlns:text=\"x\">\
        <office:body><office:spreadsheet><table:table table:name=\"Stock\"><table:table-row>\
        <table:table-cell office:value-type=\"string\"><text:p>fish</text:p></table:table-cell>\
        <table:table-cell office:value-type=\"float\" office:value=\"12\"><text:p>12</text:p>\
        </table:table-cell></table:table-row></table:table></office:spreadsheet></office:body>\
        </office:document-content>";
    let bytes = zip_of(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", content),
        ("META-INF/manifest.xml", b"<manifest:manifest></manifest:manifest>"),
    ]);
    assert_eq!(parts(&one("a.ods", &bytes)), [("Stock!A1:B1", "fish | 12")]);
}
