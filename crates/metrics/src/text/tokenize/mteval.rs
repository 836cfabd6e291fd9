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
