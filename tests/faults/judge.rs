//! What must hold when a daemon that was tormented has come to rest.

use std::sync::atomic::{AtomicU64, Ordering};

use spool::layout;

use super::daemon::{Bench, Ordeal};
use super::scenarios::{Fate, Letter, ending};
use crate::support::scripted::Transaction;

/// Duplicates that the log had called possible.
pub(crate) static TOLD_DUPLICATES: AtomicU64 = AtomicU64::new(0);

/// Errors: the promise that was broken.
pub(crate) fn judge(bench: &Bench, ordeal: &Ordeal) -> Result<(), String> {
    // A DSN that the plug tore is there by right: it was not acknowledged, and is written once more. What was sent meanwhile, and
    // has no id here yet, would be missed below.
    let corrupt = bench.installation.spooled(layout::CORRUPT);
    let is_acknowledged = |name: &&String| !is_refused(bench, name) && bench.letters.iter().any(|(_, id, _)| name.starts_with(id.as_str()));
    if let Some(name) = corrupt.iter().find(is_acknowledged) {
        return Err(format!("acknowledged mail is in corrupt/: {name}"));
    }
    // Its file went before the record of its outcome.
    let log = bench.log();
    if let Some(line) = log.lines().find(|line| line.contains("its file had vanished") && !is_removed(bench, ordeal, line)) {
        return Err(format!("a file without a record: {line}"));
    }
    let messages: Vec<Transaction> = ordeal.receivers.iter().flat_map(|receiver| receiver.messages()).collect();
    let (notices, mail): (Vec<&Transaction>, Vec<&Transaction>) = messages.iter().partition(|one| one.mail.starts_with("<>"));
    let known = |one: &&&Transaction| bench.scenario.letters.iter().any(|letter| one.data.ends_with(&ending(letter.name)));
    if let Some(half) = mail.iter().find(|one| !known(one)) {
        return Err(format!("half: {}", String::from_utf8_lossy(&half.data)));
    }
    let is_due = |letter: &&Letter| (letter.waits || ordeal.sent.contains(&letter.name)) && !is_kept(bench, letter);
    for letter in bench.scenario.letters.iter().filter(is_due) {
        judge_letter(bench, ordeal, letter, &mail, !notices.is_empty()).map_err(|why| format!("{}: {why}", letter.name))?;
    }
    Ok(())
}

/// True if the kernel refused to open the file: then it is kept for a person, with that as its reason.
fn is_refused(bench: &Bench, name: &str) -> bool {
    let line = |why: &str| format!("name=\"{}\" reason=\"{why}", name.trim_end_matches(".why"));
    let reasons = ["cannot be opened: ", "cannot be read: Permission denied", "cannot be read: Operation not permitted"];
    reasons.iter().any(|why| bench.log().contains(&line(why)))
}

/// True if the letter's file is in `corrupt/`, whole, because the kernel refused to open it: a person has it, and nobody else.
fn is_kept(bench: &Bench, letter: &Letter) -> bool {
    let corrupt = bench.installation.paths.spool.join(layout::CORRUPT);
    let is_whole = |name: &String| std::fs::read(corrupt.join(name)).is_ok_and(|octets| octets.ends_with(&ending(letter.name)));
    bench.installation.spooled(layout::CORRUPT).iter().any(|name| is_refused(bench, name) && is_whole(name))
}

/// True if the line is about a letter whose removal was asked for: its file goes to `trash/` before the record.
fn is_removed(bench: &Bench, ordeal: &Ordeal, line: &str) -> bool {
    let removed = ordeal.asked.iter().filter(|asked| asked.verb == "remove").map(|asked| asked.letter);
    removed.into_iter().any(|letter| bench.letters.iter().any(|(name, id, _)| *name == letter && line.contains(id.as_str())))
}

/// Where the file of a letter may be at rest, and must have been for it not to have arrived.
fn parked(bench: &Bench, letter: &Letter) -> Option<&'static str> {
    let id = bench.letters.iter().find(|(name, ..)| *name == letter.name).map(|(_, id, _)| id)?;
    let places = [layout::HOLD, layout::FAILED, layout::TRASH];
    places.into_iter().find(|place| bench.installation.spooled(place).contains(id))
}

fn judge_letter(bench: &Bench, ordeal: &Ordeal, letter: &Letter, mail: &[&Transaction], noticed: bool) -> Result<(), String> {
    let place = parked(bench, letter);
    if let Some(place) = place.filter(|place| *place != layout::FAILED) {
        return judge_parked(bench, ordeal, letter, place);
    }
    judge_verbs(ordeal, letter)?;
    for (address, fate) in letter.recipients {
        let path = format!("<{address}>");
        let copies: Vec<_> = mail.iter().filter(|one| one.data.ends_with(&ending(letter.name)) && one.recipients.contains(&path)).collect();
        match fate {
            // A message that failed for good waits visibly for its requeue, if nobody was told that it is requeued.
            Fate::Arrives if copies.is_empty() && place == Some(layout::FAILED) => {
                let requeued = ordeal.asked.iter().any(|asked| asked.letter == letter.name && asked.verb == "requeue" && asked.answered);
                let was_due = !ordeal.asked.iter().any(|asked| asked.verb == "requeue") && letter.name != "requeued";
                if (requeued && !failed_again(&bench.log(), id_of(bench, letter))) || was_due {
                    return Err(format!("lost: {address} failed"));
                }
            }
            Fate::Arrives if copies.is_empty() => return Err(format!("lost: {address} never got it")),
            Fate::Arrives => judge_copies(bench, address, &copies)?,
            Fate::Fails if place != Some(layout::FAILED) => return Err(format!("lost: the failure for {address} is not in failed/")),
            Fate::Fails if !noticed => return Err(format!("lost: nobody was told of the failure for {address}")),
            Fate::Fails => {}
        }
    }
    Ok(())
}

/// True if the last word of the log on a letter is that it failed, behind the last that it was requeued: the receiver, which refuses
/// the first attempt that comes to it, may see the first one only then.
fn failed_again(log: &str, id: &str) -> bool {
    let lines: Vec<&str> = log.lines().collect();
    let last = |event: &str| lines.iter().rposition(|line| line.contains(event) && line.contains(id));
    last("event=\"failed\"") > last("event=\"requeued\"")
}

/// The queue id of a letter; empty for one that was sent later.
fn id_of<'a>(bench: &'a Bench, letter: &Letter) -> &'a str {
    bench.letters.iter().find(|(name, ..)| *name == letter.name).map_or("", |(_, id, _)| id)
}

/// A letter in `hold/` or `trash/` must have been sent there.
fn judge_parked(bench: &Bench, ordeal: &Ordeal, letter: &Letter, place: &str) -> Result<(), String> {
    let verbs: Vec<_> = ordeal.asked.iter().filter(|asked| asked.letter == letter.name).collect();
    let last = verbs.last();
    // A library that gave up in the middle of a delivery, because the kernel refused what it never refuses (an interrupted write to
    // an eventfd), is an internal error: held, and said so.
    let (log, id) = (bench.log(), id_of(bench, letter));
    let is_told = |line: &str| line.contains("event=\"held\"") && line.contains(id) && line.contains("internal error");
    if place == layout::HOLD && !id.is_empty() && log.lines().any(is_told) {
        return Ok(());
    }
    let fits = match place {
        layout::TRASH => last.is_some_and(|asked| asked.verb == "remove"),
        // Held, and not told that it was released.
        _ => last.is_some_and(|asked| asked.verb == "hold" || asked.verb == "release" && !asked.answered),
    };
    if fits { Ok(()) } else { Err(format!("in {place}/ after {verbs:?}")) }
}

/// What an administrator was told has happened.
fn judge_verbs(ordeal: &Ordeal, letter: &Letter) -> Result<(), String> {
    match ordeal.asked.iter().rfind(|asked| asked.letter == letter.name) {
        Some(asked) if asked.answered && (asked.verb == "hold" || asked.verb == "remove") => Err(format!("not so after all: {asked:?}")),
        _ => Ok(()),
    }
}

/// More than one copy is a duplicate that the log must have called possible.
fn judge_copies(bench: &Bench, address: &str, copies: &[&&Transaction]) -> Result<(), String> {
    if copies.len() == 1 {
        return Ok(());
    }
    let id = queue_id(copies[0]);
    let warns = |line: &str| line.contains("possible_duplicate") || line.contains("a duplicate is possible");
    let log = bench.log();
    if log.lines().any(|line| warns(line) && line.contains(&id)) {
        TOLD_DUPLICATES.fetch_add(copies.len() as u64 - 1, Ordering::Relaxed);
        return Ok(());
    }
    Err(format!("{address} got {id} {} times without a word", copies.len()))
}

/// The queue id in our Received field.
fn queue_id(message: &Transaction) -> String {
    let text = String::from_utf8_lossy(&message.data).into_owned();
    let id = text.split_once("\tid ").map(|(_, rest)| rest).unwrap_or_default();
    id.chars().take_while(char::is_ascii_hexdigit).collect()
}
