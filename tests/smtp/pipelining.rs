//! What goes in one write, what each recipient is told, and what the session is good for afterwards.

use std::sync::Arc;

use mail::envelope::{Body, Notify};
use mail::{Address, EnhancedStatus};
use transport::smtp::{Bytes, Content, Endpoint, Session, Stage, Target};

use super::client::{content, deliver, envelope, settings, target};
use super::sink::{At, End, Sink};

#[tokio::test]
async fn a_message_on_a_warm_connection_is_one_round_trip() {
    let server = Sink::new(&["PIPELINING"]).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let envelope = envelope(&["a@x.example", "b@x.example"]);
    deliver(&mut session, &envelope, &content("0\r\n"), Some(&envelope)).await;
    let before = server.seen().reads;
    for i in 1..=50 {
        assert!(session.has_envelope());
        assert!(deliver(&mut session, &envelope, &content(format!("{i}\r\n")), Some(&envelope)).await.iter().all(Result::is_ok));
    }
    assert_eq!(server.seen().reads - before, 50);
    assert_eq!(server.seen().messages.len(), 51);
    assert_eq!(session.transactions(), 52);
}

#[tokio::test]
async fn without_pipelining_each_command_waits_for_its_answer() {
    let server = Sink::new(&[]).wrong(At::Rcpt, Some(0), "550 5.1.1 no\r\n", None).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let envelope = envelope(&["a@x.example", "b@x.example"]);
    let results = deliver(&mut session, &envelope, &content("hi\r\n"), Some(&envelope)).await;
    assert!(results[0].is_err() && results[1].is_ok());
    assert!(!session.has_envelope() && session.is_usable());
    // EHLO, MAIL, RCPT, RCPT, DATA, content.
    assert_eq!(server.seen().reads, 6);
}

#[tokio::test]
async fn without_pipelining_nothing_pointless_is_sent() {
    let server =
        Sink::new(&[]).wrong(At::Mail, Some(0), "550 5.7.1 no\r\n", None).wrong(At::Rcpt, Some(0), "550 no\r\n", None).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    for _ in 0..2 {
        assert!(deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), None).await[0].is_err());
        assert!(session.is_usable());
    }
    assert!(deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), None).await[0].is_ok());
    let commands: Vec<String> = server.seen().commands.iter().map(|line| line.chars().take(4).collect()).collect();
    // RSET only where MAIL had been accepted and no content followed.
    assert_eq!(commands, ["EHLO", "MAIL", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA"]);
}

#[tokio::test]
async fn t_smtp_5_each_recipient_gets_its_own_result() {
    let server = Sink::new(&["PIPELINING"])
        .wrong(At::Rcpt, Some(1), "450 4.2.2 full\r\n", None)
        .wrong(At::Rcpt, Some(2), "550 no\r\n", None)
        .start()
        .await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let results = deliver(&mut session, &envelope(&["a@x.example", "b@x.example", "c@x.example"]), &content("hi\r\n"), None).await;
    let codes: Vec<u16> =
        results.iter().map(|result| result.as_ref().map_or_else(|f| f.reply.as_ref().unwrap().code(), |r| r.code())).collect();
    assert_eq!(codes, [250, 450, 550]);
    let failure = results[1].as_ref().unwrap_err();
    assert_eq!((failure.stage, failure.status, failure.reusable), (Stage::RcptTo, EnhancedStatus::new(4, 2, 2), true));
    assert_eq!(server.seen().messages.len(), 1);
    assert!(session.is_usable());
}

#[tokio::test]
async fn all_recipients_refused_and_data_refused_leaves_a_session_that_is_reset_in_the_next_group() {
    let server = Sink::new(&["PIPELINING"]).wrong(At::Rcpt, Some(0), "550 5.1.1 no\r\n", None).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let results = deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), None).await;
    assert_eq!(results[0].as_ref().unwrap_err().to_string(), format!("{}: RCPT TO: 550 5.1.1 no", session.peer()));
    let before = server.seen().reads;
    assert!(deliver(&mut session, &envelope(&["b@x.example"]), &content("hi\r\n"), None).await[0].is_ok());
    assert_eq!(server.seen().reads - before, 2);
    assert_eq!(server.seen().commands[4..], ["RSET", "MAIL FROM:<me@h.example>", "RCPT TO:<b@x.example>", "DATA"]);
}

#[tokio::test]
async fn a_354_without_a_recipient_gets_the_end_of_data_and_nothing_else() {
    let server = Sink::new(&["PIPELINING"])
        .wrong(At::Rcpt, Some(0), "550 no\r\n", None)
        .wrong(At::Data, Some(0), "354 go on\r\n", None)
        .wrong(At::FinalDot, Some(0), "554 5.5.1 no valid recipients\r\n", None)
        .start()
        .await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    assert!(deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), None).await[0].is_err());
    assert!(session.is_usable());
    assert!(deliver(&mut session, &envelope(&["b@x.example"]), &content("hi\r\n"), None).await[0].is_ok());
    let seen = server.seen();
    assert_eq!(seen.messages.len(), 1);
    assert!(!seen.commands.contains(&"RSET".to_owned()));
}

#[tokio::test]
async fn data_refused_is_the_result_of_every_accepted_recipient() {
    for offers in [&["PIPELINING"][..], &[]] {
        let server = Sink::new(offers)
            .wrong(At::Rcpt, Some(0), "550 no\r\n", None)
            .wrong(At::Data, Some(0), "451 4.3.0 not now\r\n", None)
            .start()
            .await;
        let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
        let results = deliver(&mut session, &envelope(&["a@x.example", "b@x.example"]), &content("hi\r\n"), None).await;
        assert_eq!(results.iter().map(|r| r.as_ref().unwrap_err().stage).collect::<Vec<_>>(), [Stage::RcptTo, Stage::Data]);
        assert!(session.is_usable());
        assert!(deliver(&mut session, &envelope(&["b@x.example"]), &content("hi\r\n"), None).await[0].is_ok());
    }
}

#[tokio::test]
async fn a_421_between_recipients_keeps_what_was_said_before() {
    let server = Sink::new(&["PIPELINING"])
        .wrong(At::Rcpt, Some(0), "550 5.1.1 no\r\n", None)
        .wrong(At::Rcpt, Some(2), "421 4.7.0 too many\r\n", Some(End::Close))
        .start()
        .await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let envelope = envelope(&["a@x.example", "b@x.example", "c@x.example", "d@x.example"]);
    let results = deliver(&mut session, &envelope, &content("hi\r\n"), None).await;
    let codes: Vec<u16> = results.iter().map(|result| result.as_ref().unwrap_err().reply.as_ref().unwrap().code()).collect();
    // The second was accepted, but the content never went.
    assert_eq!(codes, [550, 421, 421, 421]);
    assert!(!session.is_usable());
}

#[tokio::test]
async fn the_next_message_is_untouched_when_the_server_goes_after_the_final_reply() {
    let server = Sink::new(&["PIPELINING"]).wrong(At::FinalDot, None, "250 2.0.0 taken\r\n", Some(End::Close)).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let envelope = envelope(&["a@x.example"]);
    assert!(deliver(&mut session, &envelope, &content("1\r\n"), Some(&envelope)).await[0].is_ok());
    assert!(session.has_envelope());
    let failure = deliver(&mut session, &envelope, &content("2\r\n"), None).await.remove(0).unwrap_err();
    assert_eq!((failure.stage, failure.reply.is_none(), failure.is_uncertain()), (Stage::MailFrom, true, false));
    assert_eq!(server.seen().messages.len(), 1);
}

#[tokio::test]
async fn a_write_that_breaks_behind_the_end_of_data_leaves_the_word_to_the_final_reply() {
    // More than the buffers of a unix socket hold, so that the write is still under way when the server goes.
    let addresses: Vec<String> = (0..20_000).map(|i| format!("user{i}@x.example")).collect();
    let huge = envelope(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    for (reply, known) in [("250 2.0.0 taken\r\n", true), ("", false)] {
        let server = Sink::new(&["PIPELINING"]).wrong(At::FinalDot, None, reply, Some(End::Close)).start().await;
        let target = Target { endpoint: Endpoint::Unix(server.path.clone()), ..target(&server) };
        let mut session = Session::open(&settings(), &target).await.unwrap();
        let result = deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), Some(&huge)).await.remove(0);
        match known {
            true => assert!(result.is_ok(), "{result:?}"),
            false => assert!(result.as_ref().is_err_and(|failure| failure.is_uncertain()), "{result:?}"),
        }
    }
}

#[tokio::test]
async fn an_idle_server_that_said_421_is_found_out_before_the_next_message() {
    let bytes = "250-sink.example\r\n250 PIPELINING\r\n421 4.4.2 idle\r\n";
    let server = Sink::new(&[]).wrong(At::Ehlo, None, bytes, Some(End::Close)).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let failure = session.send_envelope(&envelope(&["a@x.example"])).await.unwrap_err();
    assert_eq!((failure.stage, failure.reply.unwrap().code(), failure.reusable), (Stage::MailFrom, 421, false));
    assert!(!session.is_usable());
}

#[tokio::test]
async fn what_the_server_cannot_take_is_refused_before_it_is_asked_and_harms_nothing() {
    let server = Sink::new(&["PIPELINING", "SIZE 1000"]).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let mut large = envelope(&["a@x.example"]);
    large.size = 1001;
    let mut foreign = envelope(&["a@x.example"]);
    foreign.recipients[0].address = Address::parse("grün@x.example").unwrap();
    for (bad, status) in [(&large, EnhancedStatus::new(5, 3, 4)), (&foreign, EnhancedStatus::new(5, 6, 7))] {
        let failure = session.send_envelope(bad).await.unwrap_err();
        assert_eq!((failure.stage, failure.status, failure.reusable), (Stage::MailFrom, status, true));
        // Not pipelined behind a good one either.
        assert!(deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), Some(bad)).await[0].is_ok());
        assert!(!session.has_envelope() && session.is_usable());
    }
    assert_eq!(server.seen().messages.len(), 2);
}

#[tokio::test]
async fn parameters_go_where_they_are_offered_and_8bit_content_without_8bitmime_is_told() {
    let server = Sink::new(&["PIPELINING", "SIZE", "8BITMIME", "DSN"]).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let mut envelope = envelope(&["a@x.example"]);
    envelope.body = Body::EightBitMime;
    envelope.envid = Some("x+1".to_owned());
    envelope.recipients[0].notify = Some(Notify::NEVER);
    assert!(!session.sends_unlabelled_8bit(&envelope));
    assert!(deliver(&mut session, &envelope, &content(b"gr\xfc\xdfe\r\n"), None).await[0].is_ok());
    assert_eq!(
        server.seen().commands[1..3],
        ["MAIL FROM:<me@h.example> SIZE=100 BODY=8BITMIME ENVID=x+2B1", "RCPT TO:<a@x.example> NOTIFY=NEVER"]
    );
    let plain = Sink::new(&[]).start().await;
    let mut session = Session::open(&settings(), &target(&plain)).await.unwrap();
    assert!(session.sends_unlabelled_8bit(&envelope));
    assert!(deliver(&mut session, &envelope, &content(b"gr\xfc\xdfe\r\n"), None).await[0].is_ok());
    assert!(plain.seen().messages[0].1.ends_with(b"gr\xfc\xdfe\r\n"));
}

#[tokio::test]
async fn limits_of_rfc_9422_end_the_use_of_a_session() {
    let server = Sink::new(&["PIPELINING", "LIMITS MAILMAX=2"]).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let envelope = envelope(&["a@x.example"]);
    for _ in 0..2 {
        assert!(deliver(&mut session, &envelope, &content("hi\r\n"), Some(&envelope)).await[0].is_ok());
    }
    assert!(!session.has_envelope() && !session.is_usable());
}

#[tokio::test]
async fn large_content_arrives_whole_from_memory_and_from_a_file() {
    let line = b"..a line that starts with dots\r\n.\r\n";
    let message = line.repeat((3 << 20) / line.len());
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &[b"head\n", &message[..]].concat()).unwrap();
    let server = Sink::new(&["PIPELINING"]).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let (length, range) = (message.len() as u64, 0..message.len());
    for bytes in [Bytes::File { file: Arc::new(file), offset: 5, length }, Bytes::Memory { bytes: Arc::new(message), range }] {
        let content = Content { prefix: b"X: y\r\n".to_vec(), bytes };
        assert!(deliver(&mut session, &envelope(&["a@x.example"]), &content, None).await[0].is_ok());
    }
    let seen = server.seen();
    let stuffed = [&b"X: y\r\n"[..], &b"...a line that starts with dots\r\n..\r\n".repeat((3 << 20) / line.len())].concat();
    assert!(seen.messages.len() == 2 && seen.messages.iter().all(|message| message.1 == stuffed));
}

#[tokio::test]
async fn pf26_6_content_that_cannot_be_read_or_breaks_the_wire_form_never_gets_its_end() {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &b"line\r\n".repeat(50_000)).unwrap();
    let short = Bytes::File { file: Arc::new(file), offset: 0, length: 300_001 };
    let memory = |bytes: Vec<u8>| Bytes::Memory { range: 0..bytes.len(), bytes: Arc::new(bytes) };
    let late_lf = memory([b"line\r\n".repeat(50_000), b"x\n.\r\n".to_vec()].concat());
    for (bytes, status) in [
        (short, EnhancedStatus::new(4, 3, 0)),
        (late_lf, EnhancedStatus::new(5, 6, 0)),
        (memory(b"a\r\n.\nb\r\n".to_vec()), EnhancedStatus::new(5, 6, 0)),
        (memory(b"a\0b\r\n".to_vec()), EnhancedStatus::new(5, 6, 0)),
        (memory(b"no end".to_vec()), EnhancedStatus::new(5, 6, 0)),
    ] {
        let server = Sink::new(&["PIPELINING"]).start().await;
        let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
        let content = Content { prefix: Vec::new(), bytes };
        let failure = deliver(&mut session, &envelope(&["a@x.example"]), &content, None).await.remove(0).unwrap_err();
        assert_eq!((failure.stage, failure.status, failure.is_uncertain()), (Stage::Body, status, false));
        assert!(!session.is_usable() && !session.has_envelope());
        session.quit().await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(server.seen().messages.is_empty());
    }
}

#[tokio::test]
async fn a_server_that_refuses_in_the_middle_of_the_content_is_heard() {
    // 2 MiB are on their way when the server has had enough.
    let server = Sink::new(&["PIPELINING"]).wrong(At::Data, None, "354 go on\r\n552 5.3.4 too much\r\n", Some(End::Close)).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let failure =
        deliver(&mut session, &envelope(&["a@x.example"]), &content(b"line\r\n".repeat(400_000)), None).await.remove(0).unwrap_err();
    assert_eq!((failure.stage, failure.reply.map(|reply| reply.code()), failure.reusable), (Stage::Body, Some(552), false));
}

#[tokio::test]
async fn a_future_that_is_dropped_midway_closes_the_session() {
    let server = Sink::new(&["PIPELINING"]).wrong(At::FinalDot, None, "", Some(End::Silence)).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let envelope = envelope(&["a@x.example"]);
    session.send_envelope(&envelope).await.unwrap();
    assert!(session.read_envelope_replies().await.any_accepted());
    session.send_content(&content("hi\r\n"), None).await.unwrap();
    let cut = tokio::time::timeout(std::time::Duration::from_millis(50), session.read_final()).await;
    assert!(cut.is_err() && !session.is_usable());
    assert!(session.send_envelope(&envelope).await.is_err());
    assert!(session.read_final().await[0].as_ref().is_err_and(|failure| failure.is_uncertain()));
}

#[tokio::test]
async fn quit_is_said_and_answered() {
    let server = Sink::new(&[]).start().await;
    Session::open(&settings(), &target(&server)).await.unwrap().quit().await;
    assert_eq!(server.seen().commands, ["EHLO h.example", "QUIT"]);
}
