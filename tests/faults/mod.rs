//! The crash and fault rig: the shipped programs, killed at every system call, refused by the kernel at every call, their disks
//! unplugged, filled and lied to; and a look at what is left.
//!
//! `tests/faults/run` does all of it and prints its counts; the tests in here are a selection that takes seconds. docs/SPOOL.md
//! names the promises. x86-64 Linux, because the tracer knows its registers.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

pub(crate) mod blocklog;
pub(crate) mod calls;
pub(crate) mod daemon;
mod disks;
mod door;
pub(crate) mod full;
pub(crate) mod injector;
pub(crate) mod judge;
pub(crate) mod mutants;
pub(crate) mod power;
pub(crate) mod report;
mod scenarios;
pub(crate) mod tracer;
pub(crate) mod trials;
pub(crate) mod verbs;

use std::path::PathBuf;

/// The programs under test.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub sendmail: PathBuf,
    pub mailchuted: PathBuf,
    pub mailchute: PathBuf,
}

impl Binaries {
    /// Those of this build.
    pub(crate) fn built() -> Binaries {
        Binaries {
            sendmail: env!("CARGO_BIN_EXE_sendmail").into(),
            mailchuted: env!("CARGO_BIN_EXE_mailchuted").into(),
            mailchute: env!("CARGO_BIN_EXE_mailchute").into(),
        }
    }

    /// Another build of one of them.
    pub(crate) fn replace(&mut self, name: &str, path: PathBuf) {
        match name {
            "sendmail" => self.sendmail = path,
            "mailchuted" => self.mailchuted = path,
            "mailchute" => self.mailchute = path,
            _ => panic!("{name} is no program of ours"),
        }
    }
}

/// How much of a part is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// Every how manieth trial; 1 is all.
    pub stride: usize,
    pub workers: usize,
    /// It ends with the first violation: a mutant is hunted.
    pub hunts: bool,
}

impl Choice {
    pub(crate) const WHOLE: Choice = Choice { stride: 1, workers: 2, hunts: false };
}

impl Choice {
    /// A selection for the tests below.
    #[cfg(test)]
    const fn every(stride: usize) -> Choice {
        Choice { stride, workers: 2, hunts: false }
    }
}

#[cfg(test)]
mod tests {
    use super::report::Report;
    use super::{Binaries, Choice, blocklog, daemon, full, injector, mutants, power, tracer, trials, verbs};
    use crate::support::isolation;

    /// A daemon makes its calls in another order each time, and more or fewer with the load of the machine; so some of the chosen points
    /// are never reached. That the rig strikes at all is what a test can demand of it.
    const STRUCK: u64 = 1;

    /// A part of the rig, of which nothing may be broken and `least` trials must have struck.
    #[track_caller]
    fn holds(part: fn(&Binaries, Choice, &Report), stride: usize, count: &str, least: u64) {
        let report = Report::default();
        part(&Binaries::built(), Choice::every(stride), &report);
        report.assert_clean();
        assert!(report.count(count) >= least, "{:?}", report.counts());
    }

    #[test]
    fn t_env_4_sendmail_killed_at_any_boundary_leaves_what_it_acknowledged_and_nothing_half() {
        require!(tracer::is_allowed());
        holds(injector::killed, 23, "kill points injector", 60);
    }

    #[test]
    fn sendmail_refused_by_the_kernel_at_any_call_acknowledges_what_is_kept_and_nothing_else() {
        require!(tracer::is_allowed());
        holds(injector::refused, 97, "errno injections", 50);
    }

    #[test]
    fn a_write_of_sendmail_that_is_cut_short_is_finished() {
        require!(tracer::is_allowed());
        holds(injector::shortened, 7, "short writes", 15);
    }

    #[test]
    fn a_daemon_killed_at_any_boundary_of_any_scenario_loses_nothing_and_says_what_may_come_twice() {
        require!(tracer::is_allowed());
        holds(daemon::killed, 397, "kill points daemon", STRUCK);
    }

    #[test]
    fn a_verb_killed_at_any_call_is_done_or_not_and_says_which() {
        require!(tracer::is_allowed());
        holds(verbs::killed, 113, "kill points verbs", 12);
    }

    #[test]
    fn a_daemon_killed_behind_the_name_of_a_dsn_writes_no_second_one() {
        require!(tracer::is_allowed());
        holds(daemon::killed_behind_a_dsn, 5, "kill points daemon", STRUCK);
    }

    #[test]
    fn a_daemon_refused_by_the_kernel_at_any_call_loses_nothing_and_does_not_spin() {
        require!(tracer::is_allowed());
        holds(daemon::refused, 2003, "errno injections", STRUCK);
    }

    #[test]
    fn a_commit_that_the_disk_refuses_removes_no_file() {
        require!(tracer::is_allowed());
        holds(daemon::refused_commits, 12, "errno injections", STRUCK);
    }

    #[test]
    fn a_power_cut_at_any_boundary_takes_nothing_that_was_acknowledged() {
        isolated!();
        // Images on a memory disk: no trial waits for the disk of the host.
        isolation::cover_temporary_files();
        require!(tracer::is_allowed());
        require!(crate::support::parts::disks());
        holds(power::of_injection, 61, "power cuts ext4", 20);
    }

    #[test]
    fn a_power_cut_during_a_delivery_loses_nothing() {
        isolated!();
        // Images on a memory disk: no trial waits for the disk of the host.
        isolation::cover_temporary_files();
        require!(tracer::is_allowed());
        require!(crate::support::parts::disks());
        holds(power::of_delivery, 211, "power cuts ext4", STRUCK);
    }

    #[test]
    fn a_disk_that_lost_what_was_not_flushed_has_what_was_acknowledged() {
        isolated!();
        isolation::cover_temporary_files();
        require!(tracer::is_allowed());
        require!(crate::support::parts::disks());
        holds(blocklog::all, 29, "block-log states btrfs", 5);
    }

    #[test]
    fn a_disk_that_is_full_at_any_level_refuses_or_keeps_and_loses_nothing() {
        isolated!();
        // Images on a memory disk: no trial waits for the disk of the host.
        isolation::cover_temporary_files();
        require!(tracer::is_allowed());
        require!(crate::support::parts::disks());
        holds(full::all, 19, "fill levels", 9);
    }

    #[test]
    fn a_full_disk_with_small_blocks_ends_nobody_by_a_signal() {
        isolated!();
        isolation::cover_temporary_files();
        require!(crate::support::parts::disks());
        full::small_blocks(&Binaries::built()).unwrap();
    }

    #[test]
    fn what_is_refused_in_the_end_was_never_sent() {
        require!(tracer::is_allowed());
        trials::refused_is_never_sent(&Binaries::built()).unwrap();
    }

    #[test]
    fn what_was_changed_behind_the_claim_is_never_sent() {
        trials::changed_is_never_sent(&Binaries::built()).unwrap();
    }

    #[test]
    fn a_parked_message_is_synced_before_anybody_is_told() {
        require!(tracer::is_allowed());
        trials::parked_is_synced(&Binaries::built()).unwrap();
    }

    #[test]
    fn a_message_moves_only_behind_the_sync_of_its_intention() {
        require!(tracer::is_allowed());
        trials::intention_is_synced(&Binaries::built()).unwrap();
    }

    #[test]
    fn an_injection_syncs_once_and_behind_the_link() {
        require!(tracer::is_allowed());
        trials::synced_behind_the_link(&Binaries::built()).unwrap();
    }

    #[test]
    fn every_mutant_of_the_rig_still_applies_to_the_source() {
        mutants::all_apply().unwrap();
    }

    #[test]
    fn head_and_tail_are_all_that_a_rescue_needs() {
        require!(tracer::is_allowed());
        let (bench, case) = (injector::Bench::new(&Binaries::built()), &injector::cases()[0]);
        bench.run(case, &mut |_| tracer::Verdict::Go).unwrap();
        let new = bench.installation.paths.spool.join("new");
        let name = bench.installation.spooled("new").pop().unwrap();
        let tool = |program: &str, lines: &str| {
            let ended = crate::support::command::run(std::process::Command::new(program).args(["-n", lines]).arg(new.join(&name)), b"");
            ended.succeeded().stdout
        };
        let envelope: serde_json::Value = serde_json::from_str(&tool("head", "1")).unwrap();
        assert_eq!(envelope["id"], name.as_str());
        assert_eq!(envelope["recipients"][0]["address"], "bob@receiver.example");
        let message = tool("tail", "+2");
        assert!(message.contains("Subject: hello\r\n") && message.ends_with("\r\n\r\nHello\r\n.leading dot\r\n"), "{message}");
    }
}
