use proptest::prelude::*;

use super::*;
use crate::document::Block;

fn texts(html: &str) -> Vec<String> {
    parse(html).blocks.into_iter().map(|block| block.text).collect()
}

#[track_caller]
fn check(html: &str, want: &[&str]) {
    let outline = parse(html);
    assert_eq!(outline.blocks.iter().map(|block| &*block.text).collect::<Vec<_>>(), want);
    check_map(html, &outline.blocks);
}

/// Mapped bytes are equal, except that white space may be any white space.
#[track_caller]
fn check_map(html: &str, blocks: &[Block]) {
    let mut end = 0;
    for block in blocks {
        assert!(end <= block.range.start && block.range.end <= html.len());
        end = block.range.end;
        for entry in &block.map {
            let plain = |text: &str| text.replace(['\n', '\t', '\r', '\u{c}'], " ");
            let clean = plain(&block.text[entry.clean_start..][..entry.length]);
            let source = plain(&html[entry.source_start..][..entry.length]);
            assert_eq!(clean, source, "{html:?}");
        }
    }
}

#[test]
fn tags_and_references_go_and_the_map_stays() {
    check("<p>Fish &amp; <b>chips</b>\n now</p>", &["Fish & chips now"]);
    check(
        "<p>5 &euro; caf&eacute; &copy 2024 &unknown; AT&T</p>",
        &["5 € café © 2024 &unknown; AT&T"],
    );
    check("é&nbsp;<i>ü</i>", &["é ü"]);
    check("a\r\n\r\nb<br>c", &["a b\nc"]);
}

#[test]
fn scripts_styles_and_hidden_elements_are_left_out() {
    check(
        "<script>if (a < b) { '<p>no</p>' }</script><style>p{}</style><p>yes</p>\
         <template>no</template><div hidden>no<div>no</div></div><nav>no</nav>\
         <div style='display: none'>no</div><noscript>no</noscript><p>also</p>",
        &["yes", "also"],
    );
}

#[test]
fn text_that_no_reader_sees_is_left_out() {
    for style in [
        "font-size:0",
        "font-size: 0px",
        "opacity:0",
        "color:white",
        "color: #FFF; margin: 0",
        "position:absolute;left:-9999px",
    ] {
        check(&format!("<p>one</p><div style=\"{style}\">no</div><p>two</p>"), &["one", "two"]);
    }
    for style in ["opacity:0.5", "font-size:0.8em", "color:white;background:black"] {
        check(&format!("<p>one</p><div style=\"{style}\">two</div>"), &["one", "two"]);
    }
}

#[test]
fn a_hidden_element_that_is_never_closed_hides_nothing() {
    check("<div hidden>one<p>two", &["one", "two"]);
    check("<nav>menu <p>text", &["menu", "text"]);
    assert_eq!(parse("<nav>menu").warnings.len(), 1);
}

#[test]
fn tables_have_a_header_and_cells() {
    let html = "<table><tr><th>a<th>b</tr><tr><td><p>1</p><td>2</table>after";
    check(html, &["a | b", "1 | 2", "after"]);
    assert_eq!(parse(html).blocks[0].kind, BlockKind::TableHeader);
    assert_eq!(parse(html).blocks[1].kind, BlockKind::TableRow);
}

#[test]
fn code_keeps_its_lines() {
    check("<pre>\nfn f() {\n    x &lt; y\n}</pre>", &["fn f() {\n    x < y\n}"]);
}

#[test]
fn headings_and_the_title_are_known() {
    let outline = parse(
        "<title>On &lt;Fish&gt;</title><meta name=author content=Ann>\
         <h2 id=x>A <i>b</i><a class=headerlink>#</a></h2><ul><li><p>c</ul>",
    );
    assert_eq!(outline.title.as_deref(), Some("On <Fish>"));
    assert_eq!(outline.metadata["author"], "Ann");
    assert_eq!(outline.blocks[0].kind, BlockKind::Heading { level: 2, title: "A b".to_owned() });
    assert_eq!(outline.blocks[1].kind, BlockKind::ListItem);
}

#[test]
fn a_page_in_disorder_keeps_its_words() {
    check("</p></div><p>a<b>b</p>c</i><td>d<<p", &["ab", "c | d<"]);
    assert_eq!(texts("<p>x<!-- never closed"), ["x"]);
}

proptest! {
    #[test]
    fn any_tag_soup_gives_blocks_with_a_true_map(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<p>", "</p>", "<div hidden>", "</div>", "&amp;", "&#x20ac;", "& ", "word", " ", "\r\n",
            "<b", ">", "<pre>", "</pre>", "<table>", "<tr>", "<td>", "é", "日本", "<!--", "-->",
            "<script>", "</script>", "<h1>", "</h1>", "<li>", "\u{a0}", "&nbsp", "<title>", "\0",
        ]), 0..40)
    ) {
        let html = parts.concat();
        check_map(&html, &parse(&html).blocks);
    }
}
