//! DSNs end to end: who is told what, in a form that other programs read.

mod answers;
mod limits;
mod outputs;
mod page;
mod senders;
mod trust;

use std::process::Command;

use serde_json::Value;

use crate::support::command;
use crate::support::message::Message;
use crate::support::parts::{self, Missing};
use crate::support::scripted::{Receiver, Transaction};

/// What Python's parser and flufl.bounce read in a DSN (tests/support/dsn_judge.py).
fn judge(notice: &Transaction) -> Result<Value, Missing> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/dsn_judge.py");
    let ended = command::run(Command::new(parts::python()?).arg(script), &notice.data).succeeded();
    let judged: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&judged["defects"], &judged["header_defects"]), (&Value::Array(vec![]), &Value::Array(vec![])), "{judged}");
    assert_eq!((&judged["type"], &judged["report"]), (&"multipart/report".into(), &"delivery-status".into()), "{judged}");
    Ok(judged)
}

/// What Mail::DeliveryStatus::BounceParser reads in a DSN (tests/support/dsn_judge.pl): address and kind of each failure, or
/// nothing where it takes it for no bounce.
fn judge_in_perl(notice: &Transaction) -> Result<Vec<(String, String)>, Missing> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/dsn_judge.pl");
    let mut perl = Command::new(parts::tool("perl")?);
    let ended = command::run(perl.arg("-I").arg(parts::perl_modules()?).arg(script), &notice.data).succeeded();
    let judged: Value = serde_json::from_str(&ended.stdout).unwrap();
    let reports = judged["reports"].as_array().unwrap();
    assert_eq!(judged["is_bounce"] == true, !reports.is_empty(), "{judged}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Ok(reports.iter().map(|report| (text(&report["address"]), text(&report["kind"]))).collect())
}

/// The three parts of a DSN that quotes the header section.
fn three() -> Value {
    ["text/plain", "message/delivery-status", "text/rfc822-headers"].map(Value::from).to_vec().into()
}

/// The DSNs among what was accepted: what came from the null reverse-path.
fn notices(receiver: &Receiver) -> Vec<Transaction> {
    receiver.messages().into_iter().filter(|one| one.mail.starts_with("<>")).collect()
}

/// Waits for `count` DSNs.
#[track_caller]
fn wait_for_dsns(receiver: &Receiver, count: usize) -> Vec<Transaction> {
    command::wait_for(&format!("{count} notices, with {:?}", receiver.connections()), || notices(receiver).len() >= count);
    notices(receiver)
}

fn subject(notice: &Transaction) -> String {
    Message::parse(&notice.data).field("Subject").to_owned()
}
