//! LMTP over a unix socket (RFC 2033): one final reply for each accepted recipient.

use transport::smtp::{Session, Stage};

use super::client::{content, deliver, envelope, lmtp_target, settings};
use super::sink::{At, End, Sink};

fn lmtp() -> Sink {
    Sink { lmtp: true, ..Sink::new(&["PIPELINING", "8BITMIME"]) }
}

#[tokio::test]
async fn each_accepted_recipient_gets_its_own_final_reply() {
    let server =
        lmtp().wrong(At::Rcpt, Some(1), "550 5.1.1 no\r\n", None).wrong(At::FinalDot, Some(1), "452 4.2.2 full\r\n", None).start().await;
    let mut session = Session::open(&settings(), &lmtp_target(&server)).await.unwrap();
    let envelope = envelope(&["a@x.example", "b@x.example", "c@x.example", "d@x.example"]);
    let results = deliver(&mut session, &envelope, &content("hi\r\n"), Some(&envelope)).await;
    let codes: Vec<u16> =
        results.iter().map(|result| result.as_ref().map_or_else(|f| f.reply.as_ref().unwrap().code(), |r| r.code())).collect();
    assert_eq!(codes, [250, 550, 452, 250]);
    assert!(session.has_envelope());
    assert!(deliver(&mut session, &envelope, &content("hi\r\n"), None).await.iter().all(Result::is_ok));
    assert_eq!(server.seen().commands[0], "LHLO h.example");
}

#[tokio::test]
async fn the_final_replies_that_came_count_and_the_others_are_uncertain() {
    for (bytes, known) in [("250 2.0.0 one\r\n", 1), ("421 4.3.2 bye\r\n", 1), ("", 0)] {
        let server = lmtp().wrong(At::FinalDot, Some(0), bytes, Some(End::Close)).start().await;
        let mut session = Session::open(&settings(), &lmtp_target(&server)).await.unwrap();
        let results = deliver(&mut session, &envelope(&["a@x.example", "b@x.example", "c@x.example"]), &content("hi\r\n"), None).await;
        for (at, result) in results.iter().enumerate() {
            let is_uncertain = result.as_ref().is_err_and(|failure| failure.is_uncertain() && failure.stage == Stage::FinalDot);
            assert_eq!(is_uncertain, at >= known, "{bytes:?} {at} {result:?}");
        }
        assert!(!session.is_usable());
    }
}

#[tokio::test]
async fn a_354_without_a_recipient_ends_an_lmtp_session() {
    let server = lmtp().wrong(At::Rcpt, None, "550 no\r\n", None).wrong(At::Data, None, "354 go on\r\n", None).start().await;
    let mut session = Session::open(&settings(), &lmtp_target(&server)).await.unwrap();
    assert!(deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), None).await[0].is_err());
    assert!(!session.is_usable());
}

#[tokio::test]
async fn there_is_no_helo_in_lmtp() {
    let server = lmtp().wrong(At::Ehlo, None, "500 5.5.1 what?\r\n", None).start().await;
    assert_eq!(Session::open(&settings(), &lmtp_target(&server)).await.unwrap_err().stage, Stage::Ehlo);
    assert_eq!(server.seen().commands, ["LHLO h.example"]);
}
