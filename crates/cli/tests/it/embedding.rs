//! `plumb embed`: lines in, vectors out, with a small embedder.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::embedder;
use crate::run::Place;

/// What the verb prints for `input`, and its exit status.
fn embed(place: &Place, input: &[u8], more: &[&str]) -> (String, String, i32) {
    let arguments = [&["embed", "--model", "tiny"], more].concat();
    let mut command = place.command(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that stops early closes its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

fn place() -> Place {
    let place = Place::new();
    embedder::write(&place.path().join("tiny"), 1);
    fs::write(place.path().join("plumb.toml"), "").unwrap();
    place
}

#[test]
fn a_line_is_an_array_and_does_not_depend_on_its_neighbours() {
    let place = place();
    let lines: Vec<String> = (0..130).map(|i| format!("text number {i}")).collect();
    let (all, errors, code) = embed(&place, lines.join("\n").as_bytes(), &[]);
    assert_eq!(code, 0, "{errors}");
    let all: Vec<&str> = all.lines().collect();
    assert_eq!(all.len(), 130);
    let vector: Vec<f32> = serde_json::from_str(all[129]).unwrap();
    assert!(vector.len() == 32 && vector.iter().any(|&x| x != 0.0), "{vector:?}");
    let (alone, _, _) = embed(&place, b"text number 129\r\n", &[]);
    assert_eq!(alone.trim_end(), all[129]);
}

#[test]
fn an_empty_line_keeps_its_place_and_an_empty_input_prints_nothing() {
    let place = place();
    let (printed, errors, code) = embed(&place, b"one\n\nthree\n", &[]);
    assert_eq!((printed.lines().count(), code), (3, 0), "{errors}");
    assert_eq!(embed(&place, b"", &[]), (String::new(), String::new(), 0));
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let (printed, errors, code) = embed(&place(), b"\xff\xfe\n", &[]);
    assert_eq!((printed.as_str(), code), ("", 1));
    assert!(errors.contains("not UTF-8"), "{errors}");
}
