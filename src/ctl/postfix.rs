//! Translates `postqueue`, `postsuper` and `postcat` for scripts that use them. An administrator may link these names to `mailchute`;
//! the installation does not.
//!
//! In: the arguments of such a command. Out: one `mailchute` command line for each operation. Pure. An option without an equivalent
//! is an error; it is never ignored.

use std::ffi::{OsStr, OsString};

use exit::{Exit, Failure};

/// The queue names that postsuper accepts after the ids.
const QUEUES: [&str; 4] = ["incoming", "active", "deferred", "hold"];

/// Translates `words` into command lines without the program name. `None` if `program` is not one of Postfix's names.
///
/// Errors: EX_USAGE for an unsupported option.
pub(super) fn translate(program: &OsStr, words: &[OsString]) -> Option<Result<Vec<Vec<String>>, Failure>> {
    let translate = match program.to_str()? {
        "postqueue" => postqueue,
        "postsuper" => postsuper,
        "postcat" => postcat,
        _ => return None,
    };
    let words: Option<Vec<String>> = words.iter().map(|word| word.to_str().map(str::to_owned)).collect();
    Some(words.ok_or_else(|| usage("arguments must be UTF-8")).and_then(|words| translate(&words)))
}

/// Runs each line with `run`, even after an error; returns the first error. If `show` fails for a message, the `cat` line for the same
/// message is skipped, because it would fail with the same error.
pub(super) fn each<T: PartialEq + Default>(lines: Vec<Vec<String>>, mut run: impl FnMut(Vec<String>) -> T) -> T {
    let (mut first, mut not_shown) = (T::default(), None);
    for line in lines {
        let verb = line.first().cloned().unwrap_or_default();
        if verb == "cat" && line.last() == not_shown.as_ref() {
            continue;
        }
        let message = line.last().cloned();
        let ended = run(line);
        if ended != T::default() {
            not_shown = message.filter(|_| verb == "show");
            first = if first == T::default() { ended } else { first };
        }
    }
    first
}

fn usage(text: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, text)
}

/// Option letters with their values, and the operands.
type Options<'a> = (Vec<(char, &'a str)>, Vec<&'a str>);

/// Parses the options in `words`. `valued` has the letters that take a value.
fn options<'a>(words: &'a [String], valued: &str) -> Result<Options<'a>, Failure> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            others.push(word);
            continue;
        };
        for (at, letter) in letters.char_indices() {
            if !valued.contains(letter) {
                found.push((letter, ""));
                continue;
            }
            let glued = letters.get(at + letter.len_utf8()..).filter(|glued| !glued.is_empty());
            let value = glued.or_else(|| words.next()).ok_or_else(|| usage(format!("-{letter} needs a value")))?;
            found.push((letter, value));
            break;
        }
    }
    Ok((found, others))
}

fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn postqueue(words: &[String]) -> Result<Vec<Vec<String>>, Failure> {
    let (found, others) = options(words, "ics")?;
    if !others.is_empty() {
        return Err(usage("postqueue takes no operands; use -p, -j, -f, -i ID or -s DOMAIN"));
    }
    let mut lines = Vec::new();
    for (letter, value) in found {
        match letter {
            'p' => lines.push(line(&["list"])),
            'j' => lines.push(line(&["list", "--json"])),
            'f' => lines.push(line(&["flush"])),
            'i' => lines.push(line(&["flush", "--", value])),
            's' => lines.push(line(&["flush", "--domain", value])),
            'v' => {}
            other => return Err(usage(format!("postqueue -{other} is not supported; see mailchute(8)"))),
        }
    }
    if lines.is_empty() { Err(usage("postqueue needs one of -p, -j, -f, -i ID, -s DOMAIN")) } else { Ok(lines) }
}

fn postsuper(words: &[String]) -> Result<Vec<Vec<String>>, Failure> {
    let (found, queues) = options(words, "cdhHref")?;
    if let Some(unknown) = queues.iter().find(|queue| !QUEUES.contains(queue)) {
        return Err(usage(format!("unknown queue {}; use one of {}", mail::printable::text(unknown), QUEUES.join(", "))));
    }
    let mut lines: Vec<Vec<String>> = Vec::new();
    for (letter, value) in found {
        let verb = match letter {
            'd' => "remove",
            'h' => "hold",
            'H' => "release",
            'r' => "requeue",
            'e' => "expire",
            'f' => "bounce",
            'v' => continue,
            other => return Err(usage(format!("postsuper -{other} is not supported; see mailchute(8)"))),
        };
        // Postfix has no queue of failed mail: what is not listed must not be sent again or removed.
        let state = if queues.is_empty() && value == "ALL" { QUEUES.join(",") } else { queues.join(",") };
        let mut words = vec![verb];
        if !state.is_empty() {
            words.extend(["--state", &state]);
        }
        words.extend(["--", value]);
        lines.push(line(&words));
    }
    if lines.is_empty() { Err(usage("postsuper needs one of -d, -h, -H, -r, -e, -f with an id, ALL or -")) } else { Ok(lines) }
}

fn postcat(words: &[String]) -> Result<Vec<Vec<String>>, Failure> {
    let (found, ids) = options(words, "c")?;
    let has = |letter: char| found.iter().any(|(found, _)| *found == letter);
    if let Some((other, _)) = found.iter().find(|(letter, _)| !"behqv".contains(*letter)) {
        return Err(usage(format!("postcat -{other} is not supported; see mailchute(8)")));
    }
    if !has('q') || ids.is_empty() {
        return Err(usage("postcat needs -q and queue ids; use `mailchute cat --raw` to print spool files"));
    }
    let one = |id: &&str| {
        let mut lines = Vec::new();
        if has('e') || !has('b') && !has('h') {
            lines.push(line(&["show", "--", id]));
        }
        match (has('h'), has('b'), has('e')) {
            (true, false, _) => lines.push(line(&["cat", "--headers", "--", id])),
            (false, true, _) => lines.push(line(&["cat", "--body", "--", id])),
            (true, true, _) | (false, false, false) => lines.push(line(&["cat", "--", id])),
            (false, false, true) => {}
        }
        lines
    };
    Ok(ids.iter().flat_map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(call: &str) -> Result<Vec<String>, Exit> {
        let mut words = call.split(' ').map(OsString::from);
        let program = words.next().unwrap();
        let lines = translate(&program, &words.collect::<Vec<_>>()).unwrap();
        lines.map(|lines| lines.iter().map(|line| line.join(" ")).collect()).map_err(|failure| failure.exit)
    }

    #[test]
    fn section_11_postfix_commands_are_translated() {
        for (call, lines) in [
            ("postqueue -p", &["list"][..]),
            ("postqueue -v -j", &["list --json"]),
            ("postqueue -f", &["flush"]),
            ("postqueue -iAB", &["flush -- AB"]),
            ("postqueue -s x.example", &["flush --domain x.example"]),
            ("postsuper -d ALL", &["remove --state incoming,active,deferred,hold -- ALL"]),
            ("postsuper -d ALL deferred hold", &["remove --state deferred,hold -- ALL"]),
            ("postsuper -h A -H B -r C", &["hold -- A", "release -- B", "requeue -- C"]),
            ("postsuper -e - -f ALL", &["expire -- -", "bounce --state incoming,active,deferred,hold -- ALL"]),
            ("postcat -q A", &["show -- A", "cat -- A"]),
            ("postcat -bq A B", &["cat --body -- A", "cat --body -- B"]),
            ("postcat -hq A", &["cat --headers -- A"]),
            ("postcat -eq A", &["show -- A"]),
            ("postcat -bhq A", &["cat -- A"]),
        ] {
            assert_eq!(said(call).as_deref(), Ok(lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>().as_slice()), "{call}");
        }
    }

    #[test]
    fn a_failed_show_skips_its_cat_and_the_first_error_is_returned() {
        let lines = |call: &str| said(call).unwrap().iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect::<Vec<_>>();
        let mut ran = Vec::new();
        let code = each(lines("postcat -q A B"), |line| {
            ran.push(line.join(" "));
            if line.last().unwrap() == "A" { 1 } else { 0 }
        });
        assert_eq!((code, ran), (1, ["show -- A", "show -- B", "cat -- B"].map(str::to_owned).to_vec()));
        assert_eq!(each(lines("postsuper -d A -h A -r B"), |line| line.len() + usize::from(line[0] == "hold")), 3);
    }

    #[test]
    fn an_unsupported_option_is_an_error() {
        for call in [
            "postqueue x",
            "postqueue -z",
            "postqueue -c /etc/postfix -p",
            "postsuper -s",
            "postsuper -d",
            "postsuper -d ALL corrupt",
            "postcat A",
            "postcat -oq A",
            "postcat -q",
        ] {
            assert_eq!(said(call), Err(Exit::Usage), "{call}");
        }
        assert!(translate(OsStr::new("mailchute"), &[]).is_none());
    }
}
