//! The content of a message for the last stage: a prefix (Received, DKIM-Signature) and the message itself, from memory or from an open
//! file.
//!
//! The file is private to the daemon and holds exactly what was hashed and signed. If it cannot be read to its end, that is an
//! error and never a shorter message.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes that are read, encoded and written at a time.
pub const PIECE: usize = 64 << 10;

/// The content sent after DATA, in wire form without dot-stuffing.
#[derive(Clone, Debug)]
pub struct Content {
    /// Header fields in front of the message, each with its CRLF.
    pub prefix: Vec<u8>,
    /// The message.
    pub bytes: Bytes,
}

/// The source of a message.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// In memory.
    Memory {
        /// A whole spool file, or a message alone.
        bytes: Arc<Vec<u8>>,
        /// The message in it.
        range: Range<usize>,
    },
    /// In a file that nobody else can change.
    File {
        /// Open for reading; its own position is not used.
        file: Arc<File>,
        /// Where the message starts.
        offset: u64,
        /// Bytes of the message.
        length: u64,
    },
}

impl Bytes {
    /// What follows the first `skipped` bytes; nothing, where there are no more.
    pub fn tail(&self, skipped: u64) -> Bytes {
        match self {
            Bytes::Memory { bytes, range } => {
                let start = usize::try_from(skipped).map_or(range.end, |skipped| range.start.saturating_add(skipped).min(range.end));
                Bytes::Memory { bytes: Arc::clone(bytes), range: start..range.end }
            }
            Bytes::File { file, offset, length } => {
                let skipped = skipped.min(*length);
                Bytes::File { file: Arc::clone(file), offset: offset.saturating_add(skipped), length: length - skipped }
            }
        }
    }
}

impl Content {
    /// Octets of all of it, without dot-stuffing: the value of SIZE (RFC 1870 3).
    pub fn size(&self) -> u64 {
        let message = match &self.bytes {
            Bytes::Memory { range, .. } => u64::try_from(range.len()).unwrap_or(u64::MAX),
            Bytes::File { length, .. } => *length,
        };
        message.saturating_add(u64::try_from(self.prefix.len()).unwrap_or(u64::MAX))
    }

    /// All of it, piece by piece.
    pub(super) fn pieces(&self) -> Pieces<'_> {
        Pieces { content: self, prefix_is_done: false, at: 0, buffer: Vec::new() }
    }
}

/// A reading of one content.
pub(super) struct Pieces<'a> {
    content: &'a Content,
    prefix_is_done: bool,
    /// Bytes of the message that were given out.
    at: u64,
    buffer: Vec<u8>,
}

impl Pieces<'_> {
    /// The next piece, of at most [`PIECE`] bytes (the prefix comes whole); None after the last.
    ///
    /// Errors: the file cannot be read, or ends before its length.
    pub(crate) async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if !self.prefix_is_done {
            self.prefix_is_done = true;
            if !self.content.prefix.is_empty() {
                return Ok(Some(&self.content.prefix));
            }
        }
        match &self.content.bytes {
            Bytes::Memory { bytes, range } => {
                let message = bytes.get(range.clone()).ok_or(io::ErrorKind::UnexpectedEof)?;
                let rest = usize::try_from(self.at).ok().and_then(|at| message.get(at..)).unwrap_or_default();
                let piece = rest.get(..PIECE).unwrap_or(rest);
                self.at += piece.len() as u64;
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
            Bytes::File { file, offset, length } => {
                let rest = length.saturating_sub(self.at);
                let size = usize::try_from(rest).map_or(PIECE, |rest| rest.min(PIECE));
                if size == 0 {
                    return Ok(None);
                }
                self.buffer.resize(size, 0);
                let from = offset.checked_add(self.at).ok_or(io::ErrorKind::InvalidInput)?;
                let (buffer, file) = (std::mem::take(&mut self.buffer), Arc::clone(file));
                self.buffer = read_piece(file, buffer, from).await?;
                self.at += size as u64;
                Ok(Some(&self.buffer))
            }
        }
    }
}

/// Fills `buffer` on a thread that may block on the disk.
async fn read_piece(file: Arc<File>, mut buffer: Vec<u8>, from: u64) -> io::Result<Vec<u8>> {
    let read = move || file.read_exact_at(&mut buffer, from).map(|()| buffer);
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    async fn all(content: &Content) -> io::Result<Vec<u8>> {
        let (mut pieces, mut all) = (content.pieces(), Vec::new());
        while let Some(piece) = pieces.next().await? {
            all.extend_from_slice(piece);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn memory_and_file_give_the_same_bytes() {
        let message: Vec<u8> = (0..200_000u32).map(|i| b'a' + (i % 26) as u8).collect();
        let whole = [b"{envelope}\n", &message[..]].concat();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&whole).unwrap();
        let prefix = b"Received: x\r\n".to_vec();
        let expected = [&prefix[..], &message].concat();
        for bytes in [
            Bytes::File { file: Arc::new(file), offset: 11, length: 200_000 },
            Bytes::Memory { bytes: Arc::new(whole), range: 11..200_011 },
        ] {
            let content = Content { prefix: prefix.clone(), bytes };
            assert_eq!(content.size(), expected.len() as u64);
            assert!(all(&content).await.unwrap() == expected);
        }
    }

    #[tokio::test]
    async fn pf26_6_a_file_that_ends_early_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b'x'; 100_000]).unwrap();
        let bytes = Bytes::File { file: Arc::new(file), offset: 0, length: 100_001 };
        assert!(all(&Content { prefix: Vec::new(), bytes }).await.is_err());
        let bytes = Bytes::Memory { bytes: Arc::new(vec![b'x'; 9]), range: 0..10 };
        assert!(all(&Content { prefix: Vec::new(), bytes }).await.is_err());
    }
}
