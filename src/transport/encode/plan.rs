//! The treatment of each entity: the rules of H7 and H8 and of RFC 6152 3. Pure.

use super::content_type::Encoding;
use super::structure::Kind;
use super::transfer::{Base64, Plain, Quoted, Requoted, Rewrapped, Writer};
use mail::limits;

/// Why a message is converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// The server takes no 8-bit content.
    pub seven_bit: bool,
    /// A line is over 998 bytes.
    pub short_lines: bool,
}

/// The properties of a body.
#[derive(Clone, Debug, Default)]
pub struct BodySummary {
    /// A byte above 127.
    pub eight_bit: bool,
    /// Bytes of the longest line.
    pub longest_line: usize,
    /// Whether its text is UTF-8 so far.
    pub utf8: Utf8,
}

/// The treatment of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Treatment {
    /// As it is.
    #[default]
    Keep,
    /// Lines over 998 bytes are broken.
    Break,
    /// Becomes quoted-printable.
    Quote,
    /// Becomes base64.
    Base64,
    /// Is quoted-printable, and becomes so properly.
    Requote,
    /// Is base64, and becomes so properly.
    Rewrap,
}

/// The charset of text that came without a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// No byte above 127.
    UsAscii,
    /// Valid UTF-8.
    Utf8,
    /// Anything else (RFC 1428).
    Unknown8Bit,
}

impl Charset {
    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Charset::UsAscii => "us-ascii",
            Charset::Utf8 => "utf-8",
            Charset::Unknown8Bit => "unknown-8bit",
        }
    }
}

/// The decision for one entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// For its body.
    pub treatment: Treatment,
    /// Its label 8bit or binary becomes 7bit: all its parts are.
    pub to_7bit: bool,
    /// It has no field of MIME and gets them.
    pub charset: Option<Charset>,
}

impl Decision {
    /// The value of Content-Transfer-Encoding, where that changes.
    pub fn label(&self) -> Option<&'static str> {
        match self.treatment {
            Treatment::Quote => Some("quoted-printable"),
            Treatment::Base64 => Some("base64"),
            _ if self.to_7bit => Some("7bit"),
            _ => self.charset.map(|_| "8bit"),
        }
    }
}

impl Treatment {
    /// The treatment of a body of this kind that holds this.
    pub fn of(kind: Kind, encoding: Encoding, summary: &BodySummary, demand: Demand) -> Treatment {
        let is_long = summary.longest_line > limits::LINE;
        let is_8bit = summary.eight_bit && demand.seven_bit;
        match (encoding, kind) {
            _ if !is_long && !is_8bit => Treatment::Keep,
            (Encoding::Base64, _) => Treatment::Rewrap,
            (Encoding::QuotedPrintable, _) => Treatment::Requote,
            (Encoding::SevenBit | Encoding::EightBit, Kind::Text) => Treatment::Quote,
            (Encoding::SevenBit | Encoding::EightBit, Kind::Other) => Treatment::Base64,
            // What may not be encoded, and encodings that only others know: as long as it can go, it goes as it is.
            _ if !is_8bit => Treatment::Break,
            (_, Kind::Other) => Treatment::Base64,
            _ => Treatment::Quote,
        }
    }

    /// What does it.
    pub fn writer(self, demand: Demand) -> Writer {
        match self {
            Treatment::Keep | Treatment::Break => Writer::Plain(Plain::new(demand.seven_bit)),
            Treatment::Quote => Writer::Quoted(Quoted::default()),
            Treatment::Base64 => Writer::Base64(Base64::default()),
            Treatment::Requote => Writer::Requoted(Requoted::default()),
            Treatment::Rewrap => Writer::Rewrapped(Rewrapped::default()),
        }
    }
}

/// The decisions for all entities of a message, by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In the order of their headers.
    pub decisions: Vec<Decision>,
    /// What they come to.
    pub changes: Changes,
}

impl Plan {
    /// The decision for an entity; to leave it, where there is none.
    pub fn of(&self, entity: usize) -> Decision {
        self.decisions.get(entity).copied().unwrap_or_default()
    }
}

/// What was done, for the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The message's text got this label.
    pub labelled: Option<Charset>,
    /// Parts that became quoted-printable.
    pub quoted: usize,
    /// Parts that became base64.
    pub base64: usize,
    /// Parts whose encoding was repaired.
    pub repaired: usize,
    /// Lines were broken.
    pub broken_lines: bool,
    /// Some of that within multipart/signed.
    pub in_signed: bool,
}

impl Changes {
    /// Counts one body.
    pub fn count(&mut self, treatment: Treatment, in_signed: bool) {
        match treatment {
            Treatment::Keep => return,
            Treatment::Break => self.broken_lines = true,
            Treatment::Quote => self.quoted += 1,
            Treatment::Base64 => self.base64 += 1,
            Treatment::Requote | Treatment::Rewrap => self.repaired += 1,
        }
        self.in_signed |= in_signed;
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = |count: usize, what: &str| {
            let noun = if count == 1 { "part" } else { "parts" };
            (count > 0).then(|| format!("{count} {noun} {what}"))
        };
        let texts = [
            self.labelled.map(|charset| format!("labelled as text in {}", charset.name())),
            parts(self.quoted, "as quoted-printable"),
            parts(self.base64, "as base64"),
            parts(self.repaired, "encoded properly"),
            self.broken_lines.then(|| "lines over 998 bytes broken".to_owned()),
            self.in_signed.then(|| "its multipart/signed signature is no longer valid".to_owned()),
        ];
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        write!(f, "content converted: {}", if texts.is_empty() { "labels only".to_owned() } else { texts.join(", ") })
    }
}

/// Whether bytes that come in pieces are UTF-8.
#[derive(Clone, Debug, Default)]
pub struct Utf8 {
    /// The start of a character whose end has not come.
    carry: Vec<u8>,
    is_broken: bool,
}

impl Utf8 {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.is_broken || (self.carry.is_empty() && bytes.is_ascii()) {
            return;
        }
        let joined = if self.carry.is_empty() { None } else { Some([std::mem::take(&mut self.carry).as_slice(), bytes].concat()) };
        let bytes = joined.as_deref().unwrap_or(bytes);
        if let Err(error) = std::str::from_utf8(bytes) {
            self.is_broken = error.error_len().is_some();
            self.carry = bytes.get(error.valid_up_to()..).unwrap_or_default().iter().take(4).copied().collect();
        }
    }

    /// True if all of it was.
    pub(crate) fn is_valid(&self) -> bool {
        !self.is_broken && self.carry.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h7_a_charset_is_judged_alike_in_any_pieces() {
        for (text, valid) in [
            ("plain".as_bytes(), true),
            ("\u{fc} \u{20ac} \u{1f600}".as_bytes(), true),
            (b"\xfc", false),
            (b"\xe2\x82", false),
            (b"a\xe2\x82 b", false),
            (b"\xed\xa0\x80", false),
        ] {
            for piece in 1..=text.len() {
                let mut utf8 = Utf8::default();
                text.chunks(piece).for_each(|chunk| utf8.feed(chunk));
                assert_eq!(utf8.is_valid(), valid, "{text:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn h8_what_is_done_with_each_kind_of_body() {
        let long = BodySummary { longest_line: 999, ..BodySummary::default() };
        let fits = BodySummary { longest_line: 998, eight_bit: true, ..BodySummary::default() };
        let any = Demand { seven_bit: false, short_lines: true };
        let seven = Demand { seven_bit: true, short_lines: true };
        for (encoding, kind, broken, stripped) in [
            (Encoding::SevenBit, Kind::Text, Treatment::Quote, Treatment::Quote),
            (Encoding::EightBit, Kind::Other, Treatment::Base64, Treatment::Base64),
            (Encoding::Base64, Kind::Text, Treatment::Rewrap, Treatment::Rewrap),
            (Encoding::QuotedPrintable, Kind::Other, Treatment::Requote, Treatment::Requote),
            (Encoding::Unknown, Kind::Text, Treatment::Break, Treatment::Quote),
            (Encoding::Unknown, Kind::Other, Treatment::Break, Treatment::Base64),
            (Encoding::SevenBit, Kind::Opaque, Treatment::Break, Treatment::Quote),
        ] {
            assert_eq!(Treatment::of(kind, encoding, &long, any), broken, "{encoding:?} {kind:?}");
            assert_eq!(Treatment::of(kind, encoding, &fits, any), Treatment::Keep, "{encoding:?} {kind:?}");
            assert_eq!(Treatment::of(kind, encoding, &fits, seven), stripped, "{encoding:?} {kind:?}");
        }
    }
}
