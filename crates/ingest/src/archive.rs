//! ZIP, tar and gzip: every member is read like a file of its own.
//!
//! An archive is somebody else's claim about sizes and paths, so nothing is
//! believed: members are unpacked through a counter, all members of one file
//! share one allowance, and paths that lead out of the archive are refused.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use crate::Limits;
use crate::error::Error;
use crate::kind::extension_of;
use crate::load::Loader;

/// A ZIP whose members can be read within the limits.
pub(crate) struct Zip<'a> {
    archive: zip::ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Zip<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let archive = zip::ZipArchive::new(Cursor::new(bytes));
        Ok(Self { archive: archive.map_err(|_| Error::Damaged { kind: "zip" })? })
    }

    /// The paths of the members, in the order of the archive.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.archive.file_names().enumerate();
        let name = |(at, name): (usize, Result<Cow<'_, str>, _>)| match name {
            Ok(name) => name.into_owned(),
            Err(_) => format!("member-{at}"),
        };
        names.map(name).collect()
    }

    /// The bytes of member `name`, if it is there and within the limits.
    pub(crate) fn member(&mut self, name: &str, limits: &Limits) -> Result<Vec<u8>, Error> {
        let index = self.archive.index_for_name(name).ok_or(Error::NoMember)?;
        self.unpack(index, limits, limits.archive_bytes)
    }

    /// Whether all members together stay within the limits.
    pub(crate) fn check(&mut self, limits: &Limits) -> Result<(), Error> {
        let mut left = limits.archive_bytes;
        if self.archive.len() > limits.archive_members {
            return Err(Error::TooManyMembers { limit: limits.archive_members });
        }
        for index in 0..self.archive.len() {
            let bytes = self.unpack(index, limits, left)?;
            left = left.saturating_sub(bytes.len() as u64);
        }
        Ok(())
    }

    /// The bytes of member `index`; none for a folder.
    fn unpack(&mut self, index: usize, limits: &Limits, left: u64) -> Result<Vec<u8>, Error> {
        let member = self.archive.by_index(index).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(_) => Error::Encrypted,
            _ => Error::Damaged { kind: "zip" },
        })?;
        if member.is_symlink() {
            return Err(Error::Binary("symbolic link, which is not followed"));
        }
        let packed = member.compressed_size().max(1);
        unpack(member, packed, limits, left)
    }
}

/// Reads `from` up to the limits. `packed` is its size before unpacking.
fn unpack(from: impl Read, packed: u64, limits: &Limits, left: u64) -> Result<Vec<u8>, Error> {
    // Small members may be as uniform as they like.
    let by_ratio = packed.saturating_mul(limits.archive_ratio).max(1 << 20);
    let allowed = by_ratio.min(limits.file_bytes).min(left);
    let mut bytes = Vec::new();
    let read = from.take(allowed.saturating_add(1)).read_to_end(&mut bytes);
    if bytes.len() as u64 > allowed {
        return Err(match allowed {
            _ if allowed == left => Error::ArchiveTooLarge { limit: limits.archive_bytes },
            _ if allowed == by_ratio => Error::Ratio { limit: limits.archive_ratio },
            limit => Error::TooLarge { what: "a file", bytes: limit + 1, limit },
        });
    }
    read.map_err(|_| Error::Damaged { kind: "archive" })?;
    Ok(bytes)
}

/// Whether a path stays inside the archive.
fn is_inside(path: &str) -> bool {
    let is_absolute = path.starts_with(['/', '\\']) || path.get(1..2) == Some(":");
    !is_absolute && !path.split(['/', '\\']).any(|part| part == "..") && !path.contains('\0')
}

impl Loader<'_> {
    /// Reads the members of a ZIP. `member` is its own path, if it lies in an
    /// archive itself.
    pub(crate) fn zip(&mut self, member: &str, bytes: &[u8]) {
        let mut zip = match Zip::open(bytes) {
            Ok(zip) => zip,
            Err(error) => return self.skip(member, &error),
        };
        for (index, name) in zip.names().into_iter().enumerate() {
            if name.ends_with('/') {
                continue;
            }
            let path = joined(member, &name);
            if !self.may_read(&path, &name) {
                if self.members_left == 0 {
                    return;
                }
                continue;
            }
            let unpacked = zip.unpack(index, self.limits, self.bytes_left);
            self.read_member(&path, unpacked);
        }
    }

    /// Reads the members of a tar.
    pub(crate) fn tar(&mut self, member: &str, bytes: &[u8]) {
        let mut archive = tar::Archive::new(bytes);
        let Ok(entries) = archive.entries() else {
            return self.skip(member, &Error::Damaged { kind: "tar" });
        };
        for entry in entries {
            let Ok(entry) = entry else {
                return self.skip(member, &Error::Damaged { kind: "tar" });
            };
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            if kind.is_dir() || kind.is_pax_global_extensions() {
                continue;
            }
            let path = joined(member, &name);
            if !self.may_read(&path, &name) {
                if self.members_left == 0 {
                    return;
                }
                continue;
            }
            let unpacked = if kind.is_file() {
                unpack(entry, bytes.len() as u64, self.limits, self.bytes_left)
            } else {
                Err(Error::Binary("link or device, which is not followed"))
            };
            self.read_member(&path, unpacked);
        }
    }

    /// Reads a gzip file: the one file in it, or the members of its tar.
    pub(crate) fn gzip(&mut self, name: &str, member: &str, bytes: &[u8]) {
        let reader = flate2::read::MultiGzDecoder::new(bytes);
        let unpacked = match unpack(reader, bytes.len() as u64, self.limits, self.bytes_left) {
            Ok(unpacked) => unpacked,
            Err(error) => return self.skip(member, &error),
        };
        self.bytes_left = self.bytes_left.saturating_sub(unpacked.len() as u64);
        let inner = match (extension_of(name).as_str(), name.rsplit_once('.')) {
            ("tgz", Some((stem, _))) => format!("{stem}.tar"),
            ("gz", Some((stem, _))) => stem.to_owned(),
            _ => name.to_owned(),
        };
        self.nested(&inner, member, &unpacked);
    }

    /// Whether a member may be read; says why if not.
    pub(crate) fn may_read(&mut self, path: &str, name: &str) -> bool {
        let Some(left) = self.members_left.checked_sub(1) else { return false };
        self.members_left = left;
        if left == 0 {
            let limit = self.limits.archive_members;
            self.skip(path, &Error::TooManyMembers { limit });
            return false;
        }
        if !is_inside(name) {
            self.skip(path, &Error::Binary("a path that leads out of the archive"));
            return false;
        }
        true
    }

    pub(crate) fn read_member(&mut self, path: &str, unpacked: Result<Vec<u8>, Error>) {
        match unpacked {
            Ok(bytes) if bytes.len() as u64 > self.bytes_left => {
                self.skip(path, &Error::ArchiveTooLarge { limit: self.limits.archive_bytes });
            }
            Ok(bytes) => {
                self.bytes_left = self.bytes_left.saturating_sub(bytes.len() as u64);
                self.nested(path, path, &bytes);
            }
            Err(error) => self.skip(path, &error),
        }
    }

    /// Reads what was unpacked, one level deeper.
    fn nested(&mut self, name: &str, member: &str, bytes: &[u8]) {
        self.depth += 1;
        self.file(name, member, bytes);
        self.depth -= 1;
    }
}

pub(crate) fn joined(archive: &str, name: &str) -> String {
    if archive.is_empty() { name.to_owned() } else { format!("{archive}/{name}") }
}
