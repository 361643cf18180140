//! Who may ask what, and what nobody can do to the others by asking.

use std::time::Instant;

use super::flush::{FLUSH_INTERVAL, FLUSH_PAGE, is_time};
use super::*;
use crate::plan::Policy;
use crate::testing::idle;
use mail::queue_id::QueueId;
use testing::{Scratch, claimed, envelope};
use tokio::io::AsyncWriteExt;

const ME: Rights = Rights { uid: 4301, is_admin: false, sees_all: false, sees_own: true };

/// A server that answers, with one message of this uid.
async fn answering(uid: u32) -> (Scratch, Arc<Server>, String) {
    let scratch = Scratch::new();
    let server = idle(&scratch, "").parts.server;
    let mut message = claimed(envelope(&["bob@receiver.example"]));
    message.uid = uid;
    message.message_id = "<1@sender.example>".to_owned();
    let plan = Policy::of(&server.current.get().params).plan(&message, 1);
    let plan = crate::plan::Plan { next_attempt: Some(i64::MAX / 2), ..plan };
    server.state_writer.admit(&message, &plan).unwrap().await.unwrap();
    (scratch, server, message.envelope.id.to_string())
}

/// What `rights` get for a request: every line but the last, and the code and text of that.
async fn ask(server: &Arc<Server>, rights: Rights, request: &str) -> (Vec<String>, End) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (_, writer) = theirs.into_split();
    let mut out = Answer::new(writer);
    let ended = handle(server, rights, serde_json::from_str(request).unwrap(), &mut out).await;
    out.flush().await.unwrap();
    drop(out);
    let (mut lines, mut reader) = (Vec::new(), BufReader::new(ours).lines());
    while let Some(line) = reader.next_line().await.unwrap() {
        lines.push(line);
    }
    let end = end_of(ended, || None);
    (lines, end)
}

#[tokio::test]
async fn t_out_5_others_see_nothing_of_a_message_and_cannot_tell_that_it_is_there() {
    let (_scratch, server, id) = answering(4302).await;
    assert!(ask(&server, ME, r#"{"verb":"list"}"#).await.0.is_empty());
    assert_eq!(ask(&server, ME, r#"{"verb":"count"}"#).await.0, [r#"{"messages":0,"bytes":0}"#]);
    assert!(ask(&server, ME, r#"{"verb":"find","message_id":"<1@sender.example>"}"#).await.0.is_empty());
    let nothing = |id: &str| format!("{id}: no such message");
    for other in [id.as_str(), "0000000000000001"] {
        for request in [
            format!(r#"{{"verb":"show","id":"{other}"}}"#),
            format!(r#"{{"verb":"cat","id":"{other}","part":"raw"}}"#),
            format!(r#"{{"verb":"list","ids":["{other}"]}}"#),
        ] {
            let (lines, end) = ask(&server, ME, &request).await;
            assert!(lines.is_empty() && end.text == nothing(other), "{request}: {end:?}");
        }
    }
    let (lines, _) = ask(&server, ME, &format!(r#"{{"verb":"flush","select":{{"by":"id","text":"{id}"}}}}"#)).await;
    assert_eq!(lines, [r#"{"messages":0,"bytes":0}"#]);
    let owner = Rights { uid: 4302, ..ME };
    assert_eq!(ask(&server, owner, r#"{"verb":"list"}"#).await.0.len(), 1);
    let closed = Rights { sees_own: false, ..owner };
    assert_eq!(ask(&server, closed, r#"{"verb":"list"}"#).await.1.end, Exit::NoPerm.code());
}

#[tokio::test]
async fn t_out_5_a_route_that_is_known_tells_nobody_of_the_mail_of_others() {
    use crate::queue::JobRecipient;
    let (_scratch, server, id) = answering(4302).await;
    let id = mail::queue_id::QueueId::parse(id.as_bytes()).unwrap();
    let message = server.state_writer.work(move |state, _| state.message(id)).unwrap().await.unwrap().unwrap();
    let route = server.current.get().router.route_of(&mail::Address::parse("bob@receiver.example").unwrap());
    let recipients = vec![JobRecipient { n: 0, address: "bob@receiver.example".to_owned() }];
    server.dispatch.start_attempt(message, vec![(route.clone(), recipients)]);
    let all = Rights { is_admin: true, sees_all: true, ..ME };
    let why = format!(r#"{{"verb":"why","subject":"{route}"}}"#);
    for (rights, sees) in [(all, true), (ME, false)] {
        let (lines, _) = ask(&server, rights, &why).await;
        assert_eq!(lines.iter().any(|line| line.contains(r#""waiting":1"#)), sees, "{lines:?}");
        let (lines, _) = ask(&server, rights, r#"{"verb":"snapshot"}"#).await;
        assert_eq!(lines[0].contains(&format!(r#""route":"{route}""#)), sees, "{lines:?}");
    }
}

#[tokio::test]
async fn why_tells_of_the_mail_of_a_route_and_of_nothing_that_is_unknown() {
    let (_scratch, server, _) = answering(4301).await;
    for n in 0..6 {
        let mut message = claimed(envelope(&["bob@receiver.example"]));
        (message.uid, message.envelope.id) = (4301, QueueId::new(1, n));
        let plan = Policy::of(&server.current.get().params).plan(&message, 1);
        let plan = crate::plan::Plan { next_attempt: Some(i64::MAX / 2), ..plan };
        server.state_writer.admit(&message, &plan).unwrap().await.unwrap();
    }
    let route = server.current.get().router.route_of(&mail::Address::parse("bob@receiver.example").unwrap());
    let why = |subject: &str| format!(r#"{{"verb":"why","subject":"{subject}"}}"#);
    for subject in [route.to_string().as_str(), "Receiver.example"] {
        let (lines, _) = ask(&server, ME, &why(subject)).await;
        let told: control::history::WhyInputs = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((told.messages.len(), told.more, told.is_partial), (3, 4, false), "{subject}");
        assert_eq!(told.routes.iter().map(|view| view.route.clone()).collect::<Vec<_>>(), [route.to_string()], "{subject}");
        let (lines, end) = ask(&server, Rights { uid: 4302, ..ME }, &why(subject)).await;
        assert!(lines.is_empty() && end.end == Exit::NotFound.code(), "{subject}: {end:?}");
    }
    for unknown in ["nosuch@foo", "nosuch@receiver.example", "other.example"] {
        let (lines, end) = ask(&server, ME, &why(unknown)).await;
        assert!(lines.is_empty() && end.end == Exit::NotFound.code(), "{unknown}: {lines:?}");
    }
}

#[tokio::test]
async fn a_flush_goes_through_a_long_queue_page_after_page() {
    let (_scratch, server, _) = answering(4301).await;
    for n in 0..2 * FLUSH_PAGE {
        let mut message = claimed(envelope(&["bob@receiver.example"]));
        message.envelope.id = QueueId::new(1, u32::try_from(n).unwrap());
        let plan = Policy::of(&server.current.get().params).plan(&message, 1);
        let plan = crate::plan::Plan { next_attempt: Some(i64::MAX / 2), ..plan };
        drop(server.state_writer.admit(&message, &plan).unwrap());
    }
    let root = Rights { uid: 0, is_admin: true, sees_all: true, sees_own: true };
    let all = r#"{"verb":"flush","select":{"by":"all"}}"#;
    assert_eq!(ask(&server, root, all).await.0, [format!(r#"{{"messages":{},"bytes":0}}"#, 2 * FLUSH_PAGE + 1)]);
    assert_eq!(ask(&server, root, all).await.0, [r#"{"messages":0,"bytes":0}"#], "what is due needs no flush");
    let none = r#"{"verb":"flush","select":{"by":"recipient","text":"nobody@","except":false}}"#;
    assert_eq!(ask(&server, root, none).await.0, [r#"{"messages":0,"bytes":0}"#]);
}

#[tokio::test]
async fn t_out_5_an_ordinary_user_flushes_only_now_and_then_whatever_is_selected() {
    let (_scratch, server, id) = answering(4301).await;
    let by_id = format!(r#"{{"verb":"flush","select":{{"by":"id","text":"{id}"}}}}"#);
    assert_eq!(ask(&server, ME, &by_id).await.0, [r#"{"messages":1,"bytes":0}"#]);
    for request in [by_id.as_str(), r#"{"verb":"flush","select":{"by":"all"}}"#] {
        let (lines, end) = ask(&server, ME, request).await;
        assert_eq!((lines.as_slice(), end.end), ([r#"{"messages":0,"bytes":0}"#.to_owned()].as_slice(), 0), "no error: {request}");
    }
    let next = std::sync::atomic::AtomicI64::new(0);
    assert!(is_time(&next, 5) && !is_time(&next, 5 + FLUSH_INTERVAL - 1) && is_time(&next, 5 + FLUSH_INTERVAL));
}

#[tokio::test]
async fn t_spool_8_garbage_gets_one_line_and_ends_nothing() {
    let (_scratch, server, _) = answering(4302).await;
    let nested = "[".repeat(60_000);
    let long = format!(r#"{{"verb":"list","ids":["{}"]}}"#, "x".repeat(limits::CONTROL_REQUEST));
    for garbage in ["\n", "\u{0}\u{1}\n", "null\n", r#"{"verb":"list","uid":0}"#, r#"{"verb":"Drop"}"#, &nested, &long] {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let answered = tokio::spawn(answer(Arc::clone(&server), theirs));
        // Where more comes than is taken, the pipe breaks: that is the answer to it.
        let _ = ours.write_all(garbage.as_bytes()).await;
        let _ = ours.shutdown().await;
        let mut text = String::new();
        let _ = ours.read_to_string(&mut text).await;
        answered.await.unwrap().unwrap();
        let is_answer = text.lines().count() == 1 && text.contains(r#""end":64"#);
        assert!(is_answer || (text.is_empty() && garbage.len() > limits::CONTROL_REQUEST), "{:?}: {text}", garbage.get(..20));
    }
    let (mut silent, theirs) = UnixStream::pair().unwrap();
    let started = Instant::now();
    answer(Arc::clone(&server), theirs).await.unwrap();
    assert!(started.elapsed() < ANSWERING / 2, "the limit of a request, and not that of an answer");
    assert_eq!(silent.read(&mut [0; 9]).await.unwrap(), 0, "a client that says nothing gets nothing");
}
