//! What the fuzz targets share: an installation of their own, a way to run a program's entry point in this process, and a judge of
//! spool files that does not ask the code that wrote them.
//!
//! A target panics where a promise is broken; whatever panics is a find. `fuzz/run` starts the targets, each in a mount namespace
//! whose prefix is an empty tmpfs. See docs/FUZZING.md.

pub mod installation;
pub mod judge;
pub mod process;

/// The first `N` bytes, which steer a target, and the rest.
pub fn steered<const N: usize>(data: &[u8]) -> Option<([u8; N], &[u8])> {
    let (steer, rest) = data.split_first_chunk::<N>()?;
    Some((*steer, rest))
}

/// What `{` stands for in the input of some targets: long lines should cost the fuzzer one byte.
const LONG: [u8; 400] = [b'x'; 400];

/// The text with each `{` as 400 bytes.
pub fn widened(text: &[u8]) -> Vec<u8> {
    text.split(|&byte| byte == b'{').collect::<Vec<_>>().join(&LONG[..])
}

/// True for text that may go to a terminal and a log: no control character but the line feed, no bidi control, no line separator.
pub fn is_printable(text: &str) -> bool {
    text.chars()
        .all(|c| c == '\n' || !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}
