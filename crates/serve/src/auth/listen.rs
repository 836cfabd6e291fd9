//! Whether it is safe to listen where it was asked.

use std::net::SocketAddr;

use crate::data::{Database, Error};

/// Why a service does not begin to listen.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("`{listen}` can be reached by other machines and there are no API keys")]
    NoKeys { listen: SocketAddr },

    #[error("cannot look for API keys")]
    Data(#[from] Error),
}

impl Refused {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoKeys { .. } => Some(
                "make a key with `plumb key create --name NAME --role admin`, or let everyone in with --allow-open",
            ),
            Self::Data(error) => error.hint(),
        }
    }
}

/// Refuses to listen for other machines where nobody would be asked for a key.
pub fn check(listen: SocketAddr, allow_open: bool, database: &Database) -> Result<(), Refused> {
    if listen.ip().is_loopback() || allow_open || database.has_keys()? {
        return Ok(());
    }
    Err(Refused::NoKeys { listen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::key::{self, NewKey};
    use crate::auth::role::{KeyLimits, Role, Scope};
    use crate::data::Location;

    #[test]
    fn only_loopback_is_open_without_a_key_or_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("d.db"));
        let database = Database::open(&location).unwrap();
        let check = |listen: &str, open| check(listen.parse().unwrap(), open, &database).is_ok();
        assert!(check("127.0.0.1:80", false));
        assert!(check("[::1]:80", false));
        assert!(!check("0.0.0.0:80", false));
        assert!(!check("[::]:80", false));
        assert!(!check("192.168.1.2:80", false));
        assert!(check("0.0.0.0:80", true));
        let new = NewKey {
            name: "n".into(),
            role: Role::Read,
            scope: Scope::All,
            limits: KeyLimits::default(),
            expires_at: None,
        };
        let (made, _) = key::create(&database, &new, "cli", 1).unwrap();
        assert!(check("0.0.0.0:80", false));
        // A service whose keys were all revoked lets nobody in.
        key::revoke(&database, &made.id, "cli", 2).unwrap();
        assert!(check("0.0.0.0:80", false));
    }
}
