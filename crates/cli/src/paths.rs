//! Where things are kept on this machine.

use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

/// The folder of the models: `cache/models`, where `cache` is what was asked
/// for or `plumb` in the user's cache folder.
pub fn models(cache: Option<&Path>) -> Result<PathBuf> {
    let cache = match cache {
        Some(cache) => std::path::absolute(cache)?,
        None => user_cache()
            .context("cannot find the user's cache folder: set PLUMB_CACHE to a folder")?
            .join("plumb"),
    };
    Ok(cache.join("models"))
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn user_cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty()).map(PathBuf::from);
    if cfg!(target_os = "windows") {
        return set("LOCALAPPDATA");
    }
    if cfg!(target_os = "macos") {
        return Some(set("HOME")?.join("Library").join("Caches"));
    }
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
}

/// `path` from the root on, without `.` and `..`, so that one file has one
/// address. Links are not followed: `link/..` is the folder that the link is in.
pub fn absolute(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                plain.push(component);
            }
        }
    }
    Ok(plain)
}

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
    let encoded = encoded.split('#').next().unwrap_or(encoded).as_bytes();
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
    String::from_utf8(bytes).ok().map(PathBuf::from)
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
    fn a_path_with_dots_is_the_path_without_them() {
        for path in ["/a/../b/c", "/../b/./c", "/b/x/y/../../c/"] {
            assert_eq!(absolute(path).unwrap(), Path::new("/b/c"), "{path}");
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("x/../y").unwrap(), here.join("y"));
    }

    #[test]
    fn an_archive_member_belongs_to_its_archive() {
        assert_eq!(path_of_url("file:///a.zip#b/c.md").unwrap(), Path::new("/a.zip"));
        assert_eq!(path_of_url("https://x/y"), None);
    }
}
