//! Reads the statistics of `mailchute stats`.

use control::stats::{QueueCount, Stats, Throughput};
use state::{QueueDir, State};

const HOUR: u64 = 3600;
/// The periods: an hour, a day, a week.
const TIMES: [u64; 3] = [HOUR, 86_400, 604_800];

/// The statistics at `now`, for one user or for all.
///
/// Errors: the database's.
pub fn read(state: &State, uid: Option<u32>, now: i64) -> state::Result<Stats> {
    let held = state.in_dirs(uid)?.into_iter().map(|held| QueueCount {
        state: match held.dir {
            QueueDir::Cur => "queued",
            QueueDir::Hold => "hold",
            _ => "failed",
        }
        .to_owned(),
        messages: held.messages,
        bytes: held.bytes,
        oldest: Some(held.oldest),
    });
    let queue = held.collect();
    let throughput = TIMES.into_iter().map(|seconds| passed(state, uid, now, seconds)).collect::<state::Result<_>>()?;
    Ok(Stats { queue, throughput })
}

/// The throughput of the last hour only. It is cheap enough for a request every two seconds, whatever the queue and the history hold.
///
/// Errors: the database's.
pub fn brief(state: &State, uid: Option<u32>, now: i64) -> state::Result<Stats> {
    Ok(Stats { queue: Vec::new(), throughput: vec![passed(state, uid, now, HOUR)?] })
}

fn passed(state: &State, uid: Option<u32>, now: i64, seconds: u64) -> state::Result<Throughput> {
    let since = now.saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX));
    let state::Passed { accepted, bytes, relayed, failed, removed, lost } = state.passed(since, uid)?;
    Ok(Throughput { seconds, accepted, bytes, relayed, failed, removed, lost })
}
