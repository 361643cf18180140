//! The secret of a webhook, and its signatures (Standard Webhooks, "Signature scheme"). Pure.
//!
//! In: the text of a file that only the daemon can read: `whsec_` and base64, one line each. Several lines are several secrets, for
//! the time of a change: every body is signed with each of them. No message ever shows a secret or a part of it.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use mail::base64;

/// The permitted lengths of a secret in bytes.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The most secrets in one file.
const SECRETS: usize = 4;

/// The secrets of one webhook.
pub struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Parses the text of a file.
    ///
    /// Errors: one line that contains no part of the text.
    pub fn parse(text: &str) -> Result<Secrets, &'static str> {
        let mut secrets = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let digits = line.strip_prefix("whsec_").ok_or("a line does not start with whsec_")?;
            let bytes = decode(digits).filter(|bytes| BYTES.contains(&bytes.len()));
            secrets.push(bytes.ok_or("a line is not whsec_ followed by 24 to 64 bytes in base64")?);
        }
        match secrets.len() {
            0 => Err("contains no secret"),
            n if n > SECRETS => Err("contains more than four secrets"),
            _ => Ok(Secrets(secrets)),
        }
    }

    /// The value of `webhook-signature` for a body that is sent as `id` at `timestamp`, unix seconds.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signature = |secret: &Zeroizing<Vec<u8>>| {
            let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", base64::encode(context.sign().as_ref()))
        };
        self.0.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

/// Base64 with or without padding (RFC 4648 4).
fn decode(digits: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = digits.trim_end_matches('=').as_bytes();
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len()));
    for group in digits.chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let bits = group.iter().try_fold(0u32, |bits, &digit| Some(bits << 6 | value(digit)?))? << (6 * (4 - group.len()));
        bytes.extend(bits.to_be_bytes().get(1..group.len())?);
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u32> {
    match digit {
        b'A'..=b'Z' => Some(u32::from(digit - b'A')),
        b'a'..=b'z' => Some(u32::from(digit - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(digit - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn base64_comes_back_as_it_was() {
        for bytes in [b"".as_slice(), b"f", b"fo", b"foo", b"foob", &[0xfb, 0xff, 0xfe], &[0; 64]] {
            let text = base64::encode(bytes);
            assert_eq!(decode(&text).as_deref().map(Vec::as_slice), Some(bytes), "{text}");
            assert_eq!(decode(text.trim_end_matches('=')).as_deref().map(Vec::as_slice), Some(bytes));
        }
        for bad in ["A", "AAAAA", "A*AA", "AA AA", "AA\n"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_example_of_the_specification() {
        let secrets = Secrets::parse(SECRET).unwrap();
        let signature = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_give_two_signatures() {
        let both = Secrets::parse(&format!("{SECRET}\nwhsec_{}\n", base64::encode(&[7; 32]))).unwrap();
        let signature = both.sign("a", 1, b"x");
        assert_eq!(signature.split(' ').count(), 2);
        assert!(signature.starts_with(&Secrets::parse(SECRET).unwrap().sign("a", 1, b"x")));
    }

    #[test]
    fn t_out_4_a_bad_secret_is_refused_and_never_shown() {
        for bad in ["", "\n", "secret", "whsec_", "whsec_AAAA", &format!("whsec_{}", base64::encode(&[1; 65])), "whsec_*"] {
            let error = Secrets::parse(bad).unwrap_err();
            let digits = bad.trim().trim_start_matches("whsec_");
            assert!(digits.is_empty() || !error.contains(digits), "{error}");
        }
        assert_eq!(format!("{:?}", Secrets::parse(SECRET).unwrap()), "Secrets(1)");
    }
}
