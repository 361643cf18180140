//! Why we differ: one row for one reason.

use super::compare::Difference;

/// Systems, beginnings of facets, and names of cases with a blank between; nothing means any.
type Fits = (&'static [&'static str], &'static [&'static str], &'static str);

/// Why we differ in some things.
#[derive(Debug)]
pub(crate) struct Reason {
    pub title: &'static str,
    /// A few sentences.
    pub text: &'static str,
    /// What it explains.
    fits: &'static [Fits],
}

/// The first one that fits counts.
#[rustfmt::skip] // a list is easier to keep when each row is a line
pub(crate) static REASONS: &[Reason] = &[
    Reason {
        title: "A sender that is not one's own",
        text: "Anybody may name a sender, as with Postfix. Who it really was stands in the `Received` field, from the kernel; \
               a field in the message for it would tell the recipients more than they need.",
        fits: &[
            (&["Sendmail"], &["field x-authentication-warning"], ""),
        ],
    },
    Reason {
        title: "Text that is not ASCII in header fields",
        text: "It is encoded (RFC 2047) when the message is taken, so that no next hop without SMTPUTF8 has to return it. \
               SMTPUTF8 is asked for where an address needs it, and nowhere else.",
        fits: &[
            (&[], &["field"], "F-utf8 name-utf8 utf8-field utf8-subject utf8-from latin1-field"),
            (&[], &["sender"], "name-utf8 utf8-field utf8-subject utf8-from latin1-field"),
            (&["Sendmail"], &["sender"], "operand-utf8"),
        ],
    },
    Reason {
        title: "The body type",
        text: "`BODY=` says what is in the message, whatever `-B` said: 8BITMIME where it has 8-bit bytes, and else nothing.",
        fits: &[
            (&[], &["sender"], "B-8bitmime B-7bit debian-cron latin1-body address-utf8"),
        ],
    },
    Reason {
        title: "8-bit text without a label",
        text: "A body with 8-bit bytes and no field of MIME gets the fields that say what it is: `charset=utf-8`, or \
               `unknown-8bit` where it is not that.",
        fits: &[
            (&[], &["field mime-version", "field content-type", "field content-transfer-encoding"], "latin1-body"),
        ],
    },
    Reason {
        title: "The name of the caller",
        text: "The full name ends at the first comma, as with Postfix and Sendmail. It is left out where `-f` names somebody \
               else, as Sendmail does, and `-F` is always taken. The null sender gives no author: the caller is the author \
               then. An empty `-F` means no name.",
        fits: &[
            (&[], &["field from", "field resent-from"], "F-empty from-of-other from-of-other-with-F from-of-null defaults defaults-t no-header no-header-colon leading-blank-line-with-operand leading-continuation empty resent resent-bcc resent-bcc-with-operand bs-defaults"),
            (&["Exim"], &["field resent-from"], "resent-defaults"),
        ],
    },
    Reason {
        title: "Odd names",
        text: "A name with special characters becomes a valid quoted string; control characters become blanks.",
        fits: &[
            (&[], &["field from"], "F-odd F-control"),
        ],
    },
    Reason {
        title: "Bcc",
        text: "`Bcc` and `Resent-Bcc` never go out, with `-t` and without it, and no empty one takes their place.",
        fits: &[
            (&[], &["field bcc", "field resent-bcc"], ""),
        ],
    },
    Reason {
        title: "Message bodies with dots",
        text: "A lone dot ends the message where it is the last line, or standard input is a terminal. In the middle of a \
               message it is data: what follows it would be lost without a word. Two dots are two dots: this is not SMTP.",
        fits: &[
            (&[], &["body"], "dot-middle dot-middle-crlf dot-first dot-last-unended dots"),
        ],
    },
    Reason {
        title: "Carriage returns",
        text: "CRs before LF are part of the line end; any other becomes a blank. No end of data can be forged, whatever the \
               next hop takes for one.",
        fits: &[
            (&[], &["body"], "bare-cr crs-before-lf smuggling"),
        ],
    },
    Reason {
        title: "NUL",
        text: "It is removed, and counted in the history. Sendmail returns the message, Postfix and Exim send it, against RFC \
               5321 4.5.2 and RFC 5322 2.3.",
        fits: &[
            (&[], &["verdict", "notice", "body"], "nul"),
        ],
    },
    Reason {
        title: "Long lines",
        text: "Header fields are folded (RFC 5322 2.1.1). A body with a long line becomes quoted-printable, so that its reader \
               sees what was written; Postfix and Sendmail break its lines, and Exim returns the message. What Exim returns \
               with a long header field, it cannot send either, and nobody hears of it.",
        fits: &[
            (&[], &[], "long-body-line long-field long-field-unfoldable long-subject"),
        ],
    },
    Reason {
        title: "Too many hops",
        text: "100 `Received` fields are a loop, and the call is refused at once. Exim draws the line at 30 and Sendmail at \
               25, in an answer by mail.",
        fits: &[
            (&[], &["verdict", "notice"], "received-30 received-120"),
        ],
    },
    Reason {
        title: "Malformed recipients",
        text: "If one recipient is malformed, the call is refused (65) and nobody is served: the caller learns of it while it \
               can still do something. The others serve the rest, or take everything and send a bounce that a program cannot \
               read. Blanks do not separate addresses, and a local part has 64 octets at most (RFC 5321 4.5.3.1.1).",
        fits: &[
            (&[], &["verdict", "notice"], "operand-list-of-words operand-empty operand-empty-beside-good operand-null operand-two-ats operand-two-ats-beside-good operand-two-dots operand-no-local operand-no-domain operand-blank-in-local operand-line-break operand-long-local blanks-between malformed malformed-beside-good oep-and-malformed operand-hyphen"),
            (&["Postfix"], &["verdict"], "oee-and-malformed"),
            (&["Postfix"], &["recipients"], "bs-bad-recipient"),
            (&["Sendmail"], &["verdict"], "bs-bad-recipient"),
        ],
    },
    Reason {
        title: "Operands that look like options",
        text: "Options end at the first operand, as with all three. An operand with a hyphen in front is refused instead of \
               being sent to: it is a mistake of the caller, or an attack on a program behind the next hop. Postfix takes it \
               and returns it by mail.",
        fits: &[
            (&[], &["verdict", "notice"], "options-after-operand options-after-double-hyphen"),
        ],
    },
    Reason {
        title: "Files and programs as recipients",
        text: "`:include:` stands in the alias file of the administrator, never in an operand.",
        fits: &[
            (&[], &["verdict", "notice"], "operand-include"),
        ],
    },
    Reason {
        title: "Spellings of a recipient",
        text: "A path is changed as little as possible. A backslash outside quotes quotes the next character and goes, as \
               with Postfix. Host names are compared without regard to case, local parts are not. The UUCP form with `!` is a \
               local part. A local part with a dot at its edge goes in quotes, as with Postfix: RFC 5321 4.1.2 has no other form for \
               it.",
        fits: &[
            (&[], &["recipients"], "operand-dot-local operand-backslash operand-bang operand-upper-domain-twice operand-upper-local-twice duplicates"),
        ],
    },
    Reason {
        title: "`-t` with operands",
        text: "Recipients are those in the header section and the operands. Exim takes the operands away from those in the \
               header section; `t_arguments = \"remove\"` does so too.",
        fits: &[
            (&["Exim"], &[], "t-and-operand t-and-same-operand"),
        ],
    },
    Reason {
        title: "No recipients",
        text: "Exit code 64. Sendmail says so on standard output and ends with 0, and the message is lost.",
        fits: &[
            (&["Sendmail"], &["verdict"], "leading-blank-line empty-t t-without-recipients"),
        ],
    },
    Reason {
        title: "`-oee`",
        text: "An error mode never turns a refusal into success: exit code 0 means that the message is kept.",
        fits: &[
            (&["Sendmail", "Exim"], &["verdict", "notice"], "oee-and-no-recipient oee-and-malformed"),
        ],
    },
    Reason {
        title: "The argument of `-f`",
        text: "One address and nothing else. A display name, a second address, options or a line break in it are what \
               injected options are made of.",
        fits: &[
            (&[], &["verdict"], "f-with-name f-two f-with-options f-line-break f-malformed"),
        ],
    },
    Reason {
        title: "Repeated and bundled options",
        text: "The last `-f` counts, because PHP appends one to that of its configuration, and letters can be bundled.",
        fits: &[
            (&["Sendmail"], &["verdict"], "f-twice"),
            (&["Exim"], &["verdict"], "f-bundled"),
        ],
    },
    Reason {
        title: "Options of other mail systems",
        text: "What is harmless is accepted and ignored, since some caller passes it. `-N`, `-R` and `-V` are those of RFC \
               3461; Exim has no such options, and its `-N` throws the message away with exit code 0.",
        fits: &[
            (&["Exim"], &["verdict"], "N-never N-list N-unknown R-hdrs R-full V rmail c G L s"),
            (&["Postfix"], &["verdict"], "n s"),
            (&["Sendmail"], &["verdict"], "vixie-cron c s U x O-unknown"),
        ],
    },
    Reason {
        title: "Values that mean nothing",
        text: "A value that is none is refused. Sendmail names the mistake, ends with an error, and sends the message \
               nevertheless.",
        fits: &[
            (&["Postfix"], &["verdict"], "N-unknown R-unknown"),
            (&["Sendmail", "Exim"], &["verdict"], "B-unknown"),
        ],
    },
    Reason {
        title: "Options that name files",
        text: "They are refused with a line in the authentication log, before the message is read. A web application that \
               lets strangers write options must be found, and no caller of a null client needs them.",
        fits: &[
            (&[], &["verdict"], "X C D oQ oA O-queue-directory O-queue-directory-short"),
        ],
    },
    Reason {
        title: "Unknown options and modes",
        text: "They are refused. Exim has an `-E` of its own; Sendmail takes `--force` and `-ba` for something else and \
               sends.",
        fits: &[
            (&["Exim"], &["verdict"], "E"),
            (&["Sendmail"], &["verdict"], "long-option ba bt"),
        ],
    },
    Reason {
        title: "`-d0.1`",
        text: "Beside a message it is a debug level and ignored, as Sendmail does: exit code 0 means that the message is kept. \
               Alone it prints the version, which is what the programs want that call it so.",
        fits: &[
            (&["Postfix", "Exim"], &["verdict"], "d"),
        ],
    },
    Reason {
        title: "Modes",
        text: "The queue can be listed by every user, who sees the own messages; `-bP` counts them. Nothing listens, so `-bd` \
               is refused. `-bv` prints what it finds. `-bi` checks the alias file for everybody. A mode takes no operands \
               that mean nothing to it.",
        fits: &[
            (&[], &["verdict"], "bp bP bv bd bh bi bp-with-operand bs-with-operand"),
            (&["Postfix"], &["notice"], "bv"),
        ],
    },
    Reason {
        title: "Other names",
        text: "`mailq`, `newaliases` and `runq` are `-bp`, `-bi` and `-q`, with what is said of those, and a later mode \
               overrides the name, as with Postfix.",
        fits: &[
            (&[], &[], "name-mailq name-mailq-with-mode name-newaliases name-runq"),
        ],
    },
    Reason {
        title: "`-v`",
        text: "Prints the queue id. Postfix sends a report by mail.",
        fits: &[
            (&["Postfix"], &["notice"], "v"),
        ],
    },
    Reason {
        title: "Flushing",
        text: "Every user may wake the daemon; it keeps its own pace. An interval is accepted and ignored, as Postfix does: \
               the daemon is never started this way.",
        fits: &[
            (&[], &["verdict"], "q q-interval q-persistent q-id q-recipient q-sender"),
        ],
    },
    Reason {
        title: "SMTP on standard input",
        text: "A greeting is not required before MAIL, as with Postfix. What is written ahead is taken, and LF ends a line as \
               CRLF does: scripts pipe a whole session. The end of input in the middle of the data is an error, since nothing \
               was kept; after an end of data it is not. `-f` is ignored beside `-bs`, because Symfony appends it. DSN \
               parameters go on to the next hop.",
        fits: &[
            (&[], &["verdict"], "bs-no-greeting bs-unfinished bs-lf bs-blind bs-f bs-without-quit bs-dsn"),
            (&["Postfix"], &["sender"], "bs-dsn"),
        ],
    },
    Reason {
        title: "Resent messages",
        text: "The message counts as resent when it has a `Resent-` recipient field, as with Postfix: `Resent-From` alone \
               leaves `To` in force. Then missing `Resent-` fields are added, and a plain `Date` and `From` where there is \
               none, because mail without them is refused elsewhere (RFC 5322 3.6).",
        fits: &[
            (&[], &[], "resent-from-alone"),
            (&[], &["field date", "field from", "field message-id"], "resent-defaults"),
        ],
    },
    Reason {
        title: "Two From fields",
        text: "Refused: no large receiver takes them, and one of the two was injected.",
        fits: &[
            (&[], &["verdict"], "from-twice"),
        ],
    },
    Reason {
        title: "Lists of addresses",
        text: "Semicolons between addresses, an empty group and a name with an at sign are understood where the meaning is \
               plain. `Apparently-To` is no recipient field.",
        fits: &[
            (&[], &["verdict", "notice"], "group-empty-and-bcc semicolons name-unquoted-at"),
            (&["Sendmail"], &["recipients"], "apparently-to"),
        ],
    },
    Reason {
        title: "Header fields as they came",
        text: "Bare addresses are qualified; otherwise a field is left as it is, as long as it can be sent. A blank before \
               the colon goes, so that every reader sees the field.",
        fits: &[
            (&[], &["field"], "comments empty-elements route-address name-unquoted-dot name-unquoted-at from-malformed from-empty to-blank-colon full-name"),
        ],
    },
    Reason {
        title: "Content-Length",
        text: "Removed, as by Postfix: it is that of another message by then.",
        fits: &[
            (&["Exim"], &["field content-length"], ""),
        ],
    },
    Reason {
        title: "Lines of mailboxes",
        text: "A `From ` line in front of the message goes, quoted or not, and says nothing about the sender.",
        fits: &[
            (&[], &["verdict", "notice"], "quoted-from-line"),
            (&["Exim"], &["sender"], "from-line"),
        ],
    },
    Reason {
        title: "Bounces",
        text: "A refusal is an exit code and a line on standard error. Nothing was taken, so there is nothing to return by \
               mail.",
        fits: &[
            (&[], &["notice"], ""),
        ],
    },
    Reason {
        title: "Exit codes",
        text: "A refusal is the number of sysexits that fits. Postfix ends every refusal with 75, which some callers (PHP) \
               take for success, and Exim with 1.",
        fits: &[
            (&[], &["code"], ""),
        ],
    },
];

/// The reason for this difference.
pub(crate) fn of(difference: &Difference) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| reason.fits.iter().any(|fits| is_fit(fits, difference)))
}

/// The parts of reasons that fit nothing.
pub(crate) fn unused(differences: &[Difference]) -> Vec<&'static Fits> {
    let mut used: Vec<&Fits> = Vec::new();
    let parts = || REASONS.iter().flat_map(|reason| reason.fits);
    for one in differences {
        used.extend(parts().find(|fits| is_fit(fits, one)));
    }
    parts().filter(|part| !used.iter().any(|fits| std::ptr::eq(*fits, *part))).collect()
}

fn is_fit((systems, facets, cases): &Fits, difference: &Difference) -> bool {
    let system = systems.is_empty() || systems.contains(&difference.system);
    let facet = facets.is_empty() || facets.iter().any(|facet| difference.facet.starts_with(facet));
    system && facet && (cases.is_empty() || cases.split(' ').any(|case| case == difference.case))
}

#[test]
fn every_case_that_a_reason_names_exists() {
    let known: Vec<&str> = super::cases::all().iter().map(|case| case.name).collect();
    for case in REASONS.iter().flat_map(|reason| reason.fits).flat_map(|(_, _, cases)| cases.split(' ')).filter(|case| !case.is_empty()) {
        assert!(known.contains(&case), "{case}");
    }
}
