//! Makes hostile text safe to show (THREATS T-OUT-1): the output has no C0, DEL, C1, bidi control or line separator,
//! so it can neither control a terminal nor forge a log line.

use std::borrow::Cow;

/// `text` with every unsafe character written as `\x1b` or `\u{202e}`; the backslash itself is left alone, because nothing
/// parses this form back.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_safe(c) {
            out.push(c);
        } else if u32::from(c) < 0x100 {
            out.push_str(&format!("\\x{:02x}", u32::from(c)));
        } else {
            out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        }
    }
    out
}

/// `text` itself if it is safe already, which nearly all of it is, else as [`text`] writes it.
pub fn safe(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_safe) { Cow::Borrowed(text) } else { Cow::Owned(self::text(text)) }
}

/// `bytes` as text (invalid UTF-8 becomes U+FFFD), made safe.
pub fn bytes(bytes: &[u8]) -> String {
    text(&String::from_utf8_lossy(bytes))
}

/// `text` with every unsafe character shown as `?`, for columns whose width matters (SENDMAIL.md Q2).
pub fn column(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_safe) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if is_safe(c) { c } else { '?' }).collect()
}

/// A number with its noun: `1 thing`, `2 things`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// True for a character that only ever shows itself.
fn is_safe(c: char) -> bool {
    matches!(c, ' '..='~')
        || !(c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_noun_that_fits() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "thing")), ["0 things", "1 thing", "2 things"]);
    }

    #[test]
    fn t_out_1_each_range_of_unsafe_characters_is_unsafe_from_its_first_to_its_last() {
        for c in
            ['\0', '\x1f', '\x7f', '\u{80}', '\u{9f}', '\u{200e}', '\u{200f}', '\u{61c}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}']
        {
            assert!(!is_safe(c), "{:x}", u32::from(c));
        }
        for c in [' ', '~', '\\', '\u{a0}', '\u{200d}', '\u{2010}', '\u{2065}', '\u{206a}', '\u{fefe}', '\u{1f600}'] {
            assert!(is_safe(c), "{:x}", u32::from(c));
        }
    }

    #[test]
    fn t_out_1_escape_sequences_bidi_and_line_breaks_are_shown_not_sent() {
        assert_eq!(text("a\x1b[2Jb\r\nc\u{202e}d\u{9b}"), "a\\x1b[2Jb\\x0d\\x0ac\\u{202e}d\\x9b");
        assert_eq!(bytes(b"\xff\x00ok"), "\u{fffd}\\x00ok");
        assert_eq!(column("a\tb"), "a?b");
        assert!(matches!(column("Grüße"), Cow::Borrowed("Grüße")));
        assert_eq!(text("\x00\x7f\u{80}\u{ff}\u{feff}"), "\\x00\\x7f\\x80\u{ff}\\u{feff}");
        assert_eq!(text("Grüße"), "Grüße");
        assert!(matches!(safe("Grüße"), Cow::Borrowed("Grüße")));
        assert_eq!(safe("a\u{2066}b\n"), "a\\u{2066}b\\x0a");
    }
}
