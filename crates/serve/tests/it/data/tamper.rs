//! Somebody edits the audit log behind the program's back.

use plumb_serve::data::{Audit, ChainError, Database, Location};

/// A log of five entries after `edit` had it.
#[track_caller]
fn check(edit: &str, want: &Result<i64, ChainError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.db");
    let database = Database::open(&Location::Sqlite(path.clone())).unwrap();
    for target in ["a", "b", "c", "d", "e"] {
        let audit = Audit { actor: "k", action: "key.create", target, outcome: "ok" };
        database.append_audit(&audit, 7).unwrap();
    }
    let raw = rusqlite::Connection::open(path).unwrap();
    if !edit.is_empty() {
        assert!(raw.execute_batch(edit).is_err(), "the log took a change");
        raw.execute_batch("DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete").unwrap();
        raw.execute_batch(edit).unwrap();
    }
    assert_eq!(database.check_audit().unwrap().map(|(length, _)| length), *want, "{edit}");
}

#[test]
fn an_edit_is_refused_and_one_by_force_is_found() {
    check("", &Ok(5));
    let changed = |position| Err(ChainError::Changed { position });
    check("UPDATE audit SET outcome = 'denied' WHERE position = 3", &changed(3));
    check("UPDATE audit SET at = at + 1 WHERE position = 1", &changed(1));
    // Moving a letter from one field to the next is no way around.
    check("UPDATE audit SET actor = 'kk', action = 'ey.create' WHERE position = 2", &changed(2));
    check("DELETE FROM audit WHERE position = 2", &Err(ChainError::Missing { position: 2 }));
    check("DELETE FROM audit WHERE position = 5", &Err(ChainError::Cut { found: 4, wanted: 5 }));
    check("DELETE FROM audit", &Err(ChainError::Cut { found: 0, wanted: 5 }));
}
