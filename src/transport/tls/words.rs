//! Error messages for failed TLS handshakes. Pure. Names in certificates are untrusted: they are made printable and cut.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use rustls_pki_types::UnixTime;

use super::strict::{SelfSigned, is_authority};
use mail::{date, printable, sentence};

/// The most names of a certificate in a message, and the most characters of each.
const NAMES: usize = 3;
const NAME: usize = 100;

/// The failure of a handshake with `host`, one printable line.
pub(super) fn of_handshake(host: &str, error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => of(host, error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => sentence::made("the server closed the connection during the handshake"),
        None => printable::text(&error.to_string()),
    }
}

/// The error of rustls, one printable line.
pub(super) fn of(host: &str, error: &Error) -> String {
    let text = match error {
        Error::InvalidCertificate(error) => of_certificate(host, error),
        Error::NoCertificatesPresented => "the server sent no certificate".to_owned(),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => OLD.to_owned(),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server did not answer with TLS: check the port and the scheme".to_owned()
        }
        other => other.to_string(),
    };
    printable::text(&sentence::made(text))
}

const OLD: &str = "the server supports neither TLS 1.2 nor TLS 1.3";

fn of_certificate(host: &str, error: &CertificateError) -> String {
    let day = |at: &UnixTime| date::rfc3339(i64::try_from(at.as_secs()).unwrap_or(i64::MAX / 4)).chars().take(10).collect::<String>();
    let is = match error {
        CertificateError::Other(other) if let Some(SelfSigned { is_authority }) = other.0.downcast_ref() => match is_authority {
            false => "is self-signed; add it to ca_file".to_owned(),
            true => {
                "is self-signed and marked as a CA certificate, which a server must not use; create one with CA:FALSE and add it to ca_file"
                    .to_owned()
            }
        },
        error if is_authority(error) => "is marked as a CA certificate (CA:TRUE), which a server must not use".to_owned(),
        CertificateError::UnknownIssuer => "was issued by a CA that is not trusted here (ca_file)".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => format!("is for {}, not for {host}", names(presented)),
        CertificateError::NotValidForName => format!("is not for {host}"),
        CertificateError::ExpiredContext { not_after, .. } => format!("expired on {}", day(not_after)),
        CertificateError::Expired => "has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid before {}; check the clock", day(not_before))
        }
        CertificateError::NotValidYet => "is not valid yet; check the clock".to_owned(),
        CertificateError::Revoked => "is revoked".to_owned(),
        CertificateError::BadEncoding => "cannot be read: its encoding is invalid".to_owned(),
        CertificateError::BadSignature => "was not signed by the trusted CA of that name (ca_file)".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "is not a server certificate".to_owned(),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed with an algorithm that is not accepted here".to_owned()
        }
        other => return format!("the certificate of {host} is not valid: {other}"),
    };
    format!("the certificate of {host} {is}")
}

/// `DnsName("wrong.example")` and `IpAddress(192.0.2.1)` as people write them.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inner.trim_matches('"').chars().take(NAME).collect::<String>()
    };
    let shown: Vec<String> = presented.iter().take(NAMES).map(plain).collect();
    match presented.len().saturating_sub(NAMES) {
        _ if shown.is_empty() => "no name at all".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn of_alert(alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::ProtocolVersion => return OLD.to_owned(),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "it has no cipher or key exchange in common with us, or no certificate for this name".to_owned()
        }
        AlertDescription::UnrecognisedName => "it does not know this server name".to_owned(),
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => "it requires a client certificate".to_owned(),
        AlertDescription::AccessDenied => "it denies access".to_owned(),
        AlertDescription::InternalError => "it had an internal error".to_owned(),
        other => other.as_str().map_or_else(|| format!("alert {}", u8::from(other)), apart),
    };
    format!("the server refused the handshake: {why}")
}

/// `BadRecordMac` as `bad record mac`.
fn apart(name: &str) -> String {
    let mut text = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && was_lower {
            text.push(' ');
        }
        was_lower = c.is_lowercase();
        text.extend(c.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::OtherError;
    use rustls_pki_types::ServerName;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let self_signed = |is_authority| CertificateError::Other(OtherError(Arc::new(SelfSigned { is_authority })));
        let expected = ServerName::try_from("127.0.0.1").unwrap();
        let named = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: expected.clone(),
            presented: presented.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (error, words) in [
            (self_signed(false), "is self-signed; add it to ca_file"),
            (self_signed(true), "is self-signed and marked as a CA certificate"),
            (CertificateError::BadSignature, "was not signed by the trusted CA of that name (ca_file)"),
            (CertificateError::UnknownIssuer, "was issued by a CA that is not trusted here (ca_file)"),
            (named(&["DnsName(\"wrong.example\")"]), "is for wrong.example, not for 127.0.0.1"),
            (named(&["IpAddress(192.0.2.1)", "DnsName(\"a\")"]), "is for 192.0.2.1, a, not for 127.0.0.1"),
            (named(&["a", "b", "c", "d", "e"]), "is for a, b, c and 2 more, not for 127.0.0.1"),
            (named(&[]), "is for no name at all, not for 127.0.0.1"),
            (named(&["\x1b[2J\r\n"]), "is for \\x1b[2J\\x0d\\x0a, not for 127.0.0.1"),
            (CertificateError::ExpiredContext { time: at(9), not_after: at(1_795_358_629) }, "expired on 2026-11-22"),
            (CertificateError::NotValidYetContext { time: at(9), not_before: at(1_795_358_629) }, "is not valid before 2026-11-22"),
            (CertificateError::ExpiredContext { time: at(9), not_after: at(u64::MAX) }, "expired on "),
        ] {
            let text = of("127.0.0.1", &Error::InvalidCertificate(error));
            assert!(text.starts_with(&format!("the certificate of 127.0.0.1 {words}")), "{words}: {text}");
        }
        let name = "n".repeat(9999);
        let long = of("x", &Error::InvalidCertificate(named(&[name.as_str(); 9999])));
        assert!(long.len() < 400 && long.contains("and 9996 more"), "{long}");
    }

    #[test]
    fn alerts_are_said_in_words() {
        for (alert, words) in [
            (AlertDescription::HandshakeFailure, "no cipher"),
            (AlertDescription::ProtocolVersion, "neither TLS 1.2"),
            (AlertDescription::BadRecordMac, "refused the handshake: bad record mac"),
            (AlertDescription::UnknownCA, "unknown ca"),
            (AlertDescription::Unknown(200), "alert 200"),
        ] {
            let text = of("x", &Error::AlertReceived(alert));
            assert!(text.contains(words), "{text}");
        }
        assert!(of_handshake("x", &io::Error::from(io::ErrorKind::UnexpectedEof)).contains("closed the connection"));
        let inner = io::Error::new(io::ErrorKind::InvalidData, Error::NoCertificatesPresented);
        assert_eq!(of_handshake("x", &inner), "the server sent no certificate");
    }
}
