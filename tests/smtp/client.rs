//! What the scenarios say to the client.

use std::sync::Arc;
use std::time::Duration;

use config::TlsPolicy;
use mail::envelope::{Body, Recipient};
use mail::{Address, Reply, ReversePath};
use transport::smtp::{Bytes, Content, Endpoint, Envelope, Failure, Protocol, Session, Settings, Stage, Target, Timeouts};
use transport::tls::TlsClient;

use super::sink::Running;
use crate::support::command::PATIENCE;

/// For servers that answer or hang up: nothing ends by the clock.
pub(crate) fn settings() -> Settings {
    let long = PATIENCE;
    let timeouts = Timeouts { tls: long, data_initiation: long, data_block: long, quit: long, ..Timeouts::new(long, long) };
    Settings { ehlo_name: "h.example".to_owned(), timeouts, tls: Arc::new(TlsClient::new(None).unwrap()) }
}

/// For a server that says nothing in `stage`: that step ends by the clock, and no other.
pub(crate) fn impatient(stage: Stage) -> Settings {
    let mut settings = settings();
    let timeouts = &mut settings.timeouts;
    let limit = match stage {
        Stage::Greeting => &mut timeouts.greeting,
        Stage::Ehlo => &mut timeouts.command,
        Stage::MailFrom => &mut timeouts.mail,
        Stage::RcptTo => &mut timeouts.rcpt,
        Stage::Data => &mut timeouts.data_initiation,
        Stage::FinalDot => &mut timeouts.data_termination,
        other => panic!("no test is silent in {other}"),
    };
    *limit = Duration::from_millis(400);
    settings
}

pub(crate) fn target(server: &Running) -> Target {
    Target {
        endpoint: Endpoint::Tcp(server.address),
        host: "localhost".to_owned(),
        protocol: Protocol::Smtp,
        implicit_tls: false,
        tls: TlsPolicy::None,
        credentials: None,
    }
}

pub(crate) fn lmtp_target(server: &Running) -> Target {
    Target { endpoint: Endpoint::Unix(server.path.clone()), protocol: Protocol::Lmtp, ..target(server) }
}

pub(crate) fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        reverse_path: ReversePath::Address(Address::parse("me@h.example").unwrap()),
        recipients: recipients.iter().map(|address| Recipient::new(Address::parse(address).unwrap())).collect(),
        size: 100,
        body: Body::SevenBit,
        smtputf8: false,
        ret: None,
        envid: None,
    }
}

pub(crate) fn content(text: impl AsRef<[u8]>) -> Content {
    let bytes = text.as_ref().to_vec();
    let range = 0..bytes.len();
    Content { prefix: b"Received: by h.example\r\n".to_vec(), bytes: Bytes::Memory { bytes: Arc::new(bytes), range } }
}

pub(crate) type Results = Vec<Result<Reply, Failure>>;

/// One message to its end: one result for each recipient, whatever happens.
pub(crate) async fn deliver(session: &mut Session, envelope: &Envelope, content: &Content, next: Option<&Envelope>) -> Results {
    if !session.has_envelope()
        && let Err(failure) = session.send_envelope(envelope).await
    {
        return vec![Err(failure); envelope.recipients.len()];
    }
    let mut results = session.read_envelope_replies().await.recipients;
    assert_eq!(results.len(), envelope.recipients.len());
    if !results.iter().any(Result::is_ok) {
        return results;
    }
    let accepted = results.iter_mut().filter(|result| result.is_ok());
    match session.send_content(content, next).await {
        Err(failure) => accepted.for_each(|result| *result = Err(failure.clone())),
        Ok(()) => {
            let finals = session.read_final().await;
            let accepted: Vec<_> = accepted.collect();
            assert_eq!(accepted.len(), finals.len());
            accepted.into_iter().zip(finals).for_each(|(result, last)| *result = last);
        }
    }
    results
}
