//! The contract of `sendmail`, row by row: what each asks, and that a test is named after it. Names like I2, H6 and S5 are those that
//! comments and tests use; `option_f`, `exit_65` and `section_8_…` are the rows of its tables.

use std::collections::BTreeSet;
use std::path::Path;

use exit::Exit;
use submit::cli::OPTIONS;

/// What a test is named after, and what it asks.
#[rustfmt::skip] // a list is easier to keep when each row is a line
const ROWS: &[(&str, &str)] = &[
    // 1. Parsing
    ("p1", "argv[0] chooses the personality; later options override it"),
    ("p2", "letters are bundled, values attached or next; the first operand ends the options"),
    ("p3", "-q, -d and -Q take attached values alone, all others the next word too"),
    ("p4", "what is unknown is 64 with one usage line"),
    ("p5", "the last of repeated options counts; two different -f are told"),
    ("p6", "control characters are refused, in -F they are blanks; octets that are no text are 65 in an address"),
    ("p7", "modes, -t and operands that exclude each other are 64"),
    ("p8", "descriptors 0 to 2 are open, the mask is 077, no signal leaves half a message"),
    ("p9", "the forms that callers use come out right"),
    // 2. Options
    ("option_A", "ignored"),
    ("option_B", "7BIT or 8BITMIME, a hint"),
    ("option_bm", "inject"),
    ("option_bp", "list"),
    ("option_j", "JSON, only with -bp"),
    ("option_bP", "count"),
    ("option_bs", "SMTP on standard input and output"),
    ("option_bv", "verify, without sending"),
    ("option_bi", "check the alias file"),
    ("option_bh", "nothing"),
    ("option_bH", "nothing"),
    ("option_bd", "69: nothing listens"),
    ("option_bD", "69: nothing listens"),
    ("option_bl", "69: nothing listens"),
    ("option_b", "any other mode is 64 and never sends"),
    ("option_C", "refused; root may use a file that only root can change"),
    ("option_c", "ignored"),
    ("option_m", "ignored"),
    ("option_n", "ignored"),
    ("option_s", "ignored"),
    ("option_U", "ignored"),
    ("option_x", "ignored"),
    ("option_D", "refused"),
    ("option_d", "the version, where there is nothing else to do"),
    ("option_E", "of another program"),
    ("option_J", "of another program"),
    ("option_S", "of another program"),
    ("option_T", "of another program"),
    ("option_Q", "of another program"),
    ("option_M", "of another program"),
    ("option_z", "of another program"),
    ("option_e", "how errors are shown; the code stays"),
    ("option_F", "the display name"),
    ("option_f", "the reverse-path"),
    ("option_r", "the reverse-path"),
    ("option_G", "ignored"),
    ("option_h", "a number, ignored"),
    ("option_I", "as -bi"),
    ("option_i", "a dot is data"),
    ("option_L", "ignored"),
    ("option_N", "when to notify"),
    ("option_O", "names: honoured, refused by unique prefix, or ignored"),
    ("option_o", "letters: honoured, refused, or ignored"),
    ("option_od", "every delivery mode queues"),
    ("option_p", "ignored"),
    ("option_q", "only what is attached"),
    ("option_R", "full or hdrs"),
    ("option_t", "recipients of the header section"),
    ("option_V", "the envelope id"),
    ("option_v", "the queue id; with -bp more of each message"),
    ("option_X", "refused"),
    ("option_hyphen", "-- ends the options"),
    // 3. Recipients
    ("r1", "operands are address lists"),
    ("r2", "To, Cc, Bcc, or the Resent- ones"),
    ("r3", "-t and operands are the union, or the difference where configured"),
    ("r4", "the syntax of RFC 5322 with its obsolete forms, and the limits"),
    ("r5", "all or nothing"),
    ("r6", "bare and local names"),
    ("r7", "each address once"),
    ("r8", "no recipients are 64"),
    ("r9", "Bcc and Resent-Bcc never go out"),
    ("r10", "a blank before the colon; where the section ends"),
    ("r11", "a leading blank line makes the header section empty"),
    // 4. Input and fix-ups
    ("i1", "a failure is told first, then the writer is read to its end"),
    ("i2", "the dot"),
    ("i3", "line ends"),
    ("i4", "NUL"),
    ("i5", "From_ lines"),
    ("i6", "the missing blank line"),
    ("i7", "size and hops"),
    ("i8", "two From fields"),
    ("i9", "fields that are not the submitter's"),
    ("h1", "Received, by the daemon"),
    ("h2", "Date, Message-ID and From where they are missing"),
    ("h3", "the author"),
    ("h4", "resent messages"),
    ("h5", "bare addresses are qualified"),
    ("h6", "raw 8-bit header text is encoded"),
    ("h7", "an 8-bit body without MIME fields gets them"),
    ("h8", "long body lines"),
    ("h9", "long header lines are folded"),
    // 5. Sender and identity
    ("s1", "the uid's login name, or uid1234"),
    ("s2", "the forms of -f"),
    ("s3", "who may use which sender"),
    ("s4", "no field about the caller"),
    ("s5", "without -f the caller's own address"),
    ("s6", "the mailname"),
    ("s7", "no variable chooses a file"),
    ("s8", "DSN parameters"),
    // 6. Exit codes
    ("exit_0", "kept, or answered"),
    ("exit_64", "the command line"),
    ("exit_65", "the message or its recipients"),
    ("exit_67", "no such local name"),
    ("exit_69", "the daemon is needed and stopped"),
    ("exit_70", "an internal error"),
    ("exit_71", "the kernel"),
    ("exit_73", "the spool file cannot be made"),
    ("exit_74", "reading or writing failed"),
    ("exit_75", "only where it was asked for"),
    ("exit_77", "policy"),
    ("exit_78", "the configuration"),
    ("section_6_a_failure_is_one_line", "the form of the line"),
    // 7. Flushing
    ("section_7_now", "-q, -q0, -qf, runq"),
    ("section_7_interval", "-q<time>, -qp"),
    ("section_7_selected", "-qI, -qR, -qS, and ! before the letter"),
    ("section_7_unsupported", "-qG, -qL, -qQ, -Q"),
    ("section_7_operands", "with operands or -t"),
    // 8. -bs
    ("section_8_a_session", "banner, keywords, replies, several transactions"),
    ("section_8_replies_to_everything_else", "the other commands and errors"),
    ("section_8_a_lf_session", "line ends"),
    ("section_8_the_fix_ups", "the fix-ups of section 4"),
    ("section_8_policy", "policy, and a spool that cannot be used"),
    ("section_8_how_a_session_ends", "exit codes, 421"),
    // 9. Aliases
    ("section_9_names_and_values", "the syntax"),
    ("section_9_local_names", "the order for a local recipient"),
    ("section_9_loops_commands_and_files", "what is refused falls back"),
    ("section_9_an_included_list", ":include:"),
    ("section_9_only_a_file_of_root", "whose lists are read"),
    ("section_9_the_catch_all", "* and default"),
    ("section_9_admin_address", "admin_address"),
    ("section_9_a_broken_file", "a broken file does not block mail"),
    ("section_9_newaliases", "newaliases"),
    // 10. The queue
    ("q1", "queue ids"),
    ("q2", "Postfix's layout"),
    ("q3", "JSON Lines"),
    ("q4", "who sees what"),
    ("q5", "while the daemon is stopped"),
    // 13. What real clients do
    ("c1", "LF, CRLF and mixed input"),
    ("c2", "nodemailer's Bcc"),
    ("c3", "several transactions"),
    ("c4", "-i, -oi, -N"),
    ("c5", "operands and fields overlap; lists in one word; root"),
    ("c6", "backslashes outside quotes"),
    ("c7", "the forms of -f"),
    ("c8", "a success prints nothing"),
    ("c9", "closed descriptors, masks, signals, no HOME, no passwd entry"),
    ("c10", "/usr/lib/sendmail"),
    // 14. Small decisions
    ("section_14_all_recipients_discarded", "0, logged, no file"),
    ("section_14_a_flush_too_soon", "0"),
    ("section_14_local_domains", "never from DNS"),
    ("section_14_a_writer_that_stays", "is waited for"),
];

/// The names of all tests of this tree.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![super::tree().join("src"), super::tree().join("tests")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(names_in(&path));
        }
    }
    found
}

/// The function after each line that makes one a test.
fn names_in(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(str::trim);
    let mut names = Vec::new();
    while lines.by_ref().any(|line| line == "#[test]" || line.starts_with("#[tokio::test")) {
        let name = lines.by_ref().find_map(|line| line.split_once("fn ").map(|(_, rest)| rest.to_owned()));
        names.extend(name.and_then(|rest| rest.split(['(', '<']).next().map(str::to_owned)));
    }
    names
}

/// True if `test` is named after `row`: `i3` of `i3_i4_bare_cr_…` and of `t_smtp_1_i3_…`, and not of `ipv6_i3x_…`.
fn is_named_after(test: &str, row: &str) -> bool {
    format!("_{test}_").contains(&format!("_{row}_"))
}

#[test]
fn every_row_of_the_contract_has_a_test_named_after_it() {
    let tests = tests();
    assert!(tests.len() > 500, "{}", tests.len());
    let without: Vec<_> = ROWS.iter().filter(|(row, _)| !tests.iter().any(|test| is_named_after(test, row))).collect();
    assert!(without.is_empty(), "no test is named after {without:#?}");
}

#[test]
fn every_option_and_every_exit_code_is_a_row_and_every_row_is_named_once() {
    let rows: BTreeSet<_> = ROWS.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows.len(), ROWS.len());
    for option in OPTIONS {
        assert!(rows.contains(format!("option_{}", option.letter).as_str()), "-{}", option.letter);
    }
    // 1 is the administrator's command's alone.
    for code in (0..=u8::MAX).filter(|&code| Exit::from_code(code).code() == code && code != Exit::NotFound.code()) {
        assert!(rows.contains(format!("exit_{code}").as_str()), "{code}");
    }
    let named = |test: &&String| test.starts_with("option_") || test.starts_with("exit_");
    for test in tests().iter().filter(named) {
        assert!(rows.iter().any(|row| is_named_after(test, row)), "{test} is named after nothing");
    }
}

#[test]
fn a_name_counts_only_as_a_whole_word() {
    assert!(
        is_named_after("i3_i4_bare_cr", "i4")
            && is_named_after("t_env_2_c9_closed", "c9")
            && is_named_after("option_f_and_option_r", "option_r")
    );
    assert!(!is_named_after("i34_x", "i3") && !is_named_after("option_bp_lists", "option_b") && !is_named_after("c10_x", "c1"));
}
