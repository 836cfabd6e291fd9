//! Synonyms from the files of `WordNet`: Miller 1995, doi:10.1145/219717.219748.
//!
//! The files are those of the Princeton database (`wndb(5WN)`): for nouns,
//! verbs, adjectives and adverbs an index of words with offsets, a file of sets
//! of synonyms at those offsets, and a list of irregular forms. They are searched
//! as they are, since a text asks for few of their words.

use std::collections::HashMap;

/// Why files of `WordNet` were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordNetError {
    #[error("`{file}` is not UTF-8")]
    NotText { file: &'static str },

    #[error("line {line} of `{file}` is not in alphabetical order")]
    Unsorted { file: &'static str, line: usize },

    #[error("`{file}` holds no words")]
    Empty { file: &'static str },

    #[error("`{file}` has no valid entry for `{word}`")]
    Entry { file: &'static str, word: String },

    #[error("`{file}` has no set of synonyms at byte {offset}")]
    Synset { file: &'static str, offset: usize },
}

impl WordNetError {
    /// What the caller can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some("the files must come from one version of WordNet: install its database again")
    }
}

/// The files of one part of speech.
#[derive(Clone, Debug, Default)]
pub struct WordNetFiles {
    /// The index, such as `index.noun`.
    pub index: Vec<u8>,
    /// The sets of synonyms, such as `data.noun`.
    pub data: Vec<u8>,
    /// Irregular forms, such as `noun.exc`.
    pub exceptions: Vec<u8>,
}

/// Endings, and what takes their place.
type Endings = &'static [(&'static str, &'static str)];

/// Names of the files, and the regular forms of their words.
const PARTS: [([&str; 3], Endings); 4] = [
    (
        ["index.noun", "data.noun", "noun.exc"],
        &[
            ("s", ""),
            ("ses", "s"),
            ("ves", "f"),
            ("xes", "x"),
            ("zes", "z"),
            ("ches", "ch"),
            ("shes", "sh"),
            ("men", "man"),
            ("ies", "y"),
        ],
    ),
    (
        ["index.verb", "data.verb", "verb.exc"],
        &[
            ("s", ""),
            ("ies", "y"),
            ("es", "e"),
            ("es", ""),
            ("ed", "e"),
            ("ed", ""),
            ("ing", "e"),
            ("ing", ""),
        ],
    ),
    (["index.adj", "data.adj", "adj.exc"], &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")]),
    (["index.adv", "data.adv", "adv.exc"], &[]),
];

/// The database, ready to be asked.
#[derive(Clone, Debug)]
pub struct WordNet {
    parts: Vec<Part>,
    version: Option<String>,
}

#[derive(Clone, Debug)]
struct Part {
    files: [&'static str; 3],
    endings: Endings,
    index: String,
    /// Where each line of the index with a word starts.
    lines: Vec<usize>,
    data: String,
    exceptions: HashMap<String, Vec<String>>,
}

impl WordNet {
    /// Names of the files in the order of [`Self::new`]: for each part of speech
    /// the index, the sets of synonyms and the irregular forms.
    pub const FILES: [[&str; 3]; 4] = [PARTS[0].0, PARTS[1].0, PARTS[2].0, PARTS[3].0];

    /// Takes the contents of the files.
    pub fn new(files: [WordNetFiles; 4]) -> Result<Self, WordNetError> {
        let parts = files.into_iter().zip(PARTS);
        let parts: Vec<Part> =
            parts.map(|(files, about)| Part::new(files, about)).collect::<Result<_, _>>()?;
        let version = parts.iter().find_map(|part| version(&part.data));
        Ok(Self { parts, version })
    }

    /// The version that the files name, such as `3.0`.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Calls `visit` with each word of one piece that shares a meaning with
    /// `word`, which is in lower case. A word may come more than once.
    pub fn each_synonym(
        &self,
        word: &str,
        mut visit: impl FnMut(&str),
    ) -> Result<(), WordNetError> {
        for part in &self.parts {
            let mut forms: Vec<String> = Vec::new();
            for form in part.forms(word) {
                if !forms.contains(&form) {
                    part.each_of_form(&form, &mut visit)?;
                    forms.push(form);
                }
            }
        }
        Ok(())
    }
}

impl Part {
    fn new(
        from: WordNetFiles,
        (files, endings): ([&'static str; 3], Endings),
    ) -> Result<Self, WordNetError> {
        let text =
            |bytes, file| String::from_utf8(bytes).map_err(|_| WordNetError::NotText { file });
        let index = text(from.index, files[0])?;
        let lines = word_lines(&index, files[0])?;
        let exceptions = text(from.exceptions, files[2])?;
        let exceptions = exceptions.lines().filter_map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some((words.next()?, words.collect()))
        });
        let (exceptions, data) = (exceptions.collect(), text(from.data, files[1])?);
        Ok(Self { files, endings, index, lines, data, exceptions })
    }

    /// The word itself and the forms that it may be an inflection of.
    fn forms(&self, word: &str) -> Vec<String> {
        let mut forms = vec![word.to_owned()];
        match self.exceptions.get(word) {
            Some(irregular) => forms.extend(irregular.iter().cloned()),
            None => forms.extend(self.endings.iter().filter_map(|(ending, other)| {
                Some(format!("{}{other}", word.strip_suffix(ending)?))
            })),
        }
        forms
    }

    /// Visits the words of all sets that a word of the index is in.
    fn each_of_form(&self, form: &str, visit: &mut impl FnMut(&str)) -> Result<(), WordNetError> {
        let entry = |at: usize| self.index[at..].lines().next().unwrap_or_default();
        let found = self.lines.binary_search_by(|at| first_word(entry(*at)).cmp(form));
        let Ok(found) = found else { return Ok(()) };
        let bad = || WordNetError::Entry { file: self.files[0], word: form.to_owned() };
        let offsets = offsets(entry(self.lines[found])).ok_or_else(bad)?;
        for offset in offsets {
            let set = self.set(offset);
            let words = set.and_then(words_of_set);
            let bad = || WordNetError::Synset { file: self.files[1], offset };
            words.ok_or_else(bad)?.into_iter().for_each(&mut *visit);
        }
        Ok(())
    }

    /// The line at an offset, which it starts with.
    fn set(&self, offset: usize) -> Option<&str> {
        let line = self.data.get(offset..)?.lines().next()?;
        line.starts_with(&format!("{offset:08} ")).then_some(line)
    }
}

fn first_word(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// Where the lines with words start, which the licence before them does not.
fn word_lines(index: &str, file: &'static str) -> Result<Vec<usize>, WordNetError> {
    let (mut lines, mut at, mut before) = (Vec::new(), 0, "");
    for (number, line) in (1..).zip(index.split_inclusive('\n')) {
        if !line.starts_with(' ') && !line.trim().is_empty() {
            let word = first_word(line);
            if word <= before {
                return Err(WordNetError::Unsorted { file, line: number });
            }
            before = word;
            lines.push(at);
        }
        at += line.len();
    }
    if lines.is_empty() { Err(WordNetError::Empty { file }) } else { Ok(lines) }
}

/// The offsets at the end of a line of the index: word, part of speech, number
/// of sets, number of pointers, pointers, number of sets, ranked, offsets.
fn offsets(entry: &str) -> Option<Vec<usize>> {
    let mut fields = entry.split_whitespace().skip(2);
    let sets: usize = fields.next()?.parse().ok()?;
    let pointers: usize = fields.next()?.parse().ok()?;
    let mut fields = fields.skip(pointers);
    let again: usize = fields.next()?.parse().ok()?;
    let offsets: Vec<usize> =
        fields.skip(1).map_while(|field| field.parse().ok()).take(sets).collect();
    (again == sets && offsets.len() == sets).then_some(offsets)
}

/// The words of one piece: offset, file, part of speech, number of words in
/// base 16, and each word with its number. A mark such as `(p)` is no part of it.
fn words_of_set(line: &str) -> Option<Vec<&str>> {
    let mut fields = line.split('|').next()?.split_whitespace().skip(3);
    let count = usize::from_str_radix(fields.next()?, 16).ok()?;
    let mut words = Vec::new();
    for _ in 0..count {
        let word = fields.next()?;
        fields.next()?;
        let word = match word.strip_suffix(')').and_then(|word| word.rsplit_once('(')) {
            Some((word, mark)) if !mark.contains(')') => word,
            _ => word,
        };
        if !word.contains('_') {
            words.push(word);
        }
    }
    Some(words)
}

/// The version that the licence at the start names.
fn version(data: &str) -> Option<String> {
    let licence = data.lines().take_while(|line| line.starts_with(' '));
    licence
        .flat_map(|line| line.match_indices("WordNet ").map(move |(at, _)| &line[at + 8..]))
        .find_map(|after| {
            let version: String =
                after.chars().take_while(|one| one.is_ascii_digit() || *one == '.').collect();
            (version.len() >= 3).then_some(version)
        })
}
