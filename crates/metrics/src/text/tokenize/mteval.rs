//! The tokeniser of `mteval-v13a.pl`.
//!
//! Four replacements, as regular expressions:
//!
//! 1. ``([\{-\~\[-\` -\&\(-\+\:-\@\/])`` to ` \1 `
//! 2. `([^0-9])([\.,])` to `\1 \2 `
//! 3. `([\.,])([^0-9])` to ` \1 \2`
//! 4. `([0-9])(-)` to `\1 \2 `

use super::Buffers;

/// Leaves `text` in `buffers.now` with white space between its tokens.
pub(super) fn spaced(text: &str, buffers: &mut Buffers) {
    buffers.now.push(' ');
    if text.bytes().any(|byte| matches!(byte, b'<' | b'\n' | b'&')) {
        buffers.now.push_str(&unescaped(text));
    } else {
        buffers.now.push_str(text);
    }
    buffers.now.push(' ');
    punctuated(buffers);
}

/// Whether [`each_ascii`] cuts `text` as the replacements do: it is ASCII, and has
/// nothing that is taken out or un-escaped before.
pub(super) fn is_plain(text: &str) -> bool {
    text.is_ascii() && !text.bytes().any(|byte| matches!(byte, b'<' | b'\n' | b'&'))
}

/// Calls `visit` with each token of a [plain](is_plain) text, in one pass and
/// without writing a text anew.
///
/// Of the replacements is left: a symbol is a token. A full stop or comma is one
/// too, unless it stands between two digits; in a row of them every second one is
/// not taken by the second replacement, and the last of these stays with a digit
/// that follows it. A dash after a digit is a token.
pub(super) fn each_ascii(text: &str, mut visit: impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut start = 0;
    let mut at = 0;
    // Whether the stop before was taken by the second replacement.
    let mut is_taken = false;
    while at < bytes.len() {
        let kind = KINDS[usize::from(bytes[at])];
        if kind == WORD {
            at += 1;
            continue;
        }
        let is_token = match kind {
            SPACE | SYMBOL => true,
            DASH => at > 0 && digit(at - 1),
            _ => {
                let follows_stop = at > 0 && KINDS[usize::from(bytes[at - 1])] == STOP;
                is_taken = if follows_stop { !is_taken } else { at == 0 || !digit(at - 1) };
                is_taken || !digit(at + 1)
            }
        };
        if is_token {
            if start < at {
                visit(&text[start..at]);
            }
            if kind != SPACE {
                visit(&text[at..=at]);
            }
            start = at + 1;
        }
        at += 1;
    }
    if start < bytes.len() {
        visit(&text[start..]);
    }
}

const WORD: u8 = 0;
const SPACE: u8 = 1;
const SYMBOL: u8 = 2;
const STOP: u8 = 3;
const DASH: u8 = 4;

/// What each byte of ASCII is to the replacements.
const KINDS: [u8; 256] = {
    let mut kinds = [WORD; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        kinds[byte as usize] = match byte {
            b'\t'..=b'\r' | 0x1c..=b' ' => SPACE,
            b'.' | b',' => STOP,
            b'-' => DASH,
            _ if is_symbol(byte) => SYMBOL,
            _ => WORD,
        };
        byte += 1;
    }
    kinds
};

fn unescaped(text: &str) -> String {
    let joined = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let quoted = joined.replace("&quot;", "\"").replace("&amp;", "&");
    quoted.replace("&lt;", "<").replace("&gt;", ">")
}

/// The four replacements on `buffers.now`, also used for Chinese.
pub(super) fn punctuated(buffers: &mut Buffers) {
    cut_symbols(buffers);
    cut_stops_and_dashes(buffers);
}

/// Replacements 2 to 4.
pub(in crate::text) fn cut_stops_and_dashes(buffers: &mut Buffers) {
    if buffers.now.bytes().any(is_stop) {
        cut_after_others(buffers);
        cut_before_others(buffers);
    }
    if buffers.now.contains('-') {
        cut_dashes(buffers);
    }
}

const fn is_symbol(byte: u8) -> bool {
    // A space is in the class too, but more space changes nothing.
    matches!(byte, b'{'..=b'~' | b'['..=b'`' | b'!'..=b'&' | b'('..=b'+' | b':'..=b'@' | b'/')
}

const fn is_stop(byte: u8) -> bool {
    matches!(byte, b'.' | b',')
}

/// Replacement 1.
pub(in crate::text) fn cut_symbols(buffers: &mut Buffers) {
    let Buffers { now, next } = buffers;
    let mut copied = 0;
    for (at, byte) in now.bytes().enumerate().filter(|(_, byte)| is_symbol(*byte)) {
        next.push_str(&now[copied..at]);
        next.extend([' ', char::from(byte), ' ']);
        copied = at + 1;
    }
    next.push_str(&now[copied..]);
    buffers.turn();
}

/// Replacement 2: a match takes the character before and the stop, so that a
/// stop that was taken is not the character before the next one.
fn cut_after_others(buffers: &mut Buffers) {
    let Buffers { now, next } = buffers;
    let bytes = now.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().copied().enumerate().filter(|(_, byte)| is_stop(*byte)) {
        if copied < at && !bytes[at - 1].is_ascii_digit() {
            next.push_str(&now[copied..at]);
            next.extend([' ', char::from(byte), ' ']);
            copied = at + 1;
        }
    }
    next.push_str(&now[copied..]);
    buffers.turn();
}

/// Replacement 3: a match takes the stop and the character after it.
fn cut_before_others(buffers: &mut Buffers) {
    let Buffers { now, next } = buffers;
    let (mut copied, mut taken) = (0, 0);
    for (at, byte) in now.bytes().enumerate().filter(|(_, byte)| is_stop(*byte)) {
        let Some(after) = now[at + 1..].chars().next() else { continue };
        if taken <= at && !after.is_ascii_digit() {
            next.push_str(&now[copied..at]);
            next.extend([' ', char::from(byte), ' ']);
            copied = at + 1;
            taken = copied + after.len_utf8();
        }
    }
    next.push_str(&now[copied..]);
    buffers.turn();
}

fn cut_dashes(buffers: &mut Buffers) {
    let Buffers { now, next } = buffers;
    let mut copied = 0;
    for (at, _) in now.match_indices('-') {
        if copied < at && now.as_bytes()[at - 1].is_ascii_digit() {
            next.push_str(&now[copied..at]);
            next.push_str(" - ");
            copied = at + 1;
        }
    }
    next.push_str(&now[copied..]);
    buffers.turn();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::space;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_pass_gives_the_tokens_of_the_four_replacements(text in "[ab15.,\\- $\t']{0,24}") {
            let mut buffers = Buffers::default();
            spaced(&text, &mut buffers);
            let want: Vec<&str> = space::split(buffers.text()).collect();
            let mut found = Vec::new();
            each_ascii(&text, |token| found.push(token.to_owned()));
            prop_assert_eq!(found, want);
        }
    }
}
