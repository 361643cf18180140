//! Parses argv into a [`Call`] with clap and the option table. Options apply in the given order.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::builder::OsStringValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Deserialize;
use serde::de::value::StrDeserializer;

use super::call::{Call, Flush, FlushField, Mode, When};
use super::long::{self, Meaning};
use super::options::{Class, OPTIONS, Opt, Value};
use super::refusal::Refusal;
use config::Span;
use mail::envelope::{Notify, Ret};
use mail::{date, limits, printable};

const OPERANDS: &str = "operands";

/// Parses `argv`. `argv[0]` decides the default mode (P1). `root` is true for real uid 0.
///
/// Errors: [`Refusal`], with EX_USAGE in every case.
pub fn parse(argv: &[OsString], root: bool) -> Result<Call, Refusal> {
    let (name, words) = argv.split_first().map_or((OsStr::new(""), argv), |(name, words)| (name.as_os_str(), words));
    let mut call = Call::new(personality(name));
    match words {
        [word] if word == "--help" => return Ok(Call::new(Mode::Help)),
        [word] if word == "--version" => return Ok(Call::new(Mode::Version)),
        _ => {}
    }
    let result = given(words).and_then(|given| fill(&mut call, given, root));
    match result {
        Ok(()) => Ok(call),
        Err(refusal) => Err(Refusal { quiet: call.quiet_errors, reads_stdin: call.mode.reads_stdin(), ..refusal }),
    }
}

/// P1. An empty or missing `argv[0]` is `sendmail`.
fn personality(name: &OsStr) -> Mode {
    match name.as_bytes().rsplit(|&b| b == b'/').next() {
        Some(b"mailq") => Mode::List,
        Some(b"newaliases") => Mode::Aliases,
        Some(b"runq") => Mode::Flush(Flush::All),
        _ => Mode::Inject,
    }
}

/// The result of clap: options in the given order, then the operands.
struct Given {
    options: Vec<(&'static Opt, OsString)>,
    operands: Vec<OsString>,
}

fn given(words: &[OsString]) -> Result<Given, Refusal> {
    let matches = command().try_get_matches_from(normalised(words)).map_err(|e| Refusal::usage(usage_text(words, &e)))?;
    let mut found: Vec<(usize, &'static Opt, OsString)> = Vec::new();
    for option in OPTIONS.iter().filter(|option| matches.value_source(option.letter) == Some(ValueSource::CommandLine)) {
        let indices = matches.indices_of(option.letter).into_iter().flatten();
        match option.value {
            Value::None => found.extend(indices.last().map(|index| (index, option, OsString::new()))),
            _ => found.extend(indices.zip(values(&matches, option.letter)).map(|(index, value)| (index, option, value))),
        }
    }
    found.sort_by_key(|(index, ..)| *index);
    let options = found.into_iter().map(|(_, option, value)| (option, value)).collect();
    Ok(Given { options, operands: values(&matches, OPERANDS).collect() })
}

fn values<'a>(matches: &'a ArgMatches, id: &str) -> impl Iterator<Item = OsString> + 'a {
    matches.get_many::<OsString>(id).into_iter().flatten().cloned()
}

/// P9: the clap command. Options end at the first operand.
fn command() -> Command {
    let option = |option: &Opt| {
        let arg = Arg::new(option.letter).short(option.letter.chars().next());
        match option.value {
            Value::None => arg.action(ArgAction::Count),
            _ => arg.num_args(1).allow_hyphen_values(true).value_parser(OsStringValueParser::new()).action(ArgAction::Append),
        }
    };
    let operands = Arg::new(OPERANDS).num_args(0..).trailing_var_arg(true).value_parser(OsStringValueParser::new());
    Command::new("sendmail")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .args(OPTIONS.iter().map(option))
        .arg(operands.action(ArgAction::Append))
}

/// Adapts two rules of getopt for clap: an option with an attached value takes no next word (`-q` becomes `-q=`), and a `=` after the
/// letter belongs to the value (`-f=x` becomes `-f==x`).
fn normalised(words: &[OsString]) -> Vec<OsString> {
    let mut out = Vec::with_capacity(words.len());
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let Some(bundle) = word.as_bytes().strip_prefix(b"-").filter(|bundle| !bundle.is_empty() && !bundle.starts_with(b"-")) else {
            out.push(word.clone());
            break;
        };
        match bundle.iter().position(|&letter| option(letter).is_none_or(|option| option.value != Value::None)) {
            Some(at) => {
                let (head, value) = word.as_bytes().split_at(at + 2);
                let kind = bundle.get(at).and_then(|&letter| option(letter)).map(|option| option.value);
                let equals: &[u8] = match kind {
                    Some(Value::Attached) if value.is_empty() => b"=",
                    Some(_) if value.starts_with(b"=") => b"=",
                    _ => b"",
                };
                out.push(OsString::from_vec([head, equals, value].concat()));
                if kind == Some(Value::Required) && value.is_empty() {
                    out.extend(rest.next().cloned());
                }
            }
            None => out.push(word.clone()),
        }
    }
    out.extend(rest.cloned());
    out
}

fn option(letter: u8) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.letter.as_bytes() == [letter])
}

/// The error line for a command line that clap refused. clap's own text mentions options that `sendmail` does not have.
fn usage_text(words: &[OsString], error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let what = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => printable::text(text.split(' ').next().unwrap_or_default()),
        _ => String::new(),
    };
    let names_help = words.iter().any(|word| word == "--help" || word == "--version");
    match error.kind() {
        ErrorKind::UnknownArgument if names_help => "--help and --version must be the only argument".to_owned(),
        ErrorKind::UnknownArgument => format!("unknown option {what}; see sendmail(8)"),
        ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => {
            format!("option {what} requires a value; see sendmail(8)")
        }
        _ => "the command line cannot be parsed; see sendmail(8)".to_owned(),
    }
}

/// Fills `call` from the options, where the last of each kind wins (P5), then from the operands; then checks P7.
fn fill(call: &mut Call, given: Given, root: bool) -> Result<(), Refusal> {
    for (option, value) in given.options {
        apply(call, option, &value, root)?;
    }
    if call.alias_file.is_some() && !(root && call.mode == Mode::Aliases) {
        return Err(Refusal::injection("-oA"));
    }
    if let Some(operand) = given.operands.iter().find(|operand| has_controls(operand)) {
        return Err(Refusal::value(format!("operand {} contains a control character", shown(operand))));
    }
    call.operands = given.operands;
    // Programs use `-d0.1` to ask for the version. With a message it is a debug level, which is ignored: exit 0 must mean accepted.
    if call.asks_version && call.mode == Mode::Inject && !call.from_header && call.operands.is_empty() {
        call.mode = Mode::Version;
    }
    check_conflicts(call)
}

/// P7.
fn check_conflicts(call: &Call) -> Result<(), Refusal> {
    let name = match call.mode {
        Mode::Inject | Mode::Help | Mode::Version | Mode::Daemon => return json_only_lists(call),
        Mode::List => "-bp",
        Mode::Count => "-bP",
        Mode::Aliases => "-bi",
        Mode::Flush(_) | Mode::Nothing => "-q",
        Mode::Smtp => "-bs",
        Mode::Verify => "-bv",
    };
    if call.from_header {
        return Err(Refusal::value(format!("-t cannot be used with {name}")));
    }
    if let Some(operand) = call.operands.first().filter(|_| call.mode != Mode::Verify) {
        return Err(Refusal::value(format!("{name} takes no operands, but {} was given", shown(operand))));
    }
    json_only_lists(call)
}

fn json_only_lists(call: &Call) -> Result<(), Refusal> {
    if call.json && call.mode != Mode::List { Err(Refusal::value("-j can be used only with -bp")) } else { Ok(()) }
}

fn apply(call: &mut Call, option: &'static Opt, value: &OsStr, root: bool) -> Result<(), Refusal> {
    match option.class {
        // The only exception of class X. The file is checked when it is opened.
        Class::Refuse if option.letter == "C" && root => {}
        Class::Refuse => return Err(Refusal::injection(&format!("-{}", option.letter))),
        Class::Unsupported => {
            return Err(Refusal::usage(format!("option -{} is not supported; see sendmail(8) and mailchute(8)", option.letter)));
        }
        _ => {}
    }
    if option.letter == "F" {
        call.full_name = Some(value.as_bytes().iter().map(|&b| if b.is_ascii_control() { b' ' } else { b }).collect());
        return Ok(());
    }
    if has_controls(value) {
        return Err(Refusal::value(format!("the value of -{} contains a control character", option.letter)));
    }
    match option.letter {
        "t" => call.from_header = true,
        "i" => call.ignore_dots = true,
        "v" => call.verbose = true,
        "j" => call.json = true,
        "I" => call.mode = Mode::Aliases,
        "f" | "r" => {
            call.sender_repeated |= call.sender.as_deref().is_some_and(|sender| sender != value);
            call.sender = Some(value.to_owned());
        }
        "C" => call.config_file = Some(value.to_owned()),
        "o" => return apply_short(call, value),
        "O" => return apply_long(call, value),
        letter => return apply_text(call, letter, text_of(letter, value)?),
    }
    Ok(())
}

/// Applies the options whose values are text.
fn apply_text(call: &mut Call, letter: &str, value: &str) -> Result<(), Refusal> {
    match letter {
        "B" if value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME") => {}
        "B" => return Err(Refusal::value(format!("-B takes 7BIT or 8BITMIME, not {}", shown(value)))),
        "b" => call.mode = mode(value)?,
        "d" => call.asks_version = value == "0" || value.starts_with("0."),
        "e" => return set_error_mode(call, value),
        "h" if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(Refusal::value(format!("-h takes a number, not {}", shown(value))));
        }
        "N" => {
            let notify = Notify::parse(value);
            let problem = || Refusal::value(format!("-N takes never, or a comma list of success, failure and delay, not {}", shown(value)));
            call.notify = Some(notify.ok_or_else(problem)?);
        }
        "q" => call.mode = flush(value)?,
        "R" if value.eq_ignore_ascii_case("full") => call.ret = Some(Ret::Full),
        "R" if value.eq_ignore_ascii_case("hdrs") => call.ret = Some(Ret::Hdrs),
        "R" => {
            return Err(Refusal::value(format!(
                "-R takes full or hdrs, not {}; to retry mail for one recipient, use mailchute(8)",
                shown(value)
            )));
        }
        "V" if value.is_empty() || value.len() > limits::ENVID || !value.is_ascii() => {
            return Err(Refusal::value("-V takes up to 100 printable ASCII characters"));
        }
        "V" => call.envid = Some(value.to_owned()),
        // Class I.
        _ => {}
    }
    Ok(())
}

fn mode(value: &str) -> Result<Mode, Refusal> {
    match value {
        "m" => Ok(Mode::Inject),
        "p" => Ok(Mode::List),
        "P" => Ok(Mode::Count),
        "s" => Ok(Mode::Smtp),
        "v" => Ok(Mode::Verify),
        "i" => Ok(Mode::Aliases),
        "h" | "H" => Ok(Mode::Nothing),
        "d" | "D" | "l" => Ok(Mode::Daemon),
        other => Err(Refusal::value(format!("-b{} is not supported; see sendmail(8)", printable::text(other)))),
    }
}

/// Section 7.
fn flush(value: &str) -> Result<Mode, Refusal> {
    if matches!(value, "" | "0" | "f") {
        return Ok(Mode::Flush(Flush::All));
    }
    if value == "p" || is_interval(value.strip_prefix('p').unwrap_or(value)) {
        return Ok(Mode::Nothing);
    }
    let (negated, selector) = value.strip_prefix('!').map_or((false, value), |selector| (true, selector));
    let matching = |field, text: &str| Flush::Matching { field, negated, text: text.to_owned() };
    let flush = match selector.split_at_checked(1) {
        Some(("I", text)) if !text.is_empty() => matching(FlushField::Id, text),
        Some(("R", text)) if !text.is_empty() => matching(FlushField::Recipient, text),
        Some(("S", text)) if !text.is_empty() => matching(FlushField::Sender, text),
        _ => return Err(Refusal::value(format!("-q{} is not supported; see sendmail(8) and mailchute(8)", printable::text(value)))),
    };
    Ok(Mode::Flush(flush))
}

/// True for Sendmail's time between queue runs: `30m`, `1h30m`, `90`.
fn is_interval(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = text.split_inclusive(|c: char| !c.is_ascii_digit()).peekable();
    parts.peek().is_some() && parts.all(|part| digits(part.strip_suffix(['s', 'm', 'h', 'd', 'w']).unwrap_or(part)))
}

/// `-o`: a letter and its value.
fn apply_short(call: &mut Call, value: &OsStr) -> Result<(), Refusal> {
    let Some((&letter, rest)) = value.as_bytes().split_first() else {
        return Err(Refusal::value("-o needs a letter"));
    };
    let shown = format!("-o{}", char::from(letter).escape_default());
    apply_meaning(call, long::of_letter(letter), &shown, OsStr::from_bytes(rest))
}

/// `-O name=value`.
fn apply_long(call: &mut Call, value: &OsStr) -> Result<(), Refusal> {
    let bytes = value.as_bytes();
    let equals = bytes.iter().position(|&b| b == b'=').unwrap_or(bytes.len());
    let name = String::from_utf8_lossy(bytes.get(..equals).unwrap_or_default());
    let shown = format!("-O {}", printable::text(name.trim()));
    apply_meaning(call, long::of_name(name.trim()), &shown, OsStr::from_bytes(bytes.get(equals + 1..).unwrap_or_default()))
}

fn apply_meaning(call: &mut Call, meaning: Meaning, name: &str, value: &OsStr) -> Result<(), Refusal> {
    if meaning == Meaning::AliasFile {
        call.alias_file = Some(value.to_owned());
        return Ok(());
    }
    if meaning == Meaning::Refused {
        return Err(Refusal::injection(name));
    }
    if meaning == Meaning::Ignored {
        return Ok(());
    }
    let value = text_of(name, value)?;
    let problem = |takes: &str| Refusal::value(format!("{name} takes {takes}, not {}", shown(value)));
    match meaning {
        Meaning::ErrorMode => return set_error_mode(call, value),
        Meaning::IgnoreDots => call.ignore_dots = is_true(value),
        Meaning::Verbose => call.verbose = is_true(value),
        // All modes queue the message. The daemon watches the directory, so `q` and `d` have no effect.
        Meaning::DeliveryMode if value.is_empty() || value.starts_with(['b', 'i', 'q', 'd']) => {}
        Meaning::DeliveryMode => return Err(problem("b, i, q or d")),
        Meaning::DeliverBy => call.deliver_by = Some(when(value).ok_or_else(|| problem("a time such as 2h, or RFC 3339"))?),
        Meaning::HoldUntil => call.hold_until = Some(when(value).ok_or_else(|| problem("a time such as 2h, or RFC 3339"))?),
        Meaning::Priority => {
            let number = value.parse::<i8>().ok().filter(|number| (-9..=9).contains(number));
            call.priority = Some(number.ok_or_else(|| problem("a number from -9 to 9"))?);
        }
        _ => return Err(Refusal::value(format!("{name} is ambiguous"))),
    }
    Ok(())
}

/// Section 6: only `q` has an effect.
fn set_error_mode(call: &mut Call, value: &str) -> Result<(), Refusal> {
    match value.as_bytes().first() {
        Some(b'q') => call.quiet_errors = true,
        Some(b'e' | b'm' | b'p' | b'w') => call.quiet_errors = false,
        _ => return Err(Refusal::value(format!("-e takes e, m, p, q or w, not {}", shown(value)))),
    }
    Ok(())
}

/// Sendmail's booleans: an empty value, `t…`, `T…`, `y…`, `Y…` are true.
fn is_true(value: &str) -> bool {
    value.is_empty() || value.starts_with(['t', 'T', 'y', 'Y'])
}

/// A duration of up to ten years, so that no date overflows, or an absolute time.
fn when(value: &str) -> Option<When> {
    const LONGEST: u64 = 10 * 365 * 86_400;
    let span = Span::deserialize(StrDeserializer::<serde::de::value::Error>::new(value)).ok();
    match span {
        Some(span) => {
            Some(span.0.as_secs()).filter(|&seconds| seconds <= LONGEST).and_then(|seconds| i64::try_from(seconds).ok()).map(When::In)
        }
        None => date::parse_rfc3339(value).map(When::At),
    }
}

fn text_of<'a>(name: &str, value: &'a OsStr) -> Result<&'a str, Refusal> {
    value.to_str().ok_or_else(|| Refusal::value(format!("the value of {} is not UTF-8", name.trim_start_matches('-'))))
}

/// P6.
fn has_controls(value: &OsStr) -> bool {
    value.as_bytes().iter().any(u8::is_ascii_control)
}

/// An untrusted value for an error line: printable and truncated.
fn shown(value: impl AsRef<OsStr>) -> String {
    let text = printable::bytes(value.as_ref().as_bytes());
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("`{short}…`") } else { format!("`{short}`") }
}
