//! The output of a conversion: in memory while it is small, then in a private file. It is hashed for DKIM on the way.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use crate::smtp::Bytes;
use dkim::BodyHasher;

/// A body being written. `F` creates the file.
pub struct Sink<F> {
    memory: Vec<u8>,
    in_memory: usize,
    spill: Option<F>,
    file: Option<File>,
    length: u64,
    hasher: BodyHasher,
    eight_bit: bool,
    last: Option<u8>,
}

/// A body that was written.
#[derive(Debug)]
pub struct Finished {
    /// Its location.
    pub bytes: Bytes,
    /// Its DKIM hash.
    pub body_hash: [u8; 32],
    /// It holds bytes above 127.
    pub eight_bit: bool,
}

impl<F: FnOnce() -> io::Result<File>> Sink<F> {
    /// Nothing written yet; `spill` makes a file that nobody else can open, and is called when there are more than `in_memory`
    /// bytes.
    pub fn new(in_memory: usize, spill: F) -> Self {
        Sink {
            memory: Vec::new(),
            in_memory,
            spill: Some(spill),
            file: None,
            length: 0,
            hasher: BodyHasher::default(),
            eight_bit: false,
            last: None,
        }
    }

    /// Takes the next bytes.
    ///
    /// Errors: those of the file.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(last) = bytes.last() else { return Ok(()) };
        self.last = Some(*last);
        self.length += bytes.len() as u64;
        self.eight_bit |= !bytes.is_ascii();
        self.hasher.update(bytes);
        if let Some(file) = &mut self.file {
            return file.write_all(bytes);
        }
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > self.in_memory
            && let Some(spill) = self.spill.take()
        {
            let mut file = spill()?;
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(file);
        }
        Ok(())
    }

    /// True if the last bytes ended a line, or there were none.
    pub(crate) fn ends_line(&self) -> bool {
        self.last.is_none_or(|last| last == b'\n')
    }

    /// The body.
    pub fn finish(self) -> Finished {
        let bytes = match self.file {
            Some(file) => Bytes::File { file: Arc::new(file), offset: 0, length: self.length },
            None => {
                let range = 0..self.memory.len();
                Bytes::Memory { bytes: Arc::new(self.memory), range }
            }
        };
        Finished { bytes, body_hash: self.hasher.finish(), eight_bit: self.eight_bit }
    }
}
