//! The bytes that each token id stands for.

use std::collections::HashMap;
use std::sync::Arc;

use super::spellings::Spellings;

/// How the spelling of a token in the vocabulary stands for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Each character stands for one byte, by GPT-2's table.
    ByteLevel,
    /// U+2581 stands for a space, `<0x0A>` for one byte.
    SentencePiece {
        /// Whether the space before the first word is not part of the text.
        drops_first_space: bool,
    },
    /// `##` continues a word; a token without it begins one.
    WordPiece,
    /// As spelt.
    Literal,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Normal,
    /// Text that is matched as a whole and spelt literally.
    Added,
    /// Structure, not text.
    Control,
}

/// Bytes and role by id.
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// End of each piece in `bytes`; it begins where the one before ends.
    ends: Vec<usize>,
    roles: Vec<Role>,
    spellings: Arc<Spellings>,
    spelling: Spelling,
}

impl Pieces {
    /// From the vocabulary and the roles in the order of ids, one each.
    pub(super) fn new(spellings: Arc<Spellings>, roles: Vec<Role>, spelling: Spelling) -> Self {
        let table = byte_of_char();
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(roles.len()));
        for (token, role) in spellings.iter().zip(&roles) {
            match (role, spelling) {
                (Role::Added | Role::Control, _) | (_, Spelling::Literal) => {
                    bytes.extend(token.as_bytes());
                }
                (Role::Normal, Spelling::ByteLevel) => spell_bytes(token, &table, &mut bytes),
                (Role::Normal, Spelling::SentencePiece { .. }) => match byte_token(token) {
                    Some(byte) => bytes.push(byte),
                    None => bytes.extend(token.replace('\u{2581}', " ").as_bytes()),
                },
                (Role::Normal, Spelling::WordPiece) => match token.strip_prefix("##") {
                    Some(rest) => bytes.extend(rest.as_bytes()),
                    None => bytes.extend(format!(" {token}").as_bytes()),
                },
            }
            ends.push(bytes.len());
        }
        bytes.shrink_to_fit();
        Self { bytes, ends, roles, spellings, spelling }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else { return &[] };
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..end]
    }

    pub(super) fn is_control(&self, id: u32) -> bool {
        self.roles.get(id as usize) == Some(&Role::Control)
    }

    pub(super) fn control_ids(&self) -> impl Iterator<Item = u32> {
        (0_u32..).zip(&self.roles).filter(|(_, role)| **role == Role::Control).map(|(id, _)| id)
    }

    /// The id that the vocabulary spells like this, the last if there are several.
    pub(super) fn find(&self, spelling: &str) -> Option<u32> {
        self.spellings.find(spelling)
    }

    /// Whether a space at the very beginning of a decoded text is an artefact.
    pub(super) fn drops_first_space(&self) -> bool {
        match self.spelling {
            Spelling::SentencePiece { drops_first_space } => drops_first_space,
            Spelling::WordPiece => true,
            Spelling::ByteLevel | Spelling::Literal => false,
        }
    }
}

/// The byte that a token such as `<0x0A>` stands for.
pub(super) fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

fn spell_bytes(token: &str, table: &HashMap<char, u8>, out: &mut Vec<u8>) {
    for c in token.chars() {
        match table.get(&c) {
            Some(&byte) => out.push(byte),
            None => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// GPT-2's table: printable Latin-1 bytes stand for themselves, the others
/// are numbered from U+0100. Radford et al. 2019, `encoder.py`.
fn byte_of_char() -> HashMap<char, u8> {
    let mut next = 0x100_u32..;
    (0..=u8::MAX)
        .map(|byte| match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => (char::from(byte), byte),
            _ => {
                let code = next.next().expect("the range has no end");
                (char::from_u32(code).expect("at most 68 are taken, none a surrogate"), byte)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_level_spellings_stand_for_every_byte_once() {
        let table = byte_of_char();
        let mut bytes: Vec<u8> = table.values().copied().collect();
        bytes.sort_unstable();
        assert!(bytes.into_iter().eq(0..=255));
        assert_eq!((table[&'\u{120}'], table[&'\u{10a}'], table[&'a']), (b' ', b'\n', b'a'));
    }

    #[test]
    fn sentencepiece_spellings_hold_spaces_and_bytes() {
        let spelling = Spelling::SentencePiece { drops_first_space: false };
        let spellings = Spellings::new(["\u{2581}a", "<0xE2>", "<0x>"].into_iter().collect());
        let pieces = Pieces::new(Arc::new(spellings), vec![Role::Normal; 3], spelling);
        assert_eq!(pieces.bytes(0), b" a");
        assert_eq!(pieces.bytes(1), [0xe2]);
        assert_eq!(pieces.bytes(2), b"<0x>");
        assert_eq!(pieces.bytes(3), b"");
    }
}
