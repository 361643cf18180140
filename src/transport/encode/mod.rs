//! The conversion of a message for a particular server, before it is signed (SENDMAIL.md H1, H7, H8; RFC 6152 3).
//!
//! In: a message in wire form, hostile, and whether the server takes 8-bit content. Out: a header section and a body in wire form,
//! no line over 998 bytes, without 8-bit bytes in the body where the server takes none; and one line of what was changed, for
//! the history. Most messages need nothing and are neither parsed nor copied.
//!
//! | content | result |
//! |---|---|
//! | 8-bit body, no MIME field at all | MIME-Version, Content-Type with charset utf-8 (or unknown-8bit), Content-Transfer-Encoding: 8bit |
//! | 8-bit part, server without 8BITMIME | quoted-printable; base64 if it is no text |
//! | part with a line over 998 bytes | the same |
//! | base64 or quoted-printable part with such a line, or with 8-bit bytes | the same encoding, written properly |
//! | such a line anywhere else | broken by CRLF SPACE, as Postfix does |
//! | 8-bit text in the header of a part, server without 8BITMIME | RFC 2047 words, RFC 2231 parameters |
//! | 8-bit bytes before the first and after the last part | `?`: no reader shows them |
//!
//! An attached message (message/rfc822) may not be encoded, so its own parts are (RFC 2046 5.2.1), and a multipart's label follows
//! its parts (RFC 2045 6.4). Invalid MIME never makes a message fail: a multipart whose boundary does not occur,
//! or that is nested too deeply, is text. Parts of multipart/signed are left alone while they can be sent unchanged; otherwise they
//! are converted like any other, as Postfix does, and the history records that the signature is no longer valid. The alternative would be
//! to fail the message, although the server would most likely accept it.
//!
//! The body is read twice: [`survey`] decides for each entity what to do, [`rewrite`] does it. Both are driven by the same
//! [`structure`], so they agree on the number of every entity. Time is linear; memory is a few bytes for each part.

pub mod content_type;
pub mod header;
pub mod lines;
pub mod plan;
pub mod received;
pub mod rewrite;
pub mod sink;
pub mod structure;
pub(crate) mod survey;
pub mod transfer;

use std::fs::File;
use std::io;

pub use received::received;

use super::smtp::Bytes;
use mail::limits;
use mail::wire::WireSummary;
use plan::{Changes, Demand};

/// A message as it was read.
#[derive(Debug)]
pub struct Original<'a> {
    /// The header section, without the blank line.
    pub header: &'a [u8],
    /// The body.
    pub body: &'a Bytes,
    /// What the body holds.
    pub summary: WireSummary,
}

/// What is sent instead.
#[derive(Debug)]
pub struct Converted {
    /// The header section, without the blank line.
    pub header: Vec<u8>,
    /// The body and its DKIM hash; `None` where it is the original's.
    pub body: Option<sink::Finished>,
    /// What the body holds now.
    pub eight_bit: bool,
    /// What was done, in one line for the history.
    pub note: String,
}

/// Converts a message, if it needs that. A body that outgrows `in_memory` bytes goes to a file made by `spill`.
///
/// Errors: the body cannot be read, or the new one not written.
pub fn convert(
    original: &Original,
    takes_8bit: bool,
    in_memory: usize,
    spill: impl FnOnce() -> io::Result<File>,
) -> io::Result<Option<Converted>> {
    let Original { header, body, summary } = *original;
    let demand = Demand { seven_bit: !takes_8bit && summary.eight_bit, short_lines: summary.longest_line > limits::LINE };
    let labels = summary.eight_bit && header::lacks_mime(header);
    if !demand.seven_bit && !demand.short_lines && !labels {
        return Ok(header::with_short_lines(header).map(|header| Converted {
            header,
            body: None,
            eight_bit: summary.eight_bit,
            note: Changes { broken_lines: true, ..Changes::default() }.to_string(),
        }));
    }
    let plan = survey::survey(header, body, demand)?;
    let mut changes = plan.changes;
    let labelled = header::rewrite(header, &plan.of(0), structure::Role::Top, demand.seven_bit);
    changes.labelled = plan.of(0).charset;
    let header = header::with_short_lines(&labelled).unwrap_or(labelled);
    if !demand.seven_bit && !demand.short_lines {
        return Ok(Some(Converted { header, body: None, eight_bit: true, note: changes.to_string() }));
    }
    let sink = sink::Sink::new(in_memory, spill);
    let finished = rewrite::rewrite(original.header, body, &plan, demand, sink)?;
    Ok(Some(Converted { header, eight_bit: finished.eight_bit, body: Some(finished), note: changes.to_string() }))
}

#[cfg(test)]
mod tests;
