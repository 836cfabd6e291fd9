//! Finds special tokens that are spelt out in a text.
//!
//! Longer spellings win over shorter ones wherever they are in the text, and
//! among occurrences of one spelling the leftmost wins: the order in which
//! llama.cpp looks.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::AhoCorasick;

use crate::Error;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fragment {
    Special { id: u32, range: Range<usize> },
    Text(Range<usize>),
}

/// The spellings of special tokens.
pub(super) struct Fragments {
    automaton: AhoCorasick,
    /// By pattern of the automaton.
    tokens: Vec<Token>,
}

struct Token {
    id: u32,
    /// A control token is only looked for when the caller parses them.
    is_control: bool,
}

/// Put inside a spelling to break it up. No special token contains it.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

impl Fragments {
    /// From ids, spellings, and whether each is a control token.
    pub(super) fn new(
        tokens: impl IntoIterator<Item = (u32, String, bool)>,
    ) -> Result<Self, Error> {
        let mut spellings = Vec::new();
        let mut kept = Vec::new();
        for (id, spelling, is_control) in tokens {
            if !spelling.is_empty() {
                spellings.push(spelling);
                kept.push(Token { id, is_control });
            }
        }
        let automaton = AhoCorasick::new(&spellings)
            .map_err(|error| Error::Build { message: error.to_string() })?;
        Ok(Self { automaton, tokens: kept })
    }

    /// Cuts `text` at its special tokens. The ranges are in order and cover
    /// the text without gaps.
    pub(super) fn split(&self, text: &str, parse_control: bool) -> Vec<Fragment> {
        let mut found: Vec<_> = self
            .automaton
            .find_overlapping_iter(text)
            .filter(|m| parse_control || !self.tokens[m.pattern()].is_control)
            .collect();
        found.sort_by_key(|m| (std::cmp::Reverse(m.len()), m.pattern(), m.start()));

        let mut taken: BTreeMap<usize, (usize, u32)> = BTreeMap::new();
        for m in found {
            let before = taken.range(..m.end()).next_back();
            if before.is_none_or(|(_, &(end, _))| end <= m.start()) {
                taken.insert(m.start(), (m.end(), self.tokens[m.pattern()].id));
            }
        }
        let mut fragments = Vec::new();
        let mut position = 0;
        for (start, (end, id)) in taken {
            if position < start {
                fragments.push(Fragment::Text(position..start));
            }
            fragments.push(Fragment::Special { id, range: start..end });
            position = end;
        }
        if position < text.len() {
            fragments.push(Fragment::Text(position..text.len()));
        }
        fragments
    }

    /// `text` without any whole spelling: a zero-width space goes before the
    /// last character of each, or replaces a spelling of one character.
    pub(super) fn break_up(&self, text: &str) -> String {
        let mut found: Vec<Range<usize>> =
            self.automaton.find_overlapping_iter(text).map(|m| m.range()).collect();
        found.sort_by_key(|range| (range.end, range.start));

        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for range in found {
            let last = text[range.clone()].char_indices().next_back().map_or(0, |(at, _)| at);
            let cut = range.start + last;
            // Broken already, by a cut inside this occurrence.
            if copied > range.start {
                continue;
            }
            out.push_str(&text[copied..cut]);
            out.push(ZERO_WIDTH_SPACE);
            copied = if last == 0 { range.end } else { cut };
        }
        out.push_str(&text[copied..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fragments(spellings: &[&str]) -> Fragments {
        let tokens = (0..).zip(spellings).map(|(id, s)| (id, (*s).to_owned(), true));
        Fragments::new(tokens).unwrap()
    }

    #[track_caller]
    fn check(spellings: &[&str], text: &str, want: &[&str]) {
        let parts = fragments(spellings).split(text, true);
        let shown: Vec<String> = parts
            .into_iter()
            .map(|part| match part {
                Fragment::Special { id, range } => format!("{id}:{}", &text[range]),
                Fragment::Text(range) => text[range].to_owned(),
            })
            .collect();
        assert_eq!(shown, want);
    }

    #[test]
    fn longer_spellings_win_even_when_they_begin_later() {
        check(&["ab", "bcd"], "abcd ab", &["a", "1:bcd", " ", "0:ab"]);
    }

    #[test]
    fn runs_are_cut_from_the_left() {
        check(&["aa", "aaa"], "aaaaaaaa", &["1:aaa", "1:aaa", "0:aa"]);
    }

    #[test]
    fn text_without_special_tokens_is_one_fragment() {
        check(&["<s>"], "x < s >", &["x < s >"]);
        check(&["<s>"], "", &[]);
        check(&[], "x", &["x"]);
    }

    #[test]
    fn control_tokens_stay_text_unless_parsed() {
        let text = "a<s>";
        assert_eq!(fragments(&["<s>"]).split(text, false), [Fragment::Text(0..4)]);
    }

    #[test]
    fn overlapping_spellings_are_all_broken() {
        let broken = fragments(&["abc", "cde", "x"]).break_up("abcde x");
        assert_eq!(broken, "ab\u{200b}cd\u{200b}e \u{200b}");
    }

    proptest! {
        #[test]
        fn nothing_special_is_left_and_nothing_else_is_lost(text in "[abc<|>\u{e9}]{0,40}") {
            let spellings = ["<|a|>", "|><", "<a>", "ab", "bca", "\u{e9}"];
            let fragments = fragments(&spellings);
            let broken = fragments.break_up(&text);
            prop_assert!(spellings.iter().all(|spelling| !broken.contains(spelling)));
            let restored = broken.replace(ZERO_WIDTH_SPACE, "");
            prop_assert_eq!(restored, text.replace('\u{e9}', ""));
        }

        #[test]
        fn fragments_cover_the_text(text in "[abc<|>]{0,40}") {
            let mut position = 0;
            for fragment in fragments(&["<|a|>", "|><", "ab", "bca"]).split(&text, true) {
                let (Fragment::Special { range, .. } | Fragment::Text(range)) = fragment;
                prop_assert_eq!(range.start, position);
                prop_assert!(range.end > range.start);
                position = range.end;
            }
            prop_assert_eq!(position, text.len());
        }
    }
}
