//! The tokenisers of BLEU, as sacrebleu has them.
//!
//! Each is defined by replacements over the whole text, in a fixed order and
//! without overlaps, after which white space separates the tokens. Punctuation
//! that follows punctuation therefore depends on the order, and a tokeniser
//! that merely cuts at punctuation gives another score.

mod categories;
mod categories_table;
mod chinese;
mod international;
pub(super) mod mteval;

use std::fmt;
use std::str::FromStr;

use super::space;

/// How a text is cut into the tokens of BLEU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tokenizer {
    /// As `mteval-v13a.pl` of WMT, which un-escapes the entities `&quot;`,
    /// `&amp;`, `&lt;` and `&gt;`. The default.
    #[default]
    Mteval13a,
    /// As `mteval-v14.pl --international`: cuts at Unicode's punctuation (unless
    /// between digits) and symbols, and un-escapes nothing.
    International,
    /// Chinese characters apart, and the rest as 13a.
    Chinese,
    /// Every character apart.
    Character,
    /// White space only.
    None,
}

/// Texts on the way, kept so that a line costs no allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    now: String,
    next: String,
}

impl Buffers {
    /// A text to read.
    pub(super) fn of(text: &str) -> Self {
        Self { now: text.to_owned(), next: String::new() }
    }

    /// The text as it is now.
    pub(super) fn text(&self) -> &str {
        &self.now
    }

    /// Makes what was written into `next` the text to read.
    fn turn(&mut self) {
        std::mem::swap(&mut self.now, &mut self.next);
        self.next.clear();
    }
}

impl Tokenizer {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Mteval13a, Self::International, Self::Chinese, Self::Character, Self::None];

    /// The name in sacrebleu's signatures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mteval13a => "13a",
            Self::International => "intl",
            Self::Chinese => "zh",
            Self::Character => "char",
            Self::None => "none",
        }
    }

    /// The tokens of `text`, in order.
    pub fn tokens(self, text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        self.each(text, &mut Buffers::default(), |token| tokens.push(token.to_owned()));
        tokens
    }

    /// Calls `visit` with each token of `text`, in order.
    pub(super) fn each(self, text: &str, buffers: &mut Buffers, mut visit: impl FnMut(&str)) {
        buffers.now.clear();
        buffers.next.clear();
        match self {
            Self::None => return space::split(text).for_each(visit),
            Self::Character => {
                let mut bytes = [0; 4];
                let characters = text.chars().filter(|character| !space::is_space(*character));
                return characters.for_each(|character| visit(character.encode_utf8(&mut bytes)));
            }
            Self::Mteval13a if mteval::is_plain(text) => return mteval::each_ascii(text, visit),
            Self::Mteval13a => mteval::spaced(text, buffers),
            Self::International => international::spaced(text, buffers),
            Self::Chinese => chinese::spaced(text, buffers),
        }
        space::split(&buffers.now).for_each(visit);
    }
}

impl fmt::Display for Tokenizer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Tokenizer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|tokenizer| tokenizer.name() == name);
        found.ok_or_else(|| format!("`{name}` is not a tokeniser of BLEU; known are {}", known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tokenizer: Tokenizer, text: &str, want: &str) {
        assert_eq!(tokenizer.tokens(text).join(" "), want);
    }

    #[test]
    fn entities_are_read_by_13a_alone() {
        let text = "&quot;a&quot; &amp;lt; b&lt;<skipped>c-\nd";
        check(Tokenizer::Mteval13a, text, "\" a \" < b < cd");
        check(Tokenizer::International, "&lt;", "& lt ;");
    }

    #[test]
    fn a_final_number_keeps_its_full_stop_in_intl_but_not_in_13a() {
        check(Tokenizer::International, "10-20.", "10-20.");
        check(Tokenizer::Mteval13a, "10-20.", "10 - 20 .");
    }

    #[test]
    fn runs_of_full_stops_and_commas_are_cut_in_pairs() {
        check(
            Tokenizer::Mteval13a,
            "a...5 3,500.25,,7 1.,2 x,.",
            "a . . . 5 3,500.25 , , 7 1 . , 2 x , .",
        );
        check(Tokenizer::International, "a...5 ««x»» 1«2", "a . . . 5 « « x » » 1«2");
    }

    #[test]
    fn zh_keeps_a_first_full_stop_with_the_digit_after_it() {
        check(Tokenizer::Chinese, ".5他们x,", ".5 他 们 x ,");
        check(Tokenizer::Mteval13a, ".5", ". 5");
    }

    #[test]
    fn a_mark_that_a_replacement_took_is_not_taken_again() {
        check(Tokenizer::Mteval13a, "5-.-5-- a-b 7-,8", "5 - . -5 - - a-b 7 - , 8");
        check(Tokenizer::International, "x.5.y ..1 1..", "x . 5 . y . .1 1 . .");
    }

    #[test]
    fn characters_come_without_the_space_between_them() {
        check(Tokenizer::Character, "a b\u{a0}\u{e9}", "a b \u{e9}");
        check(Tokenizer::None, " a  b. ", "a b.");
    }

    #[test]
    fn a_name_is_read_back_and_a_wrong_one_lists_the_right_ones() {
        for tokenizer in Tokenizer::ALL {
            assert_eq!(tokenizer.name().parse(), Ok(tokenizer));
        }
        let error = "13b".parse::<Tokenizer>().unwrap_err();
        assert!(error.contains("13a, intl, zh, char, none"), "{error}");
    }
}
