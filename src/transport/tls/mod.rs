//! TLS as a client: rustls with aws-lc-rs, versions 1.2 and 1.3 (RFC 8996, 9325).
//!
//! In: a stream, and the expected name of the peer. Out: an encrypted stream and its properties for the history, or an error line. There
//! are two separate configurations: one aborts the handshake unless the certificate is valid for the name; the other accepts any
//! certificate and reports afterwards whether it is valid. In both, the peer proves that it has the key of its certificate.

mod any;
mod roots;
mod strict;
mod words;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::{IpAddr, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use roots::Roots;
use strict::StrictVerifier;

/// The properties of a TLS connection, for the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSummary {
    /// `TLSv1.3`
    pub version: String,
    /// `TLS13_AES_256_GCM_SHA384`
    pub cipher: String,
    /// Why the certificate does not prove the peer's name, printable; None if it does.
    pub unverified: Option<String>,
}

impl TlsSummary {
    /// True if the peer proved its name.
    pub fn is_verified(&self) -> bool {
        self.unverified.is_none()
    }
}

impl fmt::Display for TlsSummary {
    /// `TLSv1.3 TLS13_AES_256_GCM_SHA384 verified`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.version, self.cipher, if self.is_verified() { "verified" } else { "unverified" })
    }
}

/// The client side of TLS for the whole daemon. Sessions are resumed within it.
pub struct TlsClient {
    provider: Arc<CryptoProvider>,
    roots: Roots,
    any: Arc<ClientConfig>,
    /// Created at first use: a daemon that never verifies does not load two hundred certificates.
    verified: OnceLock<Result<Verified, String>>,
}

#[derive(Clone)]
struct Verified {
    config: Arc<ClientConfig>,
    verifier: Arc<StrictVerifier>,
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("roots", &self.roots).finish_non_exhaustive()
    }
}

impl TlsClient {
    /// A client that trusts the PEM certificates in `ca_file`, or those of the system.
    ///
    /// Errors: one line about `ca_file`. The system's store is read at first use; its errors are reported by the
    /// connections that need it.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let any = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("cannot set up TLS: {e}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(any::AnyCertificate::new(Arc::clone(&provider))))
            .with_no_client_auth();
        let roots = match ca_file {
            Some(path) => Roots::of_file(path)?,
            None => Roots::of_system(),
        };
        Ok(TlsClient { provider, roots, any: Arc::new(any), verified: OnceLock::new() })
    }

    /// Does the handshake with `host` (a name or an address) over `stream`. With `must_verify`, it succeeds only if the
    /// certificate is valid for `host`; without it, the summary tells whether it is.
    ///
    /// Errors: one line, which may repeat names in the peer's certificate. How long it may take is the caller's business.
    pub async fn connect<S>(&self, stream: S, host: &str, must_verify: bool) -> Result<(TlsStream<S>, TlsSummary), String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = server_name(host);
        let config = match (must_verify, &name) {
            (true, None) => return Err(format!("`{host}` is not a valid name for a certificate")),
            (true, Some(_)) => Arc::clone(&self.verified()?.config),
            (false, _) => Arc::clone(&self.any),
        };
        // Without verification, a name that is invalid for certificates must not prevent delivery.
        let shown = name.clone().unwrap_or(ServerName::IpAddress(IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED)));
        let stream = TlsConnector::from(config).connect(shown, stream).await.map_err(|e| words::of_handshake(host, &e))?;
        let (_, connection) = stream.get_ref();
        let unverified = if must_verify { None } else { self.verdict(connection, host, name.as_ref()) };
        let summary = TlsSummary {
            version: connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS").replace('_', "."),
            cipher: connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown").to_owned(),
            unverified,
        };
        Ok((stream, summary))
    }

    /// The result of the strict check for a peer that was accepted without it; `None` if it passes.
    fn verdict(&self, connection: &ClientConnection, host: &str, name: Option<&ServerName<'_>>) -> Option<String> {
        let Some(name) = name else { return Some("the host has no valid name for a certificate".to_owned()) };
        let verified = match self.verified() {
            Ok(verified) => verified,
            Err(why) => return Some(why),
        };
        let Some((end, chain)) = connection.peer_certificates().and_then(<[_]>::split_first) else {
            return Some("the server sent no certificate".to_owned());
        };
        verified.verifier.verify_server_cert(end, chain, name, &[], UnixTime::now()).err().map(|e| words::of(host, &e))
    }

    fn verified(&self) -> Result<&Verified, String> {
        self.verified.get_or_init(|| self.make_verified()).as_ref().map_err(Clone::clone)
    }

    fn make_verified(&self) -> Result<Verified, String> {
        let roots = Arc::new(self.roots.load()?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(|e| format!("the CA certificates cannot be used: {e}"))?;
        let verifier = Arc::new(StrictVerifier(verifier));
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("cannot set up TLS: {e}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok(Verified { config: Arc::new(config), verifier })
    }
}

/// RFC 9525: a DNS name or an address. The dot at the end of a DNS name is no part of a certificate's.
fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_can_be_certified() {
        for (host, good) in
            [("mx.example", true), ("mx.example.", true), ("192.0.2.1", true), ("2001:db8::1", true), ("a b", false), ("", false)]
        {
            assert_eq!(server_name(host).is_some(), good, "{host}");
        }
    }

    #[test]
    fn a_ca_file_that_holds_nothing_is_an_error_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let error = TlsClient::new(Some(&path)).err().unwrap();
        assert!(error.contains("ca.pem") && error.contains("No such file"), "{error}");
        std::fs::write(&path, "no certificate").unwrap();
        let error = TlsClient::new(Some(&path)).err().unwrap();
        assert!(error.contains("ca.pem") && error.contains("no certificate"), "{error}");
    }
}
