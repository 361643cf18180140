//! What the parts found: counts for the table, and every violation of a promise.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Choice;

/// Violations that are kept with their words; the rest is counted.
const TOLD: usize = 40;

/// Counts and violations, filled by several threads.
#[derive(Debug, Default)]
pub(crate) struct Report {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<String, u64>,
    violations: Vec<String>,
    total_violations: u64,
}

impl Report {
    /// Adds to the count of `what`.
    pub(crate) fn add(&self, what: &str, number: u64) {
        *self.inner.lock().unwrap().counts.entry(what.to_owned()).or_default() += number;
    }

    /// The count of `what`.
    pub(crate) fn count(&self, what: &str) -> u64 {
        self.inner.lock().unwrap().counts.get(what).copied().unwrap_or(0)
    }

    /// A promise was broken.
    pub(crate) fn violation(&self, words: String) {
        let mut inner = self.inner.lock().unwrap();
        inner.total_violations += 1;
        if inner.violations.len() < TOLD {
            inner.violations.push(words);
        }
    }

    /// Notes what a judgement says.
    pub(crate) fn note(&self, judgement: Result<(), String>) {
        if let Err(words) = judgement {
            self.violation(words);
        }
    }

    /// How many promises were broken.
    pub(crate) fn violations(&self) -> u64 {
        self.inner.lock().unwrap().total_violations
    }

    /// How many of those that are kept in words have this word in their first line.
    pub(crate) fn violations_with(&self, word: &str) -> usize {
        self.inner.lock().unwrap().violations.iter().filter(|words| words.lines().next().is_some_and(|line| line.contains(word))).count()
    }

    /// The violations, in words.
    pub(crate) fn words(&self) -> String {
        self.inner.lock().unwrap().violations.join("\n")
    }

    /// All counts.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.inner.lock().unwrap().counts.clone()
    }

    /// Fails a test that found something.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.violations(), 0, "{}\n{:?}", self.words(), self.counts());
    }
}

/// Runs `job` for each of `jobs`, with as many threads as the choice has workers; each of them makes a `bench` for itself. A hunt
/// ends with the first violation.
pub(crate) fn sweep<J: Sync, B>(
    jobs: &[J],
    choice: Choice,
    report: &Report,
    bench: impl Fn() -> B + Sync,
    job: impl Fn(&mut B, &J) + Sync,
) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..choice.workers.min(jobs.len()) {
            scope.spawn(|| {
                let mut bench = bench();
                while let Some(one) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    job(&mut bench, one);
                    if choice.hunts && report.violations() > 0 {
                        return;
                    }
                }
            });
        }
    });
}

/// Every `stride`th of `all`: the same selection in each run.
pub(crate) fn every<T>(all: impl IntoIterator<Item = T>, stride: usize) -> Vec<T> {
    all.into_iter().step_by(stride.max(1)).collect()
}
