use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::OsStringExt;

use super::*;
use exit::Exit;

fn words(words: &[&str]) -> Vec<OsString> {
    std::iter::once(&"/usr/sbin/sendmail").chain(words).map(OsString::from).collect()
}

fn call(argv: &[&str]) -> Result<Call, Refusal> {
    parse(&words(argv), false)
}

/// A call in short: what differs from a bare `sendmail`, or the code and the line of the refusal.
fn short(argv: &[&str]) -> String {
    let call = match call(argv) {
        Ok(call) => call,
        Err(refusal) => {
            let injection = refusal.injection.map_or(String::new(), |option| format!(" INJECTION {option}"));
            return format!("{}{injection}: {}", refusal.failure.exit.code(), refusal.failure.text);
        }
    };
    let mut out = String::new();
    match &call.mode {
        Mode::Inject => {}
        Mode::Flush(Flush::Matching { field, negated, text }) => {
            write!(out, "Flush {}{field:?} {text} ", if *negated { "not " } else { "" }).unwrap();
        }
        mode => write!(out, "{mode:?} ").unwrap(),
    }
    for (on, letter) in [(call.from_header, 't'), (call.ignore_dots, 'i'), (call.verbose, 'v'), (call.json, 'j'), (call.quiet_errors, 'q')]
    {
        if on {
            write!(out, "{letter} ").unwrap();
        }
    }
    call.sender.iter().for_each(|sender| write!(out, "f={} ", sender.to_string_lossy()).unwrap());
    call.full_name.iter().for_each(|name| write!(out, "F={} ", String::from_utf8_lossy(name)).unwrap());
    call.notify.iter().for_each(|notify| write!(out, "N={notify} ").unwrap());
    call.ret.iter().for_each(|ret| write!(out, "R={ret:?} ").unwrap());
    call.envid.iter().for_each(|id| write!(out, "V={id} ").unwrap());
    if !call.operands.is_empty() {
        let operands: Vec<_> = call.operands.iter().map(|operand| operand.to_string_lossy().into_owned()).collect();
        write!(out, "| {}", operands.join(" | ")).unwrap();
    }
    out.trim_end().to_owned()
}

#[test]
fn p9_the_forms_that_callers_use() {
    let table: &[(&[&str], &str)] = &[
        (&[], ""),
        (&["a@x"], "| a@x"),
        (&["-t"], "t"),
        (&["-bm", "a@x"], "| a@x"),
        (&["-bp"], "List"),
        (&["-bP"], "Count"),
        (&["-bs"], "Smtp"),
        (&["-bv", "a@x", "b"], "Verify | a@x | b"),
        (&["-bi"], "Aliases"),
        (&["-I"], "Aliases"),
        (&["-bh"], "Nothing"),
        (&["-bd"], "Daemon"),
        (&["-b", "p"], "List"),
        (&["-bp", "-j"], "List j"),
        (&["-bp", "-bm"], ""),
        (&["-oi", "a@x"], "i | a@x"),
        (&["-o", "i", "a@x"], "i | a@x"),
        (&["-oitrue"], "i"),
        (&["-oi", "-oifalse"], ""),
        (&["-oem"], ""),
        (&["-oeq"], "q"),
        (&["-eq"], "q"),
        (&["-e", "q", "-em"], ""),
        (&["-fsender"], "f=sender"),
        (&["-f", "sender"], "f=sender"),
        (&["-f", ""], "f="),
        (&["-f", "<>", "a@x"], "f=<> | a@x"),
        (&["-f", "-x"], "f=-x"),
        (&["-f=x"], "f==x"),
        (&["-if=x"], "i f==x"),
        (&["-f", "=x"], "f==x"),
        (&["-f", "--", "a@x"], "f=-- | a@x"),
        (&["-fa@x", "-rb@x"], "f=b@x"),
        (&["-rb@x", "-fa@x"], "f=a@x"),
        (&["-ti"], "t i"),
        (&["-it"], "t i"),
        (&["-itfme"], "t i f=me"),
        (&["-tif", "a@x", "b@x"], "t i f=a@x | b@x"),
        (&["-ifa@x"], "i f=a@x"),
        (&["-Fname"], "F=name"),
        (&["-F", "Full Name"], "F=Full Name"),
        (&["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"], "i F=CronDaemon | root"),
        (&["-FCronDaemon", "-odi", "-oem", "-oi", "-t", "-f", "root"], "t i f=root F=CronDaemon"),
        (&["-FCronDaemon", "-odi", "-oem", "-or0s", "root"], "F=CronDaemon | root"),
        (&["-q"], "Flush(All)"),
        (&["-q0"], "Flush(All)"),
        (&["-qf"], "Flush(All)"),
        (&["-q30m"], "Nothing"),
        (&["-q1h30m"], "Nothing"),
        (&["-qp5m"], "Nothing"),
        (&["-qp"], "Nothing"),
        (&["-qRfoo"], "Flush Recipient foo"),
        (&["-qI6921CE05"], "Flush Id 6921CE05"),
        (&["-q!Sx@y"], "Flush not Sender x@y"),
        (&["-O", "ErrorMode=q"], "q"),
        (&["-OIgnoreDots"], "i"),
        (&["-OMaxHopCount=9"], ""),
        (&["-Nnever"], "N=NEVER"),
        (&["-N", "failure,DELAY"], "N=FAILURE,DELAY"),
        (&["-R", "hdrs", "-Vid 1"], "R=Hdrs V=id 1"),
        (&["-v"], "v"),
        (&["-d0"], "Version"),
        (&["-d0.1"], "Version"),
        (&["-bm", "-d0.1"], "Version"),
        (&["-d0.1", "-d9"], ""),
        (&["-t", "-d0.1"], "t"),
        (&["-d0", "-t"], "t"),
        (&["-d0.1", "a@x"], "| a@x"),
        (&["-d0", "-bp"], "List"),
        (&["-bs", "-d0"], "Smtp"),
        (&["-d0.1", "-bv", "root"], "Verify | root"),
        (&["-d21.12", "a@x"], "| a@x"),
        (&["-d", "a@x"], "| a@x"),
        (&["-Ac", "-m", "-n", "-G", "-U", "-x", "-c", "-s", "-Lx", "-pq", "-h", "3", "a@x"], "| a@x"),
        (&["-bs", "-odb", "-oem"], "Smtp"),
        (&["-bs", "-fa@x"], "Smtp f=a@x"),
        (&["-G", "-oee", "-odq", "-oi", "-f", "a@x", "b@x"], "i f=a@x | b@x"),
        (&["-oem", "-oi", "-f", "a@x", "--", "b@x"], "i f=a@x | b@x"),
        (&["--", "-foo"], "| -foo"),
        (&["--", "-t", "-oQ/tmp"], "| -t | -oQ/tmp"),
        (&["a@x", "-fevil@x", "-t"], "| a@x | -fevil@x | -t"),
        (&["a@x", "--", "b@x"], "| a@x | -- | b@x"),
        (&["-", "-t"], "| - | -t"),
        (&["", "a@x"], "|  | a@x"),
        (&["@file"], "| @file"),
        (&["a,b"], "| a,b"),
        (&["--help"], "Help"),
        (&["--version"], "Version"),
    ];
    for (argv, expected) in table {
        assert_eq!(short(argv), *expected, "{argv:?}");
    }
}

#[test]
fn p1_the_name_decides_and_later_options_override() {
    for (name, mode) in [
        ("mailq", Mode::List),
        ("/usr/bin/newaliases", Mode::Aliases),
        ("/usr/sbin/runq", Mode::Flush(Flush::All)),
        ("sendmail", Mode::Inject),
        ("mailchute-sendmail", Mode::Inject),
        ("", Mode::Inject),
    ] {
        assert_eq!(parse(&[name.into()], false).unwrap().mode, mode, "{name}");
    }
    assert_eq!(parse(&[], false).unwrap().mode, Mode::Inject);
    assert_eq!(parse(&["newaliases".into(), "-bp".into()], false).unwrap().mode, Mode::List);
}

#[test]
fn p4_p6_p7_what_is_refused_with_64() {
    let table: &[&[&str]] = &[
        &["-Z"],
        &["-tZ"],
        &["-1"],
        &["--nothing"],
        &["--help", "-t"],
        &["--version", "x"],
        &["-f"],
        &["-tif"],
        &["-o"],
        &["-o", ""],
        &["-ba"],
        &["-bt"],
        &["-bz"],
        &["-bC"],
        &["-bO"],
        &["-bS"],
        &["-bq"],
        &["-bpx"],
        &["-b", ""],
        &["-B", "BINARYMIME"],
        &["-hx"],
        &["-N", "never,success"],
        &["-N", "sometimes"],
        &["-R", "someone"],
        &["-V", ""],
        &["-V", "x\u{fc}"],
        &["-E"],
        &["-J"],
        &["-Mx"],
        &["-Sx"],
        &["-Tx"],
        &["-zx"],
        &["-Q"],
        &["-Qreason"],
        &["-qGx"],
        &["-qL"],
        &["-qQx"],
        &["-qR"],
        &["-q!"],
        &["-qx"],
        &["-q30x"],
        &["-ex"],
        &["-e", ""],
        &["-odx"],
        &["-f", "a@x\r\nRCPT TO:<b@y>"],
        &["a@x\n"],
        &["-t", "a\x7f@x"],
        &["-L", "a\nb"],
        &["-t", "-bp"],
        &["-t", "-bs"],
        &["-t", "-bv", "a"],
        &["-t", "-q"],
        &["-q", "a@x"],
        &["-q30m", "a@x"],
        &["-bp", "a@x"],
        &["-bP", "a@x"],
        &["-bi", "x"],
        &["-bs", "a@x"],
        &["-j"],
        &["-O", "Deliver=b"],
        &["-O", "Priority=10"],
        &["-O", "HoldUntil=tomorrow"],
        &["-O", "DeliverBy=9999999999d"],
        &["-oA/tmp/aliases", "-bi"],
    ];
    for argv in table {
        let refusal = call(argv).expect_err(&format!("{argv:?}"));
        assert_eq!(refusal.failure.exit, Exit::Usage, "{argv:?}");
        assert!(!refusal.failure.text.is_empty() && !refusal.failure.text.contains(['\n', '\r']), "{argv:?}: {}", refusal.failure.text);
    }
    assert_eq!(short(&["-bz"]), "64: -bz is not supported; see sendmail(8)");
    assert_eq!(short(&["-tZ"]), "64: unknown option -Z; see sendmail(8)");
    assert_eq!(short(&["-tif"]), "64: option -f requires a value; see sendmail(8)");
    assert!(call(&["-V", &"x".repeat(100)]).is_ok() && call(&["-V", &"x".repeat(101)]).is_err());
}

#[test]
fn t_arg_1_options_that_choose_a_file_or_an_identity_are_refused_and_named() {
    for argv in [
        &["-X/tmp/p"][..],
        &["-X", "/tmp/p"],
        &["-tX/tmp/p"],
        &["-C/tmp/cf"],
        &["-C", "/tmp/cf"],
        &["-D/tmp/d"],
        &["-OQueueDirectory=/tmp"],
        &["-OQueueDir=/tmp"],
        &["-O", "queuedirectory=/tmp"],
        &["-O", "ServerCertFile=/etc/shadow"],
        &["-oQ/tmp"],
        &["-o", "Q/tmp"],
        &["-oA/tmp/a"],
        &["-oMrX"],
        &["-oX/tmp/p"],
        &["-oE/etc/shadow"],
        &["-fx\\", "-oQ/tmp", "-X/var/www/p.php", "y@z"],
    ] {
        let refusal = call(argv).expect_err(&format!("{argv:?}"));
        assert_eq!(refusal.failure.exit, Exit::Usage, "{argv:?}");
        assert!(refusal.injection.is_some(), "{argv:?}");
    }
    assert_eq!(call(&["-tX", "/tmp/x"]).unwrap_err().injection.as_deref(), Some("-X"));
    // Quoted, the same attack is one odd sender, for the sender's parser to refuse.
    assert_eq!(short(&["-f", "x\" -X/tmp/p -oQ/tmp @y"]), "f=x\" -X/tmp/p -oQ/tmp @y");
}

#[test]
fn root_may_name_a_configuration_and_with_bi_an_alias_file_but_no_log() {
    let root = |argv: &[&str]| parse(&words(argv), true);
    assert_eq!(root(&["-C/etc/other.toml", "a@x"]).unwrap().config_file, Some("/etc/other.toml".into()));
    assert_eq!(root(&["-oA/etc/other", "-bi"]).unwrap().alias_file, Some("/etc/other".into()));
    assert!(root(&["-oA/etc/other", "a@x"]).unwrap_err().injection.is_some());
    assert!(root(&["-X/tmp/x"]).unwrap_err().injection.is_some());
}

#[test]
fn p5_the_last_sender_wins_and_a_contradiction_is_remembered() {
    assert!(!call(&["-fa@x", "-f", "a@x"]).unwrap().sender_repeated);
    assert!(call(&["-fa@x", "-rb@x"]).unwrap().sender_repeated);
}

#[test]
fn p6_a_full_name_is_sanitised_and_bytes_that_are_no_text_pass_where_they_may() {
    assert_eq!(call(&["-F", "a\r\nBcc: b"]).unwrap().full_name.as_deref(), Some(b"a  Bcc: b".as_slice()));
    let raw = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let argv = [raw(b"sendmail"), raw(b"-f\xff@x"), raw(b"\xff")];
    assert_eq!(parse(&argv, false).unwrap().sender, Some(raw(b"\xff@x")));
    assert!(parse(&[raw(b"sendmail"), raw(b"-\xff")], false).is_err());
    assert!(parse(&[raw(b"sendmail"), raw(b"-N\xff")], false).is_err());
}

#[test]
fn design_times_and_priority_of_a_message() {
    let call = call(&["-O", "DeliverBy=2h", "-OHoldUntil=2026-11-22T14:43:49Z", "-O", "Priority=-9", "a@x"]).unwrap();
    assert_eq!((call.deliver_by, call.hold_until, call.priority), (Some(When::In(7200)), Some(When::At(1_795_358_629)), Some(-9)));
    assert_eq!(call.deliver_by.unwrap().from(100), 7300);
}

#[test]
fn t_arg_4_many_and_long_words_are_no_problem() {
    let many = vec!["a@x"; 10_000];
    assert_eq!(call(&many).unwrap().operands.len(), 10_000);
    let long = "x".repeat(128 << 10);
    assert!(call(&["-f", &long]).is_ok());
    assert!(call(&[&format!("-{}", "x".repeat(10_000))]).is_ok());
}

#[test]
fn every_row_of_the_table_is_complete() {
    for option in OPTIONS {
        assert!(!option.prose.is_empty() && option.letter.len() == 1, "{option:?}");
        assert_eq!(option.metavar.is_empty(), option.value == Value::None || option.class == Class::Unsupported, "{option:?}");
    }
    let letters: Vec<_> = OPTIONS.iter().map(|option| (option.letter.to_lowercase(), option.letter)).collect();
    assert!(letters.windows(2).all(|pair| pair[0].0 <= pair[1].0), "in order of the alphabet");
}

#[test]
fn help_or_version_beside_another_argument_is_a_usage_error_that_says_so() {
    for argv in [["--help", "-t"], ["--version", "-t"]] {
        assert_eq!(short(&argv), "64: --help and --version must be the only argument");
    }
}

#[test]
fn section_7_a_selector_needs_its_text() {
    for value in ["I", "R", "S", "!I", "!R", "!S"] {
        assert!(short(&[&format!("-q{value}")]).starts_with(&format!("64: -q{value} is not supported")), "{value}");
    }
}

#[test]
fn a_value_in_an_error_line_ends_after_60_characters() {
    let line = |length: usize| short(&["-B", &"x".repeat(length)]);
    assert_eq!(line(60), format!("64: -B takes 7BIT or 8BITMIME, not `{}`", "x".repeat(60)));
    assert_eq!(line(61), format!("64: -B takes 7BIT or 8BITMIME, not `{}…`", "x".repeat(60)));
}
