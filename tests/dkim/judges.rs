//! The verifier in this process; those that are programs are in `support/oracles.rs`. It asks no network: the TXT records are given.
//!
//! It says `pass` or why not for every signature, top first.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};

use super::sender::Record;

/// A DNS cache that knows everything from the start.
struct Zone(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Zone {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// mail-auth, in this process. Version 0.13 takes lines of blanks at the end of a body for text, against RFC 6376 3.4.4, so its
/// copy of the message is cut before them; for a correct verifier that changes nothing.
pub(crate) fn mail_auth(message: &[u8], records: &[Record]) -> Vec<String> {
    let message = without_blank_tail(message);
    let zone = records.iter().map(|(name, text)| {
        let key = DomainKey::parse(text.as_bytes()).unwrap();
        (format!("{name}.").into_boxed_str(), Txt::DomainKey(Arc::new(key)))
    });
    let zone = Zone(zone.collect());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let authenticator = MessageAuthenticator::new_cloudflare().unwrap();
    let parsed = AuthenticatedMessage::parse(&message).unwrap();
    let parameters = Parameters::new(&parsed).with_txt_cache(&zone);
    let outputs = runtime.block_on(authenticator.verify_dkim(parameters));
    outputs
        .iter()
        .map(|output| if *output.result() == DkimResult::Pass { "pass".into() } else { format!("{:?}", output.result()) })
        .collect()
}

fn without_blank_tail(message: &[u8]) -> Vec<u8> {
    let body = mail::header::Section::scan(message).body;
    let text = message[body..].iter().rposition(|b| !b" \t\r\n".contains(b)).map_or(body, |at| body + at + 1);
    let line_end = message[text..].windows(2).position(|two| two == b"\r\n").map_or(message.len(), |at| text + at + 2);
    if text == body { message[..body].to_vec() } else { message[..line_end].to_vec() }
}
