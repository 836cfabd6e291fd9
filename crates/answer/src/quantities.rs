//! Numbers with what they count, and dates, as a check of a claim sees them.
//!
//! A quantity is a value and the unit beside it, whichever way it is written:
//! `50 mg`, `50-mg`, `50mg`, `$50`, `50 %`, `fifty days`. A date is a month with
//! the day and the year that stand around its name. Both are compared by what
//! they mean, so that a value may not change its unit, nor a day its month.

use plumb_text::MONTHS;

use crate::words::{is_function_word, is_word_byte, number_at, words};

/// A value and what it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quantity {
    /// In the canonical form of [`number_at`], without a percent sign.
    pub(crate) value: String,
    /// In lower case and the singular; a currency sign, or `%`.
    pub(crate) unit: Option<String>,
}

impl Quantity {
    /// True for a unit that is a sign: it cannot be left out.
    fn has_sign(&self) -> bool {
        self.unit.as_ref().is_some_and(|unit| unit.chars().all(|c| !c.is_alphanumeric()))
    }

    /// True if a claim may say `self` where its source says `other`.
    fn may_stand_for(&self, other: &Self) -> bool {
        self.value == other.value
            && match &self.unit {
                Some(unit) => other.unit.as_ref() == Some(unit),
                None => !other.has_sign(),
            }
    }

    /// As one would write it.
    pub(crate) fn shown(&self) -> String {
        match &self.unit {
            Some(unit) if self.has_sign() => format!("{}{unit}", self.value),
            Some(unit) => format!("{} {unit}", self.value),
            None => self.value.clone(),
        }
    }
}

/// The first quantity of `claim` that `source` does not have.
pub(crate) fn unknown_quantity(claim: &str, source: &str) -> Option<Quantity> {
    let known = quantities(source);
    quantities(claim).into_iter().find(|said| !known.iter().any(|other| said.may_stand_for(other)))
}

/// The first date of `claim` that no date of `source` contains.
pub(crate) fn unknown_date(claim: &str, source: &str) -> Option<Date> {
    let known = dates(source);
    dates(claim).into_iter().find(|said| !known.iter().any(|other| said.is_part_of(*other)))
}

/// The quantities of `text`, in order.
pub(crate) fn quantities(text: &str) -> Vec<Quantity> {
    let mut found = written_in_digits(text);
    found.extend(written_in_words(text));
    found
}

fn written_in_digits(text: &str) -> Vec<Quantity> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let inside_word = at > 0 && is_word_byte(bytes[at - 1]);
        let Some((value, end)) = number_at(text, at) else {
            at += 1;
            continue;
        };
        let value = value.trim_end_matches('%').to_owned();
        let before = text[..at].trim_end().chars().next_back();
        let unit = match before {
            Some(sign @ ('$' | '\u{a3}' | '\u{20ac}' | '\u{a5}')) => Some(sign.to_string()),
            _ if inside_word => None,
            _ => unit_after(&text[end..]),
        };
        found.push(Quantity { value, unit });
        at = end;
    }
    found
}

/// The unit at the beginning of `rest`: a percent sign, a word glued or hyphened
/// to the number, or the content word after it.
fn unit_after(rest: &str) -> Option<String> {
    let trimmed = rest.trim_start_matches([' ', '\u{a0}', '\u{202f}', '-']);
    if trimmed.starts_with('%') || rest.starts_with('%') {
        return Some("%".to_owned());
    }
    // A space, a hyphen or nothing: `50 mg`, `50-mg`, `50mg`. Other signs end
    // the quantity.
    let gap = rest.len() - trimmed.len();
    if gap > 2 {
        return None;
    }
    let word: String =
        trimmed.chars().take_while(|c| !c.is_ascii() || is_word_byte(*c as u8)).collect();
    let lower = word.to_lowercase();
    if ["st", "nd", "rd", "th"].contains(&lower.as_str()) || lower.is_empty() {
        return None;
    }
    if lower == "percent" || trimmed.to_lowercase().starts_with("per cent") {
        return Some("%".to_owned());
    }
    let is_digits = lower.as_bytes()[0].is_ascii_digit();
    (!is_digits && !is_function_word(&lower)).then(|| singular(&lower))
}

fn singular(word: &str) -> String {
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Values that words name, with the content word after them. A bare number word
/// is left to the comparison of words: `one` is often no number.
fn written_in_words(text: &str) -> Vec<Quantity> {
    let all: Vec<String> = words(text).collect();
    let mut found = Vec::new();
    for pair in all.windows(2) {
        let value = NUMBER_WORDS.iter().find(|(word, _)| *word == pair[0]).map(|(_, value)| value);
        let counts = !is_function_word(&pair[1])
            && !pair[1].as_bytes()[0].is_ascii_digit()
            && !NUMBER_WORDS.iter().any(|(word, _)| *word == pair[1]);
        if let (Some(value), true) = (value, counts) {
            found.push(Quantity { value: (*value).to_owned(), unit: Some(singular(&pair[1])) });
        }
    }
    found
}

const NUMBER_WORDS: &[(&str, &str)] = &[
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("fifteen", "15"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("ninety", "90"),
    ("first", "1st"),
    ("second", "2nd"),
    ("third", "3rd"),
    ("fourth", "4th"),
    ("fifth", "5th"),
    ("half", "1/2"),
    ("double", "2x"),
    ("triple", "3x"),
];

/// A month, with the day and the year that stand beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    year: Option<u16>,
    month: usize,
    day: Option<u8>,
}

impl Date {
    /// True if `other` says all that `self` says.
    fn is_part_of(self, other: Self) -> bool {
        self.month == other.month
            && (self.day.is_none() || self.day == other.day)
            && (self.year.is_none() || self.year == other.year)
    }

    /// As one would write it.
    pub(crate) fn shown(self) -> String {
        let day = self.day.map(|day| format!("{day} ")).unwrap_or_default();
        let year = self.year.map(|year| format!(" {year}")).unwrap_or_default();
        format!("{day}{}{year}", MONTHS[self.month])
    }
}

/// True for the name of a month as a date writes it: with a capital, because
/// `may` and `march` are verbs too.
pub(crate) fn month(word: &str) -> Option<usize> {
    if !word.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    MONTHS.iter().position(|name| {
        let lower_name = name.to_ascii_lowercase();
        lower == lower_name || (lower.len() == 3 && lower_name.starts_with(&lower))
    })
}

/// The dates of `text` that name their month, in order.
pub(crate) fn dates(text: &str) -> Vec<Date> {
    let all: Vec<&str> = crate::words::written_words(text).collect();
    let day = |at: Option<usize>| {
        let word = all.get(at?)?.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        word.parse::<u8>().ok().filter(|day| (1..=31).contains(day))
    };
    let year = |at: usize| {
        let word = all.get(at).filter(|word| word.len() == 4)?;
        word.parse::<u16>().ok().filter(|year| (1000..2200).contains(year))
    };
    let mut found = Vec::new();
    for (at, word) in all.iter().enumerate() {
        let Some(month) = month(word) else { continue };
        let is_of = at > 1 && all[at - 1].eq_ignore_ascii_case("of");
        let before = day(at.checked_sub(if is_of { 2 } else { 1 }));
        let after = day(Some(at + 1)).filter(|_| before.is_none());
        let year = year(at + 1 + usize::from(after.is_some()));
        // `May` at the beginning of a sentence is a verb unless a number is near.
        if *word != "May" || at > 0 || before.or(after).is_some() || year.is_some() {
            found.push(Date { year, month, day: before.or(after) });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let found: Vec<String> = quantities(text).iter().map(Quantity::shown).collect();
        assert_eq!(found, want, "{text}");
    }

    #[test]
    fn a_unit_is_found_however_it_is_written() {
        check("50 mg", &["50 mg"]);
        check("50mg", &["50 mg"]);
        check("a 50-mg dose", &["50 mg"]);
        check("12% and 13 percent", &["12%", "13%"]);
        check("$1,000 or 20 \u{20ac}", &["1000$", "20\u{20ac}"]);
        check("ten years and two", &["10 year"]);
        check("30 days", &["30 day"]);
        check("the 3rd of them", &["3"]);
        check("UTF8 and k1", &["8", "1"]);
        check("none at all", &[]);
    }

    #[test]
    fn a_value_may_not_change_its_unit() {
        let source = "It takes 50 mg in 30 days and costs $20, or 5% of ten accounts.";
        for claim in ["50 mg", "30-day", "30", "$20", "5 percent", "ten accounts"] {
            assert_eq!(unknown_quantity(claim, source), None, "{claim}");
        }
        for claim in ["50 g", "30 months", "20 pounds", "5", "30 mg", "\u{a3}20", "five accounts"] {
            assert!(unknown_quantity(claim, source).is_some(), "{claim}");
        }
    }

    #[track_caller]
    fn check_dates(text: &str, want: &[&str]) {
        let found: Vec<String> = dates(text).into_iter().map(Date::shown).collect();
        assert_eq!(found, want, "{text}");
    }

    #[test]
    fn dates_are_found_in_every_order() {
        check_dates("on 3 March 2021", &["3 March 2021"]);
        check_dates("on March 3rd, 2021", &["3 March 2021"]);
        check_dates("the 3rd of March", &["3 March"]);
        check_dates("in May 1998 and Sep 2001", &["May 1998", "September 2001"]);
        check_dates("May it be so. They march and may stop.", &[]);
    }

    #[test]
    fn a_date_may_be_said_more_coarsely_but_not_otherwise() {
        let source = "Signed on 3 March 2021, ended in May 2022.";
        for claim in ["March 2021", "3 March", "May"] {
            assert_eq!(unknown_date(&format!("It was {claim}"), source), None, "{claim}");
        }
        for claim in ["4 March 2021", "3 May 2021", "March 2022", "April"] {
            assert!(unknown_date(&format!("It was {claim}"), source).is_some(), "{claim}");
        }
    }
}
