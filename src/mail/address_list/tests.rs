use proptest::prelude::*;

use super::*;

/// The members in a form that fits a table: the wire form, a bare name, `<>`, or `!` and the reason.
fn shown(text: &str) -> Vec<String> {
    let list = AddressList::parse(text.as_bytes());
    list.mailboxes
        .iter()
        .map(|mailbox| match &mailbox.spec {
            Ok(Spec::Full(address)) => address.to_string(),
            Ok(Spec::Bare { local, .. }) => local.clone(),
            Ok(Spec::Null) => "<>".to_owned(),
            Err(why) => format!("!{why}"),
        })
        .collect()
}

#[test]
fn r1_r4_the_forms_that_people_write() {
    let table: &[(&str, &[&str])] = &[
        ("a@x.example", &["a@x.example"]),
        ("root", &["root"]),
        ("a@x.example, b@y.example,c", &["a@x.example", "b@y.example", "c"]),
        ("Name <a@x.example>", &["a@x.example"]),
        ("\"Doe, John\" <j@x.example>, b@y.example", &["j@x.example", "b@y.example"]),
        ("John Q. Public <j@x.example>", &["j@x.example"]),
        ("j@x.example <j@x.example>", &["j@x.example"]),
        ("a@x.example (comment (nested \\) here), still)", &["a@x.example"]),
        ("(c) a (c) @ (c) x (c) . (c) example (c)", &["a@x.example"]),
        ("\"a b\"@x.example", &["\"a b\"@x.example"]),
        ("\"a\\\"b\"@x.example", &["\"a\\\"b\"@x.example"]),
        ("\"a\".b@x.example", &["a.b@x.example"]),
        ("<@r1.example,@r2.example:a@x.example>", &["a@x.example"]),
        ("g: a@x.example, b@y.example;, c@z.example", &["a@x.example", "b@y.example", "c@z.example"]),
        ("g: a@x.example; c@z.example", &["a@x.example", "c@z.example"]),
        ("undisclosed-recipients:;", &[]),
        ("undisclosed-recipients:", &[]),
        ("\"quoted group\": \"x\" <a@x.example>;", &["a@x.example"]),
        ("a@x.example; b@y.example", &["a@x.example", "b@y.example"]),
        (",, a@x.example ,, ,", &["a@x.example"]),
        ("u@[192.0.2.1], u@[IPv6:2001:db8::1]", &["u@[192.0.2.1]", "u@[IPv6:2001:db8::1]"]),
        ("a@x.example,\r\n\tb@y.example", &["a@x.example", "b@y.example"]),
        ("\"a\r\n b\"@x.example", &["\"a b\"@x.example"]),
        ("=?utf-8?q?a=2C?= <a@x.example>", &["a@x.example"]),
        ("Grüße <grün@bücher.example>", &["grün@bücher.example"]),
        ("a..b.@docomo.example", &["\"a..b.\"@docomo.example"]),
        ("u@x.example.", &["u@x.example"]),
        ("<>", &["<>"]),
        ("u!v%w@x.example", &["u!v%w@x.example"]),
        ("", &[]),
        (" \t(only a comment)", &[]),
    ];
    for (text, members) in table {
        assert_eq!(shown(text), *members, "{text:?}");
    }
}

#[test]
fn c6_a_backslash_outside_quotes_quotes_the_next_character_and_is_removed() {
    assert_eq!(shown("o\\'neil@example.org"), ["o'neil@example.org"]);
    assert_eq!(shown("x\\=y@example.org"), ["x=y@example.org"]);
    assert_eq!(shown("a\\@b@example.org"), ["\"a@b\"@example.org"]);
    assert_eq!(shown("a\\,b@example.org"), ["\"a,b\"@example.org"]);
    assert_eq!(shown("a\\"), [format!("!{}", ListError::Address(AddressError::Syntax))]);
}

#[test]
fn r5_each_malformed_address_is_reported_and_the_others_are_read() {
    for text in [
        "a b@x.example",
        "John Smith",
        "a@b c",
        "a@",
        "@x.example",
        "a@@x.example",
        "a@x@y",
        "a@x..example",
        "\"a@x.example",
        "(a@x.example",
        "a@[1.2.3.4",
        "<a@x.example",
        "a@x.example>",
        "<a@x.example> trailing",
        "<<a@x.example>>",
        "<@r.example>",
        "a:b:c",
        "g: h: a@x.example;",
        "a@x.example\0",
        "a)b@x.example",
        "\"\r\n\x07\"@x.example",
        "-oQ/tmp",
        "-f@x.example",
        "<-x@y.example>",
        "a@-x",
        "a@.",
        "a@x.example(b)c@y.example",
    ] {
        let members = shown(text);
        assert!(members.iter().any(|member| member.starts_with('!')), "{text:?} gave {members:?}");
    }
    assert_eq!(shown("a@x.example, b c, d@y.example").len(), 3);
    assert_eq!(AddressList::parse(b"\xfc@x.example").mailboxes[0].spec, Err(ListError::Utf8));
    assert_eq!(shown(&format!("{}@x.example", "x".repeat(65)))[0], format!("!{}", AddressError::TooLong));
}

#[test]
fn spans_say_where_to_edit() {
    let text = b"Root (the boss) <root>, \"g h\": a (x;y);";
    let list = AddressList::parse(text);
    assert_eq!(list.mailboxes[0].spec, Ok(Spec::Bare { local: "root".into(), end: 21 }));
    assert_eq!(&text[list.mailboxes[0].span.clone()], b"Root (the boss) <root>");
    assert_eq!(list.phrases.iter().map(|span| &text[span.clone()]).collect::<Vec<_>>(), [b"Root".as_slice(), b"\"g h\""]);
    assert_eq!(list.comments.iter().map(|span| &text[span.clone()]).collect::<Vec<_>>(), [b"(the boss)".as_slice(), b"(x;y)"]);
    assert!(list.has_group);
}

#[test]
fn plain_is_an_address_and_nothing_else() {
    let plain = |text: &str| AddressList::parse(text.as_bytes()).mailboxes[0].plain;
    assert!(plain("a@x") && plain("<a@x>") && plain("root") && plain("\"a b\"@x"));
    assert!(!plain("n <a@x>") && !plain("a @x") && !plain("<@r:a@x>") && !plain("a@x (c) . d"));
}

#[test]
fn t_hdr_4_the_time_is_linear_in_the_text() {
    for piece in ["(", "\"", "<", "a,", "g:", "@", "\\", "[", "(()", "a b "] {
        let time = |count: usize| {
            let text = piece.repeat(count);
            // Processor time: other processes cannot use it up.
            let cpu = || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
            let start = cpu();
            std::hint::black_box(AddressList::parse(text.as_bytes()));
            (cpu() - start).tv_sec()
        };
        // A quadratic parser needs minutes for this.
        assert!(time(400_000) < 10, "{piece:?}");
    }
}

/// A local part in any characters that may be quoted, and a domain.
fn parts() -> impl Strategy<Value = (String, String)> {
    ("[ -,.-~äß][ -~äß]{0,20}", "[a-z0-9]{1,8}(\\.[a-zü]{2,6}){1,3}")
}

proptest! {
    #[test]
    fn t_hdr_3_what_was_printed_is_parsed_back((local, domain) in parts(), name in "[ -~ü]{0,12}", form in 0..5) {
        let address = Address::new(&local, &domain).unwrap();
        let name = name.replace(['\\', '"'], "_");
        let text = match form {
            0 => address.to_string(),
            1 => format!("<{address}>"),
            2 => format!("\"{name}\"\r\n <{address}> (c\\)(n))"),
            3 => format!("g: {address};"),
            _ => format!("<@route.example:{address}>"),
        };
        let list = AddressList::parse(text.as_bytes());
        prop_assert_eq!(list.mailboxes.len(), 1);
        prop_assert_eq!(&list.mailboxes[0].spec, &Ok(Spec::Full(address)));
    }

    #[test]
    fn no_bytes_make_it_panic_or_leave_the_text(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let list = AddressList::parse(&text);
        for span in list.mailboxes.iter().map(|mailbox| &mailbox.span).chain(&list.phrases).chain(&list.comments) {
            prop_assert!(text.get(span.clone()).is_some());
        }
    }

    #[test]
    fn pf26_1_no_address_holds_a_control_character(text in "[ab@<>\"\\\\\r\n\t\u{0}\u{7f}., ]{0,40}") {
        for mailbox in AddressList::parse(text.as_bytes()).mailboxes {
            if let Ok(Spec::Full(address)) = mailbox.spec {
                prop_assert!(!address.to_string().chars().any(char::is_control));
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named_by_its_own_reason() {
    let address = |why| Err(ListError::Address(why));
    for (text, why) in [
        ("a@<x.example>", address(AddressError::Syntax)),
        ("<a@x.example", Err(ListError::Unclosed)),
        ("<a@x.example> b", Err(ListError::Words)),
        ("@x.example", address(AddressError::NoLocalPart)),
        ("<@>", address(AddressError::Syntax)),
        ("a@", address(AddressError::NoDomain)),
        ("a@\"x.example\"", address(AddressError::Syntax)),
        ("a@[192.0.2.\\1]", address(AddressError::Literal)),
        ("a b", Err(ListError::Words)),
        ("-a", Err(ListError::Hyphen)),
    ] {
        assert_eq!(AddressList::parse(text.as_bytes()).mailboxes[0].spec, why, "{text}");
    }
    assert_eq!(shown("a@[ 192.0.2.1 ]"), ["a@[192.0.2.1]"]);
}

#[test]
fn a_group_begins_with_a_phrase_and_ends_with_a_semicolon() {
    let phrases =
        |text: &str| AddressList::parse(text.as_bytes()).phrases.iter().map(|span| text[span.clone()].to_owned()).collect::<Vec<_>>();
    assert_eq!(phrases("g: a@x.example; h i: b@y.example;"), ["g", "h i"]);
    assert_eq!(shown("g: a@x.example; h i: b@y.example;"), ["a@x.example", "b@y.example"]);
    for text in [": a@x.example", "a@x.example: b@y.example", "g: a@x.example, h: b@y.example"] {
        let list = AddressList::parse(text.as_bytes());
        assert!(list.mailboxes.iter().any(|mailbox| mailbox.spec.is_err()), "{text}");
        assert_eq!(list.has_group, text.starts_with('g'), "{text}");
    }
}

#[test]
fn the_words_of_a_phrase_are_what_stands_without_blanks() {
    let words = |text: &'static str| {
        let word = |word: &Word<'static>| (word.blanks.to_owned(), word.raw.to_owned(), String::from_utf8(word.text.clone()).unwrap());
        phrase_words(text.as_bytes()).iter().map(word).collect::<Vec<_>>()
    };
    let is = |blanks: &str, raw: &str, text: &str| (blanks.as_bytes().to_vec(), raw.as_bytes().to_vec(), text.to_owned());
    assert_eq!(
        words("John \"Q. \\\"P\\\"\"x  Public"),
        [is("", "John", "John"), is(" ", "\"Q. \\\"P\\\"\"x", "Q. \"P\"x"), is("  ", "Public", "Public")]
    );
    assert_eq!(words(" a.b"), [is(" ", "a.b", "a.b")]);
    assert_eq!(words(""), []);
}
