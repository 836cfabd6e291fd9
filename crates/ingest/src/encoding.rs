//! Bytes to text: the encoding that the file states, or the likeliest one.

use chardetng::EncodingDetector;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Text, and how it came about.
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// Whether the text is byte for byte the input.
    pub(crate) is_original: bool,
    pub(crate) warning: Option<String>,
}

/// Decodes `bytes`. `None` means that they are not text.
///
/// UTF-8 is kept as it is, a byte order mark included. Then a byte order mark,
/// a stated `charset` or `encoding`, and the statistics of the bytes decide.
pub(crate) fn decode(bytes: &[u8]) -> Option<Decoded> {
    let utf16 = utf16_of(bytes);
    if utf16.is_none()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return is_text(text).then(|| Decoded {
            text: text.to_owned(),
            is_original: true,
            warning: None,
        });
    }
    if utf16.is_none() && bytes.contains(&0) {
        return None;
    }
    let (encoding, stated) = match utf16.or_else(|| stated_encoding(bytes)) {
        Some(encoding) => (encoding, true),
        None => (guess(bytes), false),
    };
    let (text, encoding, is_broken) = encoding.decode(bytes);
    if !is_text(&text) {
        return None;
    }
    let name = encoding.name();
    let warning = match (stated, is_broken) {
        (true, false) => None,
        (false, false) => Some(format!("the encoding is not stated; read as {name}")),
        (_, true) => Some(format!("some bytes are not valid {name}")),
    };
    Some(Decoded { text: text.into_owned(), is_original: false, warning })
}

/// Whether there are hardly any control characters in the first characters.
fn is_text(text: &str) -> bool {
    let (mut all, mut odd) = (0_usize, 0_usize);
    for c in text.chars().take(8192) {
        all += 1;
        // Terminals and manual pages use backspace, escape and form feed.
        let is_odd =
            c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{8}' | '\u{c}' | '\u{1b}');
        odd += usize::from(is_odd || c == '\u{fffd}');
    }
    !text.contains('\0') && odd * 20 <= all
}

/// UTF-16 by its mark, or by zero bytes on one side of every pair only.
fn utf16_of(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [0xff, 0xfe, ..] => return Some(UTF_16LE),
        [0xfe, 0xff, ..] => return Some(UTF_16BE),
        _ => {}
    }
    let head = &bytes[..bytes.len().min(4096) / 2 * 2];
    let pairs = head.len() / 2;
    let zeros = |at: usize| head.iter().skip(at).step_by(2).filter(|&&byte| byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    if pairs < 4 {
        None
    } else if first == 0 && second * 10 > pairs * 7 {
        Some(UTF_16LE)
    } else if second == 0 && first * 10 > pairs * 7 {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// What `charset=` or `encoding=` says in the first kilobyte.
fn stated_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes[..bytes.len().min(1024)].to_ascii_lowercase();
    let head = String::from_utf8_lossy(&head);
    if !head.trim_start().starts_with('<') {
        return None;
    }
    let at = ["charset", "encoding"].iter().find_map(|key| Some(head.find(key)? + key.len()))?;
    let value = head[at..].trim_start().strip_prefix('=')?.trim_start_matches(['"', '\'', ' ']);
    let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:".contains(c))?;
    // Bytes that are not UTF-8 are not, whatever the file says.
    Encoding::for_label(&value.as_bytes()[..end]).filter(|&encoding| encoding != UTF_8)
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(None, chardetng::Utf8Detection::Deny)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], want: &str, is_original: bool) {
        let decoded = decode(bytes).expect("text");
        assert_eq!(decoded.text, want);
        assert_eq!(decoded.is_original, is_original);
    }

    #[test]
    fn utf_8_is_kept_with_its_mark() {
        check("\u{feff}naïve".as_bytes(), "\u{feff}naïve", true);
    }

    #[test]
    fn utf_16_is_read_with_and_without_a_mark() {
        let le: Vec<u8> = "\u{feff}Größe 10".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&le, "Größe 10", false);
        let be: Vec<u8> = "Plain words".encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&be, "Plain words", false);
        check(&le[2..], "Größe 10", false);
    }

    #[test]
    fn windows_1252_is_guessed() {
        let text =
            "Das Geb\u{e4}ude f\u{fc}r \u{201e}gro\u{df}e\u{201c} M\u{e4}nner kostet 5 \u{20ac}.";
        let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(text);
        check(&bytes, text, false);
        assert!(decode(&bytes).unwrap().warning.unwrap().contains("windows-1252"));
    }

    #[test]
    fn shift_jis_is_guessed() {
        let text = "日本語の文章です。これは文字コードの試験です。カタカナもあります。";
        let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(text);
        check(&bytes, text, false);
    }

    #[test]
    fn a_stated_encoding_wins() {
        let html = b"<html><meta charset=\"iso-8859-2\"><p>\xb1\xe6</p>";
        assert!(decode(html).unwrap().text.contains("ąć"));
    }

    #[test]
    fn bytes_of_a_program_are_not_text() {
        assert!(decode(b"\x7fELF\x02\x01\x01\0\0\0\0").is_none());
        assert!(decode(&[1, 2, 3, 4, 5, 6, 7]).is_none());
    }
}
