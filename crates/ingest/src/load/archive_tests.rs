//! Archives: nested, hostile and broken ones.

use std::io::Write;

use zip::write::SimpleFileOptions;

use super::*;

pub(super) fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn check(loaded: &Loaded, documents: &[&str], skipped: &[(&str, &str)]) {
    let names: Vec<&str> = loaded.documents.iter().map(|document| &*document.name).collect();
    assert_eq!(names, documents);
    let reasons: Vec<(&str, &str)> =
        loaded.skipped.iter().map(|skipped| (&*skipped.name, &*skipped.reason)).collect();
    assert_eq!(reasons, skipped);
}

#[test]
fn members_are_read_like_files() {
    let members: &[(&str, &[u8])] =
        &[("a.md", b"# A"), ("b/c.txt", b"text"), ("d.png", b"\x89PNG")];
    let limits = Limits::default();
    let want = ["a.md", "b/c.txt"];
    check(&load("x.zip", &zip_of(members), &limits), &want, &[("d.png", "image")]);
    check(&load("x.tar", &tar_of(members), &limits), &want, &[("d.png", "image")]);
    check(&load("x.tar.gz", &gzip_of(&tar_of(members)), &limits), &want, &[("d.png", "image")]);
    let alone = load("notes.md.gz", &gzip_of(b"# Notes"), &limits);
    assert_eq!((&*alone.documents[0].name, alone.documents[0].kind), ("", Kind::Markdown));
}

#[test]
fn paths_that_lead_out_are_refused_and_the_rest_is_read() {
    let members: &[(&str, &[u8])] =
        &[("../../etc/passwd", b"x"), ("/srv/x.md", b"x"), ("C:\\x.md", b"x"), ("ok.md", b"x")];
    let reason = "a path that leads out of the archive";
    let want = [("../../etc/passwd", reason), ("/srv/x.md", reason), ("C:\\x.md", reason)];
    check(&load("x.zip", &zip_of(members), &Limits::default()), &["ok.md"], &want);
    check(&load("x.tar", &tar_of(members), &Limits::default()), &["ok.md"], &want);
}

#[test]
fn bombs_are_left_out_and_the_rest_is_read() {
    let zeros = vec![b' '; 8 << 20];
    let bytes = zip_of(&[("bomb.txt", &zeros), ("ok.md", b"x")]);
    let want = [("bomb.txt", "unpacks to more than 200 times its size")];
    check(&load("x.zip", &bytes, &Limits::default()), &["ok.md"], &want);
    let want = [("", "unpacks to more than 200 times its size")];
    check(&load("x.txt.gz", &gzip_of(&zeros), &Limits::default()), &[], &want);
}

#[test]
fn all_members_share_one_allowance() {
    let limits = Limits { archive_bytes: 10, archive_members: 3, ..Limits::default() };
    let bytes =
        zip_of(&[("a.md", b"1234567"), ("b.md", b"1234567"), ("c.md", b"1"), ("d.md", b"1")]);
    let want = [
        ("b.md", "the members before this one and it unpack to more than 10 bytes"),
        ("d.md", "this member and those after it are left out: more than 3 members"),
    ];
    check(&load("x.zip", &bytes, &limits), &["a.md", "c.md"], &want);
}

#[test]
fn archives_inside_archives_are_read_to_a_depth() {
    let mut bytes = zip_of(&[("a.md", b"deep")]);
    for _ in 0..2 {
        bytes = zip_of(&[("in.zip", &bytes)]);
    }
    check(&load("x.zip", &bytes, &Limits::default()), &["in.zip/in.zip/a.md"], &[]);
    let deeper = zip_of(&[("in.zip", &bytes)]);
    let want = [("in.zip/in.zip/in.zip", "more than 3 archives inside each other")];
    check(&load("x.zip", &deeper, &Limits::default()), &[], &want);
}
