//! The product among programs that other people wrote: their mail servers, DNS servers, callers and judges.

mod aiosmtpd;
mod callers;
mod conversion;
mod mx;
mod signing;
mod smarthost;

use crate::support::installation::Installation;
use crate::support::keys::{self, DkimKey};
use crate::support::oracles;

/// The selectors of the sender's domain, and their keys.
pub(crate) struct Signing {
    pub ed25519: DkimKey,
    pub rsa: DkimKey,
}

/// The lines of mailchute.toml that turn [`Signing`] on.
pub(crate) const SIGNED: &str = "[domain.\"sender.example\"]\nselectors = [\"e1\", \"r1\"]\n";

impl Signing {
    /// Puts both keys where the daemon looks for them.
    pub(crate) fn install(installation: &Installation) -> Signing {
        let signing = Signing { ed25519: keys::ed25519(), rsa: keys::rsa() };
        let directory = installation.paths.keys.join("sender.example");
        installation.write_secret(&directory.join("e1.pem"), &signing.ed25519.private_pem);
        installation.write_secret(&directory.join("r1.pem"), &signing.rsa.private_pem);
        signing
    }

    /// The published records.
    pub(crate) fn records(&self) -> [oracles::Txt<'_>; 2] {
        [("e1._domainkey.sender.example", &self.ed25519.txt), ("r1._domainkey.sender.example", &self.rsa.txt)]
    }
}

/// Asserts that dkimpy accepts both signatures of `message`, and OpenDKIM each of them alone.
macro_rules! assert_signed {
    ($message:expr, $signing:expr) => {{
        let (message, records): (&[u8], _) = (&$message, $signing.records());
        assert_eq!(require!(crate::support::oracles::dkimpy(message, &records)), ["pass", "pass"], "{}", String::from_utf8_lossy(message));
        for selector in ["e1", "r1"] {
            let alone = crate::interop::with_one_signature(message, selector);
            let verdict = require!(crate::support::oracles::opendkim(&alone, &records));
            assert!(verdict.ends_with("succeeded") && verdict.contains(&format!("s={selector}")), "{verdict}");
        }
    }};
}
use assert_signed;

/// The message without the signatures of other selectors: OpenDKIM reports one.
pub(crate) fn with_one_signature(message: &[u8], selector: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(message).replace("\r\n", "\n");
    let (header, body) = text.split_once("\n\n").unwrap();
    let mut fields: Vec<String> = Vec::new();
    for line in header.split('\n') {
        match fields.last_mut() {
            Some(field) if line.starts_with([' ', '\t']) => *field += &format!("\n{line}"),
            _ => fields.push(line.to_owned()),
        }
    }
    fields.retain(|field| !field.starts_with("DKIM-Signature:") || field.contains(&format!("s={selector};")));
    format!("{}\n\n{body}", fields.join("\n")).replace('\n', "\r\n").into_bytes()
}
