//! Swaps of one fact in a sentence: a number, a unit, a name, a negation or a
//! date for another.
//!
//! A swap is *near* if the new value stands in the evidence of the same answer,
//! where a check that only asks whether a word is known cannot see it, and *far*
//! if it comes from elsewhere. Swaps are enumerated, not drawn: the same answers
//! give the same swaps.

use std::collections::BTreeSet;
use std::ops::Range;

use plumb_text::MONTHS;

/// What is swapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Number,
    Unit,
    Name,
    Negation,
    Date,
}

impl Family {
    pub(crate) const ALL: [Self; 5] =
        [Self::Number, Self::Unit, Self::Name, Self::Negation, Self::Date];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Unit => "unit",
            Self::Name => "name",
            Self::Negation => "negation",
            Self::Date => "date",
        }
    }
}

/// A sentence with one fact swapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Swap {
    pub(crate) family: Family,
    pub(crate) is_near: bool,
    pub(crate) text: String,
    /// What stood there, and what stands there now.
    pub(crate) from: String,
    pub(crate) to: String,
}

/// Values of a collection that can stand in each other's place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    pub(crate) names: BTreeSet<String>,
    pub(crate) units: BTreeSet<String>,
}

impl Pool {
    /// Collects the values of `text`.
    pub(crate) fn add(&mut self, text: &str) {
        let words = words(text);
        self.names.extend(names(&words).map(|place| words[place].text.to_owned()));
        self.units.extend(units(&words).map(|place| words[place].text.to_owned()));
    }
}

/// At most this many swaps of each kind at one place.
const PER_PLACE: usize = 2;

/// The swaps of `sentence`, whose evidence has the values of `near`; `far` has
/// those of the whole collection.
pub(crate) fn swaps(sentence: &str, near: &Pool, far: &Pool) -> Vec<Swap> {
    let words = words(sentence);
    let mut found = Vec::new();
    let mut add = |family, is_near, range: Range<usize>, to: &str| {
        let from = sentence[range.clone()].to_owned();
        let text = format!("{}{to}{}", &sentence[..range.start], &sentence[range.end..]);
        if from != to {
            found.push(Swap { family, is_near, text, from, to: to.to_owned() });
        }
    };
    let numbers: Vec<&Word<'_>> = words.iter().filter(|word| is_number(word.text)).collect();
    for word in numbers.iter().filter(|word| !is_year(word.text)) {
        for to in changed_numbers(word.text) {
            add(Family::Number, false, word.range(), &to);
        }
        let others = numbers.iter().filter(|other| other.text != word.text);
        for other in others.take(PER_PLACE) {
            add(Family::Number, true, word.range(), other.text);
        }
    }
    for word in words.iter().filter(|word| SPELLED.contains(&word.text)) {
        let at = SPELLED.iter().position(|text| *text == word.text).unwrap_or(0);
        add(Family::Number, false, word.range(), SPELLED[(at + 3) % SPELLED.len()]);
    }
    for place in units(&words) {
        let word = &words[place];
        if let Some(to) = sibling(word.text) {
            add(Family::Unit, false, word.range(), to);
        }
        for (is_near, pool) in [(true, near), (false, far)] {
            for to in others(&pool.units, word.text) {
                add(Family::Unit, is_near, word.range(), to);
            }
        }
    }
    let counts = |at: &(usize, &str)| sentence[..at.0].ends_with(|c: char| c.is_ascii_digit());
    for (at, _) in sentence.match_indices('%').filter(counts) {
        add(Family::Unit, false, at..at + 1, " points");
        add(Family::Unit, false, at..at + 1, "");
    }
    for place in names(&words) {
        for (is_near, pool) in [(true, near), (false, far)] {
            for to in others(&pool.names, words[place].text) {
                add(Family::Name, is_near, words[place].range(), to);
            }
        }
    }
    add_negations(&words, &mut add);
    add_dates(&words, &mut add);
    found
}

/// Up to [`PER_PLACE`] values of `pool` other than `text`: those after it in
/// order, around the end.
fn others<'p>(pool: &'p BTreeSet<String>, text: &str) -> impl Iterator<Item = &'p str> + use<'p> {
    let lower = text.to_lowercase();
    let after = pool.range(text.to_owned()..).chain(pool.range(..text.to_owned()));
    let differs = move |other: &&String| {
        // `Python` and `Python's`, `file` and `files` are not two things.
        let other = other.to_lowercase();
        !other.starts_with(&lower) && !lower.starts_with(&other)
    };
    after.filter(differs).take(PER_PLACE).map(String::as_str).collect::<Vec<_>>().into_iter()
}

/// Adds what [`swaps`] finds: family, near or not, place, new text.
type Add<'a> = dyn FnMut(Family, bool, Range<usize>, &str) + 'a;

fn add_negations(words: &[Word<'_>], add: &mut Add<'_>) {
    const AUXILIARIES: &[&str] = &[
        "is", "are", "was", "were", "can", "will", "must", "should", "could", "does", "do", "has",
        "may", "would",
    ];
    const PAIRS: &[(&str, &str)] = &[
        ("not", ""),
        ("cannot", "can"),
        ("never", "always"),
        ("always", "never"),
        ("without", "with"),
        ("no", "a"),
        ("don't", "do"),
        ("doesn't", "does"),
        ("isn't", "is"),
        ("aren't", "are"),
        ("can't", "can"),
        ("won't", "will"),
    ];
    for (place, word) in words.iter().enumerate() {
        let next = words.get(place + 1).map_or("", |word| word.text);
        if AUXILIARIES.contains(&word.text) && next != "not" {
            let to = format!("{} not", word.text);
            add(Family::Negation, false, word.range(), &to);
        }
        if let Some((_, to)) = PAIRS.iter().find(|(from, _)| *from == word.text) {
            // Takes the space behind a word that goes.
            let end = if to.is_empty() { words.get(place + 1).map(|next| next.at) } else { None };
            add(Family::Negation, false, word.at..end.unwrap_or(word.range().end), to);
        }
    }
}

fn add_dates(words: &[Word<'_>], add: &mut Add<'_>) {
    let years: Vec<&str> =
        words.iter().map(|word| word.text).filter(|text| is_year(text)).collect();
    for (place, word) in words.iter().enumerate() {
        if is_year(word.text) {
            let year: u16 = word.text.parse().unwrap_or(2000);
            add(Family::Date, false, word.range(), &(year + 1).to_string());
            add(Family::Date, false, word.range(), &(year - 10).to_string());
            for other in years.iter().filter(|other| **other != word.text).take(PER_PLACE) {
                add(Family::Date, true, word.range(), other);
            }
        }
        let next_is_number = words.get(place + 1).is_some_and(|next| is_number(next.text));
        let prior_is_number = place > 0 && is_number(words[place - 1].text);
        if let Some(month) = MONTHS.iter().position(|name| *name == word.text)
            && (next_is_number || prior_is_number)
        {
            add(Family::Date, false, word.range(), MONTHS[(month + 1) % 12]);
            add(Family::Date, false, word.range(), MONTHS[(month + 5) % 12]);
        }
    }
}

const SPELLED: &[&str] = &[
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "twenty", "thirty", "fifty",
];

/// Units that are taken for each other, in rows.
const UNITS: &[&[&str]] = &[
    &["seconds", "minutes", "hours", "days", "weeks", "months", "years"],
    &["second", "minute", "hour", "day", "week", "month", "year"],
    &["bytes", "kilobytes", "megabytes", "gigabytes"],
    &["KB", "MB", "GB", "TB"],
    &["mg", "g", "kg"],
    &["mm", "cm", "m", "km"],
    &["million", "billion", "thousand", "hundred"],
    &["tokens", "words", "characters", "sentences"],
    &["layers", "heads", "neurons", "dimensions"],
];

fn sibling(unit: &str) -> Option<&'static str> {
    let row = UNITS.iter().find(|row| row.contains(&unit))?;
    let at = row.iter().position(|known| *known == unit)?;
    Some(row[(at + 1) % row.len()])
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b".,".contains(&byte))
        && text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_year(text: &str) -> bool {
    text.len() == 4
        && (text.starts_with("19") || text.starts_with("20"))
        && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Another last digit, another first digit.
fn changed_numbers(text: &str) -> Vec<String> {
    let change = |at: usize| {
        let mut digits = text.as_bytes().to_vec();
        digits[at] = if digits[at] == b'9' { b'4' } else { digits[at] + 1 };
        String::from_utf8(digits).unwrap_or_default()
    };
    let mut changed = vec![change(0)];
    if text.len() > 1 {
        changed.push(change(text.len() - 1));
    }
    changed
}

/// A word with its place; signs at its ends are not part of it.
#[derive(Clone, Copy, Debug)]
struct Word<'t> {
    text: &'t str,
    at: usize,
}

impl Word<'_> {
    fn range(&self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }
}

fn words(text: &str) -> Vec<Word<'_>> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(|word| Word { text: word, at: word.as_ptr() as usize - text.as_ptr() as usize })
        .collect()
}

/// Places of words with a capital inside the sentence. A capital that begins a
/// sentence says nothing.
fn names(words: &[Word<'_>]) -> impl Iterator<Item = usize> {
    (1..words.len()).filter(|&place| {
        let text = words[place].text;
        text.starts_with(char::is_uppercase)
            && text.len() > 2
            && !MONTHS.contains(&text)
            && !NO_NAMES.contains(&text.to_lowercase().as_str())
            && text.chars().all(char::is_alphanumeric)
    })
}

/// Words with a capital that name nothing: those of questions and of sentences that
/// begin within another.
const NO_NAMES: &[&str] = &[
    "and", "any", "are", "but", "can", "could", "did", "does", "for", "has", "have", "how", "its",
    "may", "must", "not", "should", "some", "such", "that", "the", "their", "then", "there",
    "these", "they", "this", "those", "was", "what", "when", "where", "which", "while", "who",
    "why", "will", "with", "would", "you", "your",
];

/// Places of words that a number counts.
fn units(words: &[Word<'_>]) -> impl Iterator<Item = usize> {
    const NO_UNITS: &[&str] = &[
        "a", "and", "are", "as", "at", "but", "by", "can", "for", "from", "has", "in", "is", "it",
        "into", "of", "on", "or", "so", "than", "that", "the", "this", "to", "was", "were",
        "which", "with", "when", "if", "then", "will", "you", "not", "who", "how", "what",
    ];
    (1..words.len()).filter(|&place| {
        let (before, text) = (&words[place - 1], words[place].text);
        // Only a space between them, and a number that is no year.
        let is_next = before.range().end + 1 == words[place].at;
        let counts = is_number(before.text) && !is_year(before.text);
        let is_word = text.len() > 1 && text.chars().all(char::is_alphabetic);
        is_next && counts && is_word && !NO_UNITS.contains(&text) && !MONTHS.contains(&text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_swapped_at_its_place() {
        let mut near = Pool::default();
        near.add("The plant in Basel made 7 tonnes.");
        let mut far = near.clone();
        far.add("In Oslo it took 9 litres.");
        let text = "In Geneva it is kept for 30 days, never sold, since 3 March 2021.";
        let found = swaps(text, &near, &far);
        let says = |family, from: &str, to: &str| {
            found.iter().any(|swap| {
                swap.family == family
                    && swap.from == from
                    && swap.to == to
                    && swap.text == text.replacen(from, to, 1)
            })
        };
        assert!(says(Family::Number, "30", "40"), "{found:?}");
        assert!(says(Family::Unit, "days", "weeks"), "{found:?}");
        assert!(says(Family::Unit, "days", "tonnes"), "{found:?}");
        assert!(says(Family::Name, "Geneva", "Basel"), "{found:?}");
        assert!(says(Family::Negation, "never", "always"), "{found:?}");
        assert!(says(Family::Negation, "is", "is not"), "{found:?}");
        assert!(says(Family::Date, "March", "April"), "{found:?}");
        assert!(says(Family::Date, "2021", "2022"), "{found:?}");
    }
}
