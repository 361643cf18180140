//! `-bs`: a dialogue of any bytes, by a user who is not trusted.
//!
//! Input: how it is cut, and which configuration holds; the rest is what the client sends, each `{` of it 400 bytes.
//!
//! Asserts: the session never panics; every reply is well formed; `250 … queued as ID` if and only if there is a file ID, which
//! is what the daemon accepts; a session that does not end in the middle of a message succeeds.

#![no_main]

use std::cell::RefCell;

use config::Names;
use exit::Exit;
use libfuzzer_sys::fuzz_target;
use mailchute_fuzz::installation::Installation;
use mailchute_fuzz::process::Descriptors;
use mailchute_fuzz::{steered, widened};
use submit::bs;
use submit::caller::Caller;
use submit::message::Site;

/// Octets of a reply line with its end (RFC 5321 4.5.3.1.5).
const REPLY: usize = 512;

thread_local! {
    static WORLD: RefCell<(Installation, Descriptors)> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let Some(([cut], input)) = steered(data) else { return };
    WORLD.with_borrow_mut(|(installation, descriptors)| {
        let config = installation.configure(cut / 64).clone();
        let names = Names::of(Some("m.example"), None, "web1", &config.params.local_domains).unwrap();
        let caller = Caller { uid: 4_000_000, name: "alice".into(), gecos: b"Alice \xff & Co".to_vec() };
        let site = Site { config: &config, names: &names, caller: &caller };
        let mut replies = Vec::new();
        let (ended, printed) = descriptors.run(&widened(input), usize::from(cut % 64) * 8 + 1, || bs::serve(&site, None, &mut replies));
        assert!(printed.out.is_empty() && printed.err.is_empty());
        let queued = well_formed(&replies);
        let files: Vec<String> = installation.take().into_iter().map(|(name, _)| name).collect();
        assert_eq!(queued, files, "a file for each 250, a 250 for each file");
        let in_message = replies.rsplit(|&byte| byte == b'\n').nth(1).is_some_and(|line| line.starts_with(b"354 "));
        match ended {
            Ok(exit) => assert!(exit == Exit::Ok && !in_message),
            Err(failure) => assert!(failure.exit == Exit::IoErr && in_message, "{}", failure.text),
        }
    });
});

/// Checks the form of every line (RFC 5321 4.2). Returns the ids that were told, sorted.
fn well_formed(replies: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(replies).unwrap();
    assert!(text.starts_with("220 ") && text.ends_with("\r\n") && text.is_ascii());
    let mut queued = Vec::new();
    for line in text.split_terminator("\r\n") {
        assert!(line.len() + 2 <= REPLY && !line.bytes().any(|byte| byte.is_ascii_control()), "{line:?}");
        let (code, rest) = line.split_at_checked(3).unwrap();
        assert!(matches!(code.as_bytes(), [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9']), "{line:?}");
        assert!(rest.starts_with(' ') || code == "250" && rest.starts_with('-'), "{line:?}");
        queued.extend(line.strip_prefix("250 2.0.0 Ok: queued as ").map(str::to_owned));
    }
    queued.sort();
    queued
}
