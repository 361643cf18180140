//! The second reading of a body: rewrites it according to the plan.
//!
//! In: the body that was surveyed, and its plan. Out: a body in wire form, no line over 998 bytes; 7-bit where that was demanded.
//! The CRLF before a boundary belongs to the boundary (RFC 2046 5.1.1), so each line end waits until it is known what follows.

use std::fs::File;
use std::io;

use super::header;
use super::lines::{self, Fragment};
use super::plan::{Demand, Plan, Treatment};
use super::sink::{Finished, Sink};
use super::structure::{Entity, Role, Structure, Visitor};
use super::transfer::Writer;
use crate::smtp::Bytes;
use mail::limits;

/// Bytes that are collected before they go to the sink.
const PIECE: usize = 64 << 10;

/// Writes `body`, which follows the header section `header`, to `sink`.
///
/// Errors: the body cannot be read, or not be written.
pub fn rewrite<F: FnOnce() -> io::Result<File>>(
    header: &[u8],
    body: &Bytes,
    plan: &Plan,
    demand: Demand,
    sink: Sink<F>,
) -> io::Result<Finished> {
    let writer = Treatment::Keep.writer(demand);
    let rewriter = Rewriter { plan, demand, sink, writer, line_end: false, out: Vec::with_capacity(2 * PIECE) };
    let mut structure = Structure::new(header, rewriter)?;
    lines::each(body, |fragment| structure.feed(fragment))?;
    structure.finish()?.finish()
}

struct Rewriter<'a, F> {
    plan: &'a Plan,
    demand: Demand,
    sink: Sink<F>,
    /// For the present text.
    writer: Writer,
    /// A line end of the present text that may belong to a boundary.
    line_end: bool,
    out: Vec<u8>,
}

impl<F: FnOnce() -> io::Result<File>> Rewriter<'_, F> {
    /// The present text is complete, but for a line end that may be due.
    fn restart(&mut self, treatment: Treatment) -> bool {
        self.writer.finish(&mut self.out);
        self.writer = treatment.writer(self.demand);
        std::mem::take(&mut self.line_end)
    }

    fn flush(&mut self, least: usize) -> io::Result<()> {
        if self.out.len() >= least {
            self.sink.write(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    /// The end of the message: the last line end is content.
    fn finish(mut self) -> io::Result<Finished> {
        if self.line_end {
            self.writer.line_end(&mut self.out);
        }
        self.restart(Treatment::Keep);
        self.flush(0)?;
        if !self.sink.ends_line() {
            self.sink.write(b"\r\n")?;
        }
        Ok(self.sink.finish())
    }
}

impl<F: FnOnce() -> io::Result<File>> Visitor for Rewriter<'_, F> {
    fn header(&mut self, entity: &Entity, section: &[u8], blank: bool) -> io::Result<()> {
        let decision = self.plan.of(entity.number);
        self.restart(decision.treatment);
        if entity.role == Role::Top {
            return Ok(());
        }
        let section = header::rewrite(section, &decision, entity.role, self.demand.seven_bit);
        self.out.extend(header::with_short_lines(&section).unwrap_or(section));
        // A label counts only in a header that ends where readers agree that it does.
        if blank || decision.label().is_some() {
            self.out.extend_from_slice(b"\r\n");
        }
        self.flush(PIECE)
    }

    fn body(&mut self, fragment: Fragment) -> io::Result<()> {
        if self.line_end {
            self.writer.line_end(&mut self.out);
        }
        self.writer.text(fragment.text, fragment.is_whole(), &mut self.out);
        self.line_end = fragment.ends;
        self.flush(PIECE)
    }

    fn boundary(&mut self, line: &[u8]) -> io::Result<()> {
        if self.restart(Treatment::Keep) {
            self.out.extend_from_slice(b"\r\n");
        }
        // Blanks may follow a boundary, any number of them.
        self.out.extend_from_slice(if line.len() > limits::LINE { line.trim_ascii_end() } else { line });
        self.out.extend_from_slice(b"\r\n");
        self.flush(PIECE)
    }

    fn end(&mut self, _: &Entity, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn epilogue(&mut self) -> io::Result<()> {
        Ok(())
    }
}
