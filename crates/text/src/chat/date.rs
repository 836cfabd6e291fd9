//! A day, for templates that print one.

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    year: u16,
    /// Invariant: `1..=12`.
    month: u8,
    /// Invariant: `1..=31`, and a day of the month.
    day: u8,
}

/// The months in English.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Date {
    /// The day, or `None` if the calendar has no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let is_leap =
            year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        let days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return None,
        };
        (1..=days).contains(&day).then_some(Self { year, month, day })
    }

    /// Formats as C's `strftime`, for the parts that a day has; a time prints
    /// as midnight. Other letters stay as they are written.
    pub fn format(self, format: &str) -> String {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let part = match chars.next() {
                Some('Y') => format!("{:04}", self.year),
                Some('y') => format!("{:02}", self.year % 100),
                Some('m') => format!("{:02}", self.month),
                Some('d') => format!("{:02}", self.day),
                Some('e') => format!("{:2}", self.day),
                Some('B') => self.month_name().to_owned(),
                Some('b') => self.month_name()[..3].to_owned(),
                Some('A') => self.weekday().to_owned(),
                Some('a') => self.weekday()[..3].to_owned(),
                Some('H' | 'M' | 'S') => "00".to_owned(),
                Some('F') => self.format("%Y-%m-%d"),
                Some('%') | None => "%".to_owned(),
                Some(other) => format!("%{other}"),
            };
            out.push_str(&part);
        }
        out
    }

    fn month_name(self) -> &'static str {
        MONTHS[usize::from(self.month) - 1]
    }

    /// Sakamoto's method.
    fn weekday(self) -> &'static str {
        const SHIFT: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = u32::from(self.year) - u32::from(self.month < 3 && self.year > 0);
        let shift = SHIFT[usize::from(self.month) - 1];
        let days = year + year / 4 - year / 100 + year / 400 + shift + u32::from(self.day);
        DAYS[(days % 7) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_printed_as_strftime_does() {
        let date = Date::new(2026, 11, 3).unwrap();
        assert_eq!(
            date.format("%A %d %B %Y, %F %e %y %a %b %% %q"),
            "Tuesday 03 November 2026, 2026-11-03  3 26 Tue Nov % %q"
        );
        assert_eq!(Date::new(2024, 2, 29).unwrap().format("%A"), "Thursday");
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        assert_eq!(Date::new(2023, 2, 29), None);
        assert_eq!(Date::new(1900, 2, 29), None);
        assert_eq!(Date::new(2023, 13, 1), None);
        assert_eq!(Date::new(2023, 4, 31), None);
    }
}
