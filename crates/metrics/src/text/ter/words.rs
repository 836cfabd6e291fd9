//! The words of TER, as Tercom's normaliser cuts them.

use std::borrow::Cow;

use super::{Punctuation, Ter};
use crate::text::space;
use crate::text::tokenize::{Buffers, mteval};
use crate::text::vocabulary::Vocabulary;

/// The words of `text` as numbers from 1.
pub(super) fn symbols(how: Ter, text: &str, words: &mut Vocabulary) -> Vec<u32> {
    space::split(&prepared(how, text)).map(|word| words.id(word) + 1).collect()
}

/// The same of a reference, which sacrebleu normalises twice: what an entity
/// hid is read, and what was cut may be cut again.
pub(super) fn reference_symbols(how: Ter, text: &str, words: &mut Vocabulary) -> Vec<u32> {
    if !how.normalized {
        return symbols(how, text, words);
    }
    let once = prepared(how, text);
    let joined: Vec<&str> = space::split(&once).collect();
    symbols(how, &joined.join(" "), words)
}

/// The text with white space between its words.
fn prepared(how: Ter, text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(space::trim_end(text));
    if !how.case_sensitive {
        text = text.to_lowercase().into();
    }
    if how.normalized && !text.is_empty() {
        text = normalized(&text).into();
        if how.asian_support {
            let apart = |one| is_asian(one) || is_asian_mark(one);
            text = spaced_where(&text, apart).into();
        }
    }
    if how.punctuation == Punctuation::Removed {
        let is_kept = |one: &char| {
            let is_western = matches!(one, '.' | ',' | '?' | ':' | ';' | '!' | '"' | '(' | ')');
            !is_western && (!how.asian_support || !is_asian_mark(*one))
        };
        text = text.chars().filter(is_kept).collect::<String>().into();
    }
    text
}

fn normalized(text: &str) -> String {
    let joined = text.replace("\n-", "").replace('\n', " ");
    let joined = joined.replace("&quot;", "\"").replace("&amp;", "&");
    let joined = joined.replace("&lt;", "<").replace("&gt;", ">");
    let mut buffers = Buffers::of(&format!(" {joined} "));
    mteval::cut_symbols(&mut buffers);
    let mut buffers = Buffers::of(&buffers.text().replace("'s ", " 's "));
    mteval::cut_stops_and_dashes(&mut buffers);
    buffers.text().to_owned()
}

fn spaced_where(text: &str, is_apart: impl Fn(char) -> bool) -> String {
    let mut spaced = String::with_capacity(2 * text.len());
    for character in text.chars() {
        if is_apart(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    spaced
}

/// Chinese characters and what stands with them. The range from `U+3200` ends at
/// `U+3F22` and not at `U+32FF`, as it does in sacrebleu.
fn is_asian(character: char) -> bool {
    matches!(character,
        '\u{2e80}'..='\u{2eff}'
        | '\u{31c0}'..='\u{31ef}'
        | '\u{3200}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}')
}

fn is_asian_mark(character: char) -> bool {
    matches!(character,
        '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}'
        | '\u{ff61}'..='\u{ff65}' | '\u{30fb}'
        | '\u{ff0e}' | '\u{ff0c}' | '\u{ff1f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff01}'
        | '\u{ff02}' | '\u{ff08}' | '\u{ff09}')
}
