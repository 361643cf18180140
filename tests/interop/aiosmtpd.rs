//! aiosmtpd, a strict receiver in Python: parameters, 8-bit data, more recipients than fit into one transaction.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::installation::Installation;
use crate::support::parts;

#[test]
fn a_message_in_eight_bits_to_150_people_arrives_whole_in_two_transactions() {
    isolated!();
    let python = require!(parts::python());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/aiosmtpd_receiver.py");
    let mut receiver = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut transactions =
        BufReader::new(receiver.stdout.take().unwrap()).lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    assert_eq!(transactions.next().unwrap()["ready"], true);

    let mut installation = Installation::system();
    installation.relay_to("smtp://127.0.0.1:2525?tls=none", "");
    installation.start_daemon();
    let recipients: Vec<String> = (0..150).map(|number| format!("r{number}@receiver.example")).collect();
    let arguments: Vec<&str> = ["-i", "-f", "alice@sender.example"].into_iter().chain(recipients.iter().map(String::as_str)).collect();
    let message = "From: alice@sender.example\nSubject: x\n\ngrüße\n.\n..\nlast line".as_bytes();
    installation.sendmail(&arguments, message).succeeded();

    let arrived: Vec<Value> = transactions.by_ref().take(2).collect();
    drop(receiver.stdin.take());
    receiver.wait().unwrap();
    let mut seen = BTreeSet::new();
    for transaction in &arrived {
        assert_eq!(transaction["mail"], "alice@sender.example");
        let options: Vec<&str> = transaction["options"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(options.contains(&"BODY=8BITMIME") && options.iter().any(|option| option.starts_with("SIZE=")), "{options:?}");
        let here = transaction["recipients"].as_array().unwrap();
        assert!(here.len() <= 100, "RFC 5321 4.5.3.1.8: {}", here.len());
        seen.extend(here.iter().map(|one| one.as_str().unwrap().to_owned()));
        let data: Vec<u8> = transaction["data"].as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap()).collect();
        assert!(data.ends_with("\r\n\r\ngrüße\r\n.\r\n..\r\nlast line\r\n".as_bytes()), "{}", String::from_utf8_lossy(&data));
    }
    assert_eq!(seen, recipients.into_iter().collect());
    installation.wait_until_drained();
}
