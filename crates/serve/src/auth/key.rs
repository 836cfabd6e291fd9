//! Making, checking and revoking API keys.
//!
//! A key is `plumb_ID_SECRET`: eight hexadecimal digits that name it, and 256
//! random bits. The secret is shown once; what is stored is its SHA-256. A slow
//! hash would protect guessable secrets, and 256 random bits are none.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::auth::role::{KeyLimits, Principal, Role, Scope};
use crate::auth::{Denied, Failed};
use crate::data::{Audit, Database, Error, KeyRow, UnixMillis, hex, random_hex};

const PREFIX: &str = "plumb_";
const ID_DIGITS: usize = 8;
const SECRET_DIGITS: usize = 64;

/// A key that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Who or what it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub scope: Scope,
    /// What it may take.
    pub limits: KeyLimits,
    /// When it ends, if ever.
    pub expires_at: Option<UnixMillis>,
}

/// What a key looks like to whoever manages keys.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyInfo {
    /// The public part.
    pub id: String,
    /// Who or what it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub collections: Scope,
    /// What it may take.
    pub limits: KeyLimits,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends, if ever.
    pub expires_at: Option<UnixMillis>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<UnixMillis>,
}

/// A secret that is printed by nobody by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The whole key. Show it once and forget it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Makes a key and returns it with its secret. `actor` is who asked, for the
/// audit log.
pub fn create(
    database: &Database,
    new: &NewKey,
    actor: &str,
    at: UnixMillis,
) -> Result<(KeyInfo, Secret), Error> {
    let id = random_hex::<{ ID_DIGITS / 2 }>()?;
    let secret = random_hex::<{ SECRET_DIGITS / 2 }>()?;
    let row = KeyRow {
        id: id.clone(),
        name: new.name.clone(),
        secret_sha256: sha256(&secret),
        role: new.role.name().to_owned(),
        collections: to_json(&new.scope),
        limits: to_json(&new.limits),
        created_at: at,
        expires_at: new.expires_at,
        revoked_at: None,
    };
    let audit = Audit { actor, action: "key.create", target: &id, outcome: "ok" };
    database.append_audit(&audit, at)?;
    database.add_key(&row)?;
    Ok((info(&row)?, Secret(format!("{PREFIX}{id}_{secret}"))))
}

/// Every key, oldest first, without secrets.
pub fn list(database: &Database) -> Result<Vec<KeyInfo>, Error> {
    database.keys()?.iter().map(info).collect()
}

/// Ends a key and the sessions that were begun with it. `false` if there is
/// none with that id that could be ended.
pub fn revoke(database: &Database, id: &str, actor: &str, at: UnixMillis) -> Result<bool, Error> {
    let revoked = database.revoke_key(id, at)?;
    let outcome = if revoked { "ok" } else { "not found" };
    database.append_audit(&Audit { actor, action: "key.revoke", target: id, outcome }, at)?;
    Ok(revoked)
}

/// Who the key belongs to, if it is good at `now`.
pub fn verify(database: &Database, key: &str, now: UnixMillis) -> Result<Principal, Failed> {
    let (id, secret) = split(key).ok_or(Denied::BadKey)?;
    let row = database.key(id)?;
    // A key that does not exist takes as long as one that does.
    let stored = row.as_ref().map_or("", |row| row.secret_sha256.as_str());
    let is_equal = bool::from(sha256(secret).as_bytes().ct_eq(padded(stored).as_bytes()));
    let row = row.filter(|_| is_equal).ok_or(Denied::BadKey)?;
    principal(&row, now)
}

/// Who a key belongs to, whose secret has been checked before.
pub(super) fn principal(row: &KeyRow, now: UnixMillis) -> Result<Principal, Failed> {
    if row.revoked_at.is_some() {
        return Err(Denied::Revoked.into());
    }
    if row.expires_at.is_some_and(|end| end <= now) {
        return Err(Denied::Expired.into());
    }
    let info = info(row)?;
    Ok(Principal::new(&info.id, &info.name, info.role, info.collections, info.limits))
}

/// A hash's length of digits, whatever is stored.
fn padded(stored: &str) -> String {
    format!("{stored:0<64.64}")
}

/// The two parts of a key.
fn split(key: &str) -> Option<(&str, &str)> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    (is_hex(id, ID_DIGITS) && is_hex(secret, SECRET_DIGITS)).then_some((id, secret))
}

/// Hex SHA-256 of a secret.
pub(super) fn sha256(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names and numbers have a JSON form")
}

fn info(row: &KeyRow) -> Result<KeyInfo, Error> {
    let unknown = || Error::UnknownName { what: "the role of a key", value: row.role.clone() };
    Ok(KeyInfo {
        id: row.id.clone(),
        name: row.name.clone(),
        role: Role::parse(&row.role).ok_or_else(unknown)?,
        collections: from_json("the collections of a key", &row.collections)?,
        limits: from_json("the limits of a key", &row.limits)?,
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    })
}

fn from_json<T: serde::de::DeserializeOwned>(what: &'static str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|source| Error::BadJson {
        what,
        value: json.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Location;

    fn database(folder: &tempfile::TempDir) -> Database {
        Database::open(&Location::Sqlite(folder.path().join("d.db"))).unwrap()
    }

    fn new_key() -> NewKey {
        NewKey {
            name: "ci".into(),
            role: Role::Write,
            scope: Scope::of(&["handbook".into()]),
            limits: KeyLimits { requests_per_minute: Some(9), ..KeyLimits::default() },
            expires_at: Some(100),
        }
    }

    fn denied(result: Result<Principal, Failed>) -> Denied {
        match result {
            Err(Failed::Denied(denied)) => denied,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_lets_in_who_has_it_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        let (info, secret) = create(&database, &new_key(), "cli", 1).unwrap();
        let principal = verify(&database, secret.reveal(), 99).unwrap();
        assert_eq!((principal.id.as_str(), principal.role()), (info.id.as_str(), Role::Write));
        assert_eq!(principal.limits.requests_per_minute, Some(9));
        assert!(principal.sees("handbook") && !principal.sees("other"));
        assert_eq!(denied(verify(&database, secret.reveal(), 100)), Denied::Expired);
        assert!(revoke(&database, &info.id, "cli", 5).unwrap());
        assert_eq!(denied(verify(&database, secret.reveal(), 6)), Denied::Revoked);
        assert_eq!(database.check_audit().unwrap().unwrap().0, 2);
    }

    #[test]
    fn any_other_key_is_refused_in_the_same_words() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        let (_, secret) = create(&database, &new_key(), "cli", 1).unwrap();
        let good = secret.reveal();
        for at in 0..good.len() {
            let mut bytes = good.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(bytes).unwrap();
            assert_eq!(denied(verify(&database, &other, 2)), Denied::BadKey, "{other}");
        }
        for other in
            ["", "plumb_", "sk-1", &good[1..], &good[..good.len() - 1], &format!("{good}0")]
        {
            assert_eq!(denied(verify(&database, other, 2)), Denied::BadKey, "{other}");
        }
    }

    #[test]
    fn nothing_that_is_stored_or_printed_holds_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        let (info, secret) = create(&database, &new_key(), "cli", 1).unwrap();
        let hidden = &secret.reveal()[PREFIX.len() + ID_DIGITS + 1..];
        let shown = format!("{secret:?} {info:?} {:?}", database.keys().unwrap());
        assert!(!shown.contains(hidden));
        drop(database);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let found = bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes());
            assert!(!found, "the secret is on the disk");
        }
    }
}
