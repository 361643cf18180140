//! Prints a listing while it arrives, one message at a time, for `mailq`, `mailchute list` and `sendmail -bp`.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

use jiff::tz::TimeZone;

use super::client;
use super::listing::{Entry, TextListing};
use exit::{Exit, Failure};

/// Prints a listing to stdout.
pub struct Printer<W: Write> {
    form: Form<W>,
    has_printed: bool,
}

enum Form<W: Write> {
    Text(TextListing<BufWriter<W>>),
    Json(BufWriter<W>),
}

impl<W: Write> Printer<W> {
    /// Prints Postfix's long layout in the local time of `zone`.
    pub fn text(out: W, zone: TimeZone) -> Self {
        Printer { form: Form::Text(TextListing::new(BufWriter::new(out), zone)), has_printed: false }
    }

    /// The same with more details of each message.
    pub fn detailed_text(out: W, zone: TimeZone) -> Self {
        let listing = TextListing::new(BufWriter::new(out), zone).detailed();
        Printer { form: Form::Text(listing), has_printed: false }
    }

    /// The same with another text for an empty listing that is not the whole queue.
    #[must_use]
    pub fn if_empty(self, text: &'static str) -> Self {
        match self.form {
            Form::Text(listing) => Printer { form: Form::Text(listing.if_empty(text)), ..self },
            Form::Json(_) => self,
        }
    }

    /// Prints JSON Lines.
    pub fn json(out: W) -> Self {
        Printer { form: Form::Json(BufWriter::new(out)), has_printed: false }
    }

    /// True after the first message.
    pub fn has_printed(&self) -> bool {
        self.has_printed
    }

    /// Prints the message in a line of the daemon's reply. Breaks off where nobody reads.
    ///
    /// Errors: EX_SOFTWARE if the line cannot be parsed; EX_IOERR if stdout cannot be written.
    pub fn line(&mut self, line: &str) -> Result<ControlFlow<()>, Failure> {
        let entry: Entry = client::parse(line)?;
        self.has_printed = true;
        match &mut self.form {
            // The daemon's own line keeps members that this program does not know.
            Form::Json(out) => listed(writeln!(out, "{line}")),
            Form::Text(_) => self.entry(&entry),
        }
    }

    /// Prints one message. Breaks off where nobody reads.
    ///
    /// Errors: EX_IOERR if stdout cannot be written.
    pub fn entry(&mut self, entry: &Entry) -> Result<ControlFlow<()>, Failure> {
        self.has_printed = true;
        match &mut self.form {
            Form::Text(text) => listed(text.entry(entry)),
            Form::Json(out) => {
                let line = serde_json::to_string(entry).map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
                listed(writeln!(out, "{line}"))
            }
        }
    }

    /// Prints the last line.
    ///
    /// Errors: EX_IOERR if stdout cannot be written.
    pub fn finish(self) -> Result<(), Failure> {
        match self.form {
            Form::Text(text) => written(text.finish()),
            Form::Json(mut out) => written(out.flush()),
        }
    }
}

/// Breaks off if the reader closed the pipe (`mailq | head`). The rest of the queue is not needed.
fn listed(result: io::Result<()>) -> Result<ControlFlow<()>, Failure> {
    let is_closed = result.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
    written(result).map(|()| if is_closed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
}

/// Turns a write error into a failure. A closed pipe is not a failure: the reader has what it wanted.
pub fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|e| Failure::new(Exit::IoErr, format!("cannot write to standard output: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `head` leaves behind.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_ends_a_listing_and_nothing_else() {
        let entry = Entry { queue_id: "6921CE05000000AB".into(), sender: "a".repeat(1 << 14), ..Entry::default() };
        for mut printer in [Printer::text(Gone, TimeZone::UTC), Printer::json(Gone)] {
            let flow: Vec<_> = (0..2).map(|_| printer.entry(&entry).unwrap()).collect();
            assert!(flow.contains(&ControlFlow::Break(())), "two entries are more than is kept back");
        }
        assert!(written(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(written(Err(io::ErrorKind::StorageFull.into())).is_err_and(|failure| failure.exit == Exit::IoErr));
    }
}
