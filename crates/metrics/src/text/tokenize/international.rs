//! The tokeniser of `mteval-v14.pl --international-tokenization`.
//!
//! Three replacements, as regular expressions:
//!
//! 1. `(\P{N})(\p{P})` to `\1 \2 `
//! 2. `(\p{P})(\P{N})` to ` \1 \2`
//! 3. `(\p{S})` to ` \1 `

use super::Buffers;
use super::categories::{Category, category};

/// Leaves `text` in `buffers.now` with white space between its tokens.
pub(super) fn spaced(text: &str, buffers: &mut Buffers) {
    buffers.now.push_str(text);
    cut_after_others(buffers);
    cut_before_others(buffers);
    cut_symbols(buffers);
}

/// Replacement 1: a match takes the character before and the punctuation.
fn cut_after_others(buffers: &mut Buffers) {
    let Buffers { now, next } = buffers;
    // Whether a character precedes that no match has taken and that is no number.
    let mut follows_other = false;
    for character in now.chars() {
        let found = category(character);
        if follows_other && found == Some(Category::Punctuation) {
            next.extend([' ', character, ' ']);
            follows_other = false;
        } else {
            next.push(character);
            follows_other = found != Some(Category::Number);
        }
    }
    buffers.turn();
}

/// Replacement 2: a match takes the punctuation and the character after it.
fn cut_before_others(buffers: &mut Buffers) {
    let Buffers { now, next } = buffers;
    let mut characters = now.chars().peekable();
    while let Some(character) = characters.next() {
        let is_matched = category(character) == Some(Category::Punctuation);
        let after =
            characters.next_if(|after| is_matched && category(*after) != Some(Category::Number));
        match after {
            Some(after) => next.extend([' ', character, ' ', after]),
            None => next.push(character),
        }
    }
    buffers.turn();
}

fn cut_symbols(buffers: &mut Buffers) {
    let Buffers { now, next } = buffers;
    for character in now.chars() {
        if category(character) == Some(Category::Symbol) {
            next.extend([' ', character, ' ']);
        } else {
            next.push(character);
        }
    }
    buffers.turn();
}
