//! The entities of a message: where each header and each body is (RFC 2046 5.1). Pure.
//!
//! In: lines of a hostile body. Out: calls of a [`Visitor`], the same ones for the same lines, so that two readings agree on the
//! number of every entity. Bounded: [`DEPTH`] entities within each other, [`ENTITIES`] in all, a header of [`HEADER`] bytes. What is
//! beyond is text of the last entity within.
//!
//! A boundary counts everywhere: one of an outer multipart ends all entities within. Mail programs do the same, and it makes a missing
//! end harmless.

use std::io;

use super::content_type::{Encoding, Media};
use super::lines::{Fragment, LONG};
use mail::header;
use mail::header::Section;

/// Entities within each other.
pub const DEPTH: usize = 100;
/// Entities of a message.
pub(crate) const ENTITIES: usize = 1 << 20;
/// Bytes of a part's header section; what follows is body.
const HEADER: usize = 1 << 20;

/// How the body of an entity is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, or unlabelled.
    Text,
    /// Bytes.
    Other,
    /// What may not be encoded, and in which no parts were found.
    Opaque,
    /// Parts between boundaries.
    Multipart,
    /// A message with a header of its own.
    Message,
}

/// What an entity is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The message itself.
    Top,
    /// A message in it.
    Attached,
    /// A part of a multipart.
    Part,
}

/// One entity.
#[derive(Clone, Debug)]
pub struct Entity {
    /// Its number, by the order of the headers; 0 is the message.
    pub number: usize,
    /// What it is part of.
    pub role: Role,
    /// Its body.
    pub kind: Kind,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// It is within multipart/signed.
    pub in_signed: bool,
}

/// What a reading does.
pub trait Visitor {
    /// The header section of an entity, complete. `blank` is false where no blank line followed it.
    fn header(&mut self, entity: &Entity, section: &[u8], blank: bool) -> io::Result<()>;
    /// Text of the body of the newest entity that is no container; in a multipart before its first boundary, of that.
    fn body(&mut self, fragment: Fragment) -> io::Result<()>;
    /// A boundary line. All that was open within its multipart has ended.
    fn boundary(&mut self, line: &[u8]) -> io::Result<()>;
    /// An entity has ended. `parted` is true if a boundary of its own was there.
    fn end(&mut self, entity: &Entity, parted: bool) -> io::Result<()>;
    /// Text that belongs to no entity follows: between the last boundary of a multipart and the next one of another.
    fn epilogue(&mut self) -> io::Result<()>;
}

/// An entity that can hold others.
struct Open {
    entity: Entity,
    /// None in an attached message.
    boundary: Option<Vec<u8>>,
    digest: bool,
    signed: bool,
    parted: bool,
}

enum Phase {
    Header(Role),
    /// The body of an entity without parts.
    Body(Entity),
    /// Text directly in a container, before its first boundary or after its last.
    Between,
}

/// One reading of a message.
pub(crate) struct Structure<V> {
    visitor: V,
    open: Vec<Open>,
    phase: Phase,
    header: Vec<u8>,
    count: usize,
}

impl<V: Visitor> Structure<V> {
    /// A reading that begins behind `header`, the message's own.
    ///
    /// Errors: those of `visitor`, here and below.
    pub(crate) fn new(header: &[u8], visitor: V) -> io::Result<Self> {
        let mut structure = Structure { visitor, open: Vec::new(), phase: Phase::Between, header: header.to_vec(), count: 0 };
        structure.end_header(Role::Top, true)?;
        Ok(structure)
    }

    /// Takes the next line, or piece of one.
    pub(crate) fn feed(&mut self, fragment: Fragment) -> io::Result<()> {
        if fragment.is_whole()
            && fragment.text.starts_with(b"--")
            && let Some((at, is_last)) = self.find(fragment.text)
        {
            return self.cut(at, is_last, fragment.text);
        }
        if let Phase::Header(role) = self.phase {
            return self.header_line(role, fragment);
        }
        self.visitor.body(fragment)
    }

    /// The end of the message.
    pub(crate) fn finish(mut self) -> io::Result<V> {
        self.close(0)?;
        Ok(self.visitor)
    }

    /// The innermost multipart whose boundary this line is, and whether it is the last one.
    fn find(&self, line: &[u8]) -> Option<(usize, bool)> {
        if self.count >= ENTITIES {
            return None;
        }
        let text = line.get(2..)?.trim_ascii_end();
        self.open.iter().enumerate().rev().find_map(|(at, open)| match text.strip_prefix(open.boundary.as_deref()?)? {
            b"" => Some((at, false)),
            b"--" => Some((at, true)),
            _ => None,
        })
    }

    fn cut(&mut self, at: usize, is_last: bool, line: &[u8]) -> io::Result<()> {
        self.close(at + 1)?;
        if let Some(open) = self.open.get_mut(at) {
            open.parted = true;
        }
        self.visitor.boundary(line)?;
        if is_last {
            self.close(at)?;
            self.visitor.epilogue()?;
        } else {
            self.phase = Phase::Header(Role::Part);
        }
        Ok(())
    }

    /// Ends the present entity, and those above `depth` that hold it.
    fn close(&mut self, depth: usize) -> io::Result<()> {
        // A header that just ends may open another entity, and that an attached message.
        while let Phase::Header(role) = self.phase {
            self.end_header(role, false)?;
        }
        if let Phase::Body(entity) = std::mem::replace(&mut self.phase, Phase::Between) {
            self.visitor.end(&entity, false)?;
        }
        while self.open.len() > depth
            && let Some(open) = self.open.pop()
        {
            self.visitor.end(&open.entity, open.parted)?;
        }
        Ok(())
    }

    /// As R10 has it for the message's own header: the section ends at the first line that is no field.
    fn header_line(&mut self, role: Role, line: Fragment) -> io::Result<()> {
        let is_blank = line.is_whole() && line.text.is_empty();
        let continues = !self.header.is_empty() && header::is_continuation(line.text);
        let belongs = line.is_whole() && line.text.len() <= LONG && (continues || header::name_of(line.text).is_some());
        if belongs && self.header.len() < HEADER {
            self.header.extend_from_slice(line.text);
            self.header.extend_from_slice(b"\r\n");
            return Ok(());
        }
        self.end_header(role, is_blank)?;
        if is_blank { Ok(()) } else { self.feed(line) }
    }

    /// A header section is complete: what follows it?
    fn end_header(&mut self, role: Role, blank: bool) -> io::Result<()> {
        let section = std::mem::take(&mut self.header);
        let parent = self.open.last();
        let in_signed = parent.is_some_and(|parent| parent.signed || parent.entity.in_signed);
        let is_digest = role == Role::Part && parent.is_some_and(|parent| parent.digest);
        let (media, encoding) = labels(&section, if is_digest { Media::Message } else { Media::Text });
        let is_deep = self.open.len() >= DEPTH || self.count + 1 >= ENTITIES;
        let (kind, container) = kind_of(media, encoding, is_deep);
        let entity = Entity { number: self.count, role, kind, encoding, in_signed };
        self.count += 1;
        self.visitor.header(&entity, &section, blank)?;
        self.phase = match (kind, container) {
            (Kind::Multipart, Some((boundary, signed, digest))) => {
                self.open.push(Open { entity, boundary: Some(boundary), digest, signed, parted: false });
                Phase::Between
            }
            (Kind::Message, _) => {
                self.open.push(Open { entity, boundary: None, digest: false, signed: false, parted: true });
                Phase::Header(Role::Attached)
            }
            _ => Phase::Body(entity),
        };
        Ok(())
    }
}

/// The labels of a header section; `default` where it has no Content-Type.
fn labels(section: &[u8], default: Media) -> (Media, Encoding) {
    let scanned = Section::scan(section);
    let value = |name: &str| scanned.named(section, name).next().map(|field| field.value_in(section));
    let media = value("Content-Type").map_or(default, Media::parse);
    (media, value("Content-Transfer-Encoding").map_or(Encoding::SevenBit, Encoding::parse))
}

/// Boundary, signed, digest.
type Container = (Vec<u8>, bool, bool);

fn kind_of(media: Media, encoding: Encoding, is_deep: bool) -> (Kind, Option<Container>) {
    match media {
        Media::Text => (Kind::Text, None),
        Media::Other => (Kind::Other, None),
        // RFC 2045 6.4 forbids encodings here; readers ignore them on a multipart, and undo them on a message.
        Media::Multipart { boundary: Some(boundary), signed, digest } if !is_deep => (Kind::Multipart, Some((boundary, signed, digest))),
        Media::Message if !is_deep && encoding.is_identity() => (Kind::Message, None),
        Media::Multipart { .. } | Media::Message | Media::Opaque => (Kind::Opaque, None),
    }
}
