//! The tracer: runs a program and stops it, with every thread and child that it has, at the entry and the exit of each system call.
//!
//! In: a program, and a judge that looks at each such boundary. Out: how the program ended. The judge lets a call go, ends the
//! whole program in front of it or behind it, lets it fail without being made, makes a write shorter, or pulls the plug of a file
//! system in its place. strace can do some of this, but counts each name of a call for itself and each thread for itself; here one
//! count goes through the whole program.
//!
//! x86-64 alone, because registers are. The program runs as its user; root or an open `kernel.yama.ptrace_scope` is needed.

use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::libc::{self, c_long, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::support::parts::{self, Missing};

/// The descriptor that a traced program inherits on the file system whose plug may be pulled.
pub(crate) const PLUG: i32 = 9;
/// `FS_IOC_GOINGDOWN`, of ext4 and xfs.
const GOINGDOWN: u64 = 0x8004_587d;

/// One system call, in front of it or behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boundary {
    /// From 0, over the whole program; the first is that of the program itself, not of the loader that starts it.
    pub count: u64,
    /// True in front of the call.
    pub entry: bool,
    /// Its number: `libc::SYS_…`.
    pub call: c_long,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// What it returned; only behind it.
    pub result: i64,
}

/// What happens at a boundary. All but [`Verdict::Kill`] count only in front of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// SIGKILL to the whole program. In front of a call, the call is not made.
    Kill,
    /// The call is not made, and returns this.
    Fail(Errno),
    /// The same, as a property of the machine and not as a fault: it is no stroke.
    Lack(Errno),
    /// The third argument, which is the length of a write, becomes this.
    Shorten(u64),
    /// The file system behind [`PLUG`] is shut down with these flags instead of the call; then SIGKILL. 0: as frozen; 1: the log is
    /// written out; 2: nothing more is written.
    PullPlug(u64),
}

/// What others may see of a program while it is traced.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pid: AtomicI32,
    /// Boundaries so far.
    pub boundaries: AtomicU64,
    /// The judge has said something else than [`Verdict::Go`].
    pub struck: AtomicBool,
    ended: AtomicBool,
}

impl Live {
    /// True once it has ended, or while it has not begun.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// True once the judge struck.
    pub(crate) fn was_struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    /// Its process id; 0 before it began.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.load(Ordering::SeqCst)
    }

    /// Sends `signal`, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.pid();
        if pid > 0 && !self.has_ended() {
            let _ = signal::kill(Pid::from_raw(pid), signal);
        }
    }
}

/// How a traced program ended.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<Signal>,
    /// Boundaries that it came to.
    pub boundaries: u64,
    /// Boundaries behind the first stroke of the judge.
    pub after: u64,
    /// Where the judge struck first: thread, call, side.
    pub struck: Option<String>,
    /// What the shutdown of the file system returned.
    pub plug: Option<i64>,
}

/// What a thread is about.
#[derive(Default)]
struct Thread {
    in_call: bool,
    /// The registers in front of a call that was changed, and what it has to return.
    changed: Option<(user_regs_struct, Option<Errno>)>,
    plug: bool,
}

/// Whether processes of ours may be traced.
pub(crate) fn is_allowed() -> Result<(), Missing> {
    parts::beyond_this_tree("a tracer")?;
    // 3 forbids it to everybody, for ever; children may be traced with every other value.
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if scope.trim() == "3" { Err(Missing("nothing may be traced here (kernel.yama.ptrace_scope = 3)".to_owned())) } else { Ok(()) }
}

/// Runs `command`, which is a bare program with arguments and environment, to its end. `judge` is asked at each boundary.
/// `redirections` are words of the shell: `<in >out 2>&1`.
pub(crate) fn run(command: &Command, redirections: &str, live: &Live, judge: &mut dyn FnMut(&Boundary) -> Verdict) -> Traced {
    // A shell stops itself, so that there is something to seize before the program begins. `exec` keeps the process.
    let mut stopped = Command::new("/bin/sh");
    stopped.arg("-c").arg(format!("kill -STOP $$; exec \"$0\" \"$@\" {redirections}"));
    stopped.arg(command.get_program()).args(command.get_args());
    stopped.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // A terminal's signals are for us alone.
    stopped.process_group(0);
    let pid = start(&mut stopped);
    live.pid.store(pid.as_raw(), Ordering::SeqCst);
    let mut tracer = Tracer { leader: pid, threads: HashMap::new(), began: false, traced: Traced::default(), live, judge };
    tracer.follow();
    live.ended.store(true, Ordering::SeqCst);
    tracer.traced
}

/// Starts the shell and seizes it. It is waited for by [`Tracer::follow`], with all its threads.
#[allow(clippy::zombie_processes)]
fn start(command: &mut Command) -> Pid {
    let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    // From here on it is waited for with its threads; std's handle is only a number.
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    assert!(matches!(waitpid(pid, Some(WaitPidFlag::WUNTRACED)), Ok(WaitStatus::Stopped(..))), "the shell did not stop");
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).unwrap_or_else(|e| panic!("cannot trace: {e}"));
    signal::kill(pid, Signal::SIGCONT).unwrap();
    pid
}

struct Tracer<'a> {
    leader: Pid,
    threads: HashMap<Pid, Thread>,
    /// The program itself runs, no longer the shell.
    began: bool,
    traced: Traced,
    live: &'a Live,
    judge: &'a mut dyn FnMut(&Boundary) -> Verdict,
}

impl Tracer<'_> {
    /// Until the last thread is gone.
    fn follow(&mut self) {
        // Only what this thread traces: others trace too. The first thread of a program ends last.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::from_bits_retain(libc::__WNOTHREAD);
        loop {
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::PtraceSyscall(pid)) => self.boundary(pid),
                Ok(WaitStatus::PtraceEvent(pid, _, event)) => {
                    if event == libc::PTRACE_EVENT_EXEC {
                        self.began = true;
                    }
                    resume(pid, None);
                }
                Ok(WaitStatus::Stopped(pid, signal)) => resume(pid, Some(signal)),
                Ok(WaitStatus::Exited(pid, code)) => {
                    self.threads.remove(&pid);
                    if pid == self.leader {
                        self.traced.code = Some(code);
                        return;
                    }
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    self.threads.remove(&pid);
                    if pid == self.leader {
                        self.traced.signal = Some(signal);
                        return;
                    }
                }
                Err(Errno::ECHILD) => return,
                // A real-time signal, which nix has no name for; and whatever else is not for us.
                _ => {}
            }
        }
    }

    fn boundary(&mut self, pid: Pid) {
        let thread = self.threads.entry(pid).or_default();
        thread.in_call = !thread.in_call;
        let entry = thread.in_call;
        // A thread that was killed meanwhile has no registers any more.
        let Ok(registers) = ptrace::getregs(pid) else { return resume(pid, None) };
        if !entry && let Some((before, errno)) = thread.changed.take() {
            let plug = std::mem::take(&mut thread.plug);
            if plug {
                self.traced.plug = Some(registers.rax.cast_signed());
                return self.kill(pid);
            }
            restore(pid, registers, before, errno);
        }
        if !self.began {
            return resume(pid, None);
        }
        // The exit of the exec that began it all.
        if !entry && self.traced.boundaries == 0 {
            return resume(pid, None);
        }
        let verdict = (self.judge)(&Boundary {
            count: self.traced.boundaries,
            entry,
            call: registers.orig_rax.cast_signed(),
            arguments: [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9],
            result: registers.rax.cast_signed(),
        });
        self.traced.boundaries += 1;
        self.live.boundaries.store(self.traced.boundaries, Ordering::Relaxed);
        if self.traced.struck.is_some() {
            self.traced.after += 1;
        }
        if !matches!(verdict, Verdict::Go | Verdict::Lack(_)) {
            self.note(pid, &registers, entry);
        }
        if entry {
            self.change(pid, registers, verdict);
        }
        if verdict == Verdict::Kill { self.kill(pid) } else { resume(pid, None) }
    }

    fn note(&mut self, pid: Pid, registers: &user_regs_struct, entry: bool) {
        if self.traced.struck.is_none() {
            let thread = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let side = if entry { "before" } else { "after" };
            let call = super::calls::name(registers.orig_rax.cast_signed());
            self.traced.struck = Some(format!("{} {side} {call} ({:#x})", thread.trim(), registers.rdi));
        }
        self.live.struck.store(true, Ordering::SeqCst);
    }

    fn change(&mut self, pid: Pid, registers: user_regs_struct, verdict: Verdict) {
        let (mut changed, mut errno) = (registers, None);
        match verdict {
            Verdict::Go | Verdict::Kill => return,
            Verdict::Fail(e) | Verdict::Lack(e) => {
                changed.orig_rax = u64::MAX;
                errno = Some(e);
            }
            Verdict::Shorten(length) => changed.rdx = length,
            Verdict::PullPlug(flags) => {
                // Below the red zone of the stack nothing lies that anybody still needs.
                let place = (registers.rsp - 512) & !7;
                if ptrace::write(pid, place as ptrace::AddressType, flags.cast_signed()).is_err() {
                    return;
                }
                changed.orig_rax = libc::SYS_ioctl.cast_unsigned();
                (changed.rdi, changed.rsi, changed.rdx) = (u64::try_from(PLUG).unwrap(), GOINGDOWN, place);
            }
        }
        if ptrace::setregs(pid, changed).is_ok() {
            let thread = self.threads.entry(pid).or_default();
            thread.changed = Some((registers, errno));
            thread.plug = matches!(verdict, Verdict::PullPlug(_));
        }
    }

    fn kill(&self, pid: Pid) {
        let _ = signal::kill(self.leader, Signal::SIGKILL);
        resume(pid, None);
    }
}

/// The kernel promises that a call changes no register but its result.
fn restore(pid: Pid, now: user_regs_struct, before: user_regs_struct, errno: Option<Errno>) {
    let mut restored = now;
    (restored.rdi, restored.rsi, restored.rdx) = (before.rdi, before.rsi, before.rdx);
    if let Some(errno) = errno {
        restored.rax = (-i64::from(errno as i32)).cast_unsigned();
    }
    let _ = ptrace::setregs(pid, restored);
}

fn resume(pid: Pid, signal: Option<Signal>) {
    // It may have been killed meanwhile.
    let _ = ptrace::syscall(pid, signal);
}
