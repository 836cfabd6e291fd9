//! A project with a small embedder and two pages, and ways to use it.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::embedder;
use crate::run::Place;

const SETTINGS: &str = "[models]\nembedder = \"EMBEDDER\"\n";

impl Place {
    /// A place with an embedder, and two pages in `docs`.
    pub(crate) fn with_documents() -> Self {
        let place = Self::new();
        embedder::write(&place.path().join("one"), 1);
        embedder::write(&place.path().join("two"), 2);
        place.set_embedder("one");
        fs::create_dir(place.path().join("docs")).unwrap();
        place.write("docs/cellar.md", "# Cellar\n\nThe wine is in the cellar.\n");
        place.write("docs/attic.md", "# Attic\n\nThe books are in the attic.\n");
        place
    }

    pub(crate) fn set_embedder(&self, folder: &str) {
        let folder = self.path().join(folder);
        let settings = SETTINGS.replace("EMBEDDER", folder.to_str().unwrap());
        fs::write(self.path().join("plumb.toml"), settings).unwrap();
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs a verb that prints JSON and ends with 0.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.output(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", self.show(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a verb that fails, and gives what it says.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", self.show(&output));
        self.show(&output)
    }

    /// The ends of the addresses in the index, sorted.
    #[track_caller]
    pub(crate) fn listed(&self) -> Vec<String> {
        let list = self.json(&["list"]);
        let names = list.as_array().unwrap().iter().map(|document| {
            let uri = document["uri"].as_str().unwrap();
            uri.rsplit('/').next().unwrap().to_owned()
        });
        names.collect()
    }

    pub(crate) fn add_from_stdin(&self, text: &str) {
        let mut command = self.command(&["add", "-", "--name", "note.md"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    #[track_caller]
    pub(crate) fn snapshots(&self) -> usize {
        self.json(&["snapshots"]).as_array().unwrap().len()
    }
}
