//! Making the signature (RFC 6376 3.5, 3.7 and 5).

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use super::{canon, fields};
use crate::key::PrivateKey;
use crate::name::{Selector, SigningDomain};
use mail::base64;
use mail::header::Section;

/// Where lines of the field are folded: RFC 5322 2.1.1 wants at most 78 bytes.
const LINE: usize = 76;
/// Bytes of base64 on one line.
const DIGITS: usize = 72;

/// One key of one domain, ready to sign.
#[derive(Debug)]
pub struct Signer {
    /// `d=`
    pub domain: SigningDomain,
    /// `s=`
    pub selector: Selector,
    /// The key that the record `SELECTOR._domainkey.DOMAIN` publishes.
    pub key: PrivateKey,
}

/// Why a message cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignError {
    /// Not exactly one From field, but so many (RFC 5322 3.6; RFC 6376 5.4 wants it signed).
    From(usize),
    /// Text in the header section that is no field, so verifiers may disagree about the start of the body.
    NotAField,
    /// The cryptographic library failed with this selector's key.
    Key(Selector),
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        match self {
            SignError::From(count) => write!(f, "cannot be signed: it has {count} From fields instead of one"),
            SignError::NotAField => f.write_str("cannot be signed: its header section has a line that is not a header field"),
            SignError::Key(selector) => write!(f, "cannot be signed with selector {selector}: the cryptographic library failed"),
        }
    }
}

impl std::error::Error for SignError {}

/// The DKIM-Signature fields of `signers`, in their order, each complete with its CRLF, to be put before the message.
///
/// `header` is the header section as it will be sent, in wire form, with or without the blank line after it; `body_hash` is that of
/// [`canon::BodyHasher`]; `now` is unix seconds. The same input gives the same bytes.
pub fn sign(signers: &[Signer], header: &[u8], body_hash: &[u8; SHA256_OUTPUT_LEN], now: i64) -> Result<Vec<u8>, SignError> {
    let section = Section::scan(header);
    if section.body != header.len() {
        return Err(SignError::NotAField);
    }
    match section.named(header, "From").count() {
        1 => {}
        count => return Err(SignError::From(count)),
    }
    let selection = fields::select(&section, header);
    let mut canonical = Vec::with_capacity(header.len());
    for field in &selection.fields {
        canon::field(field.name_in(header), field.value_in(header), &mut canonical);
        canonical.extend_from_slice(b"\r\n");
    }
    let mut hash = Context::new(&SHA256);
    hash.update(&canonical);

    let mut out = Vec::with_capacity(1024 * signers.len());
    for signer in signers {
        let value = unsigned_value(signer, &selection.names, body_hash, now);
        let digits = signature(signer, hash.clone(), &value)?;
        out.extend_from_slice(b"DKIM-Signature:");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(fold_digits(&digits).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    Ok(out)
}

/// The field's value up to and with an empty `b=`: the form in which it is hashed itself (RFC 6376 3.7).
fn unsigned_value(signer: &Signer, names: &[&str], body_hash: &[u8], now: i64) -> String {
    let Signer { domain, selector, key } = signer;
    format!(
        " v=1; a={}; c=relaxed/relaxed;\r\n\td={domain};\r\n\ts={selector}; t={};\r\n\t{};\r\n\tbh={};\r\n\tb=",
        key.algorithm(),
        // RFC 6376 3.5: unsigned. A clock before 1970 is wrong anyway.
        now.max(0),
        fold_names(names),
        base64::encode(body_hash),
    )
}

/// `h=` with folds after colons, which RFC 6376 3.5 allows there.
fn fold_names(names: &[&str]) -> String {
    let mut text = "h=".to_owned();
    // One for the tab.
    let mut line = 1 + text.len();
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            text.push(':');
            line += 1;
        }
        if line + name.len() + 1 > LINE {
            text.push_str("\r\n\t");
            line = 1;
        }
        text.push_str(name);
        line += name.len();
    }
    text
}

/// Base64 in lines; white space in `b=` counts for nothing (RFC 6376 3.5).
fn fold_digits(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / DIGITS * 3);
    let mut rest = digits;
    while let Some((line, after)) = rest.split_at_checked(DIGITS).filter(|(_, after)| !after.is_empty()) {
        text.push_str(line);
        text.push_str("\r\n\t");
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The signature over what `hash` has taken, and over the field itself without its CRLF.
fn signature(signer: &Signer, mut hash: Context, value: &str) -> Result<String, SignError> {
    let mut canonical = Vec::with_capacity(value.len() + 16);
    canon::field(b"DKIM-Signature", value.as_bytes(), &mut canonical);
    hash.update(&canonical);
    let bytes = signer.key.sign(&hash.finish()).map_err(|_| SignError::Key(signer.selector.clone()))?;
    Ok(base64::encode(&bytes))
}

#[cfg(test)]
mod tests;
