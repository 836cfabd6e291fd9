//! What any database must do. Each case is given an empty one.

use plumb_serve::data::{
    Audit, Database, Error, Feedback, JobState, KeyRow, MAX_ATTEMPTS, NewAnswer, NewJob,
    NewMessage, Page, SessionRow, Usage,
};

fn message(role: &str, content: &str) -> NewMessage {
    NewMessage { role: role.to_owned(), content: content.to_owned(), answer: None }
}

fn key(id: &str) -> KeyRow {
    KeyRow {
        id: id.to_owned(),
        name: "test".to_owned(),
        secret_sha256: "00".to_owned(),
        role: "read".to_owned(),
        collections: "[]".to_owned(),
        limits: "{}".to_owned(),
        created_at: 1,
        expires_at: Some(100),
        revoked_at: None,
    }
}

fn answer(id: &str, owner: &str) -> NewAnswer {
    NewAnswer {
        id: id.to_owned(),
        owner: owner.to_owned(),
        collection: "docs".to_owned(),
        question: "Why?".to_owned(),
        status: "answered".to_owned(),
        snapshot: "5a".to_owned(),
        body: "{\"answer\":\"Because.\"}".to_owned(),
        replay: "{}".to_owned(),
    }
}

fn job(database: &Database, at: i64) -> String {
    let new = NewJob { owner: "k".into(), kind: "index".into(), input: "{}".into() };
    database.add_job(&new, at).unwrap().id
}

pub(super) fn a_conversation_keeps_its_messages_in_order(database: &Database) {
    let made = database.create_conversation("k", "handbook", "First", 10).unwrap();
    let two = [message("user", "a"), message("assistant", "b")];
    database.add_messages("k", &made.id, &two, 11).unwrap();
    database.add_messages("k", &made.id, &[message("user", "c")], 12).unwrap();
    let messages = database.messages("k", &made.id, 0).unwrap();
    let seen: Vec<_> = messages.iter().map(|m| (m.position, m.content.as_str())).collect();
    assert_eq!(seen, [(1, "a"), (2, "b"), (3, "c")]);
    assert_eq!(database.messages("k", &made.id, 2).unwrap(), messages[2..]);
    let found = database.conversation("k", &made.id).unwrap().unwrap();
    assert_eq!((found.messages, found.created_at, found.updated_at), (3, 10, 12));
    assert!(database.rename_conversation("k", &made.id, "Second").unwrap());
    assert_eq!(database.conversation("k", &made.id).unwrap().unwrap().title, "Second");
}

pub(super) fn messages_are_added_all_or_none(database: &Database) {
    let missing = database.add_messages("k", "conv_0", &[message("user", "a")], 1);
    assert!(matches!(missing, Err(Error::NotFound { what: "conversation", .. })));
    let made = database.create_conversation("k", "c", "", 1).unwrap();
    // The second is refused by the reader of the test, after the first was sent.
    let failed = database.add_messages("other", &made.id, &[message("user", "a")], 2);
    assert!(failed.is_err());
    let found = database.conversation("k", &made.id).unwrap().unwrap();
    assert_eq!((found.messages, found.updated_at), (0, 1));
}

pub(super) fn nobody_sees_the_conversations_of_another(database: &Database) {
    let made = database.create_conversation("a", "c", "", 1).unwrap();
    database.add_messages("a", &made.id, &[message("user", "secret")], 1).unwrap();
    assert_eq!(database.conversation("b", &made.id).unwrap(), None);
    assert!(database.messages("b", &made.id, 0).unwrap().is_empty());
    assert!(database.conversations("b", &Page::default()).unwrap().is_empty());
    assert!(!database.rename_conversation("b", &made.id, "x").unwrap());
    assert!(!database.delete_conversation("b", &made.id).unwrap());
    let page = Page { limit: 10, after: Some(made.id.clone()) };
    assert!(database.conversations("b", &page).unwrap().is_empty());
    assert_eq!(database.messages("a", &made.id, 0).unwrap().len(), 1);
}

pub(super) fn a_removed_conversation_takes_its_messages_along(database: &Database) {
    let made = database.create_conversation("k", "c", "", 1).unwrap();
    database.add_messages("k", &made.id, &[message("user", "a")], 1).unwrap();
    assert!(database.delete_conversation("k", &made.id).unwrap());
    assert!(!database.delete_conversation("k", &made.id).unwrap());
    assert!(database.messages("k", &made.id, 0).unwrap().is_empty());
}

pub(super) fn pages_give_every_row_once(database: &Database) {
    // Several have the same time, so that the id decides.
    for at in [1, 2, 2, 2, 3] {
        database.create_conversation("k", "c", "", at).unwrap();
        job(database, at);
    }
    let mut seen = Vec::new();
    let mut page = Page { limit: 2, after: None };
    loop {
        let rows = database.conversations("k", &page).unwrap();
        let Some(last) = rows.last() else { break };
        page.after = Some(last.id.clone());
        seen.extend(rows);
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.windows(2).all(|w| (w[0].updated_at, &w[0].id) > (w[1].updated_at, &w[1].id)));
    let first = database.jobs(None, &Page { limit: 3, after: None }).unwrap();
    let rest =
        database.jobs(Some("k"), &Page { limit: 9, after: Some(first[2].id.clone()) }).unwrap();
    assert_eq!((first.len(), rest.len()), (3, 2));
    assert!(database.jobs(Some("other"), &Page::default()).unwrap().is_empty());
    let unknown = Page { limit: 3, after: Some("conv_none".into()) };
    assert!(database.conversations("k", &unknown).unwrap().is_empty());
}

pub(super) fn writers_of_one_conversation_leave_no_gap(database: &Database) {
    let id = database.create_conversation("k", "c", "", 1).unwrap().id;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    database.add_messages("k", &id, &[message("user", "a")], 1).unwrap();
                }
            });
        }
    });
    let messages = database.messages("k", &id, 0).unwrap();
    let positions: Vec<i64> = messages.iter().map(|message| message.position).collect();
    assert_eq!(positions, (1..=40).collect::<Vec<_>>());
}

pub(super) fn an_answer_is_given_back_as_it_was_kept(database: &Database) {
    let kept = answer("a_1", "k");
    database.save_answer(&kept, 5).unwrap();
    let found = database.answer("k", "a_1").unwrap().unwrap();
    assert_eq!((&found.answer, found.created_at), (&kept, 5));
    assert_eq!(database.answer("other", "a_1").unwrap(), None);
    // The same id from another owner changes nothing.
    let stolen = NewAnswer { body: "{}".into(), ..answer("a_1", "other") };
    database.save_answer(&stolen, 6).unwrap();
    assert_eq!(database.answer("k", "a_1").unwrap().unwrap(), found);
    database.save_answer(&NewAnswer { id: "a_2".into(), ..kept }, 7).unwrap();
    let ids: Vec<String> = database
        .answers("k", &Page::default())
        .unwrap()
        .into_iter()
        .map(|stored| stored.answer.id)
        .collect();
    assert_eq!(ids, ["a_2", "a_1"]);
}

pub(super) fn feedback_needs_an_answer_of_ones_own(database: &Database) {
    database.save_answer(&answer("a_1", "k"), 5).unwrap();
    let feedback = |owner: &str, rating| Feedback {
        answer: "a_1".into(),
        owner: owner.into(),
        rating,
        comment: "fine".into(),
        created_at: 6,
    };
    assert!(!database.set_feedback(&feedback("other", 1)).unwrap());
    assert!(database.set_feedback(&feedback("k", 1)).unwrap());
    assert!(database.set_feedback(&feedback("k", -1)).unwrap());
    assert_eq!(database.feedback(10).unwrap(), [feedback("k", -1)]);
}

pub(super) fn any_text_comes_back(database: &Database) {
    let id = database.create_conversation("k", "c", "", 1).unwrap().id;
    let text = "'; DROP TABLE messages; -- \u{1f600} \\ ?1 $1 \u{202e}\r\n\t\"";
    database.add_messages("k", &id, &[message("user", text), message("user", "a\0b")], 1).unwrap();
    let messages = database.messages("k", &id, 0).unwrap();
    assert_eq!(messages[0].content, text);
    // One of the databases cannot hold a zero byte, so neither does.
    assert_eq!(messages[1].content, "a\u{fffd}b");
    assert_eq!(database.conversation("k\0", &id).unwrap(), None);
}

pub(super) fn a_key_is_revoked_once(database: &Database) {
    database.add_key(&key("one")).unwrap();
    assert!(database.add_key(&key("one")).is_err(), "two keys with one id");
    assert_eq!(database.key("one").unwrap(), Some(key("one")));
    assert!(database.revoke_key("one", 9).unwrap());
    assert!(!database.revoke_key("one", 10).unwrap());
    assert!(!database.revoke_key("two", 10).unwrap());
    assert_eq!(database.keys().unwrap(), [KeyRow { revoked_at: Some(9), ..key("one") }]);
}

pub(super) fn a_session_ends_by_time_by_logout_and_with_its_key(database: &Database) {
    database.add_key(&key("one")).unwrap();
    let session = |secret: &str, expires_at| SessionRow {
        secret_sha256: secret.into(),
        key: "one".into(),
        created_at: 10,
        expires_at,
    };
    for (secret, end) in [("a", 20), ("b", 100), ("c", 100)] {
        database.add_session(&session(secret, end)).unwrap();
    }
    assert_eq!(database.session("a", 19).unwrap(), Some(session("a", 20)));
    assert_eq!(database.session("a", 20).unwrap(), None);
    database.end_session("b").unwrap();
    assert_eq!(database.session("b", 11).unwrap(), None);
    assert!(database.session("c", 11).unwrap().is_some());
    database.revoke_key("one", 12).unwrap();
    assert_eq!(database.session("c", 13).unwrap(), None);
}

pub(super) fn usage_adds_up(database: &Database) {
    let more = |requests, tokens| Usage { key: "k".into(), day: 3, requests, tokens };
    assert_eq!(database.usage("k", 3).unwrap(), more(0, 0));
    assert_eq!(database.add_usage(&more(1, 50)).unwrap(), more(1, 50));
    assert_eq!(database.add_usage(&more(0, 7)).unwrap(), more(1, 57));
    assert_eq!(database.usage("k", 3).unwrap(), more(1, 57));
    assert_eq!(database.usage("k", 4).unwrap().tokens, 0);
}

pub(super) fn a_job_is_taken_by_one_worker(database: &Database) {
    let first = job(database, 1);
    let second = job(database, 2);
    assert!(database.take_job("other", 5, 10).unwrap().is_none());
    let mut taken: Vec<String> = std::thread::scope(|scope| {
        let worker = || {
            // A worker that lost a race asks again.
            let jobs = (0..4).filter_map(|_| database.take_job("index", 5, 10).unwrap());
            jobs.map(|job| job.id).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    taken.sort();
    assert_eq!(taken, [first.clone(), second]);
    assert!(database.keep_job(&first, (3, Some(8)), 6, 10).unwrap());
    assert!(database.finish_job(&first, Ok("{}"), 7).unwrap());
    assert!(!database.finish_job(&first, Err("late"), 8).unwrap());
    let done = database.job(&first).unwrap().unwrap();
    assert_eq!((done.state, done.done, done.total), (JobState::Done, 3, Some(8)));
    assert_eq!((done.result.as_deref(), done.error), (Some("{}"), None));
}

pub(super) fn a_job_whose_worker_died_is_begun_again_and_then_fails(database: &Database) {
    let id = job(database, 1);
    let mut now = 10;
    for attempt in 1..=MAX_ATTEMPTS {
        let taken = database.take_job("index", now, 100).unwrap().unwrap();
        assert_eq!((taken.id.as_str(), taken.attempts), (id.as_str(), attempt));
        assert!(database.take_job("index", now + 100, 100).unwrap().is_none());
        now += 101;
    }
    assert!(database.take_job("index", now, 100).unwrap().is_none());
    assert_eq!(database.job(&id).unwrap().unwrap().state, JobState::Failed);
    assert!(!database.keep_job(&id, (1, None), now, 100).unwrap());
}

pub(super) fn a_job_that_is_put_back_is_taken_again(database: &Database) {
    let id = job(database, 1);
    for now in 2..10 {
        let taken = database.take_job("index", now, 100).unwrap().unwrap();
        assert_eq!((taken.id.as_str(), taken.attempts), (id.as_str(), 1));
        assert!(database.release_job(&id, now).unwrap());
        assert!(!database.release_job(&id, now).unwrap());
    }
    assert_eq!(database.job(&id).unwrap().unwrap().state, JobState::Queued);
}

pub(super) fn a_cancelled_job_takes_no_result(database: &Database) {
    let id = job(database, 1);
    database.take_job("index", 2, 100).unwrap().unwrap();
    assert!(database.cancel_job(&id, 3).unwrap());
    assert!(!database.keep_job(&id, (1, None), 4, 100).unwrap());
    assert!(!database.finish_job(&id, Ok("{}"), 5).unwrap());
    assert!(!database.cancel_job(&id, 6).unwrap());
    assert_eq!(database.job(&id).unwrap().unwrap().state, JobState::Cancelled);
}

fn log(database: &Database, target: &str) {
    let audit = Audit { actor: "k", action: "key.create", target, outcome: "ok" };
    database.append_audit(&audit, 7).unwrap();
}

pub(super) fn the_audit_log_is_a_chain(database: &Database) {
    assert_eq!(database.check_audit().unwrap(), Ok((0, String::new())));
    for target in ["a", "b\0", "c"] {
        log(database, target);
    }
    let (length, last) = database.check_audit().unwrap().unwrap();
    let entries = database.audit(None, 2).unwrap();
    let targets: Vec<_> = entries.iter().map(|entry| entry.target.as_str()).collect();
    assert_eq!((length, &last), (3, &entries[0].hash));
    assert_eq!(targets, ["c", "b\u{fffd}"]);
    assert_eq!(database.audit(Some(2), 9).unwrap()[0].target, "a");
}

pub(super) fn writers_of_the_audit_log_make_one_chain(database: &Database) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| log(database, "x")));
        }
    });
    assert_eq!(database.check_audit().unwrap().unwrap().0, 40);
}

pub(super) fn opening_again_changes_nothing(database: &Database) {
    log(database, "x");
    database.check().unwrap();
    assert_eq!(database.check_audit().unwrap().unwrap().0, 1);
}
