//! Chinese characters apart, the rest as 13a without its entities.

use super::{Buffers, mteval};
use crate::text::space;

/// Leaves `text` in `buffers.now` with white space between its tokens.
pub(super) fn spaced(text: &str, buffers: &mut Buffers) {
    for character in space::trim(text).chars() {
        if is_chinese(character) {
            buffers.now.extend([' ', character, ' ']);
        } else {
            buffers.now.push(character);
        }
    }
    mteval::punctuated(buffers);
}

/// Whether sacrebleu stands the character alone.
///
/// Two of its ranges are meant to lie beyond the basic plane, but are written
/// with escapes that end after four digits: `U+2000` followed by a `0`, and so
/// on. Compared as strings they mean `U+2001..=U+2A6D` and `U+2F81..=U+2FA1`.
/// Scores are only comparable if the same characters stand alone here.
fn is_chinese(character: char) -> bool {
    matches!(character,
        '\u{2001}'..='\u{2a6d}'
        | '\u{2e80}'..='\u{2fdf}'
        | '\u{2ff0}'..='\u{303f}'
        | '\u{3100}'..='\u{312f}'
        | '\u{31a0}'..='\u{31bf}'
        | '\u{31c0}'..='\u{31ef}'
        | '\u{3200}'..='\u{4db5}'
        | '\u{4e00}'..='\u{9fbb}'
        | '\u{f900}'..='\u{fa2d}'
        | '\u{fa30}'..='\u{fa6a}'
        | '\u{fa70}'..='\u{fad9}'
        | '\u{fe10}'..='\u{fe1f}'
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ffef}')
}
