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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_dots_is_the_path_without_them() {
        for path in ["/a/../b/c", "/../b/./c", "/b/x/y/../../c/"] {
            assert_eq!(absolute(path).unwrap(), Path::new("/b/c"), "{path}");
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("x/../y").unwrap(), here.join("y"));
    }
}
