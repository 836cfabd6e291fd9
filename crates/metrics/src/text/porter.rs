//! The Porter stemmer with the extensions of NLTK, as ROUGE and METEOR use it.
//!
//! Porter 1980, doi:10.1108/eb046814. Against the paper: a table of irregular
//! words; words of two letters stay; `ies` and `ied` at the end of four letters
//! become `ie`; `y` becomes `i` after any consonant but the first letter; `alli`
//! becomes `al` and the second step runs again; `bli`, `fulli` and `logi` have
//! rules; and two letters of the form vowel, consonant count as ending
//! consonant, vowel, consonant.

/// Words whose stem is looked up.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// An ending, what takes its place, and where that is allowed.
type Rule = (&'static str, &'static str, Condition);

/// What must hold of the letters before an ending.
#[derive(Clone, Copy)]
enum Condition {
    /// They hold a vowel that a consonant follows.
    SomeMeasure,
    /// They do so twice.
    MoreMeasure,
    /// The same, and they end with `s` or `t`.
    MoreMeasureAfterSOrT,
    /// As [`Self::SomeMeasure`], for the letters and the `l` that follows them.
    SomeMeasureWithL,
}

const STEP_2: [Rule; 22] = [
    ("ational", "ate", Condition::SomeMeasure),
    ("tional", "tion", Condition::SomeMeasure),
    ("enci", "ence", Condition::SomeMeasure),
    ("anci", "ance", Condition::SomeMeasure),
    ("izer", "ize", Condition::SomeMeasure),
    ("bli", "ble", Condition::SomeMeasure),
    ("alli", "al", Condition::SomeMeasure),
    ("entli", "ent", Condition::SomeMeasure),
    ("eli", "e", Condition::SomeMeasure),
    ("ousli", "ous", Condition::SomeMeasure),
    ("ization", "ize", Condition::SomeMeasure),
    ("ation", "ate", Condition::SomeMeasure),
    ("ator", "ate", Condition::SomeMeasure),
    ("alism", "al", Condition::SomeMeasure),
    ("iveness", "ive", Condition::SomeMeasure),
    ("fulness", "ful", Condition::SomeMeasure),
    ("ousness", "ous", Condition::SomeMeasure),
    ("aliti", "al", Condition::SomeMeasure),
    ("iviti", "ive", Condition::SomeMeasure),
    ("biliti", "ble", Condition::SomeMeasure),
    ("fulli", "ful", Condition::SomeMeasure),
    ("logi", "log", Condition::SomeMeasureWithL),
];

const STEP_3: [Rule; 7] = [
    ("icate", "ic", Condition::SomeMeasure),
    ("ative", "", Condition::SomeMeasure),
    ("alize", "al", Condition::SomeMeasure),
    ("iciti", "ic", Condition::SomeMeasure),
    ("ical", "ic", Condition::SomeMeasure),
    ("ful", "", Condition::SomeMeasure),
    ("ness", "", Condition::SomeMeasure),
];

const STEP_4: [Rule; 19] = [
    ("al", "", Condition::MoreMeasure),
    ("ance", "", Condition::MoreMeasure),
    ("ence", "", Condition::MoreMeasure),
    ("er", "", Condition::MoreMeasure),
    ("ic", "", Condition::MoreMeasure),
    ("able", "", Condition::MoreMeasure),
    ("ible", "", Condition::MoreMeasure),
    ("ant", "", Condition::MoreMeasure),
    ("ement", "", Condition::MoreMeasure),
    ("ment", "", Condition::MoreMeasure),
    ("ent", "", Condition::MoreMeasure),
    ("ion", "", Condition::MoreMeasureAfterSOrT),
    ("ou", "", Condition::MoreMeasure),
    ("ism", "", Condition::MoreMeasure),
    ("ate", "", Condition::MoreMeasure),
    ("iti", "", Condition::MoreMeasure),
    ("ous", "", Condition::MoreMeasure),
    ("ive", "", Condition::MoreMeasure),
    ("ize", "", Condition::MoreMeasure),
];

/// The stem of a word in lower case.
///
/// Letters beyond ASCII are consonants.
///
/// ```
/// assert_eq!(plumb_metrics::text::porter_stem("generalizations"), "gener");
/// assert_eq!(plumb_metrics::text::porter_stem("dies"), "die");
/// ```
pub fn porter_stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    if word.chars().nth(2).is_none() {
        return word.to_owned();
    }
    let mut stem = Stem { letters: word.chars().collect() };
    stem.step_1a();
    stem.step_1b();
    stem.step_1c();
    stem.step_2();
    stem.apply(&STEP_3);
    stem.apply(&STEP_4);
    stem.step_5();
    stem.letters.into_iter().collect()
}

struct Stem {
    letters: Vec<char>,
}

impl Stem {
    fn ends_with(&self, ending: &str) -> bool {
        let mut letters = self.letters.iter().rev();
        ending.chars().rev().all(|letter| letters.next() == Some(&letter))
    }

    /// The letters before an ending of so many letters.
    fn before(&self, ending: usize) -> &[char] {
        &self.letters[..self.letters.len() - ending]
    }

    /// Puts `other` in place of the last `ending` letters.
    fn replace(&mut self, ending: usize, other: &str) {
        self.letters.truncate(self.letters.len() - ending);
        self.letters.extend(other.chars());
    }

    /// Applies the first rule whose ending the word has, if its condition holds.
    fn apply(&mut self, rules: &[Rule]) {
        let Some((ending, other, condition)) =
            rules.iter().find(|(ending, _, _)| self.ends_with(ending))
        else {
            return;
        };
        let before = self.before(ending.len());
        let holds = match condition {
            Condition::SomeMeasure => measure(before) > 0,
            Condition::MoreMeasure => measure(before) > 1,
            Condition::MoreMeasureAfterSOrT => {
                measure(before) > 1 && matches!(before.last(), Some('s' | 't'))
            }
            Condition::SomeMeasureWithL => measure(self.before(3)) > 0,
        };
        if holds {
            self.replace(ending.len(), other);
        }
    }

    fn step_1a(&mut self) {
        if self.ends_with("ies") {
            // Of four letters the `e` stays: `dies` is `die`, `flies` is `fli`.
            self.replace(if self.letters.len() == 4 { 1 } else { 2 }, "");
        } else if self.ends_with("sses") {
            self.replace(2, "");
        } else if self.ends_with("s") && !self.ends_with("ss") {
            self.replace(1, "");
        }
    }

    fn step_1b(&mut self) {
        if self.ends_with("ied") {
            self.replace(if self.letters.len() == 4 { 1 } else { 2 }, "");
        } else if self.ends_with("eed") {
            if measure(self.before(3)) > 0 {
                self.replace(1, "");
            }
        } else {
            let ending = ["ed", "ing"]
                .into_iter()
                .find(|ending| self.ends_with(ending) && has_vowel(self.before(ending.len())));
            if let Some(ending) = ending {
                self.replace(ending.len(), "");
                self.mend();
            }
        }
    }

    /// After `ed` or `ing` has gone.
    fn mend(&mut self) {
        let [.., last] = self.letters[..] else { return };
        if self.ends_with("at") || self.ends_with("bl") || self.ends_with("iz") {
            self.letters.push('e');
        } else if ends_double_consonant(&self.letters) {
            if !matches!(last, 'l' | 's' | 'z') {
                self.replace(1, "");
            }
        } else if self.ends_with("*d") {
            // NLTK names the rule above `*d` and also reads that as an ending.
            self.replace(2, "d");
        } else if measure(&self.letters) == 1 && ends_closed(&self.letters) {
            self.letters.push('e');
        }
    }

    fn step_1c(&mut self) {
        let length = self.letters.len();
        if self.ends_with("y") && length > 2 && is_consonant(&self.letters, length - 2) {
            self.replace(1, "i");
        }
    }

    fn step_2(&mut self) {
        while self.ends_with("alli") && measure(self.before(4)) > 0 {
            self.replace(2, "");
        }
        self.apply(&STEP_2);
    }

    fn step_5(&mut self) {
        if self.ends_with("e") {
            let before = self.before(1);
            let measure = measure(before);
            if measure > 1 || (measure == 1 && !ends_closed(before)) {
                self.replace(1, "");
            }
        }
        if self.ends_with("ll") && measure(self.before(1)) > 1 {
            self.replace(1, "");
        }
    }
}

/// Whether each letter is a consonant: all but `aeiou`, and but a `y` after one.
fn consonants(letters: &[char]) -> impl Iterator<Item = bool> {
    let mut after_consonant = false;
    letters.iter().map(move |letter| {
        after_consonant = match letter {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => !after_consonant,
            _ => true,
        };
        after_consonant
    })
}

fn is_consonant(letters: &[char], at: usize) -> bool {
    consonants(&letters[..=at]).last().unwrap_or(false)
}

/// How often a consonant follows a vowel.
fn measure(letters: &[char]) -> usize {
    let mut after_vowel = false;
    let follows = consonants(letters).filter(|is_consonant| {
        let follows = after_vowel && *is_consonant;
        after_vowel = !is_consonant;
        follows
    });
    follows.count()
}

fn has_vowel(letters: &[char]) -> bool {
    consonants(letters).any(|is_consonant| !is_consonant)
}

fn ends_double_consonant(letters: &[char]) -> bool {
    matches!(letters, [.., a, b] if a == b) && is_consonant(letters, letters.len() - 1)
}

/// Whether the letters end consonant, vowel, consonant other than `w`, `x` or
/// `y`; or are a vowel and a consonant.
fn ends_closed(letters: &[char]) -> bool {
    let length = letters.len();
    match letters {
        [_, _] => !is_consonant(letters, 0) && is_consonant(letters, 1),
        [.., last] if length > 2 => {
            is_consonant(letters, length - 3)
                && !is_consonant(letters, length - 2)
                && is_consonant(letters, length - 1)
                && !matches!(last, 'w' | 'x' | 'y')
        }
        _ => false,
    }
}
