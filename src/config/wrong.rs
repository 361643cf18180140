//! Error messages for the configuration file, for the person who wrote it. Pure.
//!
//! In: a message of the TOML parser. Out: one line, without a password that somebody may have put into a URL (T-OUT-4: everybody can
//! read errors, and they are logged).

/// The largest number of changed letters for a "did you mean".
const NEAR: usize = 2;

/// The `message` of the parser, with the next step.
pub fn words(message: &str) -> String {
    let message = without_passwords(&message.replace('\n', " "));
    if let Some(rest) = message.strip_prefix("unknown field `") {
        return unknown_key(rest);
    }
    // The parser takes a word without quotation marks for one of its own literals and names the nearest one.
    let unquoted = ["invalid boolean", "string values must be quoted", "invalid unquoted", "unquoted string", "missing opening quote"];
    if unquoted.iter().any(|one| message.contains(one)) {
        return format!("{message}; put strings in quotation marks");
    }
    if message.contains("invalid socket address") {
        return format!("{message}: write address:port, such as 1.1.1.1:53");
    }
    message
}

/// `rest` is the key, a backquote, and the list of known keys, each in backquotes.
fn unknown_key(rest: &str) -> String {
    let (key, known) = rest.split_once('`').unwrap_or((rest, ""));
    let known = known.split('`').skip(1).step_by(2);
    let near = known.map(|name| (distance(key, name), name)).filter(|(far, name)| *far <= NEAR && *far < name.len());
    match near.min() {
        Some((_, name)) => format!("unknown key {key}; did you mean {name}?"),
        None => format!("unknown key {key}; see mailchute.toml(5)"),
    }
}

/// The number of bytes to insert, delete or replace to turn `a` into `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (n, x) in a.bytes().enumerate() {
        let (mut above, mut left) = (n, n + 1);
        for (cell, y) in row.iter_mut().zip(std::iter::once(None).chain(b.bytes().map(Some))) {
            let before = *cell;
            *cell = y.map_or(n + 1, |y| (above + usize::from(x != y)).min(before + 1).min(left + 1));
            (above, left) = (before, *cell);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// `text` with `***` for the password of each URL in it: of `scheme://user:password@host`, and of one that lacks its scheme.
/// A password may hold any character, so this blanks too much rather than too little.
pub(crate) fn without_passwords(text: &str) -> String {
    let Some(end) = text.rfind('@') else { return text.to_owned() };
    let (before, host) = text.split_at(end);
    let begin = before.find("://").map_or(0, |at| at + 3);
    let (head, userinfo) = before.split_at(begin);
    // Without a scheme, only text after a quotation mark: a message may contain a colon itself.
    let quoted = if begin > 0 { 0 } else { userinfo.find(['`', '"']).map_or(0, |at| at + 1) };
    let (lead, userinfo) = userinfo.split_at(quoted);
    match userinfo.split_once(':') {
        Some((user, _)) => format!("{head}{lead}{user}:***{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_repeated_whatever_stands_in_it() {
        for (text, shown) in [
            ("smtp://user:hunter2@foo", "smtp://user:***@foo"),
            ("smtp://user:hun@ter:2/?@foo?tls=none", "smtp://user:***@foo?tls=none"),
            ("user:hunter2@foo", "user:***@foo"),
            ("smtp://user@foo:25", "smtp://user@foo:25"),
            ("smtp://foo:25", "smtp://foo:25"),
            ("next hop `u:hunter2@h`: must be", "next hop `u:***@h`: must be"),
            ("wrong: string \"lmtp://u:hunter2@h\", expected", "wrong: string \"lmtp://u:***@h\", expected"),
            ("a `b@c` d", "a `b@c` d"),
        ] {
            assert_eq!(without_passwords(text), shown);
            assert_eq!(without_passwords(shown), shown);
        }
    }

    #[test]
    fn the_distance_is_the_number_of_changes() {
        for (a, b, far) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("nexthop", "next_hop", 1), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (far, far), "{a} {b}");
        }
    }
}
