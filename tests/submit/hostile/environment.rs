//! T-ENV-1 to T-ENV-3 and T-ARG-4: what a caller may have done to the process before it began. A call is complete, or it ends with a
//! code of the table (or by the signal that the caller ordered) and has left nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::sandbox::{Run, Sandbox};
use super::arguments::{Bait, assert_calls, traced};
use crate::support::command;
use crate::support::installation::Installation;
use crate::support::parts;

const MESSAGE: &str = "To: a@x.example\nSubject: s\n\nhello\n";

/// How a call may end.
#[derive(Clone, Copy, Debug)]
enum End {
    /// With 0, and the whole message is there.
    CommittedMessage,
    /// With 0, and the message has an empty body: there was no standard input.
    KeptEmpty,
    /// With one of these codes, and nothing is there.
    Refused(&'static [i32]),
    /// As the limit bites: kept, or with any other code or a signal and nothing is there.
    Either,
    /// As a signal comes: the same, or it came between the sync and the exit, and the message is kept though nobody was told.
    Interrupted,
}

use End::{CommittedMessage, Either, Interrupted, KeptEmpty, Refused};

/// A script for the shell, in which `$S` is the program, `$L STATE $S` starts it with launch.py, and `$D` is an empty directory.
#[rustfmt::skip] // a table is easier to read when each row is a line
const CALLS: &[(&str, End)] = &[
    // T-ENV-2: all combinations of closed descriptors, also where something has to be printed.
    ("$S -v -t", CommittedMessage),
    ("exec 1>&-; $S -v -t", CommittedMessage),
    ("exec 2>&-; $S -v -t", CommittedMessage),
    ("exec 1>&- 2>&-; $S -v -t", CommittedMessage),
    ("exec 0<&-; $S -v a@x.example", KeptEmpty),
    ("exec 0<&- 1>&-; $S -v a@x.example", KeptEmpty),
    ("exec 0<&- 2>&-; $S -v a@x.example", KeptEmpty),
    ("exec 0<&- 1>&- 2>&-; $S -v a@x.example", KeptEmpty),
    ("exec 0<&-; $S -t", Refused(&[64])),
    ("exec 0<&- 1>&- 2>&-; $S -t", Refused(&[64])),
    ("exec 2>&-; $S -Z", Refused(&[64])),
    ("exec 1>&- 2>&-; $S 'a b@x'", Refused(&[65])),
    // Standard input and output that are something else.
    ("$S a@x.example </", Refused(&[74])),
    ("$S a@x.example </dev/null", KeptEmpty),
    ("$S a@x.example 0>$D/new", Refused(&[74])),
    ("$S -t <$D/missing || exit 99", Refused(&[2, 99])),
    ("$L socket $S -t", CommittedMessage),
    ("$L socket-nonblocking $S -t", CommittedMessage),
    ("$L fifo $S -t", CommittedMessage),
    ("$L terminal $S -t", CommittedMessage),
    ("$S -v -t >/dev/full", CommittedMessage),
    ("$S -v -t 2>/dev/full", CommittedMessage),
    ("$S -Z 2>/dev/full", Refused(&[64])),
    ("$S -v -t | :", CommittedMessage),
    ("$S -v -t >&0", CommittedMessage),
    ("$L descriptors $S -t", CommittedMessage),
    // T-ENV-3: masks, directories, limits.
    ("umask 000; $S -t", CommittedMessage),
    ("umask 777; $S -t", CommittedMessage),
    ("umask 177; $S -t", CommittedMessage),
    ("cd $D; rmdir $D; $S -t", CommittedMessage),
    ("cd $D; chmod 000 $D; $S -t", CommittedMessage),
    ("cd /proc/self; $S -t", CommittedMessage),
    ("nice -n 19 $S -t", CommittedMessage),
    ("ulimit -f 0; $S -t", Refused(&[74])),
    ("prlimit --fsize=300 $S -t", Refused(&[74])),
    ("prlimit --fsize=1000000 $S -t", CommittedMessage),
    ("ulimit -n 4; $S -t", Refused(&[71, 73])),
    ("ulimit -n 5; $S -t", Either),
    ("ulimit -n 16; $S -t", CommittedMessage),
    ("prlimit --nproc=0 $S -t", CommittedMessage),
    ("prlimit --cpu=1 $S -t", CommittedMessage),
    ("prlimit --core=0 $S -t", CommittedMessage),
    ("$L no-dump-limit $S -t", CommittedMessage),
    ("prlimit --memlock=0 --sigpending=0 --msgqueue=0 $S -t", CommittedMessage),
    ("prlimit --stack=16384 $S -t", Either),
    ("prlimit --stack=262144 $S -t", Either),
    ("prlimit --stack=2097152 $S -t", CommittedMessage),
    ("prlimit --data=0 $S -t", Either),
    ("prlimit --data=65536 $S -t", Either),
    ("prlimit --as=1000000 $S -t", Either),
    ("prlimit --as=5000000 $S -t", Either),
    ("prlimit --as=8000000 $S -t", Either),
    ("prlimit --as=64000000 $S -t", CommittedMessage),
    ("prlimit --rss=0 $S -t", CommittedMessage),
    // Signals and timers.
    ("trap '' HUP INT QUIT PIPE TERM CHLD USR1 ALRM XFSZ; $S -t", CommittedMessage),
    ("$L ignored $S -t", CommittedMessage),
    ("$L blocked $S -t", CommittedMessage),
    ("$L pending $S -t", CommittedMessage),
    ("$L alarm-later $S -t", CommittedMessage),
    ("$L alarm-now $S -t", Interrupted),
    ("$L alarm-profile $S -t", Interrupted),
    // T-ARG-4: argv.
    ("$L argc-0 $S", Refused(&[64])),
    ("$L argv0-empty $S -t", CommittedMessage),
    ("$L argv0-long $S -t", CommittedMessage),
    ("$L arguments-10000 $S", CommittedMessage),
    ("$L arguments-10001-different $S", Refused(&[65])),
    ("$L arguments-2-mib $S", CommittedMessage),
    // T-ENV-1: variables.
    ("$L environment-1-mib $S -t", CommittedMessage),
    ("$L environment-of-bytes $S -t", CommittedMessage),
    ("$L environment-empty-words $S -t", CommittedMessage),
    ("env -u HOME -u PATH $S -t", CommittedMessage),
    ("HOME=/nonexistent USER=root LOGNAME=root MAIL=/x EMAIL=e@x $S -t", CommittedMessage),
    ("LANG=xx_YY.nonsense LC_ALL=C.none LANGUAGE=:: $S -t", CommittedMessage),
    ("RUST_BACKTRACE=full RUST_LOG=trace RUST_MIN_STACK=1 $S -t", CommittedMessage),
    ("MALLOC_CHECK_=3 MALLOC_PERTURB_=165 MALLOC_ARENA_MAX=0 $S -t", CommittedMessage),
    ("GLIBC_TUNABLES=glibc.malloc.check=3:glibc.malloc.tcache_count=x $S -t", CommittedMessage),
];

#[test]
fn t_env_2_c9_t_env_3_t_arg_4_a_call_is_whole_or_has_left_nothing() {
    require!(parts::tool("python3"));
    require!(parts::tool("prlimit"));
    assert!(CALLS.len() >= 40);
    let mut wrong = Vec::new();
    for (script, end) in CALLS {
        let sandbox = Sandbox::new("");
        fs::create_dir(sandbox.path("empty")).unwrap();
        let setting =
            format!("D={}; L='python3 {}/tests/submit/hostile/launch.py'; ", sandbox.path("empty").display(), env!("CARGO_MANIFEST_DIR"));
        let run = sandbox.shell(&format!("{setting}{script}"), MESSAGE);
        if let Err(why) = judge(&sandbox, &run, *end) {
            wrong.push(format!("{script}: {end:?}, but {why}; {:?} {:?}", run.status, run.stderr));
        }
        assert!(!sandbox.path("empty/core").exists(), "{script}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn judge(sandbox: &Sandbox, run: &Run, end: End) -> Result<(), String> {
    let modes =
        fs::read_dir(sandbox.spool().join("new")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().permissions().mode() & 0o7777);
    let modes: Vec<u32> = modes.collect();
    // Each is checked as the daemon checks it: a half message ends the test here.
    let kept = sandbox.take_messages();
    sandbox.assert_nothing_is_left();
    if modes.iter().any(|mode| *mode != 0o640) {
        return Err(format!("modes {modes:?}"));
    }
    let bodies: Vec<&str> = kept.iter().map(|message| message.body()).collect();
    let is_whole_message = |body: &str| bodies == [body] && kept[0].recipients() == ["a@x.example"];
    let is_whole = |body: &str| run.code() == 0 && is_whole_message(body);
    let is_right = match end {
        CommittedMessage => is_whole("hello\r\n"),
        KeptEmpty => is_whole(""),
        Refused(codes) => kept.is_empty() && codes.contains(&run.code()),
        Either => is_whole("hello\r\n") || (kept.is_empty() && run.code() != 0),
        // The shell says it with a number above 128; a shell that became the program has none.
        Interrupted if !(0..=128).contains(&run.code()) => kept.is_empty() || is_whole_message("hello\r\n"),
        Interrupted => is_whole("hello\r\n"),
    };
    if is_right { Ok(()) } else { Err(format!("{} with {bodies:?}", run.code())) }
}

/// Variables that choose files for other programs, each with the path of a file that everybody may write.
const CHOOSERS: &[&str] = &[
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
    "HOME",
    "TMPDIR",
    "TZDIR",
    "MAILCHUTE_CONFIG",
    "MAILCHUTE_SPOOL",
    "MAIL_CONFIG",
    "SENDMAIL_CONFIG",
    "SENDMAIL_PATH",
    "MAILRC",
    "DEAD",
    "MAIL",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "OPENSSL_CONF",
    "RUST_LOG",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "CREDENTIALS_DIRECTORY",
    "LOCPATH",
    "NLSPATH",
    "QMAILINJECT",
    "BASH_ENV",
    "ENV",
    "TZ",
];

#[test]
fn t_env_1_s7_no_variable_chooses_a_file() {
    isolated!();
    require!(parts::tool("strace"));
    let installation = Installation::system();
    let bait = Bait::lay();
    let trace = installation.paths.run.join("trace");
    for value in [bait.file.clone(), bait.file.parent().unwrap().to_owned(), format!(":{}", bait.file.display()).into()] {
        let mut command = traced(&installation, &trace);
        command.envs(CHOOSERS.iter().map(|name| (name, &value)));
        command::run(command.arg("-t").current_dir("/"), MESSAGE.as_bytes()).succeeded();
        let names = installation.spooled("new");
        assert_eq!(names.len(), 1);
        super::super::sandbox::take(&installation.paths.spool.join("new").join(&names[0]));
        bait.assert_untouched(&value);
        let path = bait.file.parent().unwrap().display().to_string();
        assert_calls(&fs::read_to_string(&trace).unwrap(), &path, &installation.paths.spool, true, &value);
    }
}

#[test]
fn t_env_3_no_core_holds_a_message_however_the_limit_stands() {
    require!(parts::tool("prlimit"));
    let sandbox = Sandbox::new("");
    let cwd = sandbox.path("cwd");
    fs::create_dir(&cwd).unwrap();
    // The memory runs out at some point: an abort, and where cores are allowed it is the kernel that asks.
    for kilobytes in [2500, 3000, 3500, 4000, 4500] {
        let run = sandbox.shell(&format!("cd {}; prlimit --as={} $S -t", cwd.display(), kilobytes * 1000), MESSAGE);
        assert_eq!(sandbox.take_messages().len(), usize::from(run.code() == 0), "{kilobytes}");
    }
    assert_eq!(fs::read_dir(&cwd).unwrap().count(), 0);
}

#[test]
fn section_8_replies_that_nobody_can_get_end_the_session() {
    let sandbox = Sandbox::new("");
    let session = "HELO h\r\nMAIL FROM:<f@x>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n";
    for script in ["$S -bs >/dev/full", "$S -bs | :", "exec 1>&-; $S -bs"] {
        let run = sandbox.shell(script, session);
        let kept = sandbox.take_messages().len();
        // A closed descriptor is /dev/null by then, and what is written blindly is taken.
        assert!(kept <= 1, "{script}");
        assert!(script.contains('|') || (kept == 1) == (run.code() == 0), "{script}: {} {kept} {}", run.code(), run.stderr);
    }
}
