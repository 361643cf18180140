//! T-ARG-1 to T-ARG-3: words of a command line that want a file, a program or an identity. A caller without any right gives them to
//! the `sendmail` of a system installation, and every system call that names a file is looked at.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::command;
use crate::support::installation::Installation;
use crate::support::parts;

const CALLER: u32 = 4242;
const SENDMAIL: &str = env!("CARGO_BIN_EXE_sendmail");
const MESSAGE: &[u8] = b"To: t@x.example\nSubject: s\n\nhello\n";

/// The arguments, in which `{}` is the path of a file that everybody may read and write; the exit code; and a word of the line on
/// standard error, or the recipients of the message that is kept.
type Row = (&'static [&'static str], i32, &'static str);

#[rustfmt::skip] // a table is easier to read when each row is a line
const T_ARG_1: &[Row] = &[
    // Files and directories.
    (&["-t", "-X{}"], 64, "option -X is refused"),
    (&["-t", "-X", "{}"], 64, "option -X is refused"),
    (&["-tX{}"], 64, "option -X is refused"),
    (&["-tiX", "{}"], 64, "option -X is refused"),
    (&["-t", "-C{}"], 64, "option -C is refused"),
    (&["-t", "-C", "{}"], 64, "option -C is refused"),
    (&["-bi", "-C{}"], 64, "option -C is refused"),
    (&["-bs", "-C{}"], 64, "option -C is refused"),
    (&["-t", "-D{}"], 64, "option -D is refused"),
    (&["-t", "-D", "{}"], 64, "option -D is refused"),
    (&["-t", "-oA{}"], 64, "option -oA is refused"),
    (&["-bi", "-oA{}"], 64, "option -oA is refused"),
    (&["-I", "-oA", "{}"], 64, "option -oA is refused"),
    (&["-t", "-oE{}"], 64, "option -oE is refused"),
    (&["-t", "-oH{}"], 64, "option -oH is refused"),
    (&["-t", "-oJ{}"], 64, "option -oJ is refused"),
    (&["-t", "-oP{}"], 64, "option -oP is refused"),
    (&["-t", "-oQ{}"], 64, "option -oQ is refused"),
    (&["-t", "-o", "Q{}"], 64, "option -oQ is refused"),
    (&["-toQ{}"], 64, "option -oQ is refused"),
    (&["-t", "-oS{}"], 64, "option -oS is refused"),
    (&["-t", "-oV{}"], 64, "option -oV is refused"),
    (&["-t", "-oX{}"], 64, "option -oX is refused"),
    (&["-t", "-OQueueDirectory={}"], 64, "QueueDirectory is refused"),
    (&["-t", "-OQueueDir={}"], 64, "QueueDir is refused"),
    (&["-t", "-O", "queuedirectory={}"], 64, "queuedirectory is refused"),
    (&["-t", "-O", " QueueDirectory = {}"], 64, "QueueDirectory is refused"),
    (&["-t", "-OAliasFile={}"], 64, "option -oA is refused"),
    (&["-t", "-OHelpFile={}"], 64, "HelpFile is refused"),
    (&["-t", "-OStatusFile={}"], 64, "StatusFile is refused"),
    (&["-t", "-OErrorHeader={}"], 64, "ErrorHeader is refused"),
    (&["-t", "-OForwardPath={}"], 64, "ForwardPath is refused"),
    (&["-t", "-OPidFile={}"], 64, "PidFile is refused"),
    (&["-t", "-OControlSocketName={}"], 64, "ControlSocketName is refused"),
    (&["-t", "-OHostStatusDirectory={}"], 64, "HostStatusDirectory is refused"),
    (&["-t", "-OHostsFile={}"], 64, "HostsFile is refused"),
    (&["-t", "-OServiceSwitchFile={}"], 64, "ServiceSwitchFile is refused"),
    (&["-t", "-OSafeFileEnvironment={}"], 64, "SafeFileEnvironment is refused"),
    (&["-t", "-ODeadLetterDrop={}"], 64, "DeadLetterDrop is refused"),
    (&["-t", "-OUserDatabaseSpec={}"], 64, "UserDatabaseSpec is refused"),
    (&["-t", "-OServerCertFile={}"], 64, "ServerCertFile is refused"),
    (&["-t", "-OClientKeyFile={}"], 64, "ClientKeyFile is refused"),
    (&["-t", "-OCACertPath={}"], 64, "CACertPath is refused"),
    // Identities and the way out.
    (&["-t", "-oMrsmtp"], 64, "option -oM is refused"),
    (&["-t", "-oMs{}"], 64, "option -oM is refused"),
    (&["-t", "-ou0"], 64, "option -ou is refused"),
    (&["-t", "-oU{}"], 64, "option -oU is refused"),
    (&["-t", "-og0"], 64, "option -og is refused"),
    (&["-t", "-ORunAsUser=root"], 64, "RunAsUser is refused"),
    (&["-t", "-ODefaultUser=0:0"], 64, "DefaultUser is refused"),
    (&["-t", "-OTrustedUser=caller"], 64, "TrustedUser is refused"),
    (&["-t", "-ODontBlameSendmail=GroupWritableDirPathSafe"], 64, "DontBlameSendmail is refused"),
    (&["-t", "-ODaemonPortOptions=Port=2525"], 64, "DaemonPortOptions is refused"),
    (&["-t", "-OFallbackMXhost=evil.example"], 64, "FallbackMXhost is refused"),
    // What PHPMailer (CVE-2016-10033, CVE-2016-10045) and SwiftMailer (CVE-2016-10074) passed on, with and without the quotes.
    (&["-t", "-i", "-fattacker\\", "-oQ/tmp/", "-X{}", "some@x.example"], 64, "option -oQ is refused"),
    (&["-t", "-i", "-fattacker\" -oQ/tmp/ -X{} some\"@x.example"], 64, "sender address"),
    (&["-t", "-i", "-f", "x\" -X{} -oQ/tmp @y"], 64, "sender address"),
    (&["-t", "-i", "-f'x", "-X{}", "@y'"], 64, "option -X is refused"),
    (&["-t", "-fx@y -X{}"], 64, "sender address"),
    // Without effect for Sendmail's own programs, and with none on files here.
    (&["-L{}", "-p", "{}", "-A", "{}", "a@x.example"], 0, "a@x.example"),
    (&["-oT{}", "-or{}", "-om", "-o8", "a@x.example"], 0, "a@x.example"),
    (&["-OTimeout={}", "-OMaxHopCount={}", "-ONoSuchName={}", "a@x.example"], 0, "a@x.example"),
    (&["-d9.{}", "a@x.example"], 0, "a@x.example"),
    (&["-F", "{}", "a@x.example"], 0, "a@x.example"),
    (&["-V{}", "a@x.example"], 0, "a@x.example"),
];

#[rustfmt::skip]
const T_ARG_2: &[Row] = &[
    (&["-f", "-X{}", "a@x.example"], 64, "starts with a hyphen"),
    (&["-f-X{}", "a@x.example"], 64, "starts with a hyphen"),
    (&["-f", "-be", "a@x.example"], 64, "starts with a hyphen"),
    (&["-f", "--", "-oQ{}"], 64, "option -oQ is refused"),
    (&["-r", "<-X{}@x.example>", "a@x.example"], 64, "starts with a hyphen"),
    (&["-be", "a@x.example"], 64, "-be is not supported"),
    (&["--", "-X{}"], 65, "starts with a hyphen"),
    (&["--", "-t"], 65, "starts with a hyphen"),
    (&["--", "--"], 65, "starts with a hyphen"),
    (&["a@x.example", "-X{}"], 65, "starts with a hyphen"),
    (&["a@x.example", "-oQ{}", "-f", "evil@x"], 65, "starts with a hyphen"),
    (&["a@x.example", "--", "b@x.example"], 65, "`--`"),
    (&["-"], 65, "starts with a hyphen"),
    (&["-", "-X{}"], 65, "starts with a hyphen"),
    (&["<-X{}@x.example>"], 65, "starts with a hyphen"),
    (&["\"-X{}\"@x.example"], 65, "starts with a hyphen"),
    (&["--help", "-X{}"], 64, "must be the only argument"),
    (&["--config={}"], 64, "unknown option --config"),
    (&["-é"], 64, "unknown option"),
    (&["@{}"], 65, "nothing before the @"),
];

#[rustfmt::skip]
const T_ARG_3: &[Row] = &[
    // CVE-2019-10149: Exim expanded it.
    (&["${run{\\x2Fbin\\x2Fsh\\t-c\\t\\x22id\\x22}}@x.example"], 0, "${run{x2Fbinx2Fsht-ctx22idx22}}@x.example"),
    (&["${run{/bin/touch${substr{10}{1}{$tod_log}}{}}}@localhost"], 0, "${run{/bin/touch${substr{10}{1}{$tod_log}}{}}}@sender.example"),
    (&["${readfile{{}}}@x.example"], 0, "${readfile{{}}}@x.example"),
    // CVE-2020-7247: OpenSMTPD gave it to a shell.
    (&[";for i in 0 1 2;do read r;done;sh;exit 0;@x.example"], 65, "several words instead of one address"),
    (&["-f", ";for i in 0 1 2;do read r;done;sh;exit 0;@x.example", "a@x.example"], 64, "sender address"),
    (&["`id>{}`@x.example"], 65, "`"),
    (&["`id`@x.example"], 0, "`id`@x.example"),
    (&["$(id)@x.example"], 0, "$@x.example"),
    (&["|{}"], 0, "|{}@sender.example"),
    (&["\"|{}\"@x.example"], 0, "|{}@x.example"),
    (&["{}"], 0, "{}@sender.example"),
    (&["\"{}\"@localhost"], 0, "{}@sender.example"),
    (&[":include:{}"], 65, ":include:"),
    (&[":include:/etc/shadow"], 65, ":include:"),
    (&["\":include:{}\"@localhost"], 0, "\":include:{}\"@sender.example"),
    (&["../../../../etc/passwd"], 0, "\"../../../../etc/passwd\"@sender.example"),
    (&["-F", "`touch {}`$(touch {})", "a@x.example"], 0, "a@x.example"),
    (&["-f", "|{}", "a@x.example"], 0, "a@x.example"),
];

#[test]
fn t_arg_1_no_option_opens_a_file_or_lends_an_identity() {
    isolated!();
    require!(parts::tool("strace"));
    judge(T_ARG_1);
}

#[test]
fn t_arg_2_what_begins_with_a_hyphen_is_an_option_or_a_mistake() {
    isolated!();
    require!(parts::tool("strace"));
    judge(T_ARG_2);
}

#[test]
fn t_arg_3_addresses_are_text_and_nothing_is_executed() {
    isolated!();
    require!(parts::tool("strace"));
    judge(T_ARG_3);
    assert!(T_ARG_1.len() + T_ARG_2.len() + T_ARG_3.len() >= 60);
}

/// The file that the rows name, in a directory that is open to all.
pub(crate) struct Bait {
    directory: tempfile::TempDir,
    pub file: PathBuf,
}

const SECRET: &str = "root: secret@bait.example\nalias_file = \"/etc/shadow\"\n";

impl Bait {
    pub(crate) fn lay() -> Bait {
        let directory = tempfile::tempdir().unwrap();
        // Short, since local parts have 64 bytes.
        let file = directory.path().join("b");
        fs::write(&file, SECRET).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        Bait { directory, file }
    }

    #[track_caller]
    pub(crate) fn assert_untouched(&self, row: &dyn std::fmt::Debug) {
        assert_eq!(fs::read_to_string(&self.file).unwrap(), SECRET, "{row:?}");
        assert_eq!(fs::read_dir(self.directory.path()).unwrap().count(), 1, "{row:?}");
    }
}

/// `sendmail`, as a caller without any right, every call that names a file or makes a process written to `trace`.
pub(crate) fn traced(installation: &Installation, trace: &Path) -> Command {
    let mut command = installation.program("strace");
    command.args(["-f", "-y", "-s", "4096", "-e", "trace=file,process", "-o"]).arg(trace);
    let id = CALLER.to_string();
    command.args(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--no-new-privs", "--", SENDMAIL]);
    command
}

#[track_caller]
fn judge(rows: &[Row]) {
    let installation = Installation::system();
    let bait = Bait::lay();
    let trace = installation.paths.run.join("trace");
    let path = bait.file.to_str().unwrap();
    for row in rows {
        let (argv, code, word) = row;
        let argv: Vec<String> = argv.iter().map(|word| word.replace("{}", path)).collect();
        let mut command = traced(&installation, &trace);
        let ended = command::run(command.args(&argv).current_dir("/"), MESSAGE);
        assert_eq!(ended.code, Some(*code), "{row:?}: {}", ended.stderr);
        assert_kept(&installation, row, &word.replace("{}", path), &ended.stderr);
        bait.assert_untouched(row);
        assert_calls(&fs::read_to_string(&trace).unwrap(), path, &installation.paths.spool, *code == 0, row);
    }
}

#[track_caller]
fn assert_kept(installation: &Installation, row: &Row, word: &str, stderr: &str) {
    let kept = installation.spooled("new");
    if row.1 != 0 {
        assert!(kept.is_empty() && stderr.contains(word) && stderr.lines().count() == 1, "{row:?}: {stderr}");
        return;
    }
    let [name] = kept.as_slice() else { panic!("{row:?}: {} messages", kept.len()) };
    let message = super::super::sandbox::take(&installation.paths.spool.join("new").join(name));
    assert_eq!(message.recipients(), [word], "{row:?}");
    assert_eq!(stderr, "", "{row:?}");
}

/// Nothing is executed, no file outside the spool is made or changed, and the bait is never even looked at.
#[track_caller]
pub(crate) fn assert_calls(trace: &str, bait: &str, spool: &Path, kept: bool, row: &dyn std::fmt::Debug) {
    const MAKE_OR_CHANGE: &[&str] = &[
        "creat", "mkdir", "mknod", "link", "symlink", "rename", "unlink", "rmdir", "truncate", "chmod", "fchmod", "chown", "lchown",
        "fchown", "utime", "mount",
    ];
    let started = trace.lines().position(|line| line.contains(&format!("execve(\"{SENDMAIL}\""))).expect("it was started");
    let calls = trace.lines().skip(started + 1).filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim_start());
    let mut seen = BTreeSet::new();
    for call in calls.filter(|call| call.contains('(')) {
        let name = call.split('(').next().unwrap();
        seen.insert(name.to_owned());
        assert!(!["execve", "execveat", "fork", "vfork", "clone", "clone3"].contains(&name), "{row:?}: {call}");
        assert!(!call.contains(bait) && !call.contains("/etc/shadow"), "{row:?}: {call}");
        let writes = call.contains("O_WRONLY") || call.contains("O_RDWR") || call.contains("O_CREAT") || call.contains("O_TMPFILE");
        if writes || MAKE_OR_CHANGE.iter().any(|change| name.starts_with(change)) {
            assert!(call.contains(spool.to_str().unwrap()), "{row:?}: {call}");
        }
    }
    // A kept message shows that the trace sees what it is there to see.
    assert!(!kept || seen.contains("linkat"), "{row:?}: {seen:?}");
}
