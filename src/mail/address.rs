//! Envelope addresses. In: text of an untrusted caller or file. Out: values that can be written into `MAIL FROM:<…>` unchanged.
//! `address_list` parses the RFC 5322 forms of header fields.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits;

/// A mailbox, `local-part@domain` (RFC 5321 4.1.2), in one canonical form: the local part without needless quoting, the domain
/// as given but for a trailing dot. Equality is that of R7: the domain without case, the local part exactly.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    local: String,
    domain: String,
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing there.
    Empty,
    /// No `@domain`.
    Unqualified,
    /// Nothing before the `@`.
    NoLocalPart,
    /// Nothing after the `@`.
    NoDomain,
    /// A control character, or a character that its place does not allow.
    Character,
    /// Quotes or brackets that do not close, or text after them.
    Syntax,
    /// Local part over 64, domain over 255 bytes.
    TooLong,
    /// A domain that is not made of labels.
    Domain,
    /// A domain in brackets that holds no IP address.
    Literal,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = crate::sentence::instead(f) {
            return nonsense;
        }
        f.write_str(match self {
            AddressError::Empty => "empty address",
            AddressError::Unqualified => "no @domain",
            AddressError::NoLocalPart => "nothing before the @",
            AddressError::NoDomain => "nothing after the @",
            AddressError::Character => "a character that is not allowed there",
            AddressError::Syntax => "not of the form local@domain",
            AddressError::TooLong => "longer than RFC 5321 allows (64 octets before the @, 255 after)",
            AddressError::Domain => "no valid domain after the @",
            AddressError::Literal => "no IP address in the brackets; write [192.0.2.1] or [IPv6:2001:db8::1]",
        })
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// An address from its parts: `local` as it reads without quoting (`a b`, not `"a b"`).
    pub fn new(local: &str, domain: &str) -> Result<Self, AddressError> {
        if local.chars().any(char::is_control) {
            return Err(AddressError::Character);
        }
        if local.len() > limits::LOCAL_PART {
            return Err(AddressError::TooLong);
        }
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        check_domain(domain)?;
        Ok(Address { local: local.to_owned(), domain: domain.to_owned() })
    }

    /// The address that `text` spells as an addr-spec on the wire: `a@b`, `"a b"@c`, `a@[192.0.2.1]`. No comments, no route.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let (local, rest) = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let at = text.rfind('@').ok_or(AddressError::Unqualified)?;
                let (local, rest) = text.split_at(at);
                if local.is_empty() {
                    return Err(AddressError::NoLocalPart);
                }
                if !local.chars().all(is_plain) {
                    return Err(AddressError::Character);
                }
                (local.to_owned(), rest)
            }
        };
        match rest.strip_prefix('@') {
            Some(domain) => Address::new(&local, domain),
            None if rest.is_empty() => Err(AddressError::Unqualified),
            None => Err(AddressError::Syntax),
        }
    }

    /// The local part, unquoted.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, in the case it was given in.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// True if the address can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }
}

/// The unquoted text of a quoted string after its opening quote, and the rest.
fn unquote(quoted: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((local, quoted.get(at + 1..).unwrap_or(""))),
            '\\' => local.push(chars.next().ok_or(AddressError::Syntax)?.1),
            c => local.push(c),
        }
    }
    Err(AddressError::Syntax)
}

/// RFC 5321 4.1.2: a local part that needs no quotes. One with dots at its edge or side by side is written in quotes, as Postfix
/// does: it is the same mailbox, and strict servers refuse the bare form.
fn is_dot_string(local: &str) -> bool {
    local.chars().all(is_plain) && local.split('.').all(|atom| !atom.is_empty())
}

/// True for a character of an unquoted local part: atext and the dot (read anywhere: `a..b@docomo.example` exists), and
/// everything beyond ASCII (RFC 6531 3.3).
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || (!c.is_ascii() && !c.is_control())
}

/// A domain is labels of letters, digits, hyphens, underscores or U-labels, or an address literal (RFC 5321 4.1.3).
fn check_domain(domain: &str) -> Result<(), AddressError> {
    if domain.is_empty() {
        return Err(AddressError::NoDomain);
    }
    if domain.len() > limits::DOMAIN {
        return Err(AddressError::TooLong);
    }
    if let Some(literal) = domain.strip_prefix('[') {
        let inner = literal.strip_suffix(']').ok_or(AddressError::Literal)?;
        let inner = match inner.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner.get(5..).filter(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
            _ => Some(inner).filter(|ip| ip.parse::<std::net::Ipv4Addr>().is_ok()),
        };
        return inner.map(|_| ()).ok_or(AddressError::Literal);
    }
    let label_is_good = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || (!c.is_ascii() && c.is_alphanumeric() || is_mark(c)))
    };
    if domain.split('.').all(label_is_good) { Ok(()) } else { Err(AddressError::Domain) }
}

/// Characters beyond letters and digits that U-labels need: combining marks of Indic and Arabic scripts, joiners, middle dots.
/// A precise answer is IDNA's; here nothing that can break a line, a quote or a terminal may pass.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5f4}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{dff}'
        | '\u{e00}'..='\u{eff}' | '\u{200c}' | '\u{200d}' | '\u{b7}' | '\u{30fb}' | '\u{30fc}')
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.local == other.local && self.domain.eq_ignore_ascii_case(&other.domain)
    }
}

impl Eq for Address {}

impl std::hash::Hash for Address {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.local.hash(state);
        self.domain.bytes().for_each(|b| state.write_u8(b.to_ascii_lowercase()));
    }
}

impl fmt::Display for Address {
    /// The wire form: quoted where it must be. `parse(print(a)) == a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if c == '"' || c == '\\' {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Address::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

/// The reverse-path (RFC 5321 4.5.5): an address, or null for DSNs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ReversePath {
    /// `<>`
    Null,
    /// `<address>`
    Address(Address),
}

impl ReversePath {
    /// The address, unless null.
    pub fn address(&self) -> Option<&Address> {
        match self {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        }
    }
}

impl fmt::Display for ReversePath {
    /// The text between `<` and `>`: the address, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().map_or(Ok(()), |address| address.fmt(f))
    }
}

impl TryFrom<String> for ReversePath {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() { Ok(ReversePath::Null) } else { Address::parse(&text).map(ReversePath::Address) }
    }
}

impl From<ReversePath> for String {
    fn from(path: ReversePath) -> String {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_canonical_and_parses_back() {
        for (text, wire) in [
            ("a@b", "a@b"),
            ("a..b.@docomo.example", "\"a..b.\"@docomo.example"),
            ("\".a\"@x.example", "\".a\"@x.example"),
            ("\"a.b\"@x.example", "a.b@x.example"),
            (".@x.example", "\".\"@x.example"),
            ("\"plain\"@x.example", "plain@x.example"),
            ("\"a b\"@x.example", "\"a b\"@x.example"),
            ("\"a\\\"b\\\\\"@x.example", "\"a\\\"b\\\\\"@x.example"),
            ("\"\"@x.example", "\"\"@x.example"),
            ("a%b@c!d@x.example.", ""),
            ("u@[192.0.2.1]", "u@[192.0.2.1]"),
            ("u@[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]"),
            ("grün@bücher.example", "grün@bücher.example"),
            ("u@x.example.", "u@x.example"),
        ] {
            match Address::parse(text) {
                Ok(address) => {
                    assert_eq!(address.to_string(), wire, "{text}");
                    assert_eq!(Address::parse(wire).as_ref(), Ok(&address));
                }
                Err(_) => assert_eq!(wire, "", "{text}"),
            }
        }
    }

    #[test]
    fn t_smtp_2_what_could_break_a_command_line_is_refused() {
        for text in [
            "",
            "root",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b c",
            "a@b\r\nRCPT TO:<x@y>",
            "a\0@b",
            "<a@b>",
            "a@b>",
            "a@[1.2.3]",
            "a@[x]",
            "a@-b",
            "a@b..c",
            "\"a@b",
            "\"a\"b@c",
            "\"a\r\n\"@b",
            "a@b,c@d",
            "a@\u{202e}b",
            "a@b\u{2028}c",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Address::parse(&format!("{}@b", "x".repeat(65))), Err(AddressError::TooLong));
        assert_eq!(Address::parse(&format!("a@{}", "x.".repeat(150))), Err(AddressError::TooLong));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, why) in [
            ("", AddressError::Empty),
            ("x", AddressError::Unqualified),
            ("x@", AddressError::NoDomain),
            ("@x.example", AddressError::NoLocalPart),
            ("x@a..b", AddressError::Domain),
            ("x@[1.2.3]", AddressError::Literal),
            ("x@[IPv6:1.2.3.4]", AddressError::Literal),
        ] {
            assert_eq!(Address::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_quoted_local_part_without_a_domain_is_unqualified_and_with_text_behind_it_is_no_address() {
        assert_eq!(Address::parse("\"a b\""), Err(AddressError::Unqualified));
        assert_eq!(Address::parse("\"a\"b@c"), Err(AddressError::Syntax));
        assert_eq!(AddressError::Unqualified.to_string(), "no @domain");
    }

    #[test]
    fn the_parts_are_those_of_the_text_unquoted() {
        let address = Address::parse("\"a b\"@X.example").unwrap();
        assert_eq!((address.local(), address.domain()), ("a b", "X.example"));
        assert_eq!(String::from(address), "\"a b\"@X.example");
        for (text, is_ascii) in [("a@b.example", true), ("ü@b.example", false), ("a@bü.example", false), ("ü@bü.example", false)] {
            assert_eq!(Address::parse(text).unwrap().is_ascii(), is_ascii, "{text}");
        }
    }

    #[test]
    fn a_domain_may_be_as_long_as_the_limit_and_a_label_63() {
        let of = |labels: &[usize]| labels.iter().map(|&n| "x".repeat(n)).collect::<Vec<_>>().join(".");
        assert!(Address::new("a", &of(&[63, 63, 63, 63])).is_ok());
        assert_eq!(Address::new("a", &of(&[63, 63, 63, 62, 1])), Err(AddressError::TooLong));
        assert_eq!(Address::new("a", &of(&[64])), Err(AddressError::Domain));
        assert!(Address::new(&"x".repeat(64), "b").is_ok());
    }

    #[test]
    fn a_label_may_hold_marks_that_words_need_and_nothing_that_breaks_a_line() {
        for good in ["a_b", "a-b", "1", "हिन्दी", "cafe\u{301}", "ab\u{b7}c", "a\u{200c}b"] {
            assert!(Address::new("a", good).is_ok(), "{good}");
        }
        for bad in ["a b", "a!b", "a\u{2028}b", "a\u{202e}b", "-a", "a-", "a\u{ad}b", "a'b"] {
            assert_eq!(Address::new("a", bad), Err(AddressError::Domain), "{bad:?}");
        }
    }

    #[test]
    fn r7_the_domain_compares_without_case_the_local_part_exactly() {
        assert_eq!(Address::parse("a@X.example"), Address::parse("a@x.EXAMPLE"));
        assert_ne!(Address::parse("A@x.example"), Address::parse("a@x.example"));
        let set = |texts: &[&str]| texts.iter().map(|text| Address::parse(text).unwrap()).collect::<std::collections::HashSet<_>>();
        assert_eq!(set(&["a@X.example", "a@x.EXAMPLE", "A@x.example"]).len(), 2);
        let hash = |text: &str| {
            std::hash::BuildHasher::hash_one(
                &std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default(),
                Address::parse(text).unwrap(),
            )
        };
        assert_eq!(hash("a@X.example"), hash("a@x.example"));
        assert_ne!(hash("a@x.example"), hash("b@x.example"));
        assert_ne!(hash("a@x.example"), hash("a@y.example"));
    }

    #[test]
    fn a_reverse_path_is_an_address_or_nothing_also_as_text() {
        for text in ["", "a@b.example"] {
            let path = ReversePath::try_from(text.to_owned()).unwrap();
            assert_eq!(path.address().map(Address::to_string), (!text.is_empty()).then(|| text.to_owned()));
            assert_eq!((path.to_string(), String::from(path)), (text.to_owned(), text.to_owned()));
        }
        assert_eq!(ReversePath::try_from("a@".to_owned()), Err(AddressError::NoDomain));
    }
}
