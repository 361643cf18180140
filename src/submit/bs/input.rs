//! The input of `-bs`: command lines and mail data from one buffer.

use super::data::{Data, LineEnd};
use exit::{Exit, Failure};

/// Octets of a command line, parameters included (RFC 5321 4.5.3.1.4 and the extensions that lengthen it).
const LINE: usize = 4096;
/// Size of a read in bytes.
const PIECE: usize = 64 << 10;
/// Seconds of silence that end a session (RFC 5321 4.5.3.2.7).
const SILENCE: u16 = 300;

/// The next input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<T> {
    /// A line, or the end of data.
    Line(T),
    /// An invalid line; the text of the reply.
    Bad(&'static str),
    /// The end of the input.
    End,
    /// A timeout.
    Idle,
}

/// The buffer over standard input.
#[derive(Debug, Default)]
pub(crate) struct Input {
    buffer: Vec<u8>,
    at: usize,
    ends: Option<LineEnd>,
}

impl Input {
    /// True if the buffer has no complete line, so the next read may block.
    pub(crate) fn must_wait(&self) -> bool {
        memchr::memchr(b'\n', self.rest()).is_none()
    }

    /// The line end of this session.
    pub(crate) fn line_end(&self) -> LineEnd {
        self.ends.unwrap_or(LineEnd::CrLf)
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// Waits for more input. `None` if there is some.
    fn fill<T>(&mut self) -> Result<Option<Next<T>>, Failure> {
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.at = 0;
        if !sys::stdin::is_readable_within(SILENCE) {
            return Ok(Some(Next::Idle));
        }
        let old = self.buffer.len();
        self.buffer.resize(old + PIECE, 0);
        let read = sys::stdin::read(self.buffer.get_mut(old..).unwrap_or_default());
        self.buffer.truncate(old + read.unwrap_or(0));
        match read {
            Ok(0) => Ok(Some(Next::End)),
            Ok(_) => Ok(None),
            Err(e) => Err(Failure::new(Exit::IoErr, format!("cannot read standard input: {}", e.desc()))),
        }
    }

    /// The next command line without its line end. The first line decides the line end of the session.
    ///
    /// Errors: EX_IOERR.
    pub(crate) fn line(&mut self) -> Result<Next<Vec<u8>>, Failure> {
        let mut too_long = false;
        let length = loop {
            if let Some(length) = memchr::memchr(b'\n', self.rest()) {
                break length;
            }
            if self.rest().len() > LINE {
                (self.at, too_long) = (self.buffer.len(), true);
            }
            match self.fill()? {
                None => {}
                Some(next) => return Ok(next),
            }
        };
        let line = self.rest().get(..length).unwrap_or_default().to_vec();
        self.at += length + 1;
        let (line, ends) = match line.strip_suffix(b"\r") {
            Some(line) => (line.to_vec(), LineEnd::CrLf),
            None => (line, LineEnd::Lf),
        };
        let first = *self.ends.get_or_insert(ends);
        if too_long || line.len() > LINE {
            return Ok(Next::Bad("5.5.2 Error: line too long"));
        }
        // In a LF session a CR before LF is a blank at the end of a command. A bare LF in a CRLF session is a smuggling attempt.
        if first == LineEnd::CrLf && ends == LineEnd::Lf {
            return Ok(Next::Bad("5.5.2 Error: bare LF; lines end in CR LF in this session"));
        }
        Ok(Next::Line(line))
    }

    /// Reads mail data to its end. `out` gets the text.
    pub(crate) fn data(&mut self, data: &mut Data, mut out: impl FnMut(&[u8])) -> Next<()> {
        loop {
            match data.feed(self.rest(), &mut out) {
                Some(used) => {
                    self.at += used;
                    return Next::Line(());
                }
                None => self.at = self.buffer.len(),
            }
            match self.fill() {
                Ok(None) => {}
                Ok(Some(next)) => return next,
                Err(_) => return Next::End,
            }
        }
    }
}
