//! The files of a checkout, read once.

use std::fs;
use std::io;
use std::path::Path;

/// What holds no source: folders that tools write, and git's own.
const SKIPPED: [&str; 8] = [
    ".git",
    ".plumb",
    "__pycache__",
    "artifacts",
    "corpus",
    "node_modules",
    "plumb-demo",
    "target",
];

/// Above this a file is not read: it breaks a rule by its size alone.
pub(crate) const MAX_BYTES: u64 = 3_000_000;

/// One file of the repository.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/` between folders.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// Empty if the file is not text.
    pub(crate) text: String,
}

impl File {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What stands after the last dot of the name, if there is one.
    pub(crate) fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Whether the file is input of a test and not the project's own writing.
    pub(crate) fn is_fixture(&self) -> bool {
        self.path.split('/').any(|part| part == "testdata" || part == "fixtures")
    }
}

/// Reads all files below `root`, in the order of their paths.
pub(crate) fn read(root: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        // In a linked checkout `.git` is a file that names a folder.
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            let bytes = entry.metadata()?.len();
            let text = if bytes > MAX_BYTES { String::new() } else { text(&entry.path())? };
            files.push(File { path, bytes, text });
        }
    }
    Ok(())
}

fn text(path: &Path) -> io::Result<String> {
    let bytes = fs::read(path)?;
    Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).unwrap_or_default())
}
