//! The TXT record of a key (RFC 6376 3.6.1): what to publish. Pure.

use super::key::{KeyError, PrivateKey};
use mail::base64;

/// Octets of one character-string in DNS (RFC 1035 3.3).
const STRING: usize = 255;

/// The record's text as one string, which is what most web forms of DNS providers want.
pub fn text(key: &PrivateKey) -> Result<String, KeyError> {
    Ok(format!("v=DKIM1; k={}; p={}", key.key_type(), base64::encode(&key.public_bytes()?)))
}

/// The text in pieces of at most 255 bytes. Verifiers join them without anything in between (RFC 6376 3.6.2.2).
pub(crate) fn strings(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((piece, after)) = rest.split_at_checked(STRING) {
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// The record as lines of a zone file (RFC 1035 5.1); `name` has no trailing dot. The text of [`text`] holds neither a quote nor
/// a backslash, so nothing is escaped.
pub fn zone_lines(name: &str, text: &str) -> String {
    let pieces: Vec<String> = strings(text).iter().map(|piece| format!("\"{piece}\"")).collect();
    match pieces.as_slice() {
        [one] => format!("{name}. IN TXT {one}\n"),
        several => format!("{name}. IN TXT (\n\t{}\n\t)\n", several.join("\n\t")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_record_is_cut_after_255_bytes() {
        let text = "x".repeat(400);
        let lengths: Vec<usize> = strings(&text).iter().map(|piece| piece.len()).collect();
        assert_eq!(lengths, [255, 145]);
        assert_eq!(strings(&text).concat(), text);
        assert_eq!(strings(&"x".repeat(510)).len(), 2);
        assert_eq!(strings("v=DKIM1"), ["v=DKIM1"]);
    }

    #[test]
    fn the_zone_form_is_one_record() {
        assert_eq!(zone_lines("s._domainkey.a.example", "v=DKIM1"), "s._domainkey.a.example. IN TXT \"v=DKIM1\"\n");
        let long = zone_lines("s._domainkey.a.example", &"x".repeat(300));
        assert_eq!(long, format!("s._domainkey.a.example. IN TXT (\n\t\"{}\"\n\t\"{}\"\n\t)\n", "x".repeat(255), "x".repeat(45)));
    }
}
