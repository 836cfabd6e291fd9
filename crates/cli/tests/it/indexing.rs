//! What is in the index after `add`, `add --rebuild`, `sync` and `rm`, with an
//! embedder that is small enough for every test.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::TcpListener;
use std::thread;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::run::Place;

/// Answers one request with a page; gives its address.
fn serve_once(page: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/page", listener.local_addr().unwrap());
    thread::spawn(move || serve_on(&listener, page));
    address
}

fn serve_on(listener: &TcpListener, page: &str) {
    let (mut stream, _) = listener.accept().unwrap();
    let _ = stream.read(&mut [0; 2048]).unwrap();
    let length = page.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{page}").as_bytes()).unwrap();
}

#[test]
fn a_rebuild_without_targets_reads_everything_again() {
    let place = Place::with_documents();
    place.json(&["add", "docs"]);
    place.set_embedder("two");
    assert!(place.fails(&["search", "wine"]).contains("plumb add --rebuild"));
    let report = place.json(&["add", "--rebuild"]);
    assert_eq!(report["added"], 2, "{report}");
    assert_eq!(place.listed(), ["attic.md", "cellar.md"]);
    place.json(&["search", "wine"]);
}

#[test]
fn the_settings_of_the_project_are_no_document() {
    let place = Place::with_documents();
    place.json(&["init"]);
    place.json(&["add", "."]);
    let has_settings = || place.listed().contains(&"plumb.toml".to_owned());
    assert!(!has_settings());
    place.json(&["add", "plumb.toml"]);
    assert!(has_settings());
}

#[test]
fn a_rebuild_of_nothing_says_so() {
    let place = Place::with_documents();
    assert!(place.fails(&["add", "--rebuild"]).contains("there is no project"));
    place.json(&["init"]);
    assert!(place.fails(&["add", "--rebuild"]).contains("has no documents to index again"));
}

#[test]
fn a_rebuild_that_fails_leaves_the_index_as_it_was() {
    let place = Place::with_documents();
    place.json(&["add", "docs"]);
    let before = place.snapshots();
    place.set_embedder("three");
    place.fails(&["add", "--rebuild", "docs"]);
    fs::create_dir(place.path().join("three")).unwrap();
    place.write("three/model.safetensors", "not a model");
    place.fails(&["add", "--rebuild", "docs"]);
    assert_eq!(place.snapshots(), before);
    assert_eq!(place.listed(), ["attic.md", "cellar.md"]);
}

#[test]
fn a_rebuild_is_one_commit() {
    let place = Place::with_documents();
    // More passages than are committed at once otherwise.
    let page: String =
        (0..300).map(|n| format!("# Part {n}\n\n{}\n\n", "Some words here. ".repeat(5))).collect();
    place.write("docs/long.md", &page);
    place.json(&["add", "docs"]);
    let before = place.snapshots();
    let report = place.json(&["add", "--rebuild"]);
    assert!(report["passages"].as_u64().unwrap() > 256, "{report}");
    assert_eq!(place.snapshots(), before + 1);
}

#[test]
fn a_rebuild_keeps_what_cannot_be_read_again() {
    let place = Place::with_documents();
    place.add_from_stdin("# Note\n\nThe key is under the mat.\n");
    place.json(&["add", "docs"]);
    let page = "<h1>Shed</h1><p>The rake &amp; the spade are in the shed.</p>";
    place.json(&["add", "--allow-private", &serve_once(page)]);
    fs::remove_file(place.path().join("docs/attic.md")).unwrap();
    let of = |name: &str| place.json(&["show", name])["passages"].clone();
    let before = ["note.md", "attic.md", "page"].map(of);

    place.set_embedder("two");
    let report = place.json(&["add", "--rebuild"]);
    assert_eq!(report["added"], 1, "{report}");
    let kept: Vec<&str> = report["kept"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kept| kept["uri"].as_str().unwrap().rsplit(['/', ':']).next().unwrap())
        .collect();
    assert_eq!(kept, ["attic.md", "page", "note.md"], "{report}");
    assert_eq!(["note.md", "attic.md", "page"].map(of), before);
    let said = place.seen(&["add", "--rebuild"]);
    assert!(said.contains("stdin:note.md: it came from standard input"), "{said}");
    assert!(said.contains("3 kept as before"), "{said}");
}

#[test]
fn what_is_kept_is_cut_again_where_it_is_too_long() {
    let place = Place::with_documents();
    place.add_from_stdin(&format!("# Note\n\n{}\n", "The key is under the mat. ".repeat(8)));
    let settings = fs::read_to_string(place.path().join("plumb.toml")).unwrap();
    place.write("plumb.toml", &format!("{settings}[chunks]\nmax_tokens = 50\n"));
    place.json(&["add", "--rebuild"]);
    let passages = place.json(&["show", "note.md"])["passages"].clone();
    let passages = passages.as_array().unwrap();
    assert!(passages.len() > 2, "{passages:?}");
    assert!(passages.iter().all(|passage| passage["heading_path"][0] == "Note"), "{passages:?}");
}

#[test]
fn a_page_that_was_allowed_to_be_private_is_fetched_again() {
    let place = Place::with_documents();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/page", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        for page in ["<p>The first page.</p>", "<p>The second page.</p>", "<p>The third.</p>"] {
            serve_on(&listener, page);
        }
    });
    place.json(&["add", "--allow-private", &address]);
    place.json(&["add", "--rebuild"]);
    let text = |place: &Place| place.json(&["show", "page"])["passages"][0]["text"].clone();
    assert_eq!(text(&place), "The second page.");
    place.json(&["sync", "--urls"]);
    assert_eq!(text(&place), "The third.");
    served.join().unwrap();
}

#[test]
fn a_sync_that_fails_removes_nothing() {
    let place = Place::with_documents();
    place.json(&["add", "docs"]);
    fs::remove_file(place.path().join("docs/attic.md")).unwrap();
    place.set_embedder("two");
    assert!(place.fails(&["sync"]).contains("--rebuild"));
    assert_eq!(place.listed(), ["attic.md", "cellar.md"]);
    place.set_embedder("one");
    assert_eq!(place.json(&["sync"])["removed"], 1);
    assert_eq!(place.listed(), ["cellar.md"]);
}

#[test]
fn a_file_has_one_address_however_it_is_called() {
    let place = Place::with_documents();
    fs::create_dir(place.path().join("sub")).unwrap();
    let docs = place.path().canonicalize().unwrap().join("docs");
    place.json(&["add", docs.to_str().unwrap()]);
    let again = place.json(&["add", "sub/../docs", "./docs/../docs/attic.md"]);
    assert_eq!((&again["added"], &again["unchanged"]), (&0.into(), &3.into()), "{again}");
    assert_eq!(place.listed(), ["attic.md", "cellar.md"]);
    assert_eq!(place.json(&["show", "sub/../docs/attic.md"])["title"], "Attic");
    place.json(&["rm", "sub/../docs"]);
    assert!(place.listed().is_empty());
}

/// A ZIP archive of files with their texts.
fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn an_archive_is_read_again_if_it_changed_or_the_index_lacks_a_member() {
    let place = Place::with_documents();
    let path = place.path().join("docs/old.zip");
    let bytes =
        zipped(&[("barn.md", "The hay is in the barn."), ("shed.md", "The rake is there.")]);
    fs::write(&path, &bytes).unwrap();
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    // Reading it would be seen: these bytes of the same size are no archive.
    let set = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    assert_eq!(place.json(&["add", "docs"])["added"], 4);
    set(&vec![b'?'; bytes.len()]);
    let again = place.json(&["add", "docs"]);
    assert_eq!((&again["unchanged"], &again["added"]), (&4.into(), &0.into()), "{again}");

    set(&bytes);
    place.json(&["rm", "old.zip#shed.md"]);
    assert_eq!(place.listed(), ["attic.md", "cellar.md", "old.zip#barn.md"]);
    place.json(&["add", "docs"]);
    assert_eq!(place.listed(), ["attic.md", "cellar.md", "old.zip#barn.md", "old.zip#shed.md"]);

    fs::write(&path, zipped(&[("barn.md", "The hay is gone.")])).unwrap();
    place.json(&["add", "docs"]);
    assert_eq!(place.listed(), ["attic.md", "cellar.md", "old.zip#barn.md"]);
}

#[test]
fn a_project_is_looked_for_in_the_folder_that_dots_lead_to() {
    let place = Place::with_documents();
    fs::create_dir(place.path().join("inner")).unwrap();
    place.json(&["--project", "inner", "init"]);
    // The folder `inner` is on the way, but not above the one that is meant.
    assert!(place.fails(&["--project", "inner/../docs", "list"]).contains("there is no project"));
}

/// A PDF with a page that its reader panics on.
fn pdf_that_panics() -> String {
    let content = "BT /None 1 Tf 72 700 Td (Lost.) Tj ET";
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Count 1/Kids[3 0 R]>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<<>>>>".to_owned(),
        format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
    ];
    let mut pdf = "%PDF-1.5\n".to_owned();
    let mut table = "0000000000 65535 f \n".to_owned();
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", pdf.len()));
        pdf.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let start = pdf.len();
    format!("{pdf}xref\n0 5\n{table}trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n")
}

#[test]
fn a_pdf_that_its_reader_panics_on_is_reported_and_nothing_else() {
    let place = Place::with_documents();
    place.json(&["init"]);
    place.write("docs/broken.pdf", &pdf_that_panics());
    let output = place.output(&["add", "docs/broken.pdf"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let reason = "broken.pdf: damaged, or not pdf as this program knows it\n";
    assert!(said.starts_with("skipped: ") && said.ends_with(reason), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn another_embedder_than_that_of_the_index_is_refused_and_changes_nothing() {
    let place = Place::with_documents();
    place.json(&["add", "docs"]);
    let snapshots = place.snapshots();
    place.set_embedder("two");
    place.write("docs/shed.md", "# Shed\n\nThe tools are in the shed.\n");
    for verb in [&["search", "wine"][..], &["ask", "--quote-only", "wine?"], &["add", "docs"]] {
        let said = place.fails(verb);
        assert!(said.contains("models.embedder") && said.contains("--rebuild"), "{said}");
    }
    place.set_embedder("one");
    assert_eq!(place.snapshots(), snapshots);
    place.json(&["search", "wine"]);
}
