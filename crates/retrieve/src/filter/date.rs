//! Dates as ISO 8601 writes them, to the year, month, day or second.

use std::cmp::Ordering;
use std::fmt;

/// A point or a span of time, as exact as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    /// Seconds since the first day of year 0, in UTC.
    instant: Option<i64>,
}

const DAY: i64 = 86_400;

impl Date {
    /// `2024-05`, `2024-05-31`, or one of these with `T18:00`, `T18:00:30`,
    /// `T18:00:30.5`, then nothing, `Z` or `+02:00`. Without a zone it is UTC.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once(['T', 't', ' ']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut parts = date.split('-');
        let year = digits(parts.next()?, 4)?;
        let month = digits(parts.next()?, 2).filter(|month| (1..=12).contains(month))?;
        let day = match parts.next() {
            Some(day) => {
                Some(digits(day, 2).filter(|day| (1..=days_in(year, month)).contains(day))?)
            }
            None => None,
        };
        if parts.next().is_some() {
            return None;
        }
        let seconds = match time {
            Some(time) => Some(seconds(time)?),
            None => None,
        };
        let instant = match (day, seconds) {
            (Some(day), Some(seconds)) => Some(day_number(year, month, day) * DAY + seconds),
            (None, Some(_)) => return None,
            (_, None) => None,
        };
        Some(Self { year, month: Some(month), day, instant })
    }

    /// A year of four digits.
    pub(super) fn year(text: &str) -> Option<Self> {
        Some(Self { year: digits(text, 4)?, month: None, day: None, instant: None })
    }

    /// The day that is so many nanoseconds after 1970 began.
    pub(super) fn of_nanoseconds(nanoseconds: i64) -> Self {
        let seconds = nanoseconds.div_euclid(1_000_000_000);
        let mut days = seconds.div_euclid(DAY) + day_number(1970, 1, 1);
        // The estimate is at most one year too late.
        let mut year = days * 400 / 146_097 + 1;
        while day_number(year, 1, 1) > days {
            year -= 1;
        }
        days -= day_number(year, 1, 1);
        let mut month = 1;
        while days >= days_in(year, month) {
            days -= days_in(year, month);
            month += 1;
        }
        let instant = seconds + day_number(1970, 1, 1) * DAY;
        Self { year, month: Some(month), day: Some(days + 1), instant: Some(instant) }
    }

    /// Compares as far as `other` goes. A day is its first instant where
    /// `other` has a time. `None` if this one is less exact than `other`.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        if let Some(instant) = other.instant {
            let start = || Some(day_number(self.year, self.month?, self.day?) * DAY);
            return Some(self.instant.or_else(start)?.cmp(&instant));
        }
        let mut order = self.year.cmp(&other.year);
        for (own, other) in [(self.month, other.month), (self.day, other.day)] {
            if let (Ordering::Equal, Some(other)) = (order, other) {
                order = own?.cmp(&other);
            }
        }
        Some(order)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        [self.month, self.day]
            .into_iter()
            .flatten()
            .try_for_each(|part| write!(f, "-{part:02}"))?;
        let Some(instant) = self.instant else { return Ok(()) };
        let seconds = instant.rem_euclid(DAY);
        write!(f, "T{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

/// Seconds after midnight in UTC; may be negative or more than a day.
fn seconds(time: &str) -> Option<i64> {
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let hours = digits(parts.next()?, 2).filter(|hours| *hours < 24)?;
    let minutes = digits(parts.next()?, 2).filter(|minutes| *minutes < 60)?;
    let seconds =
        parts.next().map_or(Some(0), |s| digits(s, 2).filter(|seconds| *seconds <= 60))?;
    let is_whole = parts.next().is_none() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let offset = match zone.as_bytes().first() {
        None | Some(b'Z' | b'z') if zone.len() <= 1 => 0,
        Some(sign @ (b'+' | b'-')) => {
            let zone = zone[1..].replace(':', "");
            let (hours, minutes) = (digits(zone.get(..2)?, 2)?, digits(zone.get(2..)?, 2)?);
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    is_whole.then_some(hours * 3600 + minutes * 60 + seconds - offset)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the first day of year 0.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leaps = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) + 1;
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    year * 365 + leaps + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_days_that_exist_are_dates() {
        for text in ["2024-02-29", "2000-02-29", "2023-12", "2023-12-31T23:59:60.25-01:30"] {
            assert!(Date::parse(text).is_some(), "{text}");
        }
        for text in [
            "2023-02-29",
            "1900-02-29",
            "2023-13",
            "23-1-1",
            "2023-01-01T25:00",
            "2024-01T10:00",
            "",
        ] {
            assert!(Date::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn known_instants_print_as_the_world_writes_them() {
        let check = |seconds: i64, want: &str| {
            assert_eq!(Date::of_nanoseconds(seconds * 1_000_000_000).to_string(), want);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(-1, "1969-12-31T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(1_717_200_000, "2024-06-01T00:00:00Z");
        check(4_102_444_799, "2099-12-31T23:59:59Z");
    }

    proptest! {
        #[test]
        fn an_instant_comes_back_and_keeps_its_order(a in -9e9_f64..9e9, b in -9e9_f64..9e9) {
            #[expect(clippy::cast_possible_truncation, reason = "whole seconds are wanted")]
            let [a, b] = [a as i64, b as i64];
            let [x, y] = [a, b].map(|seconds| Date::of_nanoseconds(seconds * 1_000_000_000));
            prop_assert_eq!(Date::parse(&x.to_string()), Some(x));
            prop_assert_eq!(x.compare(y), Some(a.cmp(&b)));
        }

        #[test]
        fn nothing_makes_the_reader_panic(text in "[0-9TZ:+.é-]{0,24}|\\PC{0,12}") {
            let _ = Date::parse(&text);
        }
    }
}
