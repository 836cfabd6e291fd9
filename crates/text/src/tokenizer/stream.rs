//! Token ids to text, as they arrive.

use super::pieces::Pieces;

/// Turns ids into text one at a time and never gives half a character.
///
/// All that [`push`](Decoder::push) and [`finish`](Decoder::finish) return,
/// joined, is what [`Tokenizer::decode`](super::Tokenizer::decode) gives.
pub struct Decoder<'a> {
    pieces: &'a Pieces,
    /// Bytes that may be the beginning of a character: at most three.
    pending: Vec<u8>,
    at_start: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(pieces: &'a Pieces) -> Self {
        Self { pieces, pending: Vec::new(), at_start: true }
    }

    /// The text that `id` completes. A control token adds none.
    pub fn push(&mut self, id: u32) -> String {
        if self.pieces.is_control(id) {
            return String::new();
        }
        let mut piece = self.pieces.bytes(id);
        if self.at_start && !piece.is_empty() {
            self.at_start = false;
            if self.pieces.drops_first_space() {
                piece = piece.strip_prefix(b" ").unwrap_or(piece);
            }
        }
        self.pending.extend(piece);
        let whole = self.pending.len() - unfinished(&self.pending);
        let text = String::from_utf8_lossy(&self.pending[..whole]).into_owned();
        self.pending.drain(..whole);
        text
    }

    /// What is left when no more ids come: nothing, or U+FFFD for a character
    /// that was never finished.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

/// How many bytes at the end may still become a character.
fn unfinished(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        // The last chunk's invalid part is a prefix of a character if more
        // bytes could complete it.
        Some(chunk) if may_continue(chunk.invalid()) => chunk.invalid().len(),
        _ => 0,
    }
}

/// Whether `bytes` is a proper, valid beginning of one character.
fn may_continue(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => false,
        Err(error) => error.valid_up_to() == 0 && error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::pieces::{Role, Spelling};
    use super::super::spellings::Spellings;
    use super::*;

    /// One token for each byte.
    fn byte_pieces() -> Pieces {
        let tokens = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
        let (spellings, roles) = (Spellings::new(tokens.collect()), vec![Role::Normal; 256]);
        let spelling = Spelling::SentencePiece { drops_first_space: false };
        Pieces::new(Arc::new(spellings), roles, spelling)
    }

    proptest! {
        #[test]
        fn any_bytes_come_out_as_the_whole_would(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let pieces = byte_pieces();
            let mut decoder = Decoder::new(&pieces);
            let mut text: String = bytes.iter().map(|&byte| decoder.push(byte.into())).collect();
            text.push_str(&decoder.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn a_character_comes_out_at_its_last_byte(text in "\\PC{0,20}") {
            let pieces = byte_pieces();
            let mut decoder = Decoder::new(&pieces);
            for c in text.chars() {
                let mut buffer = [0; 4];
                let bytes = c.encode_utf8(&mut buffer).as_bytes();
                let (last, first) = bytes.split_last().unwrap();
                for &byte in first {
                    prop_assert_eq!(decoder.push(byte.into()), "");
                }
                prop_assert_eq!(decoder.push((*last).into()), c.to_string());
            }
            prop_assert_eq!(decoder.finish(), "");
        }
    }
}
