//! Rates and quotas by key.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::auth::role::{KeyLimits, Principal};
use crate::data::{Database, Error, UnixMillis, Usage};
use crate::limits::bucket::Bucket;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Why a key is not let in now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {limit} {what} is used up")]
pub struct Limited {
    /// `requests a minute` and the like.
    pub what: &'static str,
    /// How many are allowed.
    pub limit: u64,
    /// Milliseconds until a request can be let in.
    pub retry_after: u64,
    /// Where the key stands, for the response.
    pub standing: Standing,
}

/// How much of a rate is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    limit: u64,
    remaining: u64,
    /// Milliseconds until it is whole again.
    reset: u64,
}

/// Where a key stands, as the headers that OpenAI's API sends say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    requests: Option<Left>,
    tokens: Option<Left>,
}

impl Standing {
    /// Names and values of `x-ratelimit-*` headers.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        const NAMES: [[&str; 3]; 2] = [
            [
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
            ],
            [
                "x-ratelimit-limit-tokens",
                "x-ratelimit-remaining-tokens",
                "x-ratelimit-reset-tokens",
            ],
        ];
        let mut headers = Vec::new();
        for ([limit, remaining, reset], left) in NAMES.into_iter().zip([self.requests, self.tokens])
        {
            let Some(left) = left else { continue };
            headers.push((limit, left.limit.to_string()));
            headers.push((remaining, left.remaining.to_string()));
            headers.push((reset, duration(left.reset)));
        }
        headers
    }
}

/// A time as OpenAI writes it: `850ms`, `6.5s`, `1m30s`.
fn duration(millis: u64) -> String {
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (minutes, seconds) = (millis / 60_000, (millis % 60_000) as f64 / 1000.0);
    if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m{seconds}s") }
}

/// A request that was let in. Say what it used with [`Limiter::settle`].
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Admission {
    key: String,
    limits: KeyLimits,
    reserved: u64,
    /// Where the key stands, for the response.
    pub standing: Standing,
}

impl Admission {
    /// The id of the key that was let in.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// What is known of one key.
struct Account {
    limits: KeyLimits,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// Of today, in all processes as far as this one knows.
    today: Usage,
    /// What the database does not know yet.
    unsaved: Usage,
}

/// The limits of all keys.
pub struct Limiter {
    database: Database,
    accounts: Mutex<HashMap<String, Account>>,
}

impl Limiter {
    /// Starts with what the database says was used today.
    pub fn new(database: Database) -> Self {
        Self { database, accounts: Mutex::new(HashMap::new()) }
    }

    /// Lets a request in that is expected to take `tokens`, or says why not.
    /// Blocks for a look into the database when a key is first seen in a day.
    pub fn admit(
        &self,
        who: &Principal,
        tokens: u64,
        now: UnixMillis,
    ) -> Result<Result<Admission, Limited>, Error> {
        let day = now.div_euclid(DAY);
        let is_known = |account: &Account| account.today.day == day && account.limits == who.limits;
        if !self.lock().get(&who.id).is_some_and(is_known) {
            self.flush()?;
            let today = self.database.usage(&who.id, day)?;
            let mut accounts = self.lock();
            let fresh = || Account::new(who, today.clone(), now);
            let account = accounts.entry(who.id.clone()).or_insert_with(fresh);
            account.renew(who, today.clone(), now);
        }
        let mut accounts = self.lock();
        let Some(account) = accounts.get_mut(&who.id) else { return Err(Error::Interrupted) };
        Ok(account.admit(tokens, now).map(|standing| Admission {
            key: who.id.clone(),
            limits: who.limits,
            reserved: tokens,
            standing,
        }))
    }

    /// Says how many tokens a request took in the end, and returns where the
    /// key stands then.
    pub fn settle(&self, admission: &Admission, tokens: u64, now: UnixMillis) -> Standing {
        let mut accounts = self.lock();
        let Some(account) = accounts.get_mut(&admission.key) else { return Standing::default() };
        if let Some(bucket) = &mut account.tokens {
            bucket.give(admission.reserved, now);
            bucket.take(tokens, now);
        }
        account.count(-wide(admission.reserved), wide(tokens));
        account.standing(now)
    }

    /// Writes what was counted into the database. A process that is killed
    /// forgets what it counted since the last time.
    pub fn flush(&self) -> Result<(), Error> {
        let unsaved: Vec<Usage> = {
            let mut accounts = self.lock();
            let take = |account: &mut Account| {
                let empty = Usage { requests: 0, tokens: 0, ..account.unsaved.clone() };
                std::mem::replace(&mut account.unsaved, empty)
            };
            accounts.values_mut().map(take).collect()
        };
        for usage in unsaved.iter().filter(|usage| usage.requests != 0 || usage.tokens != 0) {
            let sum = self.database.add_usage(usage)?;
            // Other processes count as well.
            if let Some(account) =
                self.lock().get_mut(&usage.key).filter(|a| a.today.day == sum.day)
            {
                account.today.requests = sum.requests + account.unsaved.requests;
                account.today.tokens = sum.tokens + account.unsaved.tokens;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wide(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

impl Account {
    fn new(who: &Principal, today: Usage, now: UnixMillis) -> Self {
        let bucket = |rate: Option<u32>| rate.map(|rate| Bucket::new(rate, now));
        let unsaved = Usage { requests: 0, tokens: 0, ..today.clone() };
        Self {
            limits: who.limits,
            requests: bucket(who.limits.requests_per_minute),
            tokens: bucket(who.limits.tokens_per_minute),
            today,
            unsaved,
        }
    }

    /// A new day, or new limits. Buckets whose rate stays keep their level.
    fn renew(&mut self, who: &Principal, today: Usage, now: UnixMillis) {
        let fresh = Self::new(who, today, now);
        let keep = |old: Option<Bucket>, new: Option<Bucket>| match (old, new) {
            (Some(old), Some(new)) if old.per_minute() == new.per_minute() => Some(old),
            (_, new) => new,
        };
        self.requests = keep(self.requests.take(), fresh.requests);
        self.tokens = keep(self.tokens.take(), fresh.tokens);
        (self.limits, self.today, self.unsaved) = (fresh.limits, fresh.today, fresh.unsaved);
    }

    fn admit(&mut self, tokens: u64, now: UnixMillis) -> Result<Standing, Limited> {
        let standing = self.standing(now);
        let refuse = |what, limit, retry_after| Limited { what, limit, retry_after, standing };
        let tomorrow = (self.today.day + 1) * DAY - now;
        let tomorrow = u64::try_from(tomorrow).unwrap_or(0);
        if let Some(most) =
            self.limits.requests_per_day.filter(|most| self.today.requests >= i64::from(*most))
        {
            return Err(refuse("requests a day", u64::from(most), tomorrow));
        }
        if let Some(most) =
            self.limits.tokens_per_day.filter(|most| self.today.tokens >= wide(*most))
        {
            return Err(refuse("tokens a day", most, tomorrow));
        }
        let rates = [
            ("requests a minute", &mut self.requests, 1),
            ("tokens a minute", &mut self.tokens, tokens),
        ];
        for (what, bucket, amount) in rates {
            let Some(bucket) = bucket else { continue };
            let wait = bucket.wait(amount, now);
            if wait > 0 {
                return Err(refuse(what, u64::from(bucket.per_minute()), wait));
            }
        }
        if let Some(bucket) = &mut self.requests {
            bucket.take(1, now);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens, now);
        }
        self.today.requests += 1;
        self.unsaved.requests += 1;
        self.count(0, wide(tokens));
        Ok(self.standing(now))
    }

    fn count(&mut self, back: i64, tokens: i64) {
        self.today.tokens += back + tokens;
        self.unsaved.tokens += back + tokens;
    }

    fn standing(&mut self, now: UnixMillis) -> Standing {
        let left = |bucket: &mut Option<Bucket>| {
            bucket.as_mut().map(|bucket| Left {
                limit: u64::from(bucket.per_minute()),
                remaining: bucket.remaining(now),
                reset: bucket.full_in(now),
            })
        };
        Standing { requests: left(&mut self.requests), tokens: left(&mut self.tokens) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::role::{Role, Scope};
    use crate::data::Location;

    fn limiter(folder: &tempfile::TempDir) -> Limiter {
        let location = Location::Sqlite(folder.path().join("d.db"));
        Limiter::new(Database::open(&location).unwrap())
    }

    fn who(limits: KeyLimits) -> Principal {
        Principal::new("k", "n", Role::Read, Scope::All, limits)
    }

    #[test]
    fn a_rate_lets_in_a_burst_and_then_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let limiter = limiter(&folder);
        let who = who(KeyLimits { requests_per_minute: Some(2), ..KeyLimits::default() });
        let admit = |now| limiter.admit(&who, 0, now).unwrap();
        assert!(admit(0).is_ok());
        let second = admit(0).unwrap();
        assert_eq!(second.standing.headers()[1], ("x-ratelimit-remaining-requests", "0".into()));
        let refused = admit(0).unwrap_err();
        assert_eq!((refused.what, refused.retry_after), ("requests a minute", 30_000));
        assert!(admit(29_999).is_err());
        assert!(admit(30_000).is_ok());
    }

    #[test]
    fn tokens_are_reserved_and_settled() {
        let folder = tempfile::tempdir().unwrap();
        let limiter = limiter(&folder);
        let who = who(KeyLimits { tokens_per_minute: Some(1000), ..KeyLimits::default() });
        let admission = limiter.admit(&who, 900, 0).unwrap().unwrap();
        assert!(limiter.admit(&who, 900, 0).unwrap().is_err(), "the same tokens twice");
        let standing = limiter.settle(&admission, 100, 0);
        assert_eq!(standing.headers()[1], ("x-ratelimit-remaining-tokens", "900".into()));
        assert!(limiter.admit(&who, 900, 0).unwrap().is_ok());
    }

    #[test]
    fn a_quota_outlives_the_process_and_ends_with_the_day() {
        let folder = tempfile::tempdir().unwrap();
        let limits = KeyLimits {
            tokens_per_day: Some(100),
            requests_per_day: Some(3),
            ..KeyLimits::default()
        };
        let who = who(limits);
        let first = limiter(&folder);
        let admission = first.admit(&who, 10, 0).unwrap().unwrap();
        first.settle(&admission, 99, 0);
        first.flush().unwrap();
        drop(first);
        let second = limiter(&folder);
        let admission = second.admit(&who, 1, 1).unwrap().unwrap();
        second.settle(&admission, 1, 1);
        let refused = second.admit(&who, 1, 2).unwrap().unwrap_err();
        assert_eq!((refused.what, refused.retry_after), ("tokens a day", 86_399_998));
        assert!(second.admit(&who, 1, DAY).unwrap().is_ok());
    }

    #[test]
    fn times_are_written_as_openai_writes_them() {
        assert_eq!(duration(850), "850ms");
        assert_eq!(duration(6500), "6.5s");
        assert_eq!(duration(90_000), "1m30s");
    }
}
