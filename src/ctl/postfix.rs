//! Postfix's names for the verbs, for hosts whose scripts know `postqueue`, `postsuper` and `postcat`: links to `mailchute`, which an
//! administrator may make and an installation does not.
//!
//! In: the words of such a call. Out: the same in the words of `mailchute`, one command line for each thing to do. Pure. What Postfix
//! does and `mailchute` has no word for is refused, never passed over.

use std::ffi::{OsStr, OsString};

use exit::{Exit, Failure};

/// The queues of Postfix that can follow the ids of postsuper.
const QUEUES: [&str; 4] = ["incoming", "active", "deferred", "hold"];

/// The command lines that `words` mean, without the program's name; `None` where the program has none of Postfix's names.
///
/// Errors: EX_USAGE for an option that is not served.
pub(super) fn translate(program: &OsStr, words: &[OsString]) -> Option<Result<Vec<Vec<String>>, Failure>> {
    let translate = match program.to_str()? {
        "postqueue" => postqueue,
        "postsuper" => postsuper,
        "postcat" => postcat,
        _ => return None,
    };
    let words: Option<Vec<String>> = words.iter().map(|word| word.to_str().map(str::to_owned)).collect();
    Some(words.ok_or_else(|| usage("an argument is not UTF-8")).and_then(|words| translate(&words)))
}

/// Runs each line with `run`, whatever became of the one before; the first failure counts. A message that could not be shown is not
/// asked for again by the line that would print the rest of it: that could only say the same.
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

/// The letters of the options with their values, and the other words.
type Options<'a> = (Vec<(char, &'a str)>, Vec<&'a str>);

/// The options in `words`. `valued` are the letters that take a value.
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
        return Err(usage("postqueue takes options alone: -p, -j, -f, -i ID, -s DOMAIN"));
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
            other => return Err(usage(format!("postqueue -{other} is not served; see mailchute(8)"))),
        }
    }
    if lines.is_empty() { Err(usage("postqueue: one of -p, -j, -f, -i ID, -s DOMAIN")) } else { Ok(lines) }
}

fn postsuper(words: &[String]) -> Result<Vec<Vec<String>>, Failure> {
    let (found, queues) = options(words, "cdhHref")?;
    if let Some(unknown) = queues.iter().find(|queue| !QUEUES.contains(queue)) {
        return Err(usage(format!("{}: not one of {}", mail::printable::text(unknown), QUEUES.join(", "))));
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
            other => return Err(usage(format!("postsuper -{other} is not served; see mailchute(8)"))),
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
    if lines.is_empty() { Err(usage("postsuper: one of -d, -h, -H, -r, -e, -f with an id, ALL or -")) } else { Ok(lines) }
}

fn postcat(words: &[String]) -> Result<Vec<Vec<String>>, Failure> {
    let (found, ids) = options(words, "c")?;
    let has = |letter: char| found.iter().any(|(found, _)| *found == letter);
    if let Some((other, _)) = found.iter().find(|(letter, _)| !"behqv".contains(*letter)) {
        return Err(usage(format!("postcat -{other} is not served; see mailchute(8)")));
    }
    if !has('q') || ids.is_empty() {
        return Err(usage("postcat: -q with queue ids; files are read with `mailchute cat --raw`"));
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
    fn section_11_the_calls_of_postfix_mean_the_verbs() {
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
    fn what_cannot_be_shown_is_told_once_and_the_first_failure_counts() {
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
    fn what_is_not_served_is_refused_and_never_passed_over() {
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
