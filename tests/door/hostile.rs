//! T-SPOOL-8: garbage, slow clients, and a thousand of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use super::{WIRE, confined, envelope, sendmail_without_spool, submission, talk};
use crate::delivery::MESSAGE;
use crate::support::command::{PATIENCE, run, wait_for};
use crate::support::installation::{CALLER_ID, Installation, OTHER_ID};
use crate::support::parts;
use crate::support::scripted::{Receiver, Script};

fn installed() -> (Installation, Receiver) {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "message_size_limit = \"1MiB\"\nrecipient_limit = 3");
    installation.start_daemon();
    (installation, receiver)
}

/// A whole submission is still taken, and nothing else was left.
#[track_caller]
fn still_takes_mail(installation: &Installation, receiver: &Receiver, count: usize) {
    let answer = talk(installation, &submission(&envelope(""), WIRE, 7));
    assert!(answer.starts_with("{\"id\":\"") && answer.ends_with("\"}\n"), "{answer}");
    receiver.wait_for_messages(count);
    installation.wait_until_drained();
    assert!(installation.spooled("corrupt").is_empty() && installation.spooled("tmp").is_empty());
    assert_eq!(receiver.messages().len(), count);
}

#[test]
fn t_spool_8_what_is_no_submission_gets_its_reason_and_leaves_nothing() {
    let (installation, receiver) = installed();
    let recipients = |n: usize| vec![r#"{"address":"bob@receiver.example"}"#; n].join(",");
    let four = envelope("").replace(&recipients(1), &recipients(4));
    let wrong_sum = {
        let mut bytes = submission(&envelope(""), WIRE, 1 << 20);
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    let chunk_too_large = [envelope("").as_bytes(), &u32::MAX.to_be_bytes()].concat();
    let cases: Vec<(&str, Vec<u8>, u8, &str)> = vec![
        ("no envelope", b"GET / HTTP/1.1\r\n".to_vec(), 65, "invalid envelope"),
        ("an unknown key", submission(&envelope("\"relay\":\"x\","), WIRE, 9), 65, "relay"),
        ("an id", submission(&envelope("\"id\":\"0000000000000001\","), WIRE, 9), 65, "duplicate field"),
        ("a peer", submission(&envelope("\"peer\":{\"uid\":0,\"gid\":0,\"pid\":1},"), WIRE, 9), 65, "peer"),
        ("a newer version", submission(&envelope("").replace("\"v\":1", "\"v\":7"), WIRE, 9), 69, "version 7"),
        ("too many recipients", submission(&four, WIRE, 9), 65, "recipient_limit"),
        ("no recipients", submission(&envelope("").replace(&recipients(1), ""), WIRE, 9), 65, "no recipients"),
        ("a line without end", vec![b'{'; 9 << 20], 65, "8 MiB"),
        ("a chunk of four gigabytes", chunk_too_large, 65, "chunk of 4294967295 bytes"),
        ("too large", submission(&envelope(""), &[WIRE, &b"0123456789abcd\r\n".repeat(70_000)].concat(), 65_536), 65, "too large"),
        ("a wrong checksum", wrong_sum, 74, "checksum"),
        ("a bare LF", submission(&envelope(""), b"From: a@b.example\r\n\r\nx\n.\r\n", 9), 65, "LF without CR"),
        ("a bare CR across chunks", submission(&envelope(""), b"From: a@b.example\r\n\r\nx\r.\r\n", 1), 65, "CR without LF"),
        ("a NUL", submission(&envelope(""), b"From: a@b.example\r\n\r\n\0\r\n", 9), 65, "NUL"),
        ("no line end", submission(&envelope(""), b"From: a@b.example\r\n\r\nx", 9), 65, "without CRLF"),
        ("no From", submission(&envelope(""), b"Subject: x\r\n\r\nx\r\n", 9), 65, "one From"),
        ("nothing", submission(&envelope(""), b"", 9), 65, "one From"),
    ];
    for (what, bytes, exit, text) in cases {
        let answer = talk(&installation, &bytes);
        let reply: serde_json::Value = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{what}: {e}: {answer}"));
        assert_eq!(reply["exit"], exit, "{what}: {answer}");
        assert!(reply["text"].as_str().unwrap().contains(text) && answer.lines().count() == 1, "{what}: {answer}");
        assert!(installation.spooled("new").is_empty() && installation.spooled("tmp").is_empty(), "{what}");
    }
    still_takes_mail(&installation, &receiver, 1);
}

#[test]
fn t_spool_8_a_client_that_goes_away_at_any_byte_leaves_nothing() {
    let (installation, receiver) = installed();
    let whole = submission(&envelope(""), WIRE, 16);
    for end in 0..whole.len() {
        assert_eq!(talk(&installation, &whole[..end]), "", "byte {end}");
    }
    assert!(installation.spooled("new").is_empty() && installation.spooled("cur").is_empty());
    still_takes_mail(&installation, &receiver, 1);
}

/// xorshift: the same garbage at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

#[test]
fn t_spool_8_garbage_of_any_kind_ends_nothing() {
    let (installation, receiver) = installed();
    let pid = installation.daemon_pid();
    let mut random = Random(0x6D61_696C);
    for round in 0..3000 {
        let mut bytes = submission(&envelope(""), WIRE, 16);
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        let answer = talk(&installation, &bytes);
        // A change in the time or in an address may make another message of it, which is no garbage; its sum tells.
        let is_refusal = answer.is_empty() || answer.starts_with("{\"exit\":");
        assert!(is_refusal || bytes == submission(&envelope(""), WIRE, 16) || answer.starts_with("{\"id\":"), "{round}: {answer}");
    }
    assert!(installation.spooled("corrupt").is_empty(), "{:?}", installation.spooled("corrupt"));
    let before = receiver.messages().len();
    still_takes_mail(&installation, &receiver, before + 1);
    assert_eq!(installation.daemon_pid(), pid);
}

#[test]
fn t_spool_8_a_thousand_slow_clients_of_one_user_hold_up_nobody() {
    isolated!();
    const SCRIPT: &str = "import resource, socket, sys, time\n\
        resource.setrlimit(resource.RLIMIT_NOFILE, (1200, 1200))\n\
        line = sys.argv[2].encode()\n\
        held = []\n\
        def connect(n):\n\
        \x20   s = socket.socket(socket.AF_UNIX)\n\
        \x20   s.connect(sys.argv[1])\n\
        \x20   try:\n\
        \x20       s.send([line[:1], line[:-1], line, line + b'\\0'][n % 4])\n\
        \x20   except OSError:\n\
        \x20       pass\n\
        \x20   held.append(s)\n\
        for n in range(1000):\n\
        \x20   connect(n)\n\
        print('held', flush=True)\n\
        while True:\n\
        \x20   time.sleep(0.05)\n\
        \x20   held.pop(0).close()\n\
        \x20   connect(len(held))\n";
    // By its name: the one of this process may be closed to other users.
    require!(parts::tool("python3"));
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let mut attacker = installation.program_as(OTHER_ID, "python3");
    attacker.args(["-c", SCRIPT]).arg(installation.paths.submit_socket()).arg(envelope(""));
    let mut attacker = attacker.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(attacker.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    // Whoever stood behind the slow clients would wait until the daemon hangs up on one after the other: longer than a test waits.
    for _ in 0..10 {
        run(sendmail_without_spool(&installation).arg("bob@receiver.example"), MESSAGE).succeeded();
        // The attacker itself sends by the first door, and everybody asks.
        installation.sendmail_as(OTHER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
        installation.mailchute_as(CALLER_ID, &["list"]).succeeded();
        installation.mailchute(&["status"]).succeeded();
    }
    receiver.wait_for_messages(20);
    let mut command = confined(&installation, OTHER_ID, super::HIDDEN, env!("CARGO_BIN_EXE_sendmail"));
    let busy = run(command.arg("bob@receiver.example"), MESSAGE);
    assert!(matches!(busy.code, Some(0 | 69)), "{busy:?}");
    assert!(attacker.try_wait().unwrap().is_none());
    attacker.kill().unwrap();
    attacker.wait().unwrap();
    let mut command = confined(&installation, OTHER_ID, super::HIDDEN, env!("CARGO_BIN_EXE_sendmail"));
    run(command.arg("bob@receiver.example"), MESSAGE).succeeded();
    installation.stop_daemon();
}

#[test]
fn t_spool_8_a_client_that_says_nothing_is_hung_up_on() {
    require!(crate::support::parts::time());
    let (installation, _receiver) = installed();
    let line = envelope("");
    let starts: [&[u8]; 4] = [b"", &line.as_bytes()[..9], line.as_bytes(), &[line.as_bytes(), &[0, 0, 0, 9, b'x']].concat()];
    let mut streams: Vec<UnixStream> = starts
        .iter()
        .map(|start| {
            let mut stream = UnixStream::connect(installation.paths.submit_socket()).unwrap();
            stream.write_all(start).unwrap();
            stream
        })
        .collect();
    for stream in &mut streams {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("{\"exit\":74,") && answer.contains("too long"), "{answer}");
    }
    wait_for("an empty spool", || installation.spooled("new").is_empty());
}
