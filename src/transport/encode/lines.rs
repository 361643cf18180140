//! The lines of a body, from memory or from a private file, without a copy where that can be.
//!
//! A line may be as long as the message; over [`LONG`] bytes it comes in several fragments, so that memory stays bounded.

use std::io;
use std::os::unix::fs::FileExt;

use crate::smtp::Bytes;

/// Bytes of a line that are always given in one fragment.
pub const LONG: usize = 64 << 10;
/// Bytes read from a file at a time.
const PIECE: usize = 256 << 10;

/// A line, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The bytes, without the CRLF.
    pub text: &'a [u8],
    /// The line starts here.
    pub starts: bool,
    /// The line ends here.
    pub ends: bool,
}

impl Fragment<'_> {
    /// True for a line that came in one.
    pub fn is_whole(&self) -> bool {
        self.starts && self.ends
    }
}

/// Gives every line of `bytes`, which are in wire form, to `take`.
///
/// Errors: those of the file and of `take`.
pub fn each(bytes: &Bytes, mut take: impl FnMut(Fragment) -> io::Result<()>) -> io::Result<()> {
    let mut lines = Lines::default();
    match bytes {
        Bytes::Memory { bytes, range } => {
            lines.feed(bytes.get(range.clone()).ok_or(io::ErrorKind::UnexpectedEof)?, &mut take)?;
        }
        Bytes::File { file, offset, length } => {
            let mut buffer = vec![0; PIECE];
            let mut at = 0;
            while at < *length {
                let size = usize::try_from(length - at).map_or(PIECE, |rest| rest.min(PIECE));
                let piece = buffer.get_mut(..size).unwrap_or_default();
                file.read_exact_at(piece, offset.checked_add(at).ok_or(io::ErrorKind::InvalidInput)?)?;
                lines.feed(piece, &mut take)?;
                at += size as u64;
            }
        }
    }
    lines.finish(&mut take)
}

/// The state between two pieces.
#[derive(Default)]
struct Lines {
    /// The start of a line whose end has not come.
    carry: Vec<u8>,
    /// Fragments of the line have gone out.
    is_midway: bool,
}

impl Lines {
    fn feed(&mut self, piece: &[u8], take: &mut impl FnMut(Fragment) -> io::Result<()>) -> io::Result<()> {
        let mut start = 0;
        for at in memchr::memchr_iter(b'\n', piece) {
            let line = piece.get(start..at).unwrap_or_default();
            start = at + 1;
            if self.carry.is_empty() {
                self.end(line, take)?;
            } else {
                let mut whole = std::mem::take(&mut self.carry);
                whole.extend_from_slice(line);
                self.end(&whole, take)?;
                whole.clear();
                self.carry = whole;
            }
        }
        self.carry.extend_from_slice(piece.get(start..).unwrap_or_default());
        if self.carry.len() > LONG {
            // A CR may belong to the line end.
            let keep = usize::from(self.carry.last() == Some(&b'\r'));
            let (text, rest) = self.carry.split_at(self.carry.len() - keep);
            take(Fragment { text, starts: !self.is_midway, ends: false })?;
            let rest = rest.to_vec();
            (self.carry, self.is_midway) = (rest, true);
        }
        Ok(())
    }

    fn end(&mut self, line: &[u8], take: &mut impl FnMut(Fragment) -> io::Result<()>) -> io::Result<()> {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        let starts = !std::mem::take(&mut self.is_midway);
        take(Fragment { text, starts, ends: true })
    }

    /// The wire form has no unended line; were there one, it would be ended here.
    fn finish(mut self, take: &mut impl FnMut(Fragment) -> io::Result<()>) -> io::Result<()> {
        let rest = std::mem::take(&mut self.carry);
        if rest.is_empty() && !self.is_midway { Ok(()) } else { self.end(&rest, take) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    fn lines(bytes: &Bytes) -> (Vec<Vec<u8>>, usize) {
        let (mut lines, mut longest) = (Vec::new(), 0);
        each(bytes, |fragment| {
            if fragment.starts {
                lines.push(Vec::new());
            }
            lines.last_mut().unwrap().extend_from_slice(fragment.text);
            longest = longest.max(fragment.text.len());
            Ok(())
        })
        .unwrap();
        (lines, longest)
    }

    #[test]
    fn memory_and_file_give_the_same_lines_in_bounded_fragments() {
        let mut text = Vec::new();
        let mut expected = Vec::new();
        // Lengths around the sizes of pieces and fragments, so that CR and LF fall apart.
        for length in [0, 1, PIECE - 4, PIECE - 1, PIECE, 3 * PIECE + 7, LONG, LONG + 1, 0, 5] {
            expected.push(vec![b'x'; length]);
            text.extend(std::iter::repeat_n(b'x', length));
            text.extend_from_slice(b"\r\n");
        }
        let length = text.len();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"skipped").unwrap();
        file.write_all(&text).unwrap();
        let (from_file, longest) = lines(&Bytes::File { file: Arc::new(file), offset: 7, length: length as u64 });
        assert!(from_file == expected && longest <= LONG + PIECE, "{longest}");
        assert!(lines(&Bytes::Memory { bytes: Arc::new(text), range: 0..length }).0 == expected);
    }
}
