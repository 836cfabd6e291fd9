//! The shape of the database, as numbered steps that are applied once.
//!
//! A step is never edited after a release: a change is a new step. The
//! checksum of each applied step is kept, so that an edit is noticed.

use sha2::{Digest, Sha256};

use crate::data::error::Error;
use crate::data::id::hex;
use crate::data::value::{Row, Value};

/// One step.
pub(super) struct Migration {
    pub(super) number: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

const BOTH_0001: &str = include_str!("migrations/0001_tables.sql");
const BOTH_0003: &str = include_str!("migrations/0003_owned_answers.sql");

/// Every step, in order. A step that both databases take as it is names one
/// text twice.
pub(super) const ALL: [Migration; 3] = [
    Migration { number: 1, sqlite: BOTH_0001, postgres: BOTH_0001 },
    Migration {
        number: 2,
        sqlite: include_str!("migrations/0002_append_only.sqlite.sql"),
        postgres: include_str!("migrations/0002_append_only.postgres.sql"),
    },
    Migration { number: 3, sqlite: BOTH_0003, postgres: BOTH_0003 },
];

/// The table that remembers which steps were applied.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
    (number BIGINT PRIMARY KEY, checksum TEXT NOT NULL)";
pub(super) const APPLIED: &str = "SELECT number, checksum FROM schema_migrations ORDER BY number";
pub(super) const APPLY: &str = "INSERT INTO schema_migrations (number, checksum) VALUES (?1, ?2)";

/// Which of the two texts of a step counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Migration {
    /// The statements of the step.
    pub(super) fn sql(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }

    /// The parameters of [`APPLY`].
    pub(super) fn record(&self, dialect: Dialect) -> [Value; 2] {
        [Value::Int(self.number), Value::Text(self.checksum(dialect))]
    }

    fn checksum(&self, dialect: Dialect) -> String {
        hex(&Sha256::digest(self.sql(dialect).as_bytes()))
    }
}

/// The steps that are still to be applied, given the rows of [`APPLIED`].
pub(super) fn missing(applied: &[Row], dialect: Dialect) -> Result<&'static [Migration], Error> {
    let known = ALL.len();
    for (index, row) in applied.iter().enumerate() {
        let found = row.int(0)?;
        let step = ALL.get(index).filter(|step| step.number == found);
        let step = step.ok_or(Error::TooNew { found, known: ALL[known - 1].number })?;
        if row.text(1)? != step.checksum(dialect) {
            return Err(Error::ChangedMigration { number: found });
        }
    }
    Ok(&ALL[applied.len().min(known)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: i64, checksum: &str) -> Row {
        Row(vec![Value::Int(number), Value::from(checksum)])
    }

    #[test]
    fn steps_are_numbered_from_one_without_gaps() {
        let numbers: Vec<i64> = ALL.iter().map(|step| step.number).collect();
        assert_eq!(numbers, (1..=i64::try_from(ALL.len()).unwrap()).collect::<Vec<_>>());
    }

    #[test]
    fn only_what_is_missing_is_applied() {
        let first = row(1, &ALL[0].checksum(Dialect::Sqlite));
        let rest = missing(&[first], Dialect::Sqlite).unwrap();
        assert_eq!(rest.first().map(|step| step.number), Some(2));
    }

    #[test]
    fn a_step_of_a_newer_program_and_an_edited_step_are_refused() {
        assert!(matches!(
            missing(&[row(9, "")], Dialect::Sqlite),
            Err(Error::TooNew { found: 9, .. })
        ));
        assert!(matches!(
            missing(&[row(1, "other")], Dialect::Sqlite),
            Err(Error::ChangedMigration { number: 1 })
        ));
    }
}
