//! The files of a folder.

use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

/// What [`walk`] found.
#[derive(Debug, Default)]
pub struct Walk {
    /// Sorted, so that the same folder is read in the same order everywhere.
    pub files: Vec<PathBuf>,
    /// What could not be looked at, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Lists the files under `root`, or `root` itself if it is a file.
///
/// Hidden files, symbolic links, and whatever `.gitignore` and `.ignore` files
/// name are left out; links are among the skipped.
pub fn walk(root: &Path) -> Walk {
    let mut found = Walk::default();
    let walker = WalkBuilder::new(root).require_git(false).git_global(false).build();
    for entry in walker {
        match entry {
            Ok(entry) => match entry.file_type() {
                Some(kind) if kind.is_file() => found.files.push(entry.into_path()),
                Some(kind) if kind.is_symlink() => {
                    let reason = "symbolic link, which is not followed".to_owned();
                    found.skipped.push((entry.into_path(), reason));
                }
                Some(kind) if !kind.is_dir() => {
                    let reason = "pipe, socket or device, which is not read".to_owned();
                    found.skipped.push((entry.into_path(), reason));
                }
                _ => {}
            },
            Err(error) => found.skipped.push((root.to_owned(), error.to_string())),
        }
    }
    found.files.sort();
    found.skipped.sort();
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn ignored_and_hidden_files_are_left_out_and_the_rest_is_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("sub")).unwrap();
        for name in ["b.md", "a.md", "sub/c.md", ".hidden", "junk.tmp"] {
            fs::write(root.join(name), name).unwrap();
        }
        fs::write(root.join(".gitignore"), "*.tmp\n").unwrap();
        let names: Vec<PathBuf> = ["a.md", "b.md", "sub/c.md"].map(|n| root.join(n)).to_vec();
        assert_eq!(walk(root).files, names);
    }

    #[test]
    fn a_file_is_its_own_list() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one.txt");
        fs::write(&file, "x").unwrap();
        assert_eq!(walk(&file).files, [file]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let found = walk(Path::new("/no/such/folder"));
        assert!(found.files.is_empty());
        assert_eq!(found.skipped.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("all")).unwrap();
        let found = walk(folder.path());
        assert!(found.files.is_empty());
        assert!(found.skipped[0].1.contains("symbolic link"));
    }

    #[cfg(unix)]
    #[test]
    fn sockets_are_named_and_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
        let found = walk(folder.path());
        assert!(found.files.is_empty());
        assert!(found.skipped[0].1.contains("socket"));
    }
}
