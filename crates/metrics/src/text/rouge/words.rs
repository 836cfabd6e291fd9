//! The words of ROUGE as numbers.

use super::Stemming;
use crate::text::porter::porter_stem;
use crate::text::vocabulary::Vocabulary;

/// A text: its words as numbers from 1, and where its sentences end.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    pub(super) words: Vec<u32>,
    ends: Vec<usize>,
}

impl Text {
    /// The words of each line. A line without words gives none.
    pub(super) fn sentences(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ends = self.ends.iter().copied().chain([self.words.len()]);
        starts.zip(ends).map(|(start, end)| &self.words[start..end])
    }
}

/// Numbers for the words of a pair, and stems that are computed once.
pub(super) struct Words {
    stemming: Stemming,
    /// All words met so far, and for each the number of its stem.
    known: Vocabulary,
    stems: Vec<u32>,
    stem_texts: Vocabulary,
    /// For each stem, the pair that it was last met in and its number there.
    places: Vec<(u64, u32)>,
    pair: u64,
    most: u32,
    word: String,
}

impl Words {
    pub(super) fn new(stemming: Stemming) -> Self {
        Self {
            stemming,
            known: Vocabulary::default(),
            stems: Vec::new(),
            stem_texts: Vocabulary::default(),
            places: Vec::new(),
            pair: 0,
            most: 0,
            word: String::new(),
        }
    }

    /// Begins a pair: numbers start from 1 again.
    pub(super) fn start(&mut self) {
        self.pair += 1;
        self.most = 0;
    }

    /// The largest number given in this pair.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// Reads the words of a text.
    pub(super) fn read(&mut self, text: &str, into: &mut Text) {
        into.words.clear();
        into.ends.clear();
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' => self.word.push(char::from(byte)),
                b'A'..=b'Z' => self.word.push(char::from(byte.to_ascii_lowercase())),
                // Two letters beyond ASCII are ASCII in lower case: the sign of
                // Kelvin (`k`), and `I` with a dot (`i` and a mark).
                0xe2 if bytes.clone().take(2).eq([0x84, 0xaa]) => {
                    self.word.push('k');
                    bytes.nth(1);
                }
                0xc4 if bytes.peek() == Some(&0xb0) => {
                    self.word.push('i');
                    self.end_word(into);
                }
                _ => {
                    self.end_word(into);
                    if byte == b'\n' {
                        into.ends.push(into.words.len());
                    }
                }
            }
        }
        self.end_word(into);
    }

    fn end_word(&mut self, into: &mut Text) {
        if self.word.is_empty() {
            return;
        }
        let known = self.known.id(&self.word) as usize;
        if known == self.stems.len() {
            // As long as the letters of the stem, there is one.
            let is_stemmed = self.stemming == Stemming::Porter && self.word.len() > 3;
            let stem = if is_stemmed { porter_stem(&self.word) } else { self.word.clone() };
            self.stems.push(self.stem_texts.id(&stem));
        }
        self.word.clear();
        let stem = self.stems[known] as usize;
        if self.places.len() <= stem {
            self.places.resize(stem + 1, (0, 0));
        }
        let place = &mut self.places[stem];
        if place.0 != self.pair {
            self.most += 1;
            *place = (self.pair, self.most);
        }
        into.words.push(place.1);
    }
}
