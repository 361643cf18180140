//! One POST to a webhook, and the meaning of the response.
//!
//! In: a URL of the configuration and a signed body. Out: a verdict. The receiver is not trusted: the client follows no redirect,
//! uses no proxy and reads no body of a response. The whole exchange takes at most [`TOTAL`], so a receiver can neither send the
//! daemon elsewhere nor block it (THREATS T-OUT-3).

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Error};

use super::endpoint::Endpoint;
use super::queue::Due;
use mail::printable;

/// The time limit for the whole exchange.
const TOTAL: Duration = Duration::from_secs(15);
/// The time limit for connecting.
const CONNECT: Duration = Duration::from_secs(5);

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver accepted the event: 2xx.
    Accepted,
    /// The receiver works, but refuses this event.
    Permanent(String),
    /// The receiver does not work at the moment.
    Transient(String),
}

/// The client of one webhook.
pub(crate) struct Client {
    agent: Agent,
}

impl Client {
    /// A client with the CA certificates of `endpoint`.
    ///
    /// Errors: one line about the certificates.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Client, String> {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .root_certs(roots(endpoint)?)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(endpoint.url.starts_with("https:"))
            // The environment must not decide where events go.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .user_agent(concat!("mailchute/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(TOTAL))
            .timeout_connect(Some(CONNECT))
            .build();
        Ok(Client { agent: config.new_agent() })
    }

    /// Sends `due`, signed for `now`.
    pub(crate) fn post(&self, endpoint: &Endpoint, due: &Due, now: i64) -> Verdict {
        let request = self
            .agent
            .post(&endpoint.url)
            .header("content-type", "application/json")
            .header("webhook-id", &due.id)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", endpoint.secrets.sign(&due.id, now, &due.body));
        match request.send(due.body.as_slice()) {
            Ok(response) => of_status(response.status().as_u16()),
            Err(e @ (Error::RedirectFailed | Error::TooManyRedirects)) => Verdict::Permanent(shown(&e)),
            Err(e) => Verdict::Transient(shown(&e)),
        }
    }
}

/// The meaning of a status. A redirect is a refusal: if a receiver moves, the configuration must change.
fn of_status(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Accepted,
        300..=399 => Verdict::Permanent(format!("HTTP {status}: redirects are not followed; set url to the new address")),
        429 | 500..=599 => Verdict::Transient(format!("HTTP {status}")),
        _ => Verdict::Permanent(format!("HTTP {status}")),
    }
}

fn shown(e: &Error) -> String {
    printable::text(&e.to_string())
}

/// The CA certificates that verify the receiver.
fn roots(endpoint: &Endpoint) -> Result<RootCerts, String> {
    let Some(path) = &endpoint.ca_file else {
        let found = rustls_native_certs::load_native_certs();
        return Ok(found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into());
    };
    let failed = |why: String| format!("ca_file {}: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = read.map_err(|e| failed(e.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("contains no PEM certificate".to_owned()));
    }
    Ok(certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_accepted_permanent_or_transient() {
        assert!([200, 202, 204].into_iter().all(|status| of_status(status) == Verdict::Accepted));
        assert!([429, 500, 503].into_iter().all(|status| matches!(of_status(status), Verdict::Transient(_))));
        assert!([301, 302, 307, 308, 400, 401, 410].into_iter().all(|status| matches!(of_status(status), Verdict::Permanent(_))));
    }
}
