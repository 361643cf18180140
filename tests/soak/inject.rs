//! An injector: by turns a program for one message, and a session (`-bs`) of many. Now and then one is killed in the middle.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::Ordering;

use super::world::World;
use crate::support::command;

/// Messages of one session.
const SESSION: usize = 40;
/// Every how manieth session is killed in the middle of a message.
const CUT: usize = 9;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The receiver takes it.
    Relayed,
    /// The receiver refuses it for good.
    Failed,
    /// The receiver never takes it, until an operator removes it.
    Removed,
    /// The same, until an operator bounces it.
    Bounced,
}

impl Fate {
    pub(crate) fn of(number: u64) -> Fate {
        match number % 20 {
            0 => Fate::Failed,
            1 => Fate::Removed,
            2 => Fate::Bounced,
            _ => Fate::Relayed,
        }
    }

    pub(crate) fn recipient(self) -> &'static str {
        match self {
            Fate::Relayed => "to@receiver.example",
            Fate::Failed => "no@receiver.example",
            Fate::Removed => "drop@receiver.example",
            Fate::Bounced => "late@receiver.example",
        }
    }
}

/// Injects until enough was promised.
pub(crate) fn run(world: &World, injector: usize) {
    let mut turn = injector;
    loop {
        turn += 1;
        let ended = if turn.is_multiple_of(2) { single(world) } else { session(world, turn.is_multiple_of(CUT)) };
        match ended {
            Ok(true) => {}
            Ok(false) => return,
            Err(why) => world.shared.refused.lock().unwrap().push(why),
        }
    }
}

/// The body of message `number`: who gets less of it sees that.
pub(crate) fn body(number: u64) -> String {
    let lines = (number % 40) as usize;
    format!("soak {number} {lines}\n{}end of {number}\n", "0123456789 0123456789 0123456789 0123456789\n".repeat(lines))
}

/// One program, one message. False when there is nothing to do any more.
fn single(world: &World) -> Result<bool, String> {
    let Some(number) = world.shared.next(&world.plan) else { return Ok(false) };
    let mut command = world.installation.program(&world.plan.sendmail);
    let message = format!("From: soak@sender.example\nSubject: {number}\n\n{}", body(number));
    let ended = command::run(command.args(["-i", "-f", "soak@sender.example", Fate::of(number).recipient()]), message.as_bytes());
    if ended.code != Some(0) {
        return Err(format!("{ended:?}"));
    }
    world.shared.promise(number);
    Ok(true)
}

/// A session of many messages; `cut` kills it in the middle of one.
fn session(world: &World, cut: bool) -> Result<bool, String> {
    let mut command = world.installation.program(&world.plan.sendmail);
    let spawned = command.arg("-bs").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = spawned.map_err(|e| e.to_string())?;
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let result = talk(world, cut, &mut input, &mut output);
    if cut {
        let _ = child.kill();
        world.shared.cut.fetch_add(1, Ordering::Relaxed);
    }
    drop(input);
    let _ = child.wait();
    result
}

fn talk(world: &World, cut: bool, input: &mut ChildStdin, output: &mut BufReader<ChildStdout>) -> Result<bool, String> {
    expect(output, "220")?;
    say(input, "EHLO soak.sender.example\r\n")?;
    expect(output, "250")?;
    for _ in 0..SESSION {
        let Some(number) = world.shared.next(&world.plan) else { return Ok(false) };
        say(input, "MAIL FROM:<soak@sender.example>\r\n")?;
        expect(output, "250")?;
        say(input, &format!("RCPT TO:<{}>\r\n", Fate::of(number).recipient()))?;
        expect(output, "250")?;
        say(input, "DATA\r\n")?;
        expect(output, "354")?;
        let message = format!("From: soak@sender.example\nSubject: {number}\n\n{}", body(number)).replace('\n', "\r\n");
        if cut {
            return say(input, &message[..message.len() / 2]).map(|()| true);
        }
        say(input, &(message + ".\r\n"))?;
        expect(output, "250")?;
        world.shared.promise(number);
    }
    Ok(true)
}

fn say(input: &mut ChildStdin, text: &str) -> Result<(), String> {
    input.write_all(text.as_bytes()).map_err(|e| e.to_string())
}

/// One reply; an error if it is another one.
fn expect(output: &mut BufReader<ChildStdout>, code: &str) -> Result<(), String> {
    loop {
        let mut line = String::new();
        output.read_line(&mut line).map_err(|e| e.to_string())?;
        if !line.starts_with(code) {
            return Err(format!("{code} expected: {line}"));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
