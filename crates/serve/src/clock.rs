//! The time of day, and ids that name what was served.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    since_1970().as_secs()
}

/// Milliseconds since 1970.
pub(crate) fn unix_millis() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "served objects say when they were made")]
pub(crate) fn system_time() -> SystemTime {
    SystemTime::now()
}

fn since_1970() -> std::time::Duration {
    system_time().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// An id that no other object of this process has, such as
/// `chatcmpl-19ab3c...`: the time, and a number that counts.
pub(crate) fn new_id(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}{:012x}{count:08x}", unix_millis())
}

/// Milliseconds since 1970, as the database counts them.
pub(crate) fn now() -> i64 {
    i64::try_from(unix_millis()).unwrap_or(i64::MAX)
}
