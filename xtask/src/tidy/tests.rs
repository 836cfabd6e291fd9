use super::tree::{File, read};
use super::{Finding, check};

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), bytes: text.len() as u64, text: text.to_owned() }
}

/// The findings for one file of the given text, as `line rule`.
#[track_caller]
fn found(path: &str, text: &str) -> Vec<String> {
    let short = |finding: &Finding| format!("{} {}", finding.line, finding.rule);
    check(&[file(path, text)]).iter().map(short).collect()
}

/// Expects exactly one finding in a source whose module docs are in place.
#[track_caller]
fn plant(code: &str, want: &str) {
    assert_eq!(found("crates/text/src/lib.rs", &format!("//! Words.\n{code}\n")), [want], "{code}");
}

#[track_caller]
fn fine(code: &str) {
    let none: [String; 0] = [];
    assert_eq!(found("crates/text/src/lib.rs", &format!("//! Words.\n{code}\n")), none, "{code}");
}

#[test]
fn a_module_without_docs_is_found() {
    assert_eq!(found("crates/text/src/lib.rs", "fn f() {}\n"), ["1 docs"]);
    assert_eq!(found("crates/text/src/lib.rs", ""), ["1 docs"]);
}

#[test]
fn a_public_item_without_docs_is_found() {
    plant("pub fn f() {}", "2 docs");
    plant("#[derive(\n    Debug,\n)]\npub struct S;", "5 docs");
    plant("/// One.\npub fn f() {}\npub fn g() {}", "4 docs");
    plant("pub mod inner {\n}", "2 docs");
    fine("/// One.\n#[derive(\n    Debug,\n)]\n// Why.\npub struct S {\n    pub field: u8,\n}");
    fine("pub(crate) fn f() {}\npub use a::b;\n#[cfg(test)]\nmod tests {\n    pub fn f() {}\n}");
    fine("const X: &str = \"pub fn f() {}\";");
}

#[test]
fn a_program_has_no_public_items() {
    let none: [String; 0] = [];
    assert_eq!(found("bench/src/main.rs", "//! Measures.\npub fn f() {}\n"), none);
}

#[test]
fn unfinished_work_is_found() {
    plant(concat!("// TO", "DO: later"), "2 unfinished");
    plant(concat!("// FIX", "ME"), "2 unfinished");
    plant(concat!("fn f() { to", "do!(); }"), "2 unfinished");
    fine(concat!("// TO", "DOS and ha", "ck are other words"));
}

#[test]
fn unsafe_code_outside_the_list_is_found() {
    plant("fn f() { unsafe { g() } }", "2 unsafe");
    fine("// unsafe in a comment\nconst A: &str = \"unsafe\";\n#![deny(unsafe_code)]");
}

#[test]
fn a_listed_file_may_hold_unsafe_code_and_a_stale_line_is_found() {
    let source = file("crates/kernels/src/lib.rs", "//! Sums.\nfn f() { unsafe { g() } }\n");
    let list = |text: &str| file("xtask/unsafe.allow", text);
    let good = list("# Why\n\ncrates/kernels/src/lib.rs intrinsics\n");
    assert_eq!(check(&[source.clone(), good]), []);
    let stale = check(&[source.clone(), list("crates/kernels/src/lib.rs x\ncrates/gone.rs x\n")]);
    assert_eq!((stale.len(), stale[0].line, stale[0].rule), (1, 2, "allow"));
    let bare = check(&[source, list("crates/kernels/src/lib.rs\n")]);
    assert_eq!(bare.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["unsafe", "allow"]);
}

#[test]
fn long_functions_and_files_are_found() {
    let body =
        |lines: usize| format!("fn f(a: u8) -> [u8; 2] {{\n{}}}", "    g();\n".repeat(lines));
    plant(&body(71), "2 function-size");
    fine(&body(70));
    fine(&format!("fn f() {{\n{}}}", "    // Why.\n\n".repeat(80)));
    plant(&"const A: u8 = 1;\n".repeat(601), "1 file-size");
    fine(&format!("#[cfg(test)]\nmod tests {{\n{}}}", "const A: u8 = 1;\n".repeat(601)));
}

#[test]
fn an_error_message_is_a_lower_case_fragment() {
    let message = |text: &str| format!(concat!("#[err", "or({})]"), text);
    plant(&message("\"Cannot read\""), "2 error-message");
    plant(&message("\n    \"cannot \\\"read\\\".\""), "2 error-message");
    fine(&message("\"cannot read `{path}`\""));
    fine(&message("\"GGUF has no header\""));
    fine(&message("transparent"));
}

#[test]
fn letters_outside_ascii_are_for_text_and_comments() {
    plant("fn caf\u{e9}() {}", "2 ascii");
    fine("// caf\u{e9}\nconst A: &str = \"caf\u{e9}\";\nconst B: char = '\u{e9}';");
}

#[test]
fn paths_of_one_machine_and_registry_hosts_are_found() {
    plant(concat!("// See /ho", "me/me/x."), "2 place");
    plant(concat!("const A: &str = \"file:///wo", "rk/x\";"), "2 place");
    plant(concat!("// From pypi", ".org."), "2 place");
    fine(concat!("// docs/ho", "me/x and /ho", "me/ alone are no such paths."));
}

#[test]
fn a_name_without_meaning_and_a_file_too_large_are_found() {
    assert_eq!(found("crates/text/tests/utils.rs", "//! Words.\n"), ["0 file-name"]);
    let large = File { path: "bench/x.bin".to_owned(), bytes: 3_000_001, text: String::new() };
    assert_eq!(check(&[large])[0].rule, "big-file");
}

#[test]
fn a_file_without_a_mod_line_is_found() {
    let lib = file("crates/text/src/lib.rs", "//! Words.\nmod a;\npub mod b;\n");
    let a = file("crates/text/src/a.rs", "//! A.\nmod deep;\n");
    let deep = file("crates/text/src/a/deep.rs", "//! Deep.\n");
    let b = file("crates/text/src/b/mod.rs", "//! B.\n");
    let files = [lib, a, deep, b];
    assert_eq!(check(&files), []);
    let lost = check(&[&files[..], &[file("crates/text/src/c.rs", "//! C.\n")]].concat());
    assert_eq!((lost.len(), lost[0].rule), (1, "unreachable"));
}

#[test]
fn a_crate_uses_only_what_is_below_it() {
    let manifest = |dependencies: &str| {
        format!(
            "[package]\nname = \"plumb-store\"\n\n{dependencies}\n\n[lints]\nworkspace = true\n"
        )
    };
    let found = |dependencies: &str| found("crates/store/Cargo.toml", &manifest(dependencies));
    let none: [String; 0] = [];
    assert_eq!(found("[dependencies]\nplumb-formats.workspace = true\nserde = \"1\""), none);
    assert_eq!(found("[dependencies]\nplumb-text.workspace = true"), ["5 graph"]);
    assert_eq!(found("[dev-dependencies]\nplumb-text = { path = \"../text\" }"), ["5 graph"]);
    assert_eq!(found("[target.'cfg(unix)'.dependencies]\nplumb-model = \"1\""), ["5 graph"]);
    assert_eq!(found("[dependencies.plumb-text]\nworkspace = true"), ["4 graph"]);
    assert_eq!(found("[dependencies]\nplumb-store = \"1\""), ["5 graph"]);
}

#[test]
fn a_crate_without_a_place_or_without_lints_is_found() {
    let text = "[package]\nname = \"plumb-extras\"\n\n[lints]\nworkspace = true\n";
    assert_eq!(found("crates/extras/Cargo.toml", text), ["0 graph"]);
    assert_eq!(found("crates/store/Cargo.toml", "name = \"plumb-store\"\n"), ["0 graph"]);
    assert_eq!(found("crates/store/Cargo.toml", text), ["0 graph"]);
}

#[test]
fn a_page_has_one_title() {
    assert_eq!(found("docs/a.md", "text\n"), ["0 title"]);
    assert_eq!(found("docs/a.md", "# One\n\n# Two\n"), ["0 title"]);
    let none: [String; 0] = [];
    assert_eq!(found("docs/a.md", "# One\n\n```sh\n# no title\n```\n"), none);
    assert_eq!(found("docs/testdata/a.md", "text\n"), none);
}

#[test]
fn links_lead_somewhere() {
    let b = || file("docs/deep/b.md", "# B\n\n## One, `two` & three\n");
    let links = |text: &str| {
        let findings = check(&[file("docs/a.md", &format!("# A\n\n{text}\n")), b()]);
        findings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let none: [String; 0] = [];
    assert_eq!(links("[b](deep/b.md), [up](../docs/deep/), [web](https://example.com/x)"), none);
    assert_eq!(links("[b](deep/b.md#one-two--three), [a](#a), `[no](link.md)`"), none);
    assert_eq!(links("[x](c.md)"), ["docs/a.md:3: [link] `c.md` does not exist"]);
    assert_eq!(links("[x](../../c.md)").len(), 1);
    assert_eq!(links("[x]: c.md").len(), 1);
    assert_eq!(links("[x](deep/b.md#four)").len(), 1);
}

#[test]
fn the_page_of_complaints_names_tests_that_exist() {
    let row = |cell: &str| format!("# C\n\n| a | tests |\n|---|---|\n| `x` no proof | {cell} |\n");
    let found = |cell: &str| {
        let tests = "#[test]\nfn it_holds() {}\n";
        let page = file("docs/guide/complaints.md", &row(cell));
        let findings =
            check(&[page, file("a/tests/t.rs", tests), file("a/p.py", "def test_it():")]);
        let proofs = findings.iter().filter(|finding| finding.rule == "proof");
        proofs.map(|finding| finding.message.clone()).collect::<Vec<_>>()
    };
    let none: [String; 0] = [];
    assert_eq!(found("`a/tests/t.rs` `it_holds`, `a/p.py` `test_it`"), none);
    assert_eq!(found("`a/tests/t.rs`; none beside"), none);
    assert_eq!(found("not covered"), none);
    assert_eq!(found("`a/tests/t.rs` `it`"), ["no test of that file is called `it`"]);
    assert_eq!(found("`a/tests/u.rs`"), ["there is no file `a/tests/u.rs`"]);
    assert_eq!(found("`it_holds`"), ["`it_holds` stands before any file"]);
    assert_eq!(found("`a/p.py` `it_holds`").len(), 1);
}

#[test]
fn files_are_read_from_disk_and_built_ones_are_not() {
    let root = tempfile::tempdir().unwrap();
    for (path, bytes) in [("docs/a.md", &b"text"[..]), ("target/x.rs", b"x"), ("a.bin", b"\xff\0")]
    {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let files = read(root.path()).unwrap();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["a.bin", "docs/a.md"]);
    assert_eq!((files[0].text.as_str(), files[1].text.as_str()), ("", "text"));
}
