//! H9: folds header fields to lines of at most 998 octets (RFC 5322 2.1.1).

use mail::limits;

/// Bytes of the longest character (RFC 3629 3).
const CHARACTER: usize = 4;

/// Folds the field from `begin` to the end of `out` at white space, or after 998 bytes if there is none.
pub(crate) fn lines(out: &mut Vec<u8>, begin: usize) {
    let field = out.get(begin..).unwrap_or_default();
    if field.len() <= limits::LINE || !has_long_line(field) {
        return;
    }
    let field = out.split_off(begin);
    for line in field.split_inclusive(|&b| b == b'\n') {
        fold_line(line, out);
    }
}

fn has_long_line(field: &[u8]) -> bool {
    field.split(|&b| b == b'\n').any(|line| line.len() > limits::LINE + 1)
}

/// Folds `line`, which ends in CRLF. Blanks that would fill a line by themselves are dropped: at the end of the text, and between two
/// words that are more than a line apart.
fn fold_line(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line.trim_ascii_end();
    if line.len() <= limits::LINE + 2 {
        out.extend_from_slice(line);
        return;
    }
    if rest.is_empty() {
        // An empty line would end the header section.
        return;
    }
    let mut room = limits::LINE;
    while rest.len() > room {
        let blanks = rest.iter().take_while(|b| is_blank(b)).count();
        // The room has to take a whole character of text behind them.
        if blanks + CHARACTER > room {
            rest = rest.get(blanks - 1..).unwrap_or_default();
            continue;
        }
        let (head, tail) = rest.split_at(fold_point(rest, blanks, room));
        out.extend_from_slice(head);
        out.extend_from_slice(b"\r\n");
        room = limits::LINE;
        if !tail.first().is_some_and(is_blank) {
            out.push(b' ');
            room -= 1;
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\r\n");
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The position to break a line that starts with `blanks` blanks and ends in text: before the last white space after text, otherwise
/// after `room` bytes, but not within a UTF-8 character.
fn fold_point(rest: &[u8], blanks: usize, room: usize) -> usize {
    let window = rest.get(..=room).unwrap_or(rest);
    let is_boundary = |at: &usize| rest.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    match window.iter().enumerate().skip(blanks + 1).rev().find(|(_, byte)| is_blank(byte)) {
        Some((at, _)) => at,
        None => (room.saturating_sub(3)..=room).rev().find(is_boundary).unwrap_or(room),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(field: &str) -> String {
        let mut out = b"before\r\n".to_vec();
        let begin = out.len();
        out.extend_from_slice(field.as_bytes());
        lines(&mut out, begin);
        String::from_utf8(out.split_off(begin)).unwrap()
    }

    #[test]
    fn h9_lines_of_up_to_998_bytes_are_untouched() {
        for field in ["A: b\r\n".to_owned(), format!("A:{}\r\n", "x".repeat(996)), format!("A: b\r\n {}\r\n", "x ".repeat(498))] {
            assert_eq!(folded(&field), field);
        }
    }

    #[test]
    fn h9_longer_ones_are_folded_at_white_space_else_hard() {
        for field in [
            format!("A: {}\r\n", "word ".repeat(1000)),
            format!("A: {}\r\n", "x".repeat(5000)),
            format!("A: {}\r\n b\r\n", "ü".repeat(3000)),
            format!("A: {} x\r\n", " ".repeat(3000)),
            format!("A: x{}\r\n", " ".repeat(3000)),
            format!("A:{}\r\n", "x".repeat(997)),
            format!("A: b\r\n{}\r\n c\r\n", " ".repeat(3000)),
            format!("A: b{}c\r\n", " ".repeat(3000)),
            format!("A:{}\r\n", " ".repeat(3000)),
        ] {
            let out = folded(&field);
            for (number, line) in out.split_terminator("\r\n").enumerate() {
                assert!(line.len() <= limits::LINE, "{} bytes", line.len());
                assert!(number == 0 || line.starts_with([' ', '\t']), "{line:?}");
                assert!(!line.trim().is_empty(), "a line of blanks");
            }
            assert!(out.ends_with("\r\n"));
            let text = |field: &str| field.replace("\r\n", "").replace(' ', "");
            assert_eq!(text(&out), text(&field));
        }
        for (blanks, text) in (990..1000).flat_map(|blanks| ["z", "ü", "\u{1f600}"].map(|text| (blanks, text))) {
            let out = folded(&format!("A: b\r\n{}{text}\r\n", " ".repeat(blanks)));
            assert!(out.split_terminator("\r\n").all(|line| line.len() <= limits::LINE && !line.trim().is_empty()), "{blanks} {text}");
        }
        let text = format!("A: {}end", "word ".repeat(1000));
        assert_eq!(folded(&format!("{text}\r\n")).replace("\r\n", ""), text, "nothing but line ends was added");
    }

    /// Found by the property below: 998 blanks before the text filled a line of their own. The same happened where a character of
    /// several bytes began on the last byte of the line.
    #[test]
    fn h9_blanks_that_fill_a_line_do_not_become_one() {
        for text in ["z", "ü", "€", "😀", "zz", "üz"] {
            for blanks in 990..1003 {
                for word in [1, 20, 994, 996, 998, 1500] {
                    let field = format!("A: b\r\n {}{}{text}\r\n", "x".repeat(word), " ".repeat(blanks));
                    let inner = format!("A: b\r\n{}{text}{}\r\n", " ".repeat(blanks), "x".repeat(word));
                    for out in [folded(&field), folded(&inner)] {
                        assert!(out.split_terminator("\r\n").all(|line| !line.trim().is_empty()), "{text} after {blanks} blanks, {word} x");
                    }
                }
            }
        }
        // The input that proptest found.
        let field = format!("A: A{}{}z\r\n", "AüüüüüA!Aa!!!Aü!A!!A0!üa!ü!AüaüüAü0!AüA".repeat(55), " ".repeat(1127));
        assert!(folded(&field).split_terminator("\r\n").all(|line| !line.trim().is_empty()));
    }

    proptest::proptest! {
        /// Folding adds only line ends and the blank after them, and removes only blanks at line ends.
        #[test]
        fn h9_no_byte_but_blanks_is_lost_or_added(
            words in proptest::collection::vec(("[!-~ü]{1,40}", 1..80usize, "([ \t]{1,3}|\r\n[ \t]{1,2})?"), 1..6),
            blanks in 0..2100usize,
        ) {
            let text: String = words.iter().map(|(word, count, after)| word.repeat(*count) + after).collect();
            let field = format!("A: {text}{}z\r\n", " ".repeat(blanks));
            let out = folded(&field);
            let visible = |text: &str| text.chars().filter(|c| !" \t\r\n".contains(*c)).collect::<String>();
            proptest::prop_assert_eq!(visible(&out), visible(&field));
            for (number, line) in out.split_terminator("\r\n").enumerate() {
                proptest::prop_assert!(line.len() <= limits::LINE && !line.contains(['\r', '\n']), "{:?}", line);
                proptest::prop_assert!(number == 0 || line.starts_with([' ', '\t']) && !line.trim().is_empty(), "{:?}", line);
            }
        }
    }
}
