//! The relaxed canonicalization (RFC 6376 3.4.2 and 3.4.4). Pure; linear in time, constant in memory whatever the input.

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use memchr::memmem::Finder;

/// Bytes of canonical text that are collected before they are hashed.
const BUFFER: usize = 8 << 10;

/// Appends the canonical form of a field to `out` (RFC 6376 3.4.2), without the CRLF that ends it: the DKIM-Signature field itself
/// is hashed without one (RFC 6376 3.7). `value` is what follows the colon, folds and last CRLF included.
pub(crate) fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let start = out.len();
    let mut blank = false;
    for &byte in value {
        match byte {
            // Unfolding. In wire form there is no other CR or LF.
            b'\r' | b'\n' => {}
            b' ' | b'\t' => blank = true,
            byte => {
                // Blanks after the colon go; so do those at the end, which never get here.
                if blank && out.len() > start {
                    out.push(b' ');
                }
                blank = false;
                out.push(byte);
            }
        }
    }
}

/// Hashes a body that arrives in pieces, in its relaxed canonical form (RFC 6376 3.4.4): the pieces may end anywhere, between CR
/// and LF too.
///
/// What may yet vanish is held back as a count, not as text: blanks before a line end, and empty lines (which lines of blanks have
/// become) before the end of the body.
#[derive(Clone)]
pub struct BodyHasher {
    hash: Context,
    text: Vec<u8>,
    /// Line ends since the last text.
    line_ends: u64,
    /// Blanks since the last text or line end.
    blank: bool,
    /// The last byte was a CR.
    cr: bool,
    /// No text yet.
    empty: bool,
    two_spaces: Finder<'static>,
}

impl Default for BodyHasher {
    fn default() -> Self {
        BodyHasher {
            hash: Context::new(&SHA256),
            text: Vec::with_capacity(BUFFER),
            line_ends: 0,
            blank: false,
            cr: false,
            empty: true,
            two_spaces: Finder::new("  "),
        }
    }
}

impl BodyHasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        let mut rest = piece;
        if self.cr && !rest.is_empty() {
            self.cr = false;
            match rest.split_first() {
                Some((b'\n', after)) => {
                    self.end_line();
                    rest = after;
                }
                // A bare CR. The wire form has none; hashed as text, so that a verifier would see what we saw.
                _ => self.take(b"\r"),
            }
        }
        while let Some(at) = memchr::memchr2(b'\t', b'\r', rest) {
            let (line, from_special) = rest.split_at(at);
            self.spaced(line);
            rest = match from_special {
                [b'\r', b'\n', after @ ..] => {
                    self.end_line();
                    after
                }
                [b'\r'] => {
                    self.cr = true;
                    &[]
                }
                [b'\r', after @ ..] => {
                    self.take(b"\r");
                    after
                }
                [_, after @ ..] => {
                    self.blank = true;
                    after
                }
                [] => &[],
            };
        }
        self.spaced(rest);
    }

    /// Text in which spaces are the only blanks. One space between words is canonical as it is, so text is cut only where there are
    /// two, and at its edges: that is what makes prose as fast as base64.
    fn spaced(&mut self, line: &[u8]) {
        let mut rest = line;
        loop {
            let text = without_leading_spaces(rest);
            self.blank |= text.len() < rest.len();
            if text.is_empty() {
                return;
            }
            let end = self.two_spaces.find(text).unwrap_or(text.len() - usize::from(text.ends_with(b" ")));
            let (words, after) = text.split_at(end);
            self.take(words);
            rest = after;
        }
    }

    /// Blanks at the end of a line go.
    fn end_line(&mut self) {
        self.blank = false;
        self.line_ends += 1;
    }

    /// Text: what was held back before it is part of the body.
    fn take(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        while self.line_ends > 0 {
            self.push(b"\r\n");
            self.line_ends -= 1;
        }
        if self.blank {
            self.push(b" ");
            self.blank = false;
        }
        self.push(text);
        self.empty = false;
    }

    fn push(&mut self, text: &[u8]) {
        if self.text.len() + text.len() > BUFFER {
            self.hash.update(&self.text);
            self.text.clear();
        }
        if text.len() > BUFFER {
            self.hash.update(text);
        } else {
            self.text.extend_from_slice(text);
        }
    }

    /// The hash for `bh=`. A body without text is hashed as nothing; any other ends in exactly one CRLF.
    pub fn finish(mut self) -> [u8; SHA256_OUTPUT_LEN] {
        if self.cr {
            self.take(b"\r");
        }
        if !self.empty {
            self.push(b"\r\n");
        }
        self.hash.update(&self.text);
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        // SHA-256 has as many bytes as the array; were it otherwise, the hash of nothing real would fail every verification.
        self.hash.finish().as_ref().iter().zip(&mut bytes).for_each(|(from, to)| *to = *from);
        bytes
    }
}

fn without_leading_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|&&byte| byte == b' ').count();
    text.get(spaces..).unwrap_or_default()
}

impl std::fmt::Debug for BodyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyHasher").field("line_ends", &self.line_ends).field("empty", &self.empty).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
