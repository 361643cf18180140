//! What a hostile server says: replies, and the capabilities in one to EHLO (THREATS T-SMTP-4, PF26-5).
//!
//! Input: how it is cut; the rest is what the server sends.
//!
//! Asserts: pieces change nothing; every reply is within its caps and printable; memory does not grow with what is thrown away;
//! capabilities are in their ranges, in any case and any order of the lines.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::Reply;
use mail::status::EnhancedStatus;
use mailchute_fuzz::{is_printable, steered};
use transport::smtp::capabilities::Capabilities;
use transport::smtp::reply::{LINE, LINES, READ, ReplyError, ReplyReader, TOTAL};

fuzz_target!(|data: &[u8]| {
    let Some(([cut], bytes)) = steered(data) else { return };
    let (replies, error) = read(bytes, usize::from(cut) + 1);
    assert_eq!((&replies, &error), (&read(bytes, READ).0, &read(bytes, READ).1), "pieces change what is read");
    if let Some(error) = error {
        let text = error.to_string();
        assert!(is_printable(&text) && !text.contains('\n') && text.len() < 1000, "{text:?}");
    }
    for reply in &replies {
        well_formed(reply);
        capabilities(reply);
    }
});

fn read(bytes: &[u8], piece: usize) -> (Vec<Reply>, Option<ReplyError>) {
    let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
    for chunk in bytes.chunks(piece) {
        reader.space().extend_from_slice(chunk);
        assert!(reader.buffered() <= LINE + READ);
        loop {
            match reader.take() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(why) => return (replies, Some(why)),
            }
        }
    }
    (replies, None)
}

fn well_formed(reply: &Reply) {
    assert!((200..600).contains(&reply.code()) && (1..=LINES).contains(&reply.lines().len()));
    assert!(reply.lines().iter().map(String::len).sum::<usize>() <= TOTAL * 8);
    let text = reply.to_string();
    assert!(is_printable(&text) && !text.contains('\n'), "{text:?}");
    let class = u16::from(reply.enhanced_or_generic().class);
    assert!(class == reply.code() / 100 || reply.code() / 100 == 3 && class == 4);
    if let Some(status) = reply.enhanced() {
        assert_eq!(EnhancedStatus::parse_prefix(&status.to_string()), Some(status));
    }
}

fn capabilities(reply: &Reply) {
    let found = Capabilities::from_ehlo(reply);
    assert!([found.mail_max, found.rcpt_max].into_iter().flatten().all(|limit| (1..1_000_000).contains(&limit)));
    let upper = Reply::new(reply.code(), reply.lines().iter().map(|line| line.to_ascii_uppercase()));
    assert_eq!(Capabilities::from_ehlo(&upper), found, "keywords count in any case: {reply}");
    let alone = Reply::new(reply.code(), reply.lines().iter().take(1));
    assert_eq!(Capabilities::from_ehlo(&alone), Capabilities::default(), "the server's name is no keyword");
}
