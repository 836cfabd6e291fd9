//! Addresses of documents: what a file is called in the store.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// `file://` URL of an absolute path: every byte outside the unreserved ones
/// is percent-encoded.
pub fn file_url(path: &Path) -> String {
    let mut url = String::from("file://");
    for byte in path.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~+,=@!()".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

/// The path of a `file://` URL without its fragment; `None` for others.
pub fn path_of_url(url: &str) -> Option<PathBuf> {
    let encoded = url.strip_prefix("file://")?;
    Some(PathBuf::from(decoded(source_address(encoded))?))
}

/// What a reader would call a document: the last part of its address, and with
/// it the member of an archive.
pub fn short_name(uri: &str) -> String {
    let (source, member) = uri.split_once('#').unwrap_or((uri, ""));
    let path = source.split('?').next().unwrap_or(source).trim_end_matches('/');
    let last = path.rsplit(['/', ':']).next().unwrap_or(path);
    let name = if source.starts_with("file://") { decoded(last) } else { None };
    let name = name.unwrap_or_else(|| last.to_owned());
    if member.is_empty() { name } else { format!("{name}#{member}") }
}

/// An address without what names a member of an archive.
pub fn source_address(uri: &str) -> &str {
    uri.split('#').next().unwrap_or(uri)
}

/// Modification time in nanoseconds since 1970, and size in bytes.
pub fn file_facts(path: &Path) -> io::Result<(i64, u64)> {
    let metadata = std::fs::metadata(path)?;
    let mtime = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|age| i64::try_from(age.as_nanos()).ok())
        .unwrap_or(0);
    Ok((mtime, metadata.len()))
}

/// Without percent-encoding; `None` if what is left is no text.
fn decoded(encoded: &str) -> Option<String> {
    let encoded = encoded.as_bytes();
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while at < encoded.len() {
        let escape = encoded
            .get(at + 1..at + 3)
            .filter(|_| encoded[at] == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escape.unwrap_or(encoded[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_the_way_to_a_url_and_back() {
        for path in ["/a b/c#d.md", "/50%/\u{e9}.txt", "/plain.md"] {
            assert_eq!(path_of_url(&file_url(Path::new(path))).unwrap(), Path::new(path));
        }
    }

    #[test]
    fn an_archive_member_belongs_to_its_archive() {
        assert_eq!(path_of_url("file:///a.zip#b/c.md").unwrap(), Path::new("/a.zip"));
        assert_eq!(path_of_url("https://x/y"), None);
    }

    #[test]
    fn a_document_is_called_by_the_last_part_of_its_address() {
        for (uri, name) in [
            ("file:///a%20b/c%20d.md", "c d.md"),
            ("file:///a.zip#b/c.md", "a.zip#b/c.md"),
            ("https://example.org/guide/?page=2", "guide"),
            ("stdin:note.md", "note.md"),
        ] {
            assert_eq!(short_name(uri), name);
        }
    }
}
