//! The store on a disk that fails and loses power.
//!
//! [`CrashDisk`] keeps what programs read apart from what survives. Unsynced
//! writes are cut into sectors, and at a power failure any set of these
//! survives, the last of them perhaps in part: lost, torn and reordered
//! writes. A write may fail with a full disk after a part of it, and a sync
//! may fail and forget what it should have written, as Linux does.
//!
//! Faults planted by hand, each of which makes a test of this crate fail in
//! three of three runs:
//!
//! 1. `append` without its sync before the root is written;
//! 2. `write_root` without its sync;
//! 3. one root slot only (`slot_offset` without the parity);
//! 4. no checksum of the root;
//! 5. the root written before the data;
//! 6. commits after a failed one (`broken` never set);
//! 7. a writer that opens the log does not write the root again;
//! 8. `changes` ignores what is stored, so that documents are stored twice;
//! 9. no checksum of a section, of a record, or of the head of a frame;
//! 10. `commit` compares with what it shows after a failed commit;
//! 11. `verify` does not recompute the ids.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use crate::disk::{Disk, View};
use crate::log::{self, Purpose};
use crate::record::{Binding, DocId, DocumentRecord, PassageRecord, SnapshotId};
use crate::store::Store;
use crate::{Batch, Error};

const SECTOR: usize = 512;

#[derive(Clone)]
struct CrashDisk(Arc<Mutex<Bytes>>);

struct Bytes {
    /// What programs read.
    cache: Vec<u8>,
    /// What survives for certain.
    durable: Vec<u8>,
    /// Written and not synced: any part may survive.
    unsynced: Vec<(usize, Vec<u8>)>,
    /// What happens to the next operations; nothing, after the last.
    faults: Vec<Fault>,
    capacity: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// The operation fails. A write has been done in part, a sync forgets.
    Fails,
    /// Power is lost, and no operation succeeds until the restart.
    PowerOff,
}

impl CrashDisk {
    fn new() -> Self {
        let cache = log::empty(Purpose::Store);
        let durable = cache.clone();
        let (unsynced, faults, capacity) = (Vec::new(), Vec::new(), usize::MAX);
        Self(Arc::new(Mutex::new(Bytes { cache, durable, unsynced, faults, capacity })))
    }

    fn bytes(&self) -> std::sync::MutexGuard<'_, Bytes> {
        self.0.lock().unwrap()
    }

    fn plan(&self, faults: &[Fault]) {
        self.bytes().faults = faults.iter().rev().copied().collect();
    }

    /// `survives` is asked for each sector that was written and not synced: 0
    /// for no byte of it, 3 for all.
    fn restart(&self, mut survives: impl FnMut() -> usize) {
        let mut bytes = self.bytes();
        for (at, written) in std::mem::take(&mut bytes.unsynced) {
            let mut start = 0;
            while start < written.len() {
                let sector_end = ((at + start) / SECTOR + 1) * SECTOR - at;
                let end = sector_end.min(written.len());
                let kept = start + (end - start) * survives() / 3;
                put(&mut bytes.durable, at + start, &written[start..kept]);
                start = end;
            }
        }
        bytes.cache = bytes.durable.clone();
        bytes.faults.clear();
    }

    fn open(&self) -> Result<Store, Error> {
        Store::on(Box::new(self.clone()), Path::new("disk"), None)
    }
}

impl Bytes {
    fn fault(&mut self) -> Fault {
        match self.faults.last() {
            // Stays off.
            Some(Fault::PowerOff) => Fault::PowerOff,
            Some(_) => self.faults.pop().unwrap(),
            None => Fault::None,
        }
    }

    fn store(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.cache, at, bytes);
        self.unsynced.push((at, bytes.to_vec()));
    }
}

fn put(into: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if into.len() < at + bytes.len() {
        into.resize(at + bytes.len(), 0);
    }
    into[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Disk for CrashDisk {
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let view = self.view(at, into.len())?;
        into.copy_from_slice(&view);
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.bytes();
        let at = usize::try_from(at).unwrap();
        let room = disk.capacity.saturating_sub(at);
        if room < bytes.len() {
            disk.store(at, &bytes[..room]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        match disk.fault() {
            Fault::None => disk.store(at, bytes),
            Fault::Fails => {
                disk.store(at, &bytes[..bytes.len() / 2]);
                return Err(io::ErrorKind::StorageFull.into());
            }
            // A write that was under way can still reach the disk.
            Fault::PowerOff => {
                if disk.faults.len() == 1 {
                    disk.store(at, bytes);
                    disk.faults.push(Fault::PowerOff);
                }
                return Err(io::Error::other("power is off"));
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.bytes();
        match disk.fault() {
            Fault::None => {
                for (at, bytes) in std::mem::take(&mut disk.unsynced) {
                    put(&mut disk.durable, at, &bytes);
                }
                Ok(())
            }
            Fault::Fails => {
                // The pages count as clean now, whether they are or not.
                disk.unsynced.clear();
                Err(io::Error::other("the disk did not answer"))
            }
            Fault::PowerOff => Err(io::Error::other("power is off")),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes().cache.len() as u64)
    }

    fn view(&self, at: u64, len: usize) -> io::Result<View> {
        let at = usize::try_from(at).unwrap();
        match self.bytes().cache.get(at..at + len) {
            Some(bytes) => Ok(View::owned(bytes.to_vec())),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// One change, small enough to make many.
#[derive(Clone, Debug)]
enum Change {
    Bind { uri: u8, content: u8 },
    Unbind { uri: u8 },
}

fn document(content: u8) -> DocumentRecord {
    let text = format!("text {content} ").repeat(usize::from(content) * 7 + 1);
    let passage = |number: u8| PassageRecord {
        range: 0..5 + u64::from(number),
        vector: vec![f32::from(content), f32::from(number)],
        terms: vec![("text".to_owned(), 1 + u32::from(number)), (content.to_string(), 1)],
        ..PassageRecord::default()
    };
    DocumentRecord {
        id: DocId::of("text", &[content]),
        sha256: [content; 32],
        kind: "text".to_owned(),
        title: format!("title {content}"),
        passages: (0..content % 3).map(passage).collect(),
        text,
        is_original: true,
        metadata: BTreeMap::new(),
    }
}

fn batch(changes: &[Change]) -> Batch {
    let mut batch = Batch::new();
    for change in changes {
        match *change {
            Change::Bind { uri, content } => {
                let document = document(content);
                let (uri, id, size) = (format!("file:///{uri}"), document.id, 9);
                batch.put(document);
                let metadata = BTreeMap::new();
                batch.bind(Binding { uri, document: id, mtime: 5, size, metadata });
            }
            Change::Unbind { uri } => batch.unbind(&format!("file:///{uri}")),
        }
    }
    batch
}

/// What the store should show: the obvious implementation.
type Model = BTreeMap<String, u8>;

fn apply(model: &Model, changes: &[Change]) -> Model {
    let mut model = model.clone();
    for change in changes {
        match *change {
            Change::Bind { uri, content } => drop(model.insert(format!("file:///{uri}"), content)),
            Change::Unbind { uri } => drop(model.remove(&format!("file:///{uri}"))),
        }
    }
    model
}

/// Whether the store shows exactly the model, by every way of looking.
fn shows(store: &Store, model: &Model) -> Result<(), TestCaseError> {
    let snapshot = store.snapshot();
    snapshot.verify().map_err(|e| TestCaseError::fail(e.to_string()))?;
    let bound: Vec<_> = snapshot.bindings().map(|b| (b.uri.clone(), b.document)).collect();
    let wanted = model.iter().map(|(uri, content)| (uri.clone(), document(*content).id));
    prop_assert_eq!(bound, wanted.collect::<Vec<_>>());

    let contents: std::collections::BTreeSet<u8> = model.values().copied().collect();
    let mut passages = 0;
    for &content in &contents {
        let record = document(content);
        let found = snapshot.document(&record.id).unwrap();
        prop_assert!(found.is_live());
        prop_assert_eq!(found.text().unwrap(), record.text);
        prop_assert_eq!(&found.info().unwrap().title, &record.title);
        for (at, wanted) in found.passages().zip(&record.passages) {
            prop_assert_eq!(snapshot.vector(at).unwrap(), &wanted.vector);
            prop_assert_eq!(snapshot.passage(at).unwrap().range, wanted.range.clone());
        }
        prop_assert_eq!(found.passages().count(), record.passages.len());
        passages += record.passages.len();
    }
    prop_assert_eq!(snapshot.live_passages().count(), passages);
    prop_assert_eq!(snapshot.passage_count(), passages as u64);
    prop_assert_eq!(snapshot.info().documents, contents.len() as u64);
    let found = snapshot.segments().map(|segment| {
        let postings = segment.postings("text").unwrap();
        postings.filter(|(ordinal, _)| segment.is_live(*ordinal)).count()
    });
    prop_assert_eq!(found.sum::<usize>(), passages);
    Ok(())
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0_u8..4, 0_u8..8).prop_map(|(uri, content)| Change::Bind { uri, content }),
        1 => (0_u8..4).prop_map(|uri| Change::Unbind { uri }),
    ]
}

fn commits() -> impl Strategy<Value = Vec<Vec<Change>>> {
    prop::collection::vec(prop::collection::vec(change(), 1..4), 1..6)
}

/// Some operations that succeed, some failures, and perhaps the end.
fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault =
        prop_oneof![6 => Just(Fault::None), 2 => Just(Fault::Fails), 1 => Just(Fault::PowerOff)];
    prop::collection::vec(fault, 0..20)
}

/// Everything that may be found after a failure: the last acknowledged state,
/// or that of a commit which failed later.
struct Expected {
    states: Vec<(SnapshotId, Model)>,
}

impl Expected {
    fn check(&mut self, disk: &CrashDisk) -> Result<Store, TestCaseError> {
        let store = disk.open().map_err(|e| TestCaseError::fail(format!("{e}: {e:?}")))?;
        let id = store.snapshot().id();
        let found = self.states.iter().rposition(|(known, _)| *known == id);
        let Some(found) = found else {
            return Err(TestCaseError::fail("neither the acknowledged nor the failed commit"));
        };
        shows(&store, &self.states[found].1)?;
        self.states = vec![self.states.swap_remove(found)];
        Ok(store)
    }
}

/// The id a commit of `batch` would have, from a store that does not fail.
fn expected_id(history: &[Vec<Change>]) -> SnapshotId {
    let store = CrashDisk::new().open().unwrap();
    for changes in history {
        store.commit(&batch(changes)).unwrap();
    }
    store.snapshot().id()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn failures_keep_every_acknowledged_commit_and_no_half_of_another(
        rounds in prop::collection::vec((commits(), faults(), any::<bool>()), 1..5),
        survivors in prop::collection::vec(0_usize..=3, 1..9),
    ) {
        let disk = CrashDisk::new();
        let mut survivors = survivors.into_iter().cycle();
        let mut expected = Expected { states: vec![(SnapshotId::EMPTY, Model::new())] };
        // Histories that lead to each expected state, to know their ids.
        let mut histories = BTreeMap::from([(SnapshotId::EMPTY, Vec::new())]);
        for (commits, faults, power_fails) in rounds {
            let store = expected.check(&disk)?;
            disk.plan(&faults);
            let (mut base, mut model) = expected.states[0].clone();
            for changes in commits {
                let mut history: Vec<Vec<Change>> = histories[&base].clone();
                history.push(changes.clone());
                let id = expected_id(&history);
                histories.insert(id, history);
                let next = apply(&model, &changes);
                expected.states.push((id, next.clone()));
                match store.commit(&batch(&changes)) {
                    Ok(found) => {
                        prop_assert_eq!(found, id);
                        (base, model) = (id, next.clone());
                        expected.states = vec![(id, next)];
                    }
                    // What is shown does not change until it is opened again.
                    Err(_) => shows(&store, &model)?,
                }
            }
            if power_fails || disk.bytes().faults.last() == Some(&Fault::PowerOff) {
                disk.restart(|| survivors.next().unwrap());
            } else {
                // The process was killed: what it wrote is in the cache.
                disk.bytes().faults.clear();
            }
        }
        expected.check(&disk)?;
    }

    #[test]
    fn every_changed_byte_is_noticed(
        commits in commits(),
        at in any::<prop::sample::Index>(),
        change in 1_u8..,
    ) {
        let disk = CrashDisk::new();
        let store = disk.open().unwrap();
        for changes in &commits {
            store.commit(&batch(changes)).unwrap();
        }
        let (id, info) = (store.snapshot().id(), store.snapshot().info());
        if info.bytes == 0 {
            return Ok(());
        }
        let first = 3 * 4096;
        let at = first + at.index(usize::try_from(info.bytes).unwrap() - first);
        disk.bytes().cache[at] ^= change;
        let noticed = match disk.open() {
            Err(Error::Corrupt { offset, .. }) => Some(offset),
            Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
            Ok(store) => match store.snapshot().verify() {
                Err(Error::Corrupt { offset, .. }) => Some(offset),
                Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
                Ok(()) => {
                    // Only the zeros between two frames carry nothing.
                    prop_assert_eq!(disk.bytes().cache[at], change);
                    prop_assert_eq!(store.snapshot().id(), id);
                    None
                }
            },
        };
        if let Some(offset) = noticed {
            prop_assert!(offset <= info.bytes);
        }
    }
}

/// Everything that can be read, or the first error.
fn dump(disk: &CrashDisk) -> Result<Vec<String>, Error> {
    let store = disk.open()?;
    let snapshot = store.snapshot();
    let mut out = vec![format!("{:?} {:?}", snapshot.info(), snapshot.meta())];
    for binding in snapshot.bindings() {
        let document = snapshot.document(&binding.document).unwrap();
        out.push(format!("{binding:?} {:?} {}", document.info()?, document.text()?));
        for at in document.passages() {
            out.push(format!("{:?} {:?}", snapshot.passage(at)?, snapshot.vector(at)?));
        }
    }
    for segment in snapshot.segments() {
        for term in ["text", "1", "2", "5", "absent"] {
            out.push(format!("{:?}", segment.postings(term)?.collect::<Vec<_>>()));
        }
        for ordinal in 0..segment.len() {
            out.push(format!("{:?} {:?}", segment.terms_of(ordinal), segment.text_hash(ordinal)));
        }
    }
    Ok(out)
}

#[test]
fn no_changed_byte_changes_what_is_read() {
    let disk = CrashDisk::new();
    let store = disk.open().unwrap();
    let bind = |uri, content| Change::Bind { uri, content };
    let mut first = batch(&[bind(0, 1), bind(1, 2), bind(2, 5)]);
    first.set_meta("key", "value");
    store.commit(&first).unwrap();
    store.commit(&batch(&[bind(1, 5), Change::Unbind { uri: 0 }])).unwrap();
    let want = dump(&disk).unwrap();
    let end = usize::try_from(store.snapshot().info().bytes).unwrap();
    let header = (0..20).chain(4096..4156).chain(8192..8252);
    let mut noticed = 0;
    for at in header.chain(3 * 4096..end) {
        // Opening may write the root again.
        let before = disk.bytes().cache.clone();
        disk.bytes().cache[at] ^= 0x10;
        match dump(&disk) {
            Ok(found) => assert!(found == want || at < 3 * 4096, "byte {at}"),
            Err(_) => noticed += 1,
        }
        disk.bytes().cache = before;
    }
    assert!(noticed > 1000, "{noticed} of {end}");
}

#[test]
fn a_full_disk_loses_nothing_and_goes_on_when_there_is_room() {
    let disk = CrashDisk::new();
    let store = disk.open().unwrap();
    store.commit(&batch(&[Change::Bind { uri: 1, content: 1 }])).unwrap();
    let before = store.snapshot().id();
    let end = usize::try_from(store.snapshot().info().bytes).unwrap();
    for room in [0, 100, 700, 1000] {
        disk.bytes().capacity = end + room;
        let store = disk.open().unwrap();
        let failed = store.commit(&batch(&[Change::Bind { uri: 2, content: 7 }])).unwrap_err();
        assert!(failed.hint().unwrap().starts_with("the disk is full"), "{failed:?}");
        assert_eq!(store.snapshot().id(), before);
        store.snapshot().verify().unwrap();
        let again = store.commit(&batch(&[Change::Bind { uri: 3, content: 2 }])).unwrap_err();
        assert!(matches!(again, Error::Broken { .. }));
    }
    disk.bytes().capacity = usize::MAX;
    let store = disk.open().unwrap();
    assert_eq!(store.snapshot().id(), before);
    store.commit(&batch(&[Change::Bind { uri: 2, content: 7 }])).unwrap();
    store.snapshot().verify().unwrap();
}
