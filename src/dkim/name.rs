//! The names of DKIM: signing domains and selectors. Both become file names and DNS labels, so a value that exists holds neither a
//! slash nor a leading dot, and prints into a header field, a zone file or a shell line as it is.

use std::fmt;

/// Octets of a domain name in text form (RFC 1035 2.3.4, less the two that only the wire form needs).
const NAME: usize = 253;
/// Octets of a label (RFC 1035 2.3.4).
const LABEL: usize = 63;

/// The domain of `d=` (RFC 6376 3.5): lower case, at least two labels, U-labels written as A-labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SigningDomain(String);

/// The selector of `s=` (RFC 6376 3.1): one label or several, lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(String);

/// Why a text is no such name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// An empty label, one over 63 bytes, or a hyphen at its edge.
    Label,
    /// A character that is not a letter, digit or hyphen.
    Character,
    /// A character beyond ASCII.
    NotAscii,
    /// Longer than DNS allows.
    TooLong,
    /// A domain of one label.
    OneLabel,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        f.write_str(match self {
            NameError::Label => "a label is empty, longer than 63 bytes, or starts or ends with a hyphen",
            NameError::Character => "only letters, digits, hyphens and dots are allowed",
            NameError::NotAscii => "write an international name in its ASCII form (xn--…)",
            NameError::TooLong => "longer than DNS allows",
            NameError::OneLabel => "a signing domain needs at least two labels",
        })
    }
}

impl std::error::Error for NameError {}

impl SigningDomain {
    /// The domain that `text` spells, in any case; one trailing dot is dropped.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        check(text, |c| c.is_ascii_alphanumeric() || c == '-')?;
        if !text.contains('.') {
            return Err(NameError::OneLabel);
        }
        Ok(SigningDomain(text.to_ascii_lowercase()))
    }

    /// The name, lower case, no trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Selector {
    /// The selector that `text` spells, in any case. Underscores pass, although RFC 6376 3.1 has none: published selectors do.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_')?;
        Ok(Selector(text.to_ascii_lowercase()))
    }

    /// The name, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the public key is published (RFC 6376 3.6.2.1), without a trailing dot.
    ///
    /// Errors: [`NameError::TooLong`] where the whole exceeds what DNS can carry.
    pub fn record_name(&self, domain: &SigningDomain) -> Result<String, NameError> {
        let name = format!("{}._domainkey.{}", self.0, domain.0);
        if name.len() > NAME { Err(NameError::TooLong) } else { Ok(name) }
    }
}

fn check(text: &str, allowed: impl Fn(char) -> bool) -> Result<(), NameError> {
    if !text.is_ascii() {
        return Err(NameError::NotAscii);
    }
    if text.len() > NAME {
        return Err(NameError::TooLong);
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > LABEL || label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Label);
        }
        if !label.chars().all(&allowed) {
            return Err(NameError::Character);
        }
    }
    Ok(())
}

impl fmt::Display for SigningDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_labels() {
        assert_eq!(SigningDomain::parse("Example.ORG.").map(|d| d.to_string()), Ok("example.org".to_owned()));
        assert_eq!(Selector::parse("S1.brisbane_2").map(|s| s.to_string()), Ok("s1.brisbane_2".to_owned()));
    }

    #[test]
    fn what_could_leave_the_directory_or_the_header_field_is_refused() {
        for text in
            ["", ".", "..", "a..b", "../x.y", "a/b.c", "-a.b", "a.b-", ".a.b", "a b.c", "a;b.c", "a.b\r\nX: y", "a.b\0", "bücher.example"]
        {
            assert!(SigningDomain::parse(text).is_err(), "{text:?}");
            assert!(Selector::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(SigningDomain::parse("localhost"), Err(NameError::OneLabel));
        assert_eq!(SigningDomain::parse(&"a.".repeat(127)), Ok(SigningDomain("a.".repeat(126) + "a")));
        assert_eq!(SigningDomain::parse(&"a.".repeat(128)), Err(NameError::TooLong));
        assert_eq!(SigningDomain::parse(&format!("{}.org", "x".repeat(64))), Err(NameError::Label));
        let longest = "x".repeat(63);
        assert_eq!(Selector::parse(&longest).as_ref().map(Selector::as_str), Ok(longest.as_str()));
    }

    #[test]
    fn a_record_name_longer_than_dns_allows_is_refused() {
        let selector = Selector::parse("s1").expect("a selector");
        let name = |domain: &str| selector.record_name(&SigningDomain::parse(domain).expect("a domain"));
        assert_eq!(name("example.org"), Ok("s1._domainkey.example.org".to_owned()));
        assert!(name(&("a.".repeat(119) + "a")).is_ok_and(|name| name.len() == NAME));
        assert_eq!(name(&("a.".repeat(119) + "aa")), Err(NameError::TooLong));
    }
}
