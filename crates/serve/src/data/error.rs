//! Why data could not be read or kept.

use std::path::PathBuf;

/// A failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open the database `{path}`")]
    OpenSqlite { path: PathBuf, source: rusqlite::Error },

    #[error("cannot make the folder `{path}`")]
    Folder { path: PathBuf, source: std::io::Error },

    #[error("cannot open the database `{address}`")]
    OpenPostgres { address: String, source: ::postgres::Error },

    #[error("`{address}` asks for `sslmode={mode}`, which this program cannot speak to PostgreSQL")]
    PostgresTls { address: String, mode: &'static str },

    #[error("SQLite refused `{sql}`")]
    Sqlite { sql: String, source: rusqlite::Error },

    #[error("the PostgreSQL server refused `{sql}`")]
    Postgres { sql: String, source: ::postgres::Error },

    #[error(
        "the database was made by a newer program: it has migration {found}, this program knows {known}"
    )]
    TooNew { found: i64, known: i64 },

    #[error("migration {number} was changed after it was applied")]
    ChangedMigration { number: i64 },

    #[error("the database gave {found} where column {column} should hold {wanted}")]
    WrongType { column: usize, wanted: &'static str, found: &'static str },

    #[error("the database holds `{value}` as {what}, which is not known")]
    UnknownName { what: &'static str, value: String },

    #[error("`{value}` cannot be read as {what}")]
    BadJson { what: &'static str, value: String, source: serde_json::Error },

    #[error("there is no {what} `{id}`")]
    NotFound { what: &'static str, id: String },

    #[error("the system gave no random numbers")]
    Random(getrandom::Error),

    #[error("the work was interrupted")]
    Interrupted,
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OpenPostgres { .. } => {
                Some("check `database` under [serve] in plumb.toml, and that PostgreSQL runs")
            }
            Self::PostgresTls { .. } => Some(
                "reach PostgreSQL over a private network, a Unix socket or a tunnel, and take `sslmode` out",
            ),
            Self::TooNew { .. } => Some("update plumb, or name another database"),
            Self::ChangedMigration { .. } => Some("this build does not belong to this database"),
            _ => None,
        }
    }
}
