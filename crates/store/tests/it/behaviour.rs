//! What a caller may rely on.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use plumb_store::{
    Batch, DocId, Error, Journal, MapEntry, PassageRecord, PassageRef, Reader, SnapshotId, Store,
};

use crate::support::{add, binding, document, uri};

fn new() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

#[test]
fn what_is_put_comes_back() {
    let (folder, store) = new();
    let mut record = document(1);
    record.passages[0].text = "clean".to_owned();
    record.passages[0].map = vec![MapEntry { clean_start: 0, source_start: 3, length: 5 }];
    record.passages[0].page = Some(4);
    record.passages[1].part = Some("Sheet1".to_owned());
    let mut batch = Batch::new();
    batch.put(record.clone());
    batch.bind(binding("a", record.id));
    batch.set_meta("embedder", "test");
    let id = store.commit(&batch).unwrap();
    drop(store);

    let snapshot = Reader::open(folder.path()).unwrap().snapshot();
    assert_eq!(snapshot.id(), id);
    assert_eq!(snapshot.meta()["embedder"], "test");
    assert_eq!(snapshot.binding("a"), Some(&binding("a", record.id)));
    let found = snapshot.document(&record.id).unwrap();
    assert_eq!(found.text().unwrap(), record.text);
    let info = found.info().unwrap();
    assert_eq!((&info.title, &info.kind, info.is_original), (&record.title, &record.kind, true));
    assert_eq!((info.sha256, &info.metadata), (record.sha256, &record.metadata));

    let [first, second] = [0, 1].map(|ordinal| PassageRef { segment: 0, ordinal });
    let passage = snapshot.passage(first).unwrap();
    assert_eq!((passage.text.as_str(), passage.page, passage.number), ("clean", Some(4), 0));
    assert_eq!(passage.map, record.passages[0].map);
    let passage = snapshot.passage(second).unwrap();
    assert_eq!(passage.text, record.text[9..]);
    assert_eq!(passage.part.as_deref(), Some("Sheet1"));
    assert_eq!(passage.heading_path, ["Top", "Section 1"]);
    let length = record.text.len() as u64 - 9;
    assert_eq!(passage.map, [MapEntry { clean_start: 0, source_start: 9, length }]);
    assert_eq!(snapshot.vector(second).unwrap(), [1.0, 1.0, 0.0, -1.0]);
}

#[test]
fn postings_lengths_and_hashes_are_kept_by_passage() {
    let (_folder, store) = new();
    let mut record = document(1);
    record.passages[0].terms = vec![("b".into(), 2), ("a".into(), 1), ("b".into(), 1)];
    record.passages[1].terms = vec![("b".into(), 5)];
    record.passages[1].text = "Document".to_owned();
    record.passages[0].text = " Document\n".to_owned();
    let mut batch = Batch::new();
    batch.bind(binding("a", record.id));
    batch.put(record);
    store.commit(&batch).unwrap();
    let snapshot = store.snapshot();
    let segment = snapshot.segments().next().unwrap();
    let postings = |term| segment.postings(term).unwrap().collect::<Vec<_>>();
    assert_eq!(postings("b"), [(0, 3), (1, 5)]);
    assert_eq!(postings("a"), [(0, 1)]);
    assert_eq!(postings("c"), []);
    assert_eq!((segment.terms_of(0), segment.terms_of(1)), (Some(4), Some(5)));
    assert_eq!(snapshot.term_count(), 9);
    assert_eq!(segment.text_hash(0), segment.text_hash(1));
}

#[test]
fn the_same_operations_give_the_same_ids() {
    let ids = |order: [u64; 2]| {
        let (_folder, store) = new();
        let mut batch = add(order[0]);
        batch.bind(binding("z", document(order[0]).id));
        let first = store.commit(&batch).unwrap();
        [first, store.commit(&add(order[1])).unwrap()]
    };
    assert_eq!(ids([1, 2]), ids([1, 2]));
    assert_ne!(ids([1, 2])[1], ids([2, 1])[1]);
}

#[test]
fn a_batch_that_changes_nothing_commits_nothing() {
    let (_folder, store) = new();
    let mut batch = add(1);
    batch.set_meta("k", "v");
    let id = store.commit(&batch).unwrap();
    batch.unbind("never bound");
    assert_eq!(store.commit(&batch).unwrap(), id);
    assert_eq!(store.commit(&Batch::new()).unwrap(), id);
    assert_eq!(store.snapshots().len(), 1);
}

#[test]
fn a_document_is_stored_once_whatever_it_is_called() {
    let (_folder, store) = new();
    let mut batch = add(1);
    batch.put(document(1));
    batch.bind(binding("other", document(1).id));
    store.commit(&batch).unwrap();
    let mut batch = add(1);
    batch.bind(binding("third", document(1).id));
    store.commit(&batch).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.bindings().count(), 3);
    assert_eq!(snapshot.live_passages().count(), 2);
    let rows: Vec<_> = snapshot.segments().map(|segment| segment.len()).collect();
    assert_eq!(rows, [2, 0]);
}

#[test]
fn what_is_unbound_is_gone_now_and_still_there_then() {
    let (_folder, store) = new();
    let first = store.commit(&add(1)).unwrap();
    let mut batch = add(2);
    batch.unbind(&uri(1));
    store.commit(&batch).unwrap();
    let now = store.snapshot();
    assert_eq!(now.binding(&uri(1)), None);
    assert!(!now.document(&document(1).id).unwrap().is_live());
    assert!(now.live_passages().all(|at| at.segment == 1));

    let then = store.snapshot_at(&first).unwrap();
    assert!(then.document(&document(1).id).unwrap().is_live());
    assert!(then.document(&document(2).id).is_none());
    assert_eq!(then.live_passages().count(), 2);
    assert_eq!(store.resolve(&first.to_string()[..8]).unwrap(), first);
    assert_eq!(store.snapshot_at(&SnapshotId::EMPTY).unwrap().bindings().count(), 0);
    let unknown = store.snapshot_at(&SnapshotId([1; 32])).unwrap_err();
    assert!(matches!(unknown, Error::UnknownSnapshot { .. }));

    let sizes: Vec<_> =
        store.snapshots().iter().map(|s| (s.sequence, s.documents, s.passages)).collect();
    assert_eq!(sizes, [(1, 1, 2), (2, 1, 2)]);
}

#[test]
fn a_snapshot_does_not_see_later_commits() {
    let (folder, store) = new();
    store.commit(&add(1)).unwrap();
    let mut reader = Reader::open(folder.path()).unwrap();
    let old = store.snapshot();
    store.commit(&add(2)).unwrap();
    assert_eq!(old.bindings().count(), 1);
    assert_eq!(reader.snapshot().bindings().count(), 1);
    assert!(reader.refresh().unwrap());
    assert!(!reader.refresh().unwrap());
    assert_eq!(reader.snapshot().id(), store.snapshot().id());
    reader.snapshot().verify().unwrap();
}

#[test]
fn a_new_log_has_its_name_only_when_it_is_whole() {
    for _ in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("store.log");
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| Store::open(folder.path()).unwrap());
            loop {
                if let Ok(file) = fs::File::open(&log) {
                    break file.metadata().unwrap().len();
                }
            }
        });
        assert_eq!(seen, 3 * 4096);
    }
}

#[test]
fn a_second_writer_is_told_who_the_first_is() {
    let (folder, store) = new();
    let error = Store::open(folder.path()).err().unwrap();
    let me = std::process::id();
    assert!(matches!(error, Error::Locked { holder: Some(pid), .. } if pid == me), "{error}");
    drop(store);
    Store::open(folder.path()).unwrap();
}

#[test]
fn settings_must_agree_until_everything_is_reset() {
    let (_folder, store) = new();
    let mut batch = add(1);
    batch.set_meta("embedder", "one");
    let first = store.commit(&batch).unwrap();
    let mut batch = Batch::new();
    batch.set_meta("embedder", "two");
    let error = store.commit(&batch).unwrap_err();
    assert_eq!(error.to_string(), "the index was made with embedder `one`, not `two`");

    let mut record = document(2);
    record.passages.iter_mut().for_each(|passage| passage.vector = vec![1.0; 7]);
    batch.reset();
    batch.bind(binding("new", record.id));
    batch.put(record);
    store.commit(&batch).unwrap();
    let now = store.snapshot();
    assert_eq!((now.dimension(), now.bindings().count()), (Some(7), 1));
    assert_eq!((now.live_passages().count(), now.meta()["embedder"].as_str()), (2, "two"));
    let then = store.snapshot_at(&first).unwrap();
    assert_eq!((then.dimension(), then.bindings().count()), (Some(4), 1));
}

#[track_caller]
fn refused(change: impl FnOnce(&mut PassageRecord), want: &str) {
    let (_folder, store) = new();
    store.commit(&add(1)).unwrap();
    let mut record = document(2);
    change(&mut record.passages[1]);
    let mut batch = Batch::new();
    batch.bind(binding("a", record.id));
    batch.put(record);
    let error = store.commit(&batch).unwrap_err().to_string();
    assert!(error.starts_with("document `Number 2` (") && error.ends_with(want), "{error}");
    assert_eq!(store.snapshot().bindings().count(), 1);
}

#[test]
fn what_cannot_be_right_is_refused_by_name() {
    refused(|p| p.vector[2] = f32::NAN, "the vector of passage 1 holds NaN at place 2");
    refused(|p| p.vector[0] = f32::INFINITY, "the vector of passage 1 holds inf at place 0");
    refused(|p| p.vector.push(0.0), "passage 1 has 5 numbers, and this index has 4");
    refused(|p| p.range.end = 1000, "its range is not within the text, on whole characters");
    refused(|p| p.terms[0].1 = 0, "a term occurs 0 times");
    refused(
        |p| p.map = vec![MapEntry { clean_start: 0, source_start: 0, length: 1 }],
        "no clean text",
    );
}

#[test]
fn an_address_needs_a_stored_document() {
    let (_folder, store) = new();
    let mut batch = Batch::new();
    batch.bind(binding("a", DocId([3; 32])));
    let error = store.commit(&batch).unwrap_err().to_string();
    assert!(error.starts_with("`a` is to be bound to document 0303"), "{error}");
}

#[test]
fn an_empty_folder_has_no_store_to_read() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(folder.path()), Err(Error::NoStore { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Writes `bytes` at `at` of the log and opens it.
fn opened_after(folder: &Path, at: u64, bytes: &[u8]) -> Result<Reader, Error> {
    let path = folder.join("store.log");
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
    Reader::open(folder)
}

#[test]
fn other_files_and_other_versions_are_refused() {
    let (folder, store) = new();
    store.commit(&add(1)).unwrap();
    let folder = folder.path();
    let error = opened_after(folder, 8, &[2]).err().unwrap();
    assert!(matches!(error, Error::Version { found: 2, expected: 1, .. }), "{error}");
    let error = opened_after(folder, 0, b"SQLite").err().unwrap();
    assert!(error.to_string().contains("is not a log of this program"), "{error}");
    fs::write(folder.join("store.log"), b"PLUMB").unwrap();
    assert!(matches!(Reader::open(folder), Err(Error::Truncated { .. })));
}

#[test]
fn damage_is_reported_with_the_file_and_the_place() {
    let (folder, store) = new();
    store.commit(&add(1)).unwrap();
    let log = folder.path().join("store.log");
    let bytes = fs::read(&log).unwrap();
    let needle = b"Document 1 says";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap() as u64;
    let snapshot = opened_after(folder.path(), at, b"d").unwrap().snapshot();
    let error = snapshot.document(&document(1).id).unwrap().text().unwrap_err();
    let want = format!("`{}` is damaged at byte {at}: a record fails its checksum", log.display());
    assert_eq!(error.to_string(), want);

    fs::write(&log, &bytes[..bytes.len() - 64]).unwrap();
    assert!(matches!(Reader::open(folder.path()), Err(Error::Truncated { .. })));
}

#[test]
fn a_journal_keeps_the_last_value_of_a_key_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/answers.journal");
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.get("a").unwrap(), None);
    journal.append("a", b"1").unwrap();
    journal.append("b", b"2").unwrap();
    let mut other = Journal::open(&path).unwrap();
    other.append("a", b"").unwrap();
    assert_eq!(journal.get("a").unwrap().unwrap(), b"1");
    journal.append("c", b"3").unwrap();
    for journal in [journal, Journal::open(&path).unwrap()] {
        let all: Vec<_> =
            journal.iter().map(|(key, value)| (key.to_owned(), value.unwrap())).collect();
        let want = [("b", "2"), ("a", ""), ("c", "3")];
        assert_eq!(all, want.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec())));
    }
    fs::copy(&path, folder.path().join("store.log")).unwrap();
    let error = Reader::open(folder.path()).err().unwrap().to_string();
    assert!(error.ends_with("is a journal, not an index"), "{error}");
}
