//! RFC 2047 encoded words, for raw 8-bit text in header fields (SENDMAIL.md H6) and for display names (H3).
//!
//! In: text as words, with the blanks before each. Out: the same text, every run of 8-bit words encoded, everything else as it was.
//! Text that is UTF-8 is labelled so; other octets are labelled `unknown-8bit` (RFC 1428) and kept. Pure.

/// RFC 2047 2: characters of one encoded word.
const WORD: usize = 75;
/// RFC 2047 2: characters of a line that holds encoded words.
const LINE: usize = 76;
/// A run that would begin behind this column begins on a line of its own.
const LATE: usize = 50;

/// A word of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// The blanks and folds before it.
    pub blanks: &'a [u8],
    /// The text in the field.
    pub raw: &'a [u8],
    /// As it reads: without quotes and quoting backslashes.
    pub text: Vec<u8>,
}

impl Word<'_> {
    fn is_8bit(&self) -> bool {
        !self.raw.is_ascii()
    }

    fn is_encoded(&self) -> bool {
        self.raw.starts_with(b"=?") && self.raw.ends_with(b"?=")
    }
}

/// The words of unstructured text (RFC 5322 3.2.5), and the blanks that end it.
pub fn words(text: &[u8]) -> (Vec<Word<'_>>, &[u8]) {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        let blank = rest.iter().take_while(|b| is_blank(**b)).count();
        let (blanks, word) = rest.split_at(blank);
        let (raw, after) = word.split_at(word.iter().take_while(|b| !is_blank(**b)).count());
        if raw.is_empty() {
            return (words, blanks);
        }
        words.push(Word { blanks, raw, text: raw.to_vec() });
        rest = after;
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Appends `words` to `out`, which holds the field so far.
pub fn write(words: &[Word], out: &mut Vec<u8>) {
    let mut rest = words;
    let mut after_encoded = false;
    while let Some((first, tail)) = rest.split_first() {
        if !first.is_8bit() {
            out.extend_from_slice(first.blanks);
            out.extend_from_slice(first.raw);
            (after_encoded, rest) = (first.is_encoded(), tail);
            continue;
        }
        let length = rest.iter().take_while(|word| word.is_8bit()).count();
        let (run, tail) = rest.split_at(length);
        let before_encoded = tail.first().is_some_and(Word::is_encoded);
        let text = text_of(run, after_encoded, before_encoded.then(|| tail.first().map_or(&b""[..], |word| word.blanks)));
        let form = Form::of(&text);
        begin_run(first.blanks, &form, out);
        write_run(&form, out);
        (after_encoded, rest) = (true, tail);
    }
}

/// The text of a run. A reader drops the blanks between two encoded words (RFC 2047 6.2), so those that stand beside one that was
/// already there are encoded too.
fn text_of(run: &[Word], after_encoded: bool, blanks_after: Option<&[u8]>) -> Vec<u8> {
    let mut text = Vec::new();
    let unfolded = |blanks: &[u8], text: &mut Vec<u8>| text.extend(blanks.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')));
    for (at, word) in run.iter().enumerate() {
        if at > 0 || after_encoded {
            unfolded(word.blanks, &mut text);
        }
        text.extend_from_slice(&word.text);
    }
    unfolded(blanks_after.unwrap_or_default(), &mut text);
    text
}

/// How a run is written.
struct Form<'a> {
    text: &'a [u8],
    /// The text again, if it is UTF-8.
    utf8: Option<&'a str>,
    charset: &'static str,
    base64: bool,
    /// Bytes of it as one encoded word.
    length: usize,
}

impl<'a> Form<'a> {
    fn of(text: &'a [u8]) -> Form<'a> {
        let utf8 = std::str::from_utf8(text).ok();
        let charset = if utf8.is_some() { "utf-8" } else { "unknown-8bit" };
        let quoted: usize = text.iter().map(|&b| q_cost(b)).sum();
        let encoded = text.len().div_ceil(3) * 4;
        // Q stays readable to a person; B wins where it is much shorter.
        let base64 = quoted * 2 > encoded * 3;
        Form { text, utf8, charset, base64, length: frame(charset) + if base64 { encoded } else { quoted } }
    }
}

/// Bytes of an encoded word beside its text.
fn frame(charset: &str) -> usize {
    charset.len() + "=??B??=".len()
}

/// Writes the blanks before a run, on a new line if the run would be broken in two here and not there: readers exist that show a
/// blank between two encoded words. Never before a fold that is there already, nor directly after the name of the field: a line
/// of blanks would stand between.
fn begin_run(blanks: &[u8], form: &Form, out: &mut Vec<u8>) {
    let column = column(out);
    let wants_line = column + blanks.len() + form.length > LINE && (form.length <= WORD || column > LATE);
    let after_name = matches!(out.last(), Some(b':'));
    match blanks.first() {
        Some(b' ' | b'\t') if wants_line && !after_name && !blanks.contains(&b'\n') => out.extend_from_slice(b"\r\n"),
        None if wants_line && matches!(out.as_slice(), [.., text, b' ' | b'\t'] if !matches!(text, b':' | b'\n' | b' ' | b'\t')) => {
            // The blank was written with what stands before the run.
            out.pop();
            out.extend_from_slice(b"\r\n ");
        }
        _ => {}
    }
    out.extend_from_slice(blanks);
}

/// The column after `out`, or some number behind [`LINE`]: a whole line of a hostile header is not looked through for each word.
fn column(out: &[u8]) -> usize {
    let tail = out.get(out.len().saturating_sub(2 * LINE)..).unwrap_or_default();
    memchr::memrchr(b'\n', tail).map_or(tail.len(), |at| tail.len() - at - 1)
}

/// Encodes the text into as many words as it needs, folded between them. No character is split (RFC 2047 5).
fn write_run(form: &Form, out: &mut Vec<u8>) {
    let Form { text, utf8, charset, base64, .. } = *form;
    let frame = frame(charset);
    let mut room = LINE.saturating_sub(column(out)).clamp(frame + 12, WORD) - frame;
    let mut piece: Vec<u8> = Vec::new();
    let mut used = 0;
    let mut begin = 0;
    while let Some(character) = next_character(text, utf8, begin) {
        let cost: usize = character.iter().map(|&b| q_cost(b)).sum();
        let full = if base64 { (piece.len() + character.len()).div_ceil(3) * 4 > room } else { used + cost > room };
        if full && !piece.is_empty() {
            write_word(charset, base64, &piece, out);
            out.extend_from_slice(b"\r\n ");
            piece.clear();
            (used, room) = (0, WORD - frame);
        }
        piece.extend_from_slice(character);
        used += cost;
        begin += character.len();
    }
    write_word(charset, base64, &piece, out);
}

/// The bytes of the character at `begin`, which is a boundary.
fn next_character<'a>(text: &'a [u8], utf8: Option<&str>, begin: usize) -> Option<&'a [u8]> {
    let length = utf8.and_then(|utf8| utf8.get(begin..)?.chars().next()).map_or(1, char::len_utf8);
    text.get(begin..begin + length).filter(|character| !character.is_empty())
}

/// Characters that an octet takes in the Q encoding. The set is the one for display names (RFC 2047 5 (3)), safe everywhere.
fn q_cost(byte: u8) -> usize {
    if byte == b' ' || is_q_safe(byte) { 1 } else { 3 }
}

fn is_q_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'*' | b'+' | b'-' | b'/')
}

fn write_word(charset: &str, base64: bool, piece: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"=?");
    out.extend_from_slice(charset.as_bytes());
    out.extend_from_slice(if base64 { b"?B?" } else { b"?Q?" });
    if base64 {
        write_base64(piece, out);
    } else {
        for &byte in piece {
            match byte {
                b' ' => out.push(b'_'),
                byte if is_q_safe(byte) => out.push(byte),
                byte => out.extend_from_slice(format!("={byte:02X}").as_bytes()),
            }
        }
    }
    out.extend_from_slice(b"?=");
}

/// RFC 4648 4.
fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4u32 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            let known = digit as usize <= group.len();
            out.push(if known { ALPHABET.get(value).copied().unwrap_or(b'=') } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &[u8]) -> String {
        let mut out = b"Subject:".to_vec();
        let (words, end) = words(text);
        write(&words, &mut out);
        out.extend_from_slice(end);
        assert!(out.is_ascii());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn h6_runs_of_8_bit_words_are_encoded_and_the_rest_is_untouched() {
        for (text, field) in [
            (" plain  text\r\n", "Subject: plain  text\r\n"),
            (" Grüße an alle\r\n", "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= an alle\r\n"),
            (" 3 € für dich\r\n", "Subject: 3 =?utf-8?Q?=E2=82=AC_f=C3=BCr?= dich\r\n"),
            ("\r\n Grüße\r\n", "Subject:\r\n =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"),
            (" =?utf-8?q?a?= ü =?utf-8?q?b?=\r\n", "Subject: =?utf-8?q?a?= =?utf-8?Q?_=C3=BC_?= =?utf-8?q?b?=\r\n"),
            (" =?=\u{fc}\r\n", "Subject: =?utf-8?B?PT89w7w=?=\r\n"),
        ] {
            assert_eq!(encoded(text.as_bytes()), field, "{text:?}");
        }
        assert_eq!(encoded(b" Gr\xfc\xdfe ok\r\n"), "Subject: =?unknown-8bit?Q?Gr=FC=DFe?= ok\r\n");
    }

    #[test]
    fn h6_no_line_of_blanks_is_made_where_a_fold_stands_already() {
        let field = encoded(format!(" {}  \r\n ü\r\n", "a".repeat(60)).as_bytes());
        assert!(field.trim_end().split("\r\n").all(|line| !line.trim().is_empty()), "{field:?}");
    }

    #[test]
    fn h6_words_and_lines_are_short_and_no_character_is_split() {
        for text in ["ü".repeat(500), "日本語".repeat(90), format!("{} ü", "a".repeat(60)), "aü ".repeat(200)] {
            let field = encoded(format!(" {text}\r\n").as_bytes());
            let mut decoded = String::new();
            for line in field.trim_end().split("\r\n") {
                assert!(line.len() <= LINE || !line.contains("=?"), "{line}");
                for word in line.split(' ').filter(|word| word.starts_with("=?")) {
                    assert!(word.len() <= WORD, "{word}");
                    decoded.push_str(&decode(word));
                }
            }
            let expected: Vec<&str> = text.split(' ').filter(|word| !word.is_ascii()).collect();
            assert_eq!(decoded, expected.join(" "));
        }
    }

    #[test]
    fn h6_a_run_that_fits_is_whole_and_begins_a_line_only_where_it_must() {
        let word = "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=";
        for n in 1..=100 {
            let before = "a".repeat(n);
            let gap = if format!("Subject: {before} {word}").len() <= LINE { " " } else { "\r\n " };
            assert_eq!(encoded(format!(" {before} Grüße\r\n").as_bytes()), format!("Subject: {before}{gap}{word}\r\n"));
        }
    }

    #[test]
    fn h6_the_column_counts_from_the_last_fold_and_a_line_may_be_full() {
        let word = "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=";
        for n in 1..=100 {
            let before = "a".repeat(n);
            let gap = if format!(" {before} {word}").len() <= LINE { " " } else { "\r\n " };
            let field = encoded(format!(" {}\r\n {before} Grüße\r\n", "b".repeat(30)).as_bytes());
            assert!(field.ends_with(&format!("\r\n {before}{gap}{word}\r\n")), "{field}");
        }
        let lines = |n: usize| encoded(format!(" ü{}\r\n", "a".repeat(n)).as_bytes()).split("\r\n").map(str::len).collect::<Vec<_>>();
        assert_eq!(lines(49), [LINE, 0]);
        assert_eq!(lines(50)[0], LINE);
        assert_eq!(lines(50).len(), 3);
    }

    #[test]
    fn h6_a_long_run_fills_its_words() {
        for (text, most) in [("ü".repeat(100), 2), ("aaaaaaaaaü".repeat(20), 6), ("日本語".repeat(40), 3)] {
            let field = encoded(format!(" {text}\r\n").as_bytes());
            let lines: Vec<&str> = field.trim_end().split("\r\n").collect();
            assert!(lines.len() > 3);
            for (at, line) in lines.iter().enumerate() {
                let limit = if at == 0 { LINE } else { WORD + 1 };
                let has_room_for_another = line.len() + most.max(4) < limit;
                assert!(line.len() <= limit && (at + 1 == lines.len() || !has_room_for_another), "{line}");
            }
            let decoded: String = lines.iter().map(|line| decode(line.trim_start_matches("Subject:").trim())).collect();
            assert_eq!(decoded, text);
        }
    }

    #[test]
    fn h6_a_run_late_in_a_line_begins_the_next_and_an_early_one_is_broken_where_it_stands() {
        let long = "ü".repeat(60);
        let early = encoded(format!(" ab {long}\r\n").as_bytes());
        assert!(early.starts_with("Subject: ab =?utf-8?B?"), "{early}");
        let late = encoded(format!(" {} {long}\r\n", "a".repeat(50)).as_bytes());
        assert!(late.starts_with(&format!("Subject: {}\r\n =?utf-8?B?", "a".repeat(50))), "{late}");
    }

    #[test]
    fn h3_a_run_without_blanks_of_its_own_takes_the_blank_before_it_to_the_next_line() {
        let of = |start: &str| {
            let mut out = start.as_bytes().to_vec();
            write(&[Word { blanks: b"", raw: "Grüße".as_bytes(), text: "Grüße".into() }], &mut out);
            String::from_utf8(out).unwrap()
        };
        let (long, word) = ("a".repeat(60), "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=");
        assert_eq!(of(&format!("From: {long} ")), format!("From: {long}\r\n {word}"));
        assert_eq!(of("From: a "), format!("From: a {word}"));
        // Elsewhere a line of blanks, or a word torn in two, would come of it.
        for start in [format!("{long}: "), format!("{long}\r\n "), format!("{long}  "), long] {
            let written = of(&start);
            assert!(written.starts_with(&format!("{start}=?utf-8?Q?Gr=C3=BC")), "{written:?}");
        }
    }

    fn decode(word: &str) -> String {
        let parts: Vec<&str> = word.split('?').collect();
        let bytes = match parts[2] {
            "Q" => {
                let mut out = Vec::new();
                let mut bytes = parts[3].bytes();
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'_' => out.push(b' '),
                        b'=' => {
                            let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                            out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
                        }
                        byte => out.push(byte),
                    }
                }
                out
            }
            _ => {
                let value = |b: u8| match b {
                    b'A'..=b'Z' => b - b'A',
                    b'a'..=b'z' => b - b'a' + 26,
                    b'0'..=b'9' => b - b'0' + 52,
                    b'+' => 62,
                    _ => 63,
                };
                let digits: Vec<u8> = parts[3].bytes().filter(|&b| b != b'=').map(value).collect();
                let bits: Vec<u8> = digits.iter().flat_map(|d| (0..6).rev().map(move |bit| d >> bit & 1)).collect();
                bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect()
            }
        };
        String::from_utf8(bytes).unwrap()
    }
}
