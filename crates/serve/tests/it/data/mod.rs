//! The data, in SQLite and in PostgreSQL: the same cases against both.

mod cases;
mod kill;
mod server;
mod tamper;

use plumb_serve::data::{Database, Location};

use crate::data::server::Server;

/// One test for each case, against SQLite; and the list of all.
macro_rules! cases {
    ($($name:ident,)*) => {
        mod sqlite {
            $(#[test] fn $name() { super::with_sqlite(super::cases::$name); })*
        }

        const ALL: &[(&str, fn(&Database))] = &[$((stringify!($name), cases::$name)),*];
    };
}

cases! {
    a_conversation_keeps_its_messages_in_order,
    messages_are_added_all_or_none,
    nobody_sees_the_conversations_of_another,
    a_removed_conversation_takes_its_messages_along,
    pages_give_every_row_once,
    writers_of_one_conversation_leave_no_gap,
    an_answer_is_given_back_as_it_was_kept,
    feedback_needs_an_answer_of_ones_own,
    any_text_comes_back,
    a_key_is_revoked_once,
    a_session_ends_by_time_by_logout_and_with_its_key,
    usage_adds_up,
    a_job_is_taken_by_one_worker,
    a_job_whose_worker_died_is_begun_again_and_then_fails,
    a_job_that_is_put_back_is_taken_again,
    a_cancelled_job_takes_no_result,
    the_audit_log_is_a_chain,
    writers_of_the_audit_log_make_one_chain,
    opening_again_changes_nothing,
}

fn with_sqlite(case: fn(&Database)) {
    let folder = tempfile::tempdir().unwrap();
    case(&Database::open(&Location::Sqlite(folder.path().join("data.db"))).unwrap());
}

#[test]
fn postgres_passes_the_same_cases() {
    let Some(server) = Server::start() else { return };
    for (name, case) in ALL {
        // The name shows which case failed.
        let address = server.new_database(name);
        case(&Database::open(&Location::parse(&address)).unwrap());
    }
}

#[test]
fn postgres_takes_migrations_from_several_processes_at_once() {
    let Some(server) = Server::start() else { return };
    let location = Location::parse(&server.new_database("together"));
    std::thread::scope(|scope| {
        let opening: Vec<_> = (0..4).map(|_| scope.spawn(|| Database::open(&location))).collect();
        for opened in opening {
            opened.join().unwrap().unwrap();
        }
    });
}

#[test]
fn an_address_that_asks_for_tls_is_refused_and_shown_without_its_password() {
    let address = Location::parse("postgres://u:s3cret@127.0.0.1:1/d?sslmode=require");
    let error = Database::open(&address).unwrap_err();
    assert!(error.hint().is_some());
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}
