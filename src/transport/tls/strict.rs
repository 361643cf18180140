//! The verifier of verified TLS. It accepts exactly what webpki accepts (RFC 5280, RFC 9525). It only examines refusals further, because
//! a self-signed certificate needs another fix than one of an unknown authority.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use mail::der::element;

#[derive(Debug)]
pub(super) struct StrictVerifier(pub Arc<WebPkiServerVerifier>);

/// The certificate was refused, and has the same name as its issuer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SelfSigned {
    /// It is marked as a CA certificate, which a server must not use: even in ca_file it would not be accepted.
    pub is_authority: bool,
}

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        f.write_str("the certificate is self-signed")
    }
}

impl std::error::Error for SelfSigned {}

/// True if webpki refuses the certificate because it is marked as that of an authority. rustls has no value of its own for this and
/// hands on webpki's.
pub(super) fn is_authority(error: &CertificateError) -> bool {
    let CertificateError::Other(OtherError(other)) = error else { return false };
    matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for StrictVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map_err(|e| closer(e, end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}

/// The same refusal, or that the certificate is self-signed.
fn closer(error: Error, certificate: &CertificateDer<'_>) -> Error {
    let is_authority = match &error {
        // A wrong signature: ca_file has another certificate of the same name, as after a renewal.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => false,
        Error::InvalidCertificate(refused) if is_authority(refused) => true,
        _ => return error,
    };
    match is_self_issued(certificate) {
        Some(true) => Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(SelfSigned { is_authority })))),
        _ => error,
    }
}

/// Whether issuer and subject are the same (RFC 5280 4.1); nothing where it is no certificate.
fn is_self_issued(certificate: &[u8]) -> Option<bool> {
    const VERSION: u8 = 0xa0;
    let (_, signed, _) = element(certificate)?;
    let (_, fields, _) = element(signed)?;
    let (tag, _, rest) = element(fields)?;
    let serial = if tag == VERSION { rest } else { fields };
    let (_, _, algorithm) = element(serial)?;
    let (_, _, issuer) = element(algorithm)?;
    let (_, issuer, validity) = element(issuer)?;
    let (_, _, subject) = element(validity)?;
    let (_, subject, _) = element(subject)?;
    Some(issuer == subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_not_self_issued() {
        for der in [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80], &[0x30, 0x02, 0x30, 0x00], &[0xff; 300]] {
            assert_eq!(is_self_issued(der), None, "{der:?}");
        }
    }

    #[test]
    fn issuer_and_subject_are_compared_with_a_version_and_without() {
        let certificate = |version: &[u8], subject: u8| {
            let names = [&[2, 1, 7, 0x30, 0, 0x30, 1, b'a', 0x30, 0, 0x30, 1][..], &[subject]].concat();
            let fields = [version, &names].concat();
            let signed = [&[0x30, u8::try_from(fields.len()).unwrap()], &fields[..]].concat();
            [&[0x30, 0x81, u8::try_from(signed.len()).unwrap()], &signed[..]].concat()
        };
        for version in [&[0xa0, 3, 2, 1, 2][..], &[]] {
            assert_eq!(is_self_issued(&certificate(version, b'a')), Some(true));
            assert_eq!(is_self_issued(&certificate(version, b'b')), Some(false));
        }
    }
}
