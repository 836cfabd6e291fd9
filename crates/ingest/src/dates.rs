//! Dates as people and programs write them, to ISO 8601.

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// `2024-05-01` from `2024-05-01T10:00Z`, `D:20240501…`, `1 May 2024` or
/// `Wed, May 1, 2024`. `None` if there is no whole date in it.
pub(crate) fn iso(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches("D:");
    let numbers = || text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let first = numbers().next()?;
    if text.starts_with(first) && first.len() >= 8 && first.is_ascii() {
        return date(&first[..4], &first[4..6], &first[6..8]);
    }
    if text.starts_with(first) && first.len() == 4 {
        let mut parts = numbers().skip(1);
        return date(first, parts.next()?, parts.next()?);
    }
    let month = text.split(|c: char| !c.is_alphabetic()).find_map(|word| {
        let head = word.get(..3)?.to_ascii_lowercase();
        MONTHS.iter().position(|&month| month == head)
    })?;
    let day = numbers().find(|number| number.len() <= 2)?;
    let year = numbers().find(|number| number.len() == 4)?;
    date(year, &(month + 1).to_string(), day)
}

fn date(year: &str, month: &str, day: &str) -> Option<String> {
    let (year, month, day): (u32, u32, u32) =
        (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let is_real = year <= 9999 && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_real.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        assert_eq!(iso(text).as_deref(), want);
    }

    #[test]
    fn common_ways_to_write_a_date_are_read() {
        check("2024-05-01T10:00:00Z", Some("2024-05-01"));
        check("2024/5/1", Some("2024-05-01"));
        check("D:20240501101500+02'00'", Some("2024-05-01"));
        check("Wed, 1 May 2024 10:00:00 +0000", Some("2024-05-01"));
        check("May 1, 2024", Some("2024-05-01"));
    }

    #[test]
    fn what_is_no_date_gives_none() {
        check("yesterday", None);
        check("2024", None);
        check("2024-13-01", None);
        check("ümai 1 2024", None);
        check("", None);
    }
}
