//! Atomic commits to one file.
//!
//! # Protocol
//!
//! The file is a header, two root slots, then frames. A root says where the
//! committed frames end and names the last of them. A commit is three steps,
//! in this order:
//!
//! 1. write the frame after the committed end, and sync;
//! 2. write the new root into the slot that is *not* current, and sync;
//! 3. make the new root current in memory.
//!
//! Opening takes the valid slot with the higher sequence number. A crash
//! before the sync of step 2 can tear only the slot that is not current, and a
//! torn slot fails its checksum: the old root stands.
//!
//! After a failed write or sync nobody knows what the disk holds, so the log
//! takes no more commits until it is opened again (Rebello et al. 2020, "Can
//! Applications Recover from fsync Failures?"). For the same reason a writer
//! that opens the log first writes the current root once more and syncs: the
//! root it read may be in the page cache only, after a sync that failed or a
//! process that was killed, and the next commit is about to overwrite the
//! other slot. The frames below that root are on disk: a root is written only
//! after their sync has succeeded.
//!
//! A reader takes no lock. It reads the slots while a writer may be writing
//! one of them; that one fails its checksum, the other stands, and the frames
//! below either are never written again. Should the writer finish with one
//! slot and begin with the other between the two reads, both can look torn;
//! the reader then looks again.
//!
//! Frames are chained: each holds the id of the one before, and its own id is
//! the SHA-256 of that and its payload. The root holds the last id.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::codec::wide;
use crate::disk::{Disk, View};
use crate::error::Error;
use crate::record::SnapshotId;

const PAGE: usize = 4096;
const DATA: u64 = 3 * PAGE as u64;
const FRAME: usize = 128;
const ALIGNMENT: usize = 64;
const VERSION: u32 = 1;
const HEADER_MAGIC: [u8; 8] = *b"PLUMBLOG";
const ROOT_MAGIC: [u8; 8] = *b"PLUMBRT1";
const FRAME_MAGIC: [u8; 8] = *b"PLUMBFR1";
const SLOT: usize = 60;
/// How often a reader looks at the slots before it calls them damaged.
const LOOKS: usize = 8;

/// What a log is for, so that one kind is never read as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Store = 1,
    Journal = 2,
}

impl Purpose {
    fn name(code: u32) -> &'static str {
        match code {
            1 => "an index",
            2 => "a journal",
            _ => "a log of an unknown kind",
        }
    }
}

/// Invariant: a root with sequence `n` lives in slot `n % 2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Root {
    sequence: u64,
    end: u64,
    id: SnapshotId,
}

/// One committed frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) sequence: u64,
    pub(crate) id: SnapshotId,
    parent: SnapshotId,
    payload_crc: u32,
    /// Where the payload begins in the file.
    pub(crate) offset: u64,
    pub(crate) payload: View,
}

/// A log, open for reading and perhaps for writing.
pub(crate) struct Log<D> {
    disk: D,
    path: PathBuf,
    root: Root,
    /// A commit began and did not end.
    broken: bool,
}

/// The bytes of an empty log.
pub(crate) fn empty(purpose: Purpose) -> Vec<u8> {
    let mut bytes = vec![0; 3 * PAGE];
    bytes[..8].copy_from_slice(&HEADER_MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&(purpose as u32).to_le_bytes());
    let crc = crc32fast::hash(&bytes[..16]);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
    let root = Root { sequence: 0, end: DATA, id: SnapshotId::EMPTY };
    bytes[PAGE..PAGE + SLOT].copy_from_slice(&root.encode());
    bytes
}

impl<D: Disk> Log<D> {
    /// Opens a log to write. The caller holds the lock.
    pub(crate) fn open_to_write(disk: D, path: &Path, purpose: Purpose) -> Result<Self, Error> {
        let mut log = Self::open_to_read(disk, path, purpose)?;
        let root = log.root;
        log.write_root(root)?;
        Ok(log)
    }

    /// Opens a log to read, whatever a writer is doing to it.
    pub(crate) fn open_to_read(disk: D, path: &Path, purpose: Purpose) -> Result<Self, Error> {
        let root = Root { sequence: 0, end: DATA, id: SnapshotId::EMPTY };
        let mut log = Self { disk, path: path.to_owned(), root, broken: false };
        log.check_header(purpose)?;
        log.root = log.current_root()?;
        Ok(log)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.root.sequence
    }

    /// Looks whether a writer has committed since, and gives the new frames.
    pub(crate) fn refresh(&mut self) -> Result<Vec<Frame>, Error> {
        let before = self.root;
        let now = self.current_root()?;
        let frames = self.frames(before, now)?;
        self.root = now;
        Ok(frames)
    }

    /// Every committed frame, in order.
    pub(crate) fn all_frames(&self) -> Result<Vec<Frame>, Error> {
        self.frames(Root { sequence: 0, end: DATA, id: SnapshotId::EMPTY }, self.root)
    }

    /// Whether no commit has failed since the log was opened.
    pub(crate) fn check_usable(&self) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Broken { path: self.path.clone() });
        }
        Ok(())
    }

    /// Adds a frame, durably and all at once.
    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<Frame, Error> {
        self.check_usable()?;
        self.broken = true;

        let head = Head::new(self.root, payload);
        let mut bytes = head.encode().to_vec();
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        let start = self.root.end;
        self.disk.write(start, &bytes).map_err(|e| self.io(e))?;
        self.disk.sync().map_err(|e| self.io(e))?;

        let next = Root { sequence: head.sequence, end: start + wide(bytes.len()), id: head.id };
        self.write_root(next)?;

        self.root = next;
        self.broken = false;
        let offset = start + wide(FRAME);
        let payload = self.disk.view(offset, payload.len()).map_err(|e| self.io(e))?;
        Ok(head.into_frame(offset, payload))
    }

    fn write_root(&mut self, root: Root) -> Result<(), Error> {
        self.disk.write(root.slot_offset(), &root.encode()).map_err(|e| self.io(e))?;
        self.disk.sync().map_err(|e| self.io(e))
    }

    fn check_header(&self, purpose: Purpose) -> Result<(), Error> {
        let mut header = [0; 20];
        self.read(0, &mut header)?;
        let words: &[[u8; 4]] = header.as_chunks().0;
        let [version, code, crc] = [2, 3, 4].map(|i| u32::from_le_bytes(words[i]));
        let path = self.path.clone();
        if header[..8] != HEADER_MAGIC {
            let mut found = [0; 8];
            found.copy_from_slice(&header[..8]);
            return Err(Error::NotALog { path, found });
        }
        // The version comes before the checksum: another version may have
        // another checksum.
        if version != VERSION {
            return Err(Error::Version { path, found: version, expected: VERSION });
        }
        if crc != crc32fast::hash(&header[..16]) {
            return Err(self.corrupt(0, "the header fails its checksum"));
        }
        if code != purpose as u32 {
            let (found, expected) = (Purpose::name(code), Purpose::name(purpose as u32));
            return Err(Error::Purpose { path, found, expected });
        }
        Ok(())
    }

    fn current_root(&self) -> Result<Root, Error> {
        for _ in 0..LOOKS {
            let mut slots = [[0; SLOT]; 2];
            self.read(wide(PAGE), &mut slots[0])?;
            self.read(wide(2 * PAGE), &mut slots[1])?;
            let valid = slots.iter().filter_map(Root::decode);
            if let Some(root) = valid.max_by_key(|root| root.sequence) {
                return Ok(root);
            }
        }
        Err(self.corrupt(wide(PAGE), "both root slots fail their checksums"))
    }

    /// The frames after `from` up to `to`, with their heads and their chain
    /// checked. Payloads are not read here.
    fn frames(&self, from: Root, to: Root) -> Result<Vec<Frame>, Error> {
        let file_len = self.disk.len().map_err(|e| self.io(e))?;
        if file_len < to.end {
            let path = self.path.clone();
            return Err(Error::Truncated { path, expected: to.end, found: file_len });
        }
        let Some(length) = to.end.checked_sub(from.end).and_then(|n| usize::try_from(n).ok())
        else {
            return Err(self.corrupt(wide(PAGE), "the roots contradict each other"));
        };
        let bytes = self.disk.view(from.end, length).map_err(|e| self.io(e))?;
        let (mut frames, mut at, mut last) = (Vec::new(), 0, from);
        while at < length {
            let offset = from.end + wide(at);
            let head = bytes.get(at..at + FRAME).and_then(|head| Head::decode(head.as_array()?));
            let Some(head) = head else {
                return Err(self.corrupt(offset, "the head of a commit fails its checksum"));
            };
            let payload = usize::try_from(head.payload_len).ok();
            let Some(payload) = payload.and_then(|len| bytes.part(at + FRAME, len)) else {
                return Err(self.corrupt(offset, "a commit is longer than the log"));
            };
            if head.parent != last.id || head.sequence != last.sequence + 1 {
                return Err(self.corrupt(offset, "a commit does not follow the one before"));
            }
            at = (at + FRAME + payload.len()).next_multiple_of(ALIGNMENT);
            last = Root { sequence: head.sequence, end: from.end + wide(at), id: head.id };
            frames.push(head.into_frame(offset + wide(FRAME), payload));
        }
        if last != to {
            return Err(self.corrupt(to.end, "the commits do not end where the root says"));
        }
        Ok(frames)
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), Error> {
        match self.disk.read(at, into) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let found = self.disk.len().map_err(|e| self.io(e))?;
                Err(Error::Truncated { path: self.path.clone(), expected: DATA, found })
            }
            result => result.map_err(|e| self.io(e)),
        }
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }

    fn corrupt(&self, offset: u64, what: &'static str) -> Error {
        Error::Corrupt { path: self.path.clone(), offset, what }
    }
}

impl Frame {
    /// Whether the payload passes its checksum: against decay.
    pub(crate) fn is_whole(&self) -> bool {
        crc32fast::hash(&self.payload) == self.payload_crc
    }

    /// Whether the payload is what the id names: against everything.
    pub(crate) fn is_authentic(&self) -> bool {
        frame_id(self.sequence, self.parent, &self.payload) == self.id
    }
}

impl Root {
    fn slot_offset(self) -> u64 {
        wide(PAGE) * (1 + self.sequence % 2)
    }

    fn encode(self) -> [u8; SLOT] {
        let mut slot = [0; SLOT];
        slot[..8].copy_from_slice(&ROOT_MAGIC);
        slot[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        slot[16..24].copy_from_slice(&self.end.to_le_bytes());
        slot[24..56].copy_from_slice(&self.id.0);
        let crc = crc32fast::hash(&slot[..56]);
        slot[56..].copy_from_slice(&crc.to_le_bytes());
        slot
    }

    fn decode(slot: &[u8; SLOT]) -> Option<Self> {
        let crc = u32::from_le_bytes(*slot.last_chunk()?);
        if slot[..8] != ROOT_MAGIC || crc32fast::hash(&slot[..56]) != crc {
            return None;
        }
        let [_, sequence, end, ..] = slot.as_chunks::<8>().0 else { return None };
        let [sequence, end] = [sequence, end].map(|bytes| u64::from_le_bytes(*bytes));
        let id = SnapshotId(*slot[24..].first_chunk()?);
        Some(Self { sequence, end, id })
    }
}

struct Head {
    sequence: u64,
    payload_len: u64,
    parent: SnapshotId,
    id: SnapshotId,
    payload_crc: u32,
}

impl Head {
    fn new(root: Root, payload: &[u8]) -> Self {
        let sequence = root.sequence + 1;
        Self {
            sequence,
            payload_len: wide(payload.len()),
            parent: root.id,
            id: frame_id(sequence, root.id, payload),
            payload_crc: crc32fast::hash(payload),
        }
    }

    fn encode(&self) -> [u8; FRAME] {
        let mut head = [0; FRAME];
        head[..8].copy_from_slice(&FRAME_MAGIC);
        head[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        head[16..24].copy_from_slice(&self.payload_len.to_le_bytes());
        head[24..56].copy_from_slice(&self.parent.0);
        head[56..88].copy_from_slice(&self.id.0);
        head[88..92].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(&head[..FRAME - 4]);
        head[FRAME - 4..].copy_from_slice(&crc.to_le_bytes());
        head
    }

    fn decode(head: &[u8; FRAME]) -> Option<Self> {
        let crc = u32::from_le_bytes(*head.last_chunk()?);
        if head[..8] != FRAME_MAGIC || crc32fast::hash(&head[..FRAME - 4]) != crc {
            return None;
        }
        Some(Self {
            sequence: u64::from_le_bytes(*head[8..].first_chunk()?),
            payload_len: u64::from_le_bytes(*head[16..].first_chunk()?),
            parent: SnapshotId(*head[24..].first_chunk()?),
            id: SnapshotId(*head[56..].first_chunk()?),
            payload_crc: u32::from_le_bytes(*head[88..].first_chunk()?),
        })
    }

    fn into_frame(self, offset: u64, payload: View) -> Frame {
        let Self { sequence, id, parent, payload_crc, .. } = self;
        Frame { sequence, id, parent, payload_crc, offset, payload }
    }
}

fn frame_id(sequence: u64, parent: SnapshotId, payload: &[u8]) -> SnapshotId {
    let mut hash = Sha256::new();
    hash.update(sequence.to_le_bytes());
    hash.update(wide(payload.len()).to_le_bytes());
    hash.update(parent.0);
    hash.update(payload);
    SnapshotId(hash.finalize().into())
}
