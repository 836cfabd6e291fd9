//! Words that end in a stop without ending a sentence. All lists are sorted
//! and in lower case, without the last stop.

/// What a stop after a word may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abbreviation {
    /// Never the end: `Dr.`, `e.g.`
    Inner,
    /// Not the end if a number or a letter follows: `Fig. 2`, `No. 7`.
    BeforeNumber,
    /// The end if the next word is one that often begins a sentence: `U.S.`
    Ambiguous,
    /// The end if the next word begins with a capital: `etc.`
    BeforeCapital,
}

const INNER: &[&str] = &[
    "adm", "approx", "brig", "ca", "capt", "cf", "cmdr", "col", "dr", "e.g", "eg", "esp", "gen",
    "gov", "hon", "i.e", "ie", "incl", "lt", "maj", "messrs", "mme", "mr", "mrs", "ms", "mx",
    "prof", "rep", "resp", "rev", "sen", "sgt", "st", "viz", "vs", "w.r.t", "wrt",
];

const BEFORE_NUMBER: &[&str] = &[
    "alg", "app", "apr", "arg", "art", "aug", "ch", "chap", "col", "cor", "dec", "def", "eq",
    "eqn", "eqns", "eqs", "ex", "feb", "fig", "figs", "jan", "jul", "jun", "lem", "mar", "no",
    "nos", "nov", "nr", "oct", "p", "para", "pg", "pp", "prop", "pt", "ref", "refs", "sec", "secs",
    "sect", "sep", "sept", "tab", "thm", "v", "ver", "vol", "vols",
];

const AMBIGUOUS: &[&str] = &[
    "a.d", "a.k.a", "a.m", "al", "assn", "b.c", "b.sc", "bros", "co", "corp", "dept", "ed", "eds",
    "est", "gmbh", "inc", "jr", "ll.m", "ltd", "m.sc", "max", "min", "p.m", "ph.d", "sr", "trans",
    "univ",
];

const BEFORE_CAPITAL: &[&str] = &["etc"];

/// Words that begin sentences far more often than they follow an abbreviation.
const STARTERS: &[&str] = &[
    "a",
    "after",
    "all",
    "although",
    "an",
    "and",
    "any",
    "as",
    "at",
    "because",
    "before",
    "both",
    "but",
    "by",
    "each",
    "every",
    "finally",
    "first",
    "for",
    "from",
    "he",
    "hence",
    "here",
    "how",
    "however",
    "if",
    "in",
    "instead",
    "it",
    "its",
    "let",
    "many",
    "most",
    "no",
    "note",
    "of",
    "on",
    "once",
    "one",
    "only",
    "otherwise",
    "our",
    "she",
    "since",
    "so",
    "some",
    "such",
    "that",
    "the",
    "their",
    "then",
    "there",
    "therefore",
    "these",
    "they",
    "this",
    "those",
    "thus",
    "to",
    "under",
    "unless",
    "until",
    "use",
    "we",
    "what",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "why",
    "with",
    "you",
    "your",
];

/// Words after which a single letter is a name, not an initial: `Plan B.`
const LETTERED: &[&str] = &[
    "appendix", "case", "class", "column", "exhibit", "figure", "grade", "group", "item", "option",
    "part", "plan", "section", "step", "table", "team", "type", "variant", "vitamin",
];

fn contains(sorted: &[&str], word: &str) -> bool {
    sorted.binary_search(&word).is_ok()
}

/// What a stop after `word` may mean, if `word` can be abbreviated at all.
/// `previous` is the word before it.
pub(super) fn classify(word: &str, previous: &str) -> Option<Abbreviation> {
    let lower = word.to_lowercase();
    let lower = lower.as_str();
    let mut chars = word.chars();
    let single = chars.next().filter(|_| chars.next().is_none());
    // Some words are also whole words: `col`, `no`. The more careful list wins.
    if contains(BEFORE_NUMBER, lower) {
        Some(Abbreviation::BeforeNumber)
    } else if contains(INNER, lower) {
        Some(Abbreviation::Inner)
    } else if contains(AMBIGUOUS, lower) || is_dotted(word) {
        Some(Abbreviation::Ambiguous)
    } else if contains(BEFORE_CAPITAL, lower) {
        Some(Abbreviation::BeforeCapital)
    } else if single.is_some_and(char::is_uppercase) && word != "I" {
        let is_name = contains(LETTERED, previous.to_lowercase().as_str());
        (!is_name).then_some(Abbreviation::Ambiguous)
    } else {
        None
    }
}

/// Whether `word` often begins a sentence.
pub(super) fn is_starter(word: &str) -> bool {
    contains(STARTERS, word.to_lowercase().as_str())
}

/// Single letters with stops between them: `U.S`, `b.c`.
fn is_dotted(word: &str) -> bool {
    let mut parts = word.split('.');
    word.contains('.')
        && parts.all(|part| {
            let mut chars = part.chars();
            chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        for list in [INNER, BEFORE_NUMBER, AMBIGUOUS, BEFORE_CAPITAL, STARTERS, LETTERED] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }
}
