//! How hard an English text is to read, by lengths of words and sentences.
//!
//! Words are runs of letters, digits, apostrophes and hyphens that hold a letter
//! or digit. A sentence ends with `.`, `!` or `?` before white space or the end.
//! Syllables are counted by a rule: groups of the vowels `aeiouy`, less a silent
//! `e` at the end (but not `le` after a consonant) and a silent `es` or `ed`, at
//! least one. Other programs count by other rules and get other numbers.

/// A formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readability {
    /// Flesch reading ease: 100 is easy, 0 hard. Flesch 1948, doi:10.1037/h0057532.
    FleschEase,
    /// Flesch-Kincaid grade: years of school. Kincaid et al. 1975.
    FleschKincaid,
    /// Gunning fog index: years of school; words of three syllables are hard.
    GunningFog,
    /// Coleman-Liau index: years of school, from letters. Coleman and Liau 1975,
    /// doi:10.1037/h0076540.
    ColemanLiau,
    /// Automated readability index: years of school, from letters. Senter and
    /// Smith 1967.
    Automated,
}

/// What the formulas count in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    sentences: u32,
    words: u32,
    letters: u32,
    syllables: u32,
    hard_words: u32,
}

impl Readability {
    /// All formulas.
    pub const ALL: [Self; 5] = [
        Self::FleschEase,
        Self::FleschKincaid,
        Self::GunningFog,
        Self::ColemanLiau,
        Self::Automated,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FleschEase => "flesch",
            Self::FleschKincaid => "flesch-kincaid",
            Self::GunningFog => "gunning-fog",
            Self::ColemanLiau => "coleman-liau",
            Self::Automated => "ari",
        }
    }

    /// The value of a text; `None` if it has no word.
    pub fn of(self, text: &str) -> Option<f64> {
        let counts = Counts::of(text);
        if counts.words == 0 {
            return None;
        }
        let words = f64::from(counts.words);
        let by_sentence = words / f64::from(counts.sentences);
        let per_word = |count: u32| f64::from(count) / words;
        Some(match self {
            Self::FleschEase => 206.835 - 1.015 * by_sentence - 84.6 * per_word(counts.syllables),
            Self::FleschKincaid => 0.39 * by_sentence + 11.8 * per_word(counts.syllables) - 15.59,
            Self::GunningFog => 0.4 * (by_sentence + 100.0 * per_word(counts.hard_words)),
            Self::ColemanLiau => 5.88 * per_word(counts.letters) - 29.6 / by_sentence - 15.8,
            Self::Automated => 4.71 * per_word(counts.letters) + 0.5 * by_sentence - 21.43,
        })
    }
}

impl Counts {
    fn of(text: &str) -> Self {
        let mut counts = Self::default();
        let mut is_open = false;
        for chunk in text.split_whitespace() {
            let is_of_word =
                |one: char| one.is_alphanumeric() || matches!(one, '\'' | '\u{2019}' | '-');
            for word in chunk.split(|one| !is_of_word(one)) {
                let letters = word.chars().filter(|one| one.is_alphanumeric()).count();
                if letters > 0 {
                    let syllables = syllables(word);
                    counts.words += 1;
                    counts.letters += u32::try_from(letters).unwrap_or(u32::MAX);
                    counts.syllables += syllables;
                    counts.hard_words += u32::from(syllables >= 3);
                    is_open = true;
                }
            }
            let end = chunk.trim_end_matches(['"', '\'', ')', ']', '\u{201d}', '\u{2019}']);
            if is_open && end.ends_with(['.', '!', '?']) {
                counts.sentences += 1;
                is_open = false;
            }
        }
        counts.sentences += u32::from(is_open);
        counts
    }
}

fn syllables(word: &str) -> u32 {
    let letters: Vec<char> =
        word.to_lowercase().chars().filter(|letter| letter.is_alphabetic()).collect();
    let is_vowel = |letter: &char| matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
    let groups = letters.chunk_by(|a, b| is_vowel(a) == is_vowel(b));
    let groups = groups.filter(|group| group.first().is_some_and(is_vowel)).count();
    let is_silent = match letters[..] {
        [.., before, 'l', 'e'] if !is_vowel(&before) => false,
        [.., before, 'e'] => !is_vowel(&before),
        // `boxes` and `wanted` keep their last vowel.
        [.., before, 'e', 's'] => {
            !is_vowel(&before) && !matches!(before, 's' | 'x' | 'z' | 'h' | 'c' | 'g' | 'l')
        }
        [.., before, 'e', 'd'] => !is_vowel(&before) && !matches!(before, 't' | 'd' | 'l'),
        _ => false,
    };
    let groups = u32::try_from(groups).unwrap_or(u32::MAX);
    if is_silent { groups.saturating_sub(1).max(1) } else { groups.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_syllables() {
        let words = [
            ("cat", 1),
            ("table", 2),
            ("made", 1),
            ("walked", 1),
            ("wanted", 2),
            ("boxes", 2),
            ("readability", 5),
            ("the", 1),
            ("eye", 1),
            ("rhythm", 1),
            ("7", 1),
            ("syllable", 3),
        ];
        for (word, want) in words {
            assert_eq!(syllables(word), want, "{word}");
        }
    }

    #[test]
    fn formulas_are_the_published_ones() {
        // Two sentences, nine words, thirty letters, ten syllables, no hard word.
        let text = "The cat sat on the mat. Table 7 broke!";
        let want = [
            206.835 - 1.015 * 4.5 - 84.6 * 10.0 / 9.0,
            0.39 * 4.5 + 11.8 * 10.0 / 9.0 - 15.59,
            0.4 * 4.5,
            5.88 * 28.0 / 9.0 - 29.6 / 4.5 - 15.8,
            4.71 * 28.0 / 9.0 + 0.5 * 4.5 - 21.43,
        ];
        for (formula, want) in Readability::ALL.into_iter().zip(want) {
            let found = formula.of(text).unwrap();
            assert!((found - want).abs() < 1e-9, "{formula:?}: {found} is not {want}");
        }
        assert_eq!(Readability::FleschEase.of(" -- "), None);
    }

    #[test]
    fn a_full_stop_inside_a_number_ends_nothing() {
        assert_eq!(Counts::of("It is 3.5 m. \"Yes.\" No").sentences, 3);
    }
}
