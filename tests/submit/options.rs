//! SENDMAIL.md section 2: each line of the option table by its name.

// An option is its letter, and its case matters.
#![allow(non_snake_case)]

use mail::envelope::{Body, Ret};

use super::sandbox::{Message, Sandbox};

const MESSAGE: &str = "To: a@x.example\nSubject: s\n\nhello\n";

/// The one message that `sendmail ARGV -t` keeps, as if the option were not there.
#[track_caller]
fn sent(argv: &[&str]) -> Message {
    let message = Sandbox::new("").send(&[argv, &["-t"]].concat(), MESSAGE);
    assert_eq!((message.recipients().join(" ").as_str(), message.body()), ("a@x.example", "hello\r\n"), "{argv:?}");
    message
}

/// All of these are accepted, and change nothing in the envelope.
#[track_caller]
fn ignored(forms: &[&[&str]]) {
    for argv in forms {
        let envelope = sent(argv).envelope;
        assert_eq!((envelope.ret, envelope.envid, envelope.priority, envelope.warnings.len()), (None, None, None, 0), "{argv:?}");
        assert_eq!(envelope.recipients[0].notify, None, "{argv:?}");
    }
}

/// All of these end with 64 and a line with `word`.
#[track_caller]
fn refused(forms: &[&[&str]], word: &str) {
    let sandbox = Sandbox::new("");
    for argv in forms {
        let (code, line) = sandbox.refused(argv, MESSAGE);
        assert!(code == 64 && line.contains(word), "{argv:?}: {code} {line}");
    }
}

#[test]
fn option_A_is_ignored() {
    ignored(&[&["-Am"], &["-A", "c"]]);
}

#[test]
fn option_B_takes_two_words_and_is_only_a_hint() {
    for argv in [&["-B7BIT"][..], &["-B", "8bitmime"], &["-b", "m", "-B7bit"]] {
        assert_eq!(sent(argv).envelope.body, Body::SevenBit);
    }
    refused(&[&["-t", "-BBINARYMIME"], &["-t", "-B", ""]], "-B takes 7BIT or 8BITMIME");
}

#[test]
fn option_bm_is_the_default() {
    ignored(&[&["-bm"], &["-b", "m"], &["-bp", "-bm"]]);
}

#[test]
fn option_bp_and_option_bP_ask_the_daemon() {
    let sandbox = Sandbox::new("");
    for argv in [&["-bp"][..], &["-bp", "-v"], &["-bP"]] {
        let (code, line) = sandbox.refused(argv, "");
        assert!(code == 69 && line.contains("mail system is down") && line.contains("`mailchute list`"), "{argv:?}: {line}");
    }
}

#[test]
fn option_j_stands_only_with_bp() {
    refused(&[&["-j"], &["-t", "-j"], &["-bP", "-j"], &["-bs", "-j"]], "-j can be used only with -bp");
    assert_eq!(Sandbox::new("").refused(&["-bp", "-j"], "").0, 69);
}

#[test]
fn option_bs_speaks_smtp() {
    let run = Sandbox::new("").run(&["-bs"], "QUIT\r\n");
    assert_eq!((run.code(), run.stdout.as_str()), (0, "220 m.example ESMTP mailchute\r\n221 2.0.0 Bye\r\n"));
}

#[test]
fn option_bv_verifies_and_sends_nothing() {
    let sandbox = Sandbox::new("");
    let run = sandbox.run(&["-bv", "a@x.example"], "never read");
    assert_eq!((run.code(), run.stdout.as_str()), (0, "a@x.example... deliverable: relay unknown\n"));
    assert_eq!(sandbox.run(&["-bv", "a b"], "").code(), 67);
    sandbox.assert_nothing_is_left();
}

#[test]
fn option_bi_and_option_I_check_the_alias_file() {
    let sandbox = Sandbox::new("");
    std::fs::write(sandbox.path("aliases"), "root: a@x.example\n").unwrap();
    for argv in [&["-bi"][..], &["-I"], &["-b", "i"]] {
        let run = sandbox.run(argv, "");
        assert!(run.code() == 0 && run.stdout.contains(": 1 aliases, longest "), "{argv:?}: {}", run.stdout);
    }
}

#[test]
fn option_bh_and_option_bH_do_nothing() {
    let sandbox = Sandbox::new("");
    for argv in [["-bh"], ["-bH"]] {
        let run = sandbox.run(&argv, "");
        assert_eq!((run.code(), run.stdout.as_str(), run.stderr.as_str()), (0, "", ""), "{argv:?}");
    }
}

#[test]
fn option_bd_option_bD_and_option_bl_end_with_69() {
    let sandbox = Sandbox::new("");
    for argv in [["-bd"], ["-bD"], ["-bl"]] {
        let (code, line) = sandbox.refused(&argv, "");
        assert!(code == 69 && line.contains("no network listener; mailchuted"), "{argv:?}: {line}");
    }
}

#[test]
fn option_b_with_any_other_mode_never_sends() {
    refused(&[&["-ba", "-t"], &["-bt", "-t"], &["-bz"], &["-bC"], &["-bO"], &["-bS"], &["-bq"], &["-bpx"]], "is not supported");
}

#[test]
fn option_C_is_roots_alone_and_only_with_a_file_of_root() {
    if !nix::unistd::Uid::current().is_root() {
        return refused(&[&["-t", "-C/etc/passwd"]], "option -C is refused");
    }
    // What an ordinary user gets for it is a row of T-ARG-1.
    let sandbox = Sandbox::new("");
    let file = sandbox.path("other.toml");
    std::fs::write(&file, "mailname = \"other.example\"\n").unwrap();
    let path = file.to_str().unwrap();
    assert!(sandbox.send(&["-C", path, "-t"], MESSAGE).text.contains("@other.example>"));
    refused(&[&["-C", "other.toml", "-t"]], "the path must be absolute");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    refused(&[&["-t", "-C", path]], "the file must belong to root");
}

#[test]
fn option_c_option_m_option_n_option_s_option_U_and_option_x_are_ignored() {
    ignored(&[&["-c"], &["-m"], &["-n"], &["-s"], &["-U"], &["-x"], &["-cmnsUx"]]);
}

#[test]
fn option_D_is_refused() {
    refused(&[&["-t", "-D/tmp/x"], &["-D", "/tmp/x", "-t"]], "option -D is refused");
}

#[test]
fn option_d_prints_the_version_only_where_there_is_nothing_else_to_do() {
    let version = format!("mailchute sendmail {}\n", env!("CARGO_PKG_VERSION"));
    for argv in [&["-d0"][..], &["-d0.1"], &["-bm", "-d0.4"], &["--version"]] {
        let run = Sandbox::new("").run(argv, "");
        assert_eq!((run.code(), run.stdout.as_str()), (0, version.as_str()), "{argv:?}");
    }
    // Exit code 0 means kept: beside a message, a debug level is ignored.
    ignored(&[&["-d0"], &["-d0.1"], &["-d"], &["-d21.12"]]);
    let message = Sandbox::new("").send(&["-d0.1", "b@x.example"], "x\n");
    assert_eq!(message.recipients(), ["b@x.example"]);
    assert!(Sandbox::new("").run(&["-d0.1", "-bv", "root"], "").stdout.starts_with("root@m.example..."), "what facter asks");
}

#[test]
fn option_E_option_J_option_S_option_T_option_Q_option_M_option_z_and_digits_are_unknown() {
    refused(&[&["-t", "-E"], &["-t", "-J"], &["-t", "-S", "x"], &["-t", "-T1"], &["-t", "-zx"]], "is not supported");
    refused(&[&["-t", "-Mx"], &["-t", "-Sx"], &["-t", "-Qx"]], "mailchute(8)");
    refused(&[&["-t", "-R", "a@x.example"]], "use mailchute(8)");
    refused(&[&["-t", "-1"], &["-t", "-9"]], "unknown option");
}

#[test]
fn option_e_never_changes_the_code_and_q_is_silent() {
    let sandbox = Sandbox::new("");
    for argv in [&["-ee"][..], &["-em"], &["-ep"], &["-ew"], &["-oee"], &["-oem"], &["-O", "ErrorMode=e"], &["-OErrorMode=print"]] {
        let (code, line) = sandbox.refused(&[argv, &["a b"]].concat(), "");
        assert!(code == 65 && line.contains("malformed"), "{argv:?}");
    }
    for argv in [&["-eq"][..], &["-e", "q"], &["-oeq"], &["-OErrorMode=quiet"]] {
        let run = sandbox.run(&[argv, &["a b"]].concat(), "");
        assert_eq!((run.code(), run.stderr.as_str()), (65, ""), "{argv:?}");
    }
    refused(&[&["-t", "-ex"]], "-e takes");
}

#[test]
fn option_F_names_the_author() {
    for argv in [&["-F", "Full Name"][..], &["-FFull Name"], &["-F", "Other", "-F", "Full Name"]] {
        assert!(sent(argv).text.contains("\r\nFrom: Full Name <"), "{argv:?}");
    }
}

#[test]
fn option_f_and_option_r_name_the_sender() {
    for argv in
        [&["-fs@y.example"][..], &["-f", "s@y.example"], &["-rs@y.example"], &["-r", "x@y", "-f", "s@y.example"], &["-if", "s@y.example"]]
    {
        assert_eq!(sent(argv).envelope.reverse_path.to_string(), "s@y.example", "{argv:?}");
    }
}

#[test]
fn option_G_is_ignored() {
    ignored(&[&["-G"]]);
}

#[test]
fn option_h_takes_a_number_and_is_ignored() {
    ignored(&[&["-h3"], &["-h", "0"]]);
    refused(&[&["-t", "-hx"], &["-t", "-h", ""], &["-t", "-h-1"]], "-h takes a number");
}

#[test]
fn option_i_makes_a_dot_data() {
    for argv in [&["-i"][..], &["-oi"], &["-oitrue"], &["-OIgnoreDots=yes"], &["-OIgnoreDots"]] {
        let message = Sandbox::new("").send(&[argv, &["-t"]].concat(), format!("{MESSAGE}.\n"));
        assert_eq!(message.body(), "hello\r\n.\r\n", "{argv:?}");
    }
    for argv in [&[][..], &["-i", "-oifalse"], &["-OIgnoreDots=no"]] {
        assert_eq!(Sandbox::new("").send(&[argv, &["-t"]].concat(), format!("{MESSAGE}.\n")).body(), "hello\r\n", "{argv:?}");
    }
}

#[test]
fn option_L_is_ignored() {
    ignored(&[&["-Ltag"], &["-L", "sendmail: fatal: root"]]);
}

#[test]
fn option_N_asks_for_dsns() {
    for (value, notify) in [("never", "NEVER"), ("Success,FAILURE,delay", "SUCCESS,FAILURE,DELAY"), ("failure", "FAILURE")] {
        assert_eq!(sent(&["-N", value]).envelope.recipients[0].notify.unwrap().to_string(), notify);
    }
    refused(&[&["-t", "-Nnever,success"], &["-t", "-N", ""], &["-t", "-Nbogus"]], "-N takes never");
}

#[test]
fn option_O_honours_four_names_and_our_own_and_ignores_the_rest() {
    ignored(&[&["-ODeliveryMode=q"], &["-OVerbose=no"], &["-OMaxHopCount=9"], &["-O", "Timeout.queuereturn=5d"], &["-ONoSuchThing=x"]]);
    let envelope = sent(&["-OPriority=9", "-O", "HoldUntil=2099-01-01T00:00:00Z"]).envelope;
    assert_eq!((envelope.priority, envelope.hold_until.as_deref()), (Some(9), Some("2099-01-01T00:00:00Z")));
    refused(&[&["-t", "-O", "QueueDirectory=/tmp"], &["-t", "-OqueueDIR=/tmp"]], "is refused");
}

#[test]
fn option_o_refuses_what_chooses_files_and_ignores_other_letters() {
    ignored(&[&["-or0s"], &["-oT5d"], &["-om"], &["-o8"], &["-oo"], &["-o7"]]);
    for letter in "AEHJMOPQSUugVX".chars() {
        refused(&[&["-t", &format!("-o{letter}/tmp/x")], &["-t", "-o", &format!("{letter}x")]], "is refused");
    }
}

#[test]
fn option_od_queues_in_every_mode() {
    ignored(&[&["-odb"], &["-odi"], &["-odq"], &["-odd"], &["-ODeliveryMode=background"], &["-od"]]);
    refused(&[&["-t", "-odx"]], "takes b, i, q or d");
}

#[test]
fn option_p_is_ignored() {
    ignored(&[&["-pSMTP"], &["-p", "UUCP:host"]]);
}

#[test]
fn option_q_takes_only_what_is_attached() {
    let sandbox = Sandbox::new("");
    assert_eq!(sandbox.refused(&["-q"], "").0, 69);
    refused(&[&["-q", "30m"]], "-q takes no operands");
    assert_eq!(sandbox.run(&["-q30m"], "").code(), 0);
}

#[test]
fn option_R_says_how_much_comes_back() {
    assert_eq!(sent(&["-R", "full"]).envelope.ret, Some(Ret::Full));
    assert_eq!(sent(&["-RHDRS"]).envelope.ret, Some(Ret::Hdrs));
    refused(&[&["-t", "-Rsome"]], "-R takes full or hdrs");
}

#[test]
fn option_t_takes_the_recipients_of_the_header() {
    assert_eq!(Sandbox::new("").send(&["-t"], "To: a@x\nCc: b@x\nBcc: c@x\n\n").recipients(), ["a@x", "b@x", "c@x"]);
}

#[test]
fn option_V_is_the_envelope_id() {
    assert_eq!(sent(&["-V", "id 1+~"]).envelope.envid.as_deref(), Some("id 1+~"));
    assert!(sent(&["-V", &"x".repeat(100)]).envelope.envid.is_some());
    refused(&[&["-t", "-V", ""], &["-t", "-V\u{fc}"], &["-t", "-V", &"x".repeat(101)]], "-V takes up to 100");
}

#[test]
fn option_v_prints_the_queue_id() {
    let sandbox = Sandbox::new("");
    let run = sandbox.run(&["-v", "-t"], MESSAGE);
    assert_eq!(run.stdout, format!("queued as {}\n", sandbox.take_messages()[0].envelope.id));
    let quiet = sandbox.run(&["-v", "-OVerbose=no", "-t"], MESSAGE);
    assert_eq!((quiet.code(), quiet.stdout.as_str()), (0, ""));
}

#[test]
fn option_X_is_refused_for_root_too() {
    refused(&[&["-t", "-X/tmp/x"], &["-X", "/tmp/x", "-t"], &["-bs", "-X/tmp/x"]], "option -X is refused");
}

#[test]
fn option_hyphen_ends_the_options() {
    let sandbox = Sandbox::new("");
    assert_eq!(sandbox.send(&["-i", "--", "a@x.example"], "x\n").recipients(), ["a@x.example"]);
    for argv in [&["--", "-t"][..], &["--", "a@x.example", "-f", "b@x"], &["a@x.example", "--"]] {
        assert_eq!(sandbox.refused(argv, MESSAGE).0, 65, "{argv:?}");
    }
}
