//! Prints a listing as it arrives, one message at a time: for `mailq`, `mailchute list` and `sendmail -bp`.

use std::io::{self, BufWriter, Write};

use jiff::tz::TimeZone;

use super::listing::{Entry, TextListing};
use crate::exit::{Exit, Failure};

/// A listing on its way to stdout.
pub struct Printer<W: Write> {
    form: Form<W>,
    has_printed: bool,
}

enum Form<W: Write> {
    Text(TextListing<BufWriter<W>>),
    Json(BufWriter<W>),
}

impl<W: Write> Printer<W> {
    /// Postfix's long layout, in the local time of `zone`.
    pub fn text(out: W, zone: TimeZone) -> Self {
        Printer { form: Form::Text(TextListing::new(BufWriter::new(out), zone)), has_printed: false }
    }

    /// The same with more of each message.
    pub fn detailed_text(out: W, zone: TimeZone) -> Self {
        let listing = TextListing::new(BufWriter::new(out), zone).detailed();
        Printer { form: Form::Text(listing), has_printed: false }
    }

    /// JSON Lines.
    pub fn json(out: W) -> Self {
        Printer { form: Form::Json(BufWriter::new(out)), has_printed: false }
    }

    /// True once a message was printed.
    pub fn has_printed(&self) -> bool {
        self.has_printed
    }

    /// A line of the daemon's answer.
    ///
    /// Errors: EX_SOFTWARE where it is not understood; EX_IOERR where stdout cannot be written.
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        let entry = serde_json::from_str::<Entry>(line)
            .map_err(|e| Failure::new(Exit::Software, format!("an answer of the daemon that is not understood: {e}")))?;
        self.has_printed = true;
        match &mut self.form {
            // The daemon's own line: members that this program does not know stay in it.
            Form::Json(out) => written(writeln!(out, "{line}")),
            Form::Text(_) => self.entry(&entry),
        }
    }

    /// One message.
    ///
    /// Errors: EX_IOERR where stdout cannot be written.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), Failure> {
        self.has_printed = true;
        match &mut self.form {
            Form::Text(text) => written(text.entry(entry)),
            Form::Json(out) => {
                let line = serde_json::to_string(entry).map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
                written(writeln!(out, "{line}"))
            }
        }
    }

    /// The last line.
    ///
    /// Errors: EX_IOERR where stdout cannot be written.
    pub fn finish(self) -> Result<(), Failure> {
        match self.form {
            Form::Text(text) => written(text.finish()),
            Form::Json(mut out) => written(out.flush()),
        }
    }
}

/// A reader that has gone (`mailq | head`) is no failure of ours.
pub fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|e| Failure::new(Exit::IoErr, format!("cannot write: {e}"))),
    }
}
