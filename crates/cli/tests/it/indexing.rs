//! What is in the index after `add`, `add --rebuild`, `sync` and `rm`, with an
//! embedder that is small enough for every test.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;

use serde_json::Value;

use crate::embedder;
use crate::run::Place;

const SETTINGS: &str = "[models]\nembedder = \"EMBEDDER\"\n";

impl Place {
    /// A place with an embedder, and two pages in `docs`.
    fn with_documents() -> Self {
        let place = Self::new();
        embedder::write(&place.path().join("one"), 1);
        embedder::write(&place.path().join("two"), 2);
        place.set_embedder("one");
        fs::create_dir(place.path().join("docs")).unwrap();
        place.write("docs/cellar.md", "# Cellar\n\nThe wine is in the cellar.\n");
        place.write("docs/attic.md", "# Attic\n\nThe books are in the attic.\n");
        place
    }

    fn set_embedder(&self, folder: &str) {
        let folder = self.path().join(folder);
        let settings = SETTINGS.replace("EMBEDDER", folder.to_str().unwrap());
        fs::write(self.path().join("plumb.toml"), settings).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs a verb that prints JSON and ends with 0.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.output(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", self.show(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a verb that fails, and gives what it says.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", self.show(&output));
        self.show(&output)
    }

    /// The ends of the addresses in the index, sorted.
    #[track_caller]
    fn listed(&self) -> Vec<String> {
        let list = self.json(&["list"]);
        let names = list.as_array().unwrap().iter().map(|document| {
            let uri = document["uri"].as_str().unwrap();
            uri.rsplit('/').next().unwrap().to_owned()
        });
        names.collect()
    }

    fn add_from_stdin(&self, text: &str) {
        let mut command = self.command(&["add", "-", "--name", "note.md"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    #[track_caller]
    fn snapshots(&self) -> usize {
        self.json(&["snapshots"]).as_array().unwrap().len()
    }
}

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
