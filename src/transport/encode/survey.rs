//! The first reading of a body: what each entity holds, and so what is to be done with it.
//!
//! In: a hostile body. Out: a [`Plan`], three bytes for each entity. An entity is decided when it ends, by what was seen of it.

use std::io;

use super::content_type::Encoding;
use super::header;
use super::lines::{self, Fragment};
use super::plan::{BodySummary, Changes, Charset, Decision, Demand, Plan, Treatment};
use super::structure::{Entity, Kind, Role, Structure, Visitor};
use crate::smtp::Bytes;
use mail::limits;

/// Reads `body`, which follows the header section `header`, and decides.
///
/// Errors: the body cannot be read.
pub(crate) fn survey(header: &[u8], body: &Bytes, demand: Demand) -> io::Result<Plan> {
    let mut structure = Structure::new(header, Survey::new(demand))?;
    lines::each(body, |fragment| structure.feed(fragment))?;
    let survey = structure.finish()?;
    Ok(Plan { decisions: survey.decisions, changes: survey.changes })
}

struct Survey {
    demand: Demand,
    decisions: Vec<Decision>,
    changes: Changes,
    /// Of the body that is being read.
    summary: BodySummary,
    /// Bytes of the present line so far.
    column: usize,
    /// The present text belongs to no part.
    is_between: bool,
    /// The newest entity has no field that says how it is to be read.
    lacks_mime: bool,
}

impl Survey {
    fn new(demand: Demand) -> Survey {
        Survey {
            demand,
            decisions: Vec::new(),
            changes: Changes::default(),
            summary: BodySummary::default(),
            column: 0,
            is_between: false,
            lacks_mime: false,
        }
    }

    /// The present text has ended.
    fn restart(&mut self, is_between: bool) -> BodySummary {
        if self.is_between && self.summary.longest_line > limits::LINE {
            self.changes.broken_lines = true;
        }
        (self.column, self.is_between) = (0, is_between);
        std::mem::take(&mut self.summary)
    }

    /// What is done with an entity that holds text of its own.
    fn decide(&mut self, entity: &Entity, kind: Kind) -> Decision {
        // It is this entity's text, not text between others.
        self.is_between = false;
        let summary = self.restart(true);
        let treatment = Treatment::of(kind, entity.encoding, &summary, self.demand);
        self.changes.count(treatment, entity.in_signed);
        let is_relabelled = treatment == Treatment::Quote || (entity.role == Role::Top && summary.eight_bit);
        let charset = (self.lacks_mime && is_relabelled).then(|| match (summary.eight_bit, summary.utf8.is_valid()) {
            (false, _) => Charset::UsAscii,
            (true, true) => Charset::Utf8,
            (true, false) => Charset::Unknown8Bit,
        });
        Decision { treatment, charset, to_7bit: false }
    }
}

impl Visitor for Survey {
    fn header(&mut self, entity: &Entity, section: &[u8], _: bool) -> io::Result<()> {
        self.restart(entity.kind == Kind::Multipart);
        self.decisions.push(Decision::default());
        self.lacks_mime = header::lacks_mime(section);
        if entity.role != Role::Top {
            let is_stripped = self.demand.seven_bit && !section.is_ascii();
            self.changes.in_signed |= is_stripped && entity.in_signed;
            self.changes.broken_lines |= header::with_short_lines(section).is_some();
        }
        Ok(())
    }

    fn body(&mut self, fragment: Fragment) -> io::Result<()> {
        let summary = &mut self.summary;
        self.column = if fragment.starts { 0 } else { self.column } + fragment.text.len();
        summary.longest_line = summary.longest_line.max(self.column);
        summary.eight_bit |= !fragment.text.is_ascii();
        if self.lacks_mime {
            summary.utf8.feed(fragment.text);
            if fragment.ends {
                summary.utf8.feed(b"\r\n");
            }
        }
        Ok(())
    }

    fn boundary(&mut self, _: &[u8]) -> io::Result<()> {
        self.restart(true);
        Ok(())
    }

    fn end(&mut self, entity: &Entity, parted: bool) -> io::Result<()> {
        let mut decision = match entity.kind {
            Kind::Multipart if parted => Decision::default(),
            // Its boundary was nowhere: what it holds is text.
            Kind::Multipart => self.decide(entity, Kind::Opaque),
            Kind::Message => Decision::default(),
            kind => self.decide(entity, kind),
        };
        // RFC 2045 6.4: the label of the whole is that of its parts. What is signed is not touched for a label alone.
        decision.to_7bit = self.demand.seven_bit && entity.encoding == Encoding::EightBit && !entity.in_signed;
        if let Some(slot) = self.decisions.get_mut(entity.number) {
            *slot = decision;
        }
        Ok(())
    }

    fn epilogue(&mut self) -> io::Result<()> {
        self.restart(true);
        Ok(())
    }
}
