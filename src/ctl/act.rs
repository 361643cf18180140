//! `hold`, `release`, `remove` and `requeue`: the same for all four, in the words of postsuper.

use std::io::{BufRead, Write};

use crate::config::Config;
use crate::control::client;
use crate::control::protocol::{Act, Done, Request};
use crate::exit::{Exit, Failure};
use crate::mail::printable;

/// Ids read from stdin at most.
const IDS: usize = 100_000;
/// Ids in one request, which has 64 KiB.
const AT_ONCE: usize = 2000;

/// Does `act` to `ids`; `ALL` alone means all, `-` reads ids from stdin. One line per message and a total on stderr, as postsuper
/// prints them.
///
/// Errors: EX_USAGE without ids; 1 if a message was not found or the act not done.
pub(super) fn act(config: &Config, act: Act, ids: Vec<String>, dry_run: bool) -> Result<(), Failure> {
    let ids = given(ids)?;
    let batches: Vec<Vec<String>> = match ids {
        None => vec![Vec::new()],
        Some(ids) => ids.chunks(AT_ONCE).map(<[String]>::to_vec).collect(),
    };
    let (mut count, mut refused) = (0u64, 0u64);
    for ids in batches {
        let mut broken = None;
        let answered =
            client::ask_lines(&config.paths, &Request::Act { act, ids, dry_run }, |line| match serde_json::from_str::<Done>(line) {
                Ok(done) => {
                    *(if done.done { &mut count } else { &mut refused }) += 1;
                    say(&format!("{}: {}", printable::text(&done.id), printable::text(&done.text)));
                    true
                }
                Err(e) => {
                    broken = Some(Failure::new(Exit::Software, format!("an answer of the daemon that is not understood: {e}")));
                    false
                }
            });
        match answered {
            Err(failure) if failure.exit != Exit::NotFound => return Err(failure),
            _ => broken.map_or(Ok(()), Err)?,
        }
    }
    let would = if dry_run { "Would be: " } else { "" };
    say(&format!("{would}{}: {count} message{}", act.total(), if count == 1 { "" } else { "s" }));
    if refused == 0 { Ok(()) } else { Err(Failure::new(Exit::NotFound, format!("not done for {refused} of {}", count + refused))) }
}

/// The ids that were meant; `None` is all.
fn given(ids: Vec<String>) -> Result<Option<Vec<String>>, Failure> {
    match ids.as_slice() {
        [] => Err(Failure::new(Exit::Usage, "name queue ids, or ALL, or - to read ids from standard input")),
        [all] if all == "ALL" => Ok(None),
        [dash] if dash == "-" => {
            let lines = std::io::stdin().lock().lines().take(IDS).map_while(Result::ok);
            Ok(Some(lines.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()))
        }
        _ => Ok(Some(ids)),
    }
}

/// Where stderr is closed there is nobody to tell; the exit code remains.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "mailchute: {line}");
}
