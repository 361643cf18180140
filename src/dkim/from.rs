//! The author domain: the From field alone decides which keys sign. Pure.
//!
//! In: a header section that any local user may have written. Out: the domain of the first mailbox in the only From field. This
//! grants nothing (whoever may send may send as any configured domain unless `sender_policy` says otherwise); it decides which
//! signature a receiver will look for (RFC 7489 3.1.1: the one aligned with From).

use std::fmt;

use mail::header::Section;

/// Why there is no such domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromError {
    /// No From field.
    Missing,
    /// Several From fields, and so many: receivers disagree on which one counts.
    Several(usize),
    /// No address with a domain in it.
    NoDomain,
}

impl fmt::Display for FromError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        match self {
            FromError::Missing => f.write_str("it has no From field"),
            FromError::Several(count) => write!(f, "it has {count} From fields"),
            FromError::NoDomain => f.write_str("its From field has no address with a domain"),
        }
    }
}

impl std::error::Error for FromError {}

/// The domain of the first mailbox in From, lower case, without trailing dot. It may be anything that stood there: an address
/// literal, a U-label, nonsense; look it up, do not print it raw.
pub fn domain(header: &[u8]) -> Result<String, FromError> {
    let section = Section::scan(header);
    let mut fields = section.named(header, "From");
    let field = fields.next().ok_or(FromError::Missing)?;
    match fields.count() {
        0 => first_domain(field.value_in(header)).ok_or(FromError::NoDomain),
        more => Err(FromError::Several(more + 1)),
    }
}

/// The domain of the first addr-spec in a mailbox list (RFC 5322 3.4, with the groups of RFC 6854 and the obsolete forms: blanks
/// and comments around dots, source routes).
fn first_domain(value: &[u8]) -> Option<String> {
    let mut scan = Scan::default();
    for &byte in value {
        match scan.step(byte) {
            Step::More => {}
            Step::MailboxEnds => match scan.take_domain() {
                Some(domain) => return Some(domain),
                None => scan = Scan::default(),
            },
        }
    }
    scan.take_domain()
}

enum Step {
    More,
    MailboxEnds,
}

/// Where the scan is. All states are counters and flags, so nesting costs nothing.
#[derive(Default)]
struct Scan {
    /// Depth of comments.
    comment: usize,
    quoted: bool,
    /// The byte after a backslash stands for itself.
    escaped: bool,
    angle: bool,
    /// Inside a domain literal.
    literal: bool,
    /// What follows the last @ outside quotes and comments, blanks left out.
    domain: Option<Vec<u8>>,
}

impl Scan {
    fn step(&mut self, byte: u8) -> Step {
        if self.escaped {
            self.escaped = false;
            return Step::More;
        }
        match byte {
            b'\\' if self.quoted || self.comment > 0 => self.escaped = true,
            b'"' if self.comment == 0 => self.quoted = !self.quoted,
            _ if self.quoted => {}
            b'(' => self.comment += 1,
            b')' => self.comment = self.comment.saturating_sub(1),
            _ if self.comment > 0 => {}
            byte => return self.structure(byte),
        }
        Step::More
    }

    /// A byte outside quotes and comments.
    fn structure(&mut self, byte: u8) -> Step {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            // What came before an angle address is a display name; it may hold an @, as bad software writes it.
            b'<' => (self.angle, self.domain) = (true, None),
            b'>' if self.angle => return Step::MailboxEnds,
            b'[' => {
                self.literal = true;
                self.keep(byte);
            }
            b']' => {
                self.literal = false;
                self.keep(byte);
            }
            // The domains of a source route, or the name of a group.
            b':' if !self.literal => self.domain = None,
            // In an angle address a comma can only belong to a source route.
            b',' | b';' if !self.angle => return Step::MailboxEnds,
            b'@' => self.domain = Some(Vec::new()),
            byte => self.keep(byte),
        }
        Step::More
    }

    fn keep(&mut self, byte: u8) {
        if let Some(domain) = &mut self.domain {
            domain.push(byte);
        }
    }

    fn take_domain(&mut self) -> Option<String> {
        let domain = String::from_utf8(self.domain.take()?).ok()?.to_lowercase();
        let domain = domain.strip_suffix('.').unwrap_or(&domain);
        (!domain.is_empty()).then(|| domain.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_rfc_5322() {
        for (value, expected) in [
            ("a@Example.ORG", Some("example.org")),
            ("A B <a@b.example>", Some("b.example")),
            ("\"a@x.example\" <a@b.example>", Some("b.example")),
            ("\"quote \\\" < a@x.example\" <a@b.example>", Some("b.example")),
            ("a@x.example <a@b.example>", Some("b.example")),
            ("(a@x.example) a@b.example (later@y.example)", Some("b.example")),
            ("(nested (a@x.example) \\) still) a@b.example", Some("b.example")),
            ("\"a@x.example\"@b.example", Some("b.example")),
            ("a@b.example, c@d.example", Some("b.example")),
            ("nobody, c@d.example", Some("d.example")),
            ("Group: a@b.example, c@d.example;", Some("b.example")),
            ("undisclosed:;", None),
            ("<@x.example,@y.example:a@b.example>", Some("b.example")),
            ("a @ b . example", Some("b.example")),
            ("\r\n folded\r\n <a@b.example.>\r\n", Some("b.example")),
            ("a@[192.0.2.1]", Some("[192.0.2.1]")),
            ("a@[IPv6:2001:db8::1]", Some("[ipv6:2001:db8::1]")),
            ("=?utf-8?q?a=40x.example?= <a@b.example>", Some("b.example")),
            ("grün@Bücher.example", Some("bücher.example")),
            ("root", None),
            ("<>", None),
            ("a@", None),
            ("(unclosed a@b.example", None),
            ("\"x, a@x.example, y\" <a@b.example>", Some("b.example")),
            ("\"(\" <a@b.example>", Some("b.example")),
            ("(5\" disk) a@b.example", Some("b.example")),
            ("(x \\) a@x.example, y) a@b.example", Some("b.example")),
            ("a\\<a@b.example>", Some("b.example")),
            ("a@b>c.example", Some("b>c.example")),
            ("a@x.example: nobody", None),
            ("", None),
        ] {
            let header = format!("To: x@to.example\r\nFrom:{value}\r\n");
            assert_eq!(domain(header.as_bytes()).ok().as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn there_is_exactly_one_from_field() {
        assert_eq!(domain(b"To: a@b\r\n\r\nFrom: c@d\r\n"), Err(FromError::Missing));
        assert_eq!(domain(b"From: a@b\r\nfrom : c@d\r\n"), Err(FromError::Several(2)));
        assert_eq!(domain(b"From: a\xff@b\xfe\r\n"), Err(FromError::NoDomain));
    }
}
