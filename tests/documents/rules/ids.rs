//! Rule ids in texts and in names of tests: `P1`, `SK3`, `U07`, `T-SPOOL-1`, `PF26-5`.

/// Words of the form of an id that are none: control characters, protocol versions.
const NONE: &[&str] = &["C0", "V4", "V6"];

/// The ids in a text, in their order; `D3 to D7` is five.
pub(crate) fn in_text(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut begins_range = false;
    for (word, before) in words(text) {
        if is_id(word) && !"=%\\+.:{$?/#".contains(before) && !NONE.contains(&word) && !is_control_set(text, word) {
            match found.last().cloned().filter(|_| begins_range) {
                Some(first) => found.extend(between(&first, word)),
                None => found.push(word.to_owned()),
            }
            begins_range = false;
        } else {
            begins_range = word == "to" && !found.is_empty() && text.contains(&format!("{} to ", found[found.len() - 1]));
        }
    }
    found
}

/// The words of a text, each with the character before it.
fn words(text: &str) -> impl Iterator<Item = (&str, char)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut rest = text;
    let mut before = ' ';
    std::iter::from_fn(move || {
        let begin = rest.find(is_part)?;
        before = rest[..begin].chars().next_back().unwrap_or(before);
        rest = &rest[begin..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some((word, before))
    })
}

/// `C0, DEL, C1`: the control characters beyond ASCII, and no rule.
fn is_control_set(text: &str, word: &str) -> bool {
    word == "C1" && text.contains("C0")
}

/// True for a word of the form of an id.
pub(crate) fn is_id(word: &str) -> bool {
    let is_number = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let is_upper = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase());
    match word.split('-').collect::<Vec<_>>().as_slice() {
        [plain] => {
            let letters = plain.bytes().take_while(u8::is_ascii_uppercase).count();
            (1..=2).contains(&letters) && is_number(&plain[letters..])
        }
        ["T", name, number] => is_upper(name) && is_number(number),
        [source, number] => {
            let letters = source.bytes().take_while(u8::is_ascii_uppercase).count();
            letters == 2 && is_number(&source[letters..]) && is_number(number)
        }
        _ => false,
    }
}

/// The ids behind `first` up to `last`, if they are of one family; else `last` alone.
fn between(first: &str, last: &str) -> Vec<String> {
    let split = |id: &str| {
        let at = id.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        id[at..].parse::<u32>().ok().map(|number| (id[..at].to_owned(), number))
    };
    match (split(first), split(last)) {
        (Some((family, from)), Some((other, to))) if family == other && from < to => {
            (from + 1..=to).map(|number| format!("{family}{number}")).collect()
        }
        _ => vec![last.to_owned()],
    }
}

/// The ids that a test is named after: `t_smtp_1_i3_nothing_leaves` is T-SMTP-1 and I3.
pub(crate) fn in_name(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('_').collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < parts.len() {
        let (length, id) = match &parts[at..] {
            ["t", word, number, ..] => (3, format!("T-{word}-{number}")),
            [source, number, ..] if number.parse::<u32>().is_ok() => (2, format!("{source}-{number}")),
            [plain, ..] => (1, (*plain).to_owned()),
            [] => break,
        };
        let id = id.to_uppercase();
        if !is_id(&id) || NONE.contains(&id.as_str()) {
            break;
        }
        found.push(id);
        at += length;
    }
    found
}

#[test]
fn ids_are_found_in_texts() {
    assert_eq!(in_text("(SENDMAIL.md S1, S3; THREATS T-OUT-1). R10: `To :`"), ["S1", "S3", "T-OUT-1", "R10"]);
    assert_eq!(in_text("D3 to D7, and K1."), ["D3", "D4", "D5", "D6", "D7", "K1"]);
    assert_eq!(in_text("T-ARG-1 to T-ARG-3"), ["T-ARG-1", "T-ARG-2", "T-ARG-3"]);
    assert_eq!(in_text("PF26-1 and SK7 U07"), ["PF26-1", "SK7", "U07"]);
    assert_eq!(in_text("S7 goes to S8"), ["S7", "S8"]);
}

#[test]
fn what_only_looks_like_an_id_is_none() {
    for text in
        ["=?utf-8?Q?gr=C3=BCn?=", "gr%C3%BCn", "IpAddr::V4", "C0, DEL, C1", "RFC 5321 4.5.2", "SHA-256", "UTF-8", "SCHEMA26", "x86-64"]
    {
        assert!(in_text(text).is_empty(), "{text}: {:?}", in_text(text));
    }
}

#[test]
fn ids_are_found_in_names_of_tests() {
    assert_eq!(in_name("r10_i5_i6_where_it_ends"), ["R10", "I5", "I6"]);
    assert_eq!(in_name("t_env_2_c9_t_env_3_closed"), ["T-ENV-2", "C9", "T-ENV-3"]);
    assert_eq!(in_name("pf26_1_and_2_unknown_keys"), ["PF26-1"]);
    assert!(in_name("a_message_of_1_byte").is_empty() && in_name("t_smtp_a_reset").is_empty() && in_name("exit_65_x").is_empty());
}
