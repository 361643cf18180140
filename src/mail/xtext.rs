//! The values of the DSN parameters ENVID and ORCPT (RFC 3461 4, RFC 6533 3).
//!
//! In: texts chosen by any local user. Out: texts that cannot break out of a parameter, field or line. Pure.

use std::fmt::Write;

/// Octets of an ORCPT value (RFC 3461 4.2).
const ORCPT: usize = 500;

/// RFC 3461 4: octets outside `!` to `~`, and `+` and `=`, as `+` and two upper-case hex digits.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'+' && byte != b'=' => out.push(char::from(byte)),
            _ => {
                // A write to a String cannot fail, here and below.
                let _ = write!(out, "+{byte:02X}");
            }
        }
    }
    out
}

/// The octets that `text` stands for; `None` if it is not xtext (RFC 3461 4).
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'!'..=b'~' if byte != b'=' => byte,
            _ => return None,
        });
    }
    Some(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// `type` and address of an ORCPT value of at most 500 bytes, the address still encoded. `None` if it is none. The type `utf-8`
/// alone may hold characters beyond ASCII as they are (RFC 6533 3).
pub fn orcpt(text: &str) -> Option<(&str, &str)> {
    let (kind, address) = text.split_once(';')?;
    let is_atom = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_atom || address.is_empty() || text.len() > ORCPT {
        return None;
    }
    let is_good = match is_utf8(kind) {
        true => !address.chars().any(char::is_control) && decode(&to_ascii(address)).is_some(),
        false => decode(address).is_some(),
    };
    is_good.then_some((kind, address))
}

/// True for the address type of RFC 6533. Types have no case (RFC 3464 2.1.2).
pub fn is_utf8(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("utf-8")
}

/// The 7-bit form of an address of the type `utf-8`: what is beyond ASCII as `\x{FC}` (RFC 6533 3, utf-8-addr-xtext).
pub fn to_ascii(address: &str) -> String {
    let escape = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\x{{{:X}}}", u32::from(c)) };
    address.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3461 4
    #[test]
    fn xtext_comes_back_as_it_was() {
        assert_eq!(encode("a b+c=\u{fc}"), "a+20b+2Bc+3D+C3+BC");
        for text in ["a b+c=\u{fc}", "", "order  7", "+2B"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text.as_bytes()), "{text}");
        }
        for bad in ["a=b", "a b", "+", "+2", "+2b", "+zz", "\u{fc}", "a\u{7f}"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    /// RFC 3461 4.2, RFC 6533 3
    #[test]
    fn an_orcpt_is_a_type_and_an_encoded_address() {
        assert_eq!(orcpt("rfc822;a+2Bb@x.example"), Some(("rfc822", "a+2Bb@x.example")));
        for good in ["utf-8;j\\x{F6}rg@x.example", "UTF-8;j\u{f6}rg@x.example", "x400;/c=".trim_end_matches('='), "rfc822;a;b"] {
            assert!(orcpt(good).is_some(), "{good}");
        }
        let long = format!("rfc822;{}", "a".repeat(494));
        for bad in
            ["", "rfc822", "rfc822;", ";a", "r f;a", "rfc822;a b", "rfc822;a=b", "rfc822;a+2", "rfc822;\u{f6}", "utf-8;\u{9b}", &long]
        {
            assert_eq!(orcpt(bad), None, "{bad}");
        }
        assert!(orcpt(&long[..500]).is_some());
        assert_eq!(to_ascii("j\u{f6}rg\u{1f4a9}@x"), "j\\x{F6}rg\\x{1F4A9}@x");
    }
}
