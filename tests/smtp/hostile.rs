//! Every stage against every kind of wrong answer, and an end at every byte.

use mail::EnhancedStatus;
use tokio::task::JoinSet;
use transport::smtp::{Failure, Session, Stage};

use super::client::{Results, content, deliver, envelope, impatient, lmtp_target, settings, target};
use super::sink::{At, End, Seen, Sink};

const ALL: [&str; 6] = ["PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"];

const STAGES: [(At, Stage); 6] = [
    (At::Greeting, Stage::Greeting),
    (At::Ehlo, Stage::Ehlo),
    (At::Mail, Stage::MailFrom),
    (At::Rcpt, Stage::RcptTo),
    (At::Data, Stage::Data),
    (At::FinalDot, Stage::FinalDot),
];

/// What an answer is, wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A reply of this class; right where that class is expected.
    Class(u16),
    /// 421, which ends the session.
    Bye,
    /// No reply: the connection is of no more use.
    NoReply,
}

fn answers() -> Vec<(&'static str, Vec<u8>, Option<End>, Kind)> {
    let one = |name, bytes: &[u8], kind| (name, bytes.to_vec(), None, kind);
    vec![
        one("2yz", b"250 fine\r\n", Kind::Class(2)),
        one("2yz of an unknown code", b"299 fine\r\n", Kind::Class(2)),
        one("bare", b"250\r\n", Kind::Class(2)),
        one("LF alone", b"250 fine\n", Kind::Class(2)),
        one("three lines", b"250-a\r\n250-b\r\n250 c\r\n", Kind::Class(2)),
        one("354", b"354 go on\r\n", Kind::Class(3)),
        one("334", b"334 VXNlcg==\r\n", Kind::NoReply),
        one("4yz", b"450 4.2.0 later\r\n", Kind::Class(4)),
        one("bare 4yz", b"451\r\n", Kind::Class(4)),
        one("unknown 4yz", b"481 4.8.1 odd\r\n", Kind::Class(4)),
        one("5yz", b"550 5.1.1 never\r\n", Kind::Class(5)),
        one("second digit beyond 5", b"571 5.7.1 policy\r\n", Kind::Class(5)),
        one("Latin-1", b"550 5.1.1 gr\xfc\xdfe\r\n", Kind::Class(5)),
        one("421", b"421 4.3.2 going down\r\n", Kind::Bye),
        ("421 and close", b"421 4.3.2 going down\r\n".to_vec(), Some(End::Close), Kind::Bye),
        one("1yz", b"150 wait\r\n", Kind::NoReply),
        one("6yz", b"650 what\r\n", Kind::NoReply),
        one("garbage", b"\x00\xff\x1b[2J garbage\r\n", Kind::NoReply),
        one("an empty line", b"\r\n", Kind::NoReply),
        one("HTTP", b"HTTP/1.1 400 Bad Request\r\n", Kind::NoReply),
        one("mixed codes", b"250-fine\r\n550 not fine\r\n", Kind::NoReply),
        one("an endless line", &[b'2'; 100_000], Kind::NoReply),
        one("a thousand lines", &b"250-more\r\n".repeat(1000), Kind::NoReply),
        ("silence", Vec::new(), Some(End::Silence), Kind::NoReply),
        ("silence in a reply", b"250-and\r\n25".to_vec(), Some(End::Silence), Kind::NoReply),
        ("close", Vec::new(), Some(End::Close), Kind::NoReply),
        ("close in a reply", b"250-and\r\n".to_vec(), Some(End::Close), Kind::NoReply),
        ("reset", Vec::new(), Some(End::Reset), Kind::NoReply),
        ("reset in a reply", b"25".to_vec(), Some(End::Reset), Kind::NoReply),
    ]
}

/// The failure of the session, or of its only recipient.
async fn fate(session: Result<Session, Failure>) -> (Result<(), Failure>, Option<Session>) {
    match session {
        Err(failure) => (Err(failure), None),
        Ok(mut session) => {
            let results = deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), None).await;
            (results.into_iter().next().unwrap().map(|_| ()), Some(session))
        }
    }
}

#[tokio::test]
async fn t_smtp_4_every_wrong_answer_at_every_stage_ends_as_it_must() {
    // All at once: most of the time goes into waiting for servers that say nothing. That they can be spawned is worth a test too.
    let mut pairs = JoinSet::new();
    for (at, stage) in STAGES {
        for (name, bytes, then, kind) in answers() {
            for pipelining in [true, false] {
                pairs.spawn(one_pair(at, stage, name, bytes.clone(), then, kind, pipelining));
            }
        }
    }
    assert_eq!(pairs.len(), 6 * 29 * 2);
    pairs.join_all().await;
}

async fn one_pair(at: At, stage: Stage, name: &str, bytes: Vec<u8>, then: Option<End>, kind: Kind, pipelining: bool) {
    let offers = if pipelining { &ALL[..] } else { &ALL[1..] };
    let server = Sink::new(offers).wrong(at, Some(0), &bytes, then).start().await;
    // Only these may end by the clock: on a busy machine the others must not.
    let silence = then == Some(End::Silence) || kind == Kind::NoReply && then.is_none();
    let settings = if silence { impatient(stage) } else { settings() };
    let (fate, session) = fate(Session::open(&settings, &target(&server)).await).await;
    let context = format!("{name} at {stage}, pipelining: {pipelining}: {fate:?}");
    judge(at, stage, kind, &fate, session, &context);
    let accepted = server.seen().messages.len();
    match &fate {
        Ok(()) => assert_eq!(accepted, 1, "{context}"),
        Err(failure) if failure.is_uncertain() => {}
        Err(_) => assert_eq!(accepted, 0, "{context}"),
    }
}

fn judge(at: At, stage: Stage, kind: Kind, fate: &Result<(), Failure>, session: Option<Session>, context: &str) {
    let expected = if at == At::Data { 3 } else { 2 };
    let failure = match (kind, fate) {
        // HELO was answered well, and mail went without extensions.
        (Kind::Class(5), Ok(())) if at == At::Ehlo => return,
        (Kind::Class(class), Ok(())) => return assert_eq!(class, expected, "{context}"),
        (_, Ok(())) => panic!("{context}"),
        (_, Err(failure)) => failure,
    };
    assert_eq!(failure.stage, stage, "{context}");
    assert!(failure.cause.chars().all(|c| !c.is_control()), "{context}");
    assert!(failure.peer.contains("localhost[127.0.0.1]:"), "{context}");
    let refused = failure.reply.is_some();
    match kind {
        Kind::Class(class @ (4 | 5)) => {
            assert!(refused && failure.reusable && failure.status.class as u16 == class, "{context}");
            assert!(session.is_none_or(|session| session.is_usable()), "{context}");
        }
        Kind::Bye => assert!(refused && !failure.reusable && session.is_none_or(|session| !session.is_usable()), "{context}"),
        // A doubt is never final: a class of 4.
        _ => {
            assert!(!refused && !failure.reusable && failure.status.class == 4, "{context}");
            assert!(session.is_none_or(|session| !session.is_usable()), "{context}");
            assert_eq!(failure.is_uncertain(), at == At::FinalDot, "{context}");
        }
    }
}

#[tokio::test]
async fn t_smtp_4_an_answer_that_came_too_early_is_never_taken_for_the_next() {
    // The second of two replies must not be taken for the answer to what follows.
    for (at, bytes) in [
        (At::Greeting, &b"220 a\r\n250 PIPELINING\r\n"[..]),
        (At::Ehlo, b"250 sink.example\r\n250 sender ok\r\n"),
        (At::Mail, b"250 a\r\n250 b\r\n"),
        (At::Rcpt, b"250 a\r\n354 b\r\n"),
        (At::Data, b"354 go on\r\n250 taken already\r\n"),
    ] {
        for offers in [&ALL[..], &ALL[1..]] {
            let server = Sink::new(offers).wrong(at, None, bytes, None).start().await;
            let (fate, _) = fate(Session::open(&settings(), &target(&server)).await).await;
            let failure = fate.unwrap_err();
            assert!(!failure.is_uncertain() && failure.reply.is_none(), "{at:?} {failure:?}");
            assert!(server.seen().messages.is_empty(), "{at:?}");
        }
    }
}

#[tokio::test]
async fn mail_refused_and_a_recipient_accepted_and_354_sends_nobody_an_empty_message() {
    let server = Sink::new(&ALL)
        .wrong(At::Mail, None, "550 no\r\n", None)
        .wrong(At::Rcpt, None, "250 yes\r\n", None)
        .wrong(At::Data, None, "354 go on\r\n", None)
        .start()
        .await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    let results = deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), None).await;
    assert_eq!(results[0].as_ref().unwrap_err().stage, Stage::MailFrom);
    assert!(!session.is_usable() && server.seen().messages.is_empty());
}

#[tokio::test]
async fn a_greeting_of_521_or_554_is_a_refusal_by_the_host_and_not_of_a_message() {
    for code in ["521 5.3.2 no mail here", "554 5.7.1 go away"] {
        let server = Sink::new(&ALL).wrong(At::Greeting, None, format!("{code}\r\n"), Some(End::Close)).start().await;
        let failure = Session::open(&settings(), &target(&server)).await.unwrap_err();
        assert!(failure.stage.is_route());
        assert_eq!(failure.to_string(), format!("{}: greeting: {code}", target(&server).peer()));
    }
}

#[tokio::test]
async fn nobody_at_the_port_or_the_socket_is_a_failure_of_the_route() {
    let server = Sink::new(&ALL).start().await;
    let mut nobody = target(&server);
    nobody.endpoint = transport::smtp::Endpoint::Tcp("127.0.0.1:1".parse().unwrap());
    let failure = Session::open(&settings(), &nobody).await.unwrap_err();
    assert_eq!((failure.stage, failure.status), (Stage::Connect, EnhancedStatus::new(4, 4, 1)));
    let mut nobody = lmtp_target(&server);
    nobody.endpoint = transport::smtp::Endpoint::Unix("/nonexistent/socket".into());
    let failure = Session::open(&settings(), &nobody).await.unwrap_err();
    assert!(failure.to_string().starts_with("/nonexistent/socket: connect: cannot connect: No such file"), "{failure}");
}

#[tokio::test]
async fn t_smtp_2_a_configured_name_cannot_add_a_command() {
    let server = Sink::new(&ALL).start().await;
    for name in ["", "h.example\r\nMAIL FROM:<>", "h example", "h\u{e4}.example"] {
        let settings = transport::smtp::Settings { ehlo_name: name.to_owned(), ..settings() };
        assert_eq!(Session::open(&settings, &target(&server)).await.unwrap_err().stage, Stage::Ehlo);
    }
    assert!(server.seen().commands.is_empty());
}

#[tokio::test]
async fn helo_is_for_servers_that_do_not_know_ehlo() {
    let server = Sink::new(&ALL).wrong(At::Ehlo, Some(0), "502 5.5.1 what?\r\n", None).start().await;
    let mut session = Session::open(&settings(), &target(&server)).await.unwrap();
    assert_eq!(*session.capabilities(), transport::smtp::Capabilities::default());
    assert!(deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), None).await[0].is_ok());
    assert_eq!(server.seen().commands[..3], ["EHLO h.example", "HELO h.example", "MAIL FROM:<me@h.example>"]);
}

/// Two messages on one connection, the second pipelined where it can be; with the number of results that came.
async fn two(settings: &transport::smtp::Settings, target: &transport::smtp::Target) -> [Option<Results>; 2] {
    let (one, two) = (envelope(&["a@x.example"]), envelope(&["b@x.example"]));
    let Ok(mut session) = Session::open(settings, target).await else { return [None, None] };
    let first = deliver(&mut session, &one, &content("first\r\n"), Some(&two)).await;
    if !session.has_envelope() && !session.is_usable() {
        return [Some(first), None];
    }
    [Some(first), Some(deliver(&mut session, &two, &content("second\r\n"), None).await)]
}

/// Which of the two messages the server has.
fn taken(messages: &[(Vec<String>, Vec<u8>)]) -> [bool; 2] {
    ["first\r\n", "second\r\n"].map(|text| messages.iter().any(|message| message.1.ends_with(text.as_bytes())))
}

#[tokio::test]
async fn t_smtp_4_an_end_at_every_byte_of_the_server_loses_and_doubles_nothing() {
    let mut runs = 0;
    for offers in [&ALL[..], &ALL[1..]] {
        let whole = Sink::new(offers).start().await;
        assert!(two(&settings(), &target(&whole)).await.iter().flatten().flatten().all(Result::is_ok));
        let Seen { bytes_out: length, final_offsets: finals, .. } = whole.seen().clone();
        assert_eq!(finals.len(), 2);
        for limit in 0..=length {
            for end in [End::Close, End::Reset] {
                let server = Sink { out_limit: Some((limit, end)), ..Sink::new(offers) }.start().await;
                let results = two(&settings(), &target(&server)).await;
                let taken = taken(&server.seen().messages);
                for (message, result) in results.iter().enumerate() {
                    let context = format!("message {message}, {end:?} after {limit} of {length} bytes ({finals:?}): {result:?}");
                    let said_so = limit >= finals[message];
                    match result.as_ref().map(|results| &results[0]) {
                        Some(Ok(_)) => assert!(said_so && taken[message], "{context}"),
                        Some(Err(failure)) if failure.is_uncertain() => assert!(!said_so && taken[message], "{context}"),
                        Some(Err(_)) | None => assert!(!said_so && !taken[message], "{context}"),
                    }
                }
                runs += 1;
            }
        }
    }
    assert!(runs > 800, "{runs}");
}

#[tokio::test]
async fn t_smtp_4_an_end_at_every_byte_of_the_client_loses_and_doubles_nothing() {
    let mut runs = 0;
    for offers in [&ALL[..], &ALL[1..]] {
        let whole = Sink::new(offers).start().await;
        two(&settings(), &target(&whole)).await;
        let length = whole.seen().bytes_in;
        for limit in 1..=length {
            for end in [End::Close, End::Reset] {
                let server = Sink { in_limit: Some((limit, end)), ..Sink::new(offers) }.start().await;
                let results = two(&settings(), &target(&server)).await;
                let taken = taken(&server.seen().messages);
                for (message, result) in results.iter().enumerate() {
                    let context = format!("message {message}, {end:?} after {limit} of {length} bytes: {result:?}");
                    match result.as_ref().map(|results| &results[0]) {
                        Some(Ok(_)) => assert!(taken[message], "{context}"),
                        Some(Err(failure)) if failure.is_uncertain() => {}
                        Some(Err(_)) | None => assert!(!taken[message], "{context}"),
                    }
                }
                runs += 1;
            }
        }
    }
    assert!(runs > 800, "{runs}");
}

/// The same numbers in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

#[tokio::test]
async fn t_smtp_4_servers_that_answer_at_random_lose_and_double_nothing() {
    const REPLIES: [&str; 10] = [
        "250 2.0.0 fine\r\n",
        "250 2.0.0 fine\r\n",
        "354 go on\r\n",
        "450 4.2.1 later\r\n",
        "550 5.1.1 no\r\n",
        "421 4.3.2 bye\r\n",
        "250-two\r\n250 lines\r\n",
        "250 one\r\n250 more\r\n",
        "500\n",
        "what?\r\n",
    ];
    let mut dice = Dice(0x5eed);
    let (mut accepted, mut refused, mut uncertain) = (0, 0, 0);
    for run in 0..400 {
        let mut server = Sink { lmtp: dice.roll(2) == 0, ..Sink::new(if dice.roll(2) == 0 { &ALL } else { &ALL[1..] }) };
        for _ in 0..1 + dice.roll(3) {
            let at = [At::Mail, At::Rcpt, At::Rcpt, At::Data, At::FinalDot, At::Rset][dice.roll(6)];
            let end = [None, None, None, Some(End::Close), Some(End::Reset)][dice.roll(5)];
            server = server.wrong(at, Some(dice.roll(6)), REPLIES[dice.roll(REPLIES.len())], end);
        }
        let is_lmtp = server.lmtp;
        let server = server.start().await;
        let target = if is_lmtp { lmtp_target(&server) } else { target(&server) };
        let mut session = Session::open(&settings(), &target).await.unwrap();
        for message in 0..4 {
            let (envelope, text) = (envelope(&["a@x.example", "b@x.example", "c@x.example"]), format!("{message}\r\n"));
            if !session.has_envelope() && !session.is_usable() {
                break;
            }
            let results = deliver(&mut session, &envelope, &content(&text), Some(&envelope)).await;
            let taken: Vec<String> = server
                .seen()
                .messages
                .iter()
                .filter(|taken| taken.1.ends_with(text.as_bytes()))
                .flat_map(|taken| taken.0.clone())
                .collect();
            for (result, recipient) in results.iter().zip(&envelope.recipients) {
                let is_taken = taken.iter().filter(|line| line.contains(&recipient.address.to_string())).count();
                let context = format!("run {run}, message {message}, {}: {result:?}", recipient.address);
                match result {
                    Ok(_) => {
                        accepted += 1;
                        assert_eq!(is_taken, 1, "{context}");
                    }
                    Err(failure) if failure.is_uncertain() => uncertain += 1,
                    Err(_) => {
                        refused += 1;
                        // The LMTP side keeps a content if it accepted it for anybody.
                        assert!(is_taken == 0 || is_lmtp, "{context}");
                    }
                }
            }
        }
    }
    assert!(accepted > 500 && refused > 100 && uncertain > 10, "{accepted} accepted, {refused} refused, {uncertain} uncertain");
}
