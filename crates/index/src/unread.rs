//! Files that could not be read, or only in part, and why.
//!
//! A journal beside the index: what was reported once can be looked up later.
//! An entry goes when its file was read whole, or was forgotten.

use std::path::Path;

use plumb_store::Journal;
use serde::{Deserialize, Serialize};

use crate::address::source_address;
use crate::error::Error;
use crate::report::{Report, SkippedItem};

const FILE: &str = "unread.log";

/// The journal.
pub struct Unread {
    journal: Journal,
}

/// A file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadFile {
    /// Its address, or that of the member of an archive.
    pub uri: String,
    pub reason: String,
    /// Whether a part of it was read all the same.
    pub is_partial: bool,
    /// When it was last tried, in milliseconds since 1970.
    pub at: i64,
}

/// The value of an address in the journal; no bytes at all where it is read.
#[derive(Serialize, Deserialize)]
struct Noted {
    reason: String,
    partial: bool,
    at: i64,
}

impl Unread {
    /// Opens the journal in a project's folder of data.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Ok(Self { journal: Journal::open(&folder.join(FILE))? })
    }

    /// Takes in what other processes have noted since.
    pub fn refresh(&mut self) -> Result<(), Error> {
        Ok(self.journal.refresh()?)
    }

    /// Everything that is not read now, in the order of the addresses.
    pub fn files(&self) -> Result<Vec<UnreadFile>, Error> {
        let mut files = Vec::new();
        for (uri, value) in self.journal.iter() {
            // An empty value is a file that was read since; a later version may
            // write what this one does not know.
            let Ok(noted) = serde_json::from_slice::<Noted>(&value?) else { continue };
            let Noted { reason, partial, at } = noted;
            files.push(UnreadFile { uri: uri.to_owned(), reason, is_partial: partial, at });
        }
        files.sort_by(|a, b| a.uri.cmp(&b.uri));
        Ok(files)
    }

    /// Notes what `report` says at the time `at`, and takes out the files that
    /// were read whole this time.
    pub fn note(&mut self, report: &Report, at: i64) -> Result<(), Error> {
        let before = self.files()?;
        let warned = report.warnings.iter().map(|item| (item, true));
        let now: Vec<(&SkippedItem, bool)> =
            report.skipped.iter().map(|item| (item, false)).chain(warned).collect();
        for file in &before {
            let was_read = report.read.iter().any(|uri| uri == source_address(&file.uri));
            if was_read && !now.iter().any(|(item, _)| item.uri == file.uri) {
                self.journal.append(&file.uri, b"")?;
            }
        }
        for (item, partial) in now {
            let is_known = before.iter().any(|file| {
                file.uri == item.uri && file.reason == item.reason && file.is_partial == partial
            });
            if !is_known {
                let noted = Noted { reason: item.reason.clone(), partial, at };
                let json = serde_json::to_vec(&noted).unwrap_or_default();
                self.journal.append(&item.uri, &json)?;
            }
        }
        Ok(())
    }

    /// Takes out addresses that are to be forgotten, with all that lies in them.
    pub fn forget(&mut self, uris: &[String]) -> Result<(), Error> {
        for file in self.files()? {
            let is_meant = |uri: &String| *uri == file.uri || uri == source_address(&file.uri);
            if uris.iter().any(is_meant) {
                self.journal.append(&file.uri, b"")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(uri: &str, reason: &str) -> SkippedItem {
        SkippedItem { uri: uri.to_owned(), reason: reason.to_owned() }
    }

    #[track_caller]
    fn check(unread: &Unread, want: &[(&str, &str, bool)]) {
        let files = unread.files().unwrap();
        let found: Vec<_> =
            files.iter().map(|f| (f.uri.as_str(), f.reason.as_str(), f.is_partial)).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn a_file_is_unread_until_it_is_read_or_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut unread = Unread::open(folder.path()).unwrap();
        let first = Report {
            skipped: vec![item("file:///a.png", "image"), item("file:///z.zip#b", "empty")],
            warnings: vec![item("file:///c.pdf", "page 2 has no text")],
            read: vec!["file:///z.zip".to_owned(), "file:///c.pdf".to_owned()],
            ..Report::default()
        };
        unread.note(&first, 1).unwrap();
        let all = [
            ("file:///a.png", "image", false),
            ("file:///c.pdf", "page 2 has no text", true),
            ("file:///z.zip#b", "empty", false),
        ];
        check(&unread, &all);
        // Another process sees the same, and that something did not change.
        let mut other = Unread::open(folder.path()).unwrap();
        other.note(&first, 2).unwrap();
        check(&other, &all);
        assert!(other.files().unwrap().iter().all(|file| file.at == 1));
        let read = Report { read: vec!["file:///z.zip".to_owned()], ..Report::default() };
        other.note(&read, 3).unwrap();
        check(&other, &all[..2]);
        other.forget(&["file:///c.pdf".to_owned()]).unwrap();
        unread.refresh().unwrap();
        check(&unread, &all[..1]);
    }
}
