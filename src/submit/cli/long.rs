//! The options of `-o` and `-O`: Sendmail's configuration on the command line. A few are honoured. Options that could choose a file or
//! an identity are refused, in every abbreviation. The others are ignored.

/// The meaning of a letter after `-o` or a name after `-O`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// `-oe`, ErrorMode
    ErrorMode,
    /// `-oi`, IgnoreDots
    IgnoreDots,
    /// `-od`, DeliveryMode
    DeliveryMode,
    /// `-ov`, Verbose
    Verbose,
    /// RFC 2852
    DeliverBy,
    /// No attempt before a time.
    HoldUntil,
    /// RFC 6710
    Priority,
    /// `-oA`, AliasFile: refused, except for root with `-bi`.
    AliasFile,
    /// Class X.
    Refused,
    /// Accepted without effect.
    Ignored,
    /// An abbreviation of more than one honoured name.
    Ambiguous,
}

/// The honoured names.
const HONOURED: &[(&str, Meaning)] = &[
    ("ErrorMode", Meaning::ErrorMode),
    ("IgnoreDots", Meaning::IgnoreDots),
    ("DeliveryMode", Meaning::DeliveryMode),
    ("Verbose", Meaning::Verbose),
    ("DeliverBy", Meaning::DeliverBy),
    ("HoldUntil", Meaning::HoldUntil),
    ("Priority", Meaning::Priority),
];

/// Sendmail's names that take a path or an identity.
const REFUSED: &[&str] = &[
    "QueueDirectory",
    "AliasFile",
    "HelpFile",
    "StatusFile",
    "ErrorHeader",
    "ForwardPath",
    "PidFile",
    "ControlSocketName",
    "HostStatusDirectory",
    "HostsFile",
    "ServiceSwitchFile",
    "SafeFileEnvironment",
    "DeadLetterDrop",
    "RunAsUser",
    "DefaultUser",
    "TrustedUser",
    "UserDatabaseSpec",
    "DontBlameSendmail",
    "DaemonPortOptions",
    "ClientPortOptions",
    "FallbackMXhost",
    "FallbackSmartHost",
    "CACertFile",
    "CACertPath",
    "ServerCertFile",
    "ServerKeyFile",
    "ClientCertFile",
    "ClientKeyFile",
    "CRLFile",
    "CRLPath",
    "DHParameters",
    "RandFile",
    "DefaultAuthInfo",
];

/// Suffixes of names that take a path, for names added by later Sendmail versions.
const REFUSED_ENDINGS: &[&str] = &["CertFile", "KeyFile", "Path"];

/// The meaning of a name after `-O`. Like Sendmail, it ignores case and accepts unambiguous abbreviations. An abbreviation of a refused
/// name is refused.
pub(crate) fn of_name(name: &str) -> Meaning {
    if let Some((_, meaning)) = HONOURED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return *meaning;
    }
    let abbreviates = |known: &str| known.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    let ends_like = |ending: &&str| {
        let start = name.len().checked_sub(ending.len());
        start.and_then(|start| name.get(start..)).is_some_and(|tail| tail.eq_ignore_ascii_case(ending))
    };
    if REFUSED.iter().any(|known| abbreviates(known)) || REFUSED_ENDINGS.iter().any(ends_like) {
        let alias_file = "AliasFile".eq_ignore_ascii_case(name);
        return if alias_file { Meaning::AliasFile } else { Meaning::Refused };
    }
    let mut candidates = HONOURED.iter().filter(|(known, _)| abbreviates(known));
    match (candidates.next(), candidates.next()) {
        (Some((_, meaning)), None) => *meaning,
        (Some(_), Some(_)) => Meaning::Ambiguous,
        (None, _) => Meaning::Ignored,
    }
}

/// The meaning of a letter after `-o`.
pub(crate) fn of_letter(letter: u8) -> Meaning {
    match letter {
        b'i' => Meaning::IgnoreDots,
        b'e' => Meaning::ErrorMode,
        b'd' => Meaning::DeliveryMode,
        b'v' => Meaning::Verbose,
        b'A' => Meaning::AliasFile,
        b'E' | b'H' | b'J' | b'M' | b'O' | b'P' | b'Q' | b'S' | b'U' | b'u' | b'g' | b'V' | b'X' => Meaning::Refused,
        _ => Meaning::Ignored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_o_has_four_letters_with_an_effect_and_fourteen_that_are_refused() {
        let of = |meaning| (0..=u8::MAX).filter(|letter| of_letter(*letter) == meaning).map(char::from).collect::<String>();
        let honoured = [Meaning::IgnoreDots, Meaning::ErrorMode, Meaning::DeliveryMode, Meaning::Verbose, Meaning::AliasFile].map(of);
        assert_eq!(honoured, ["i", "e", "d", "v", "A"]);
        assert_eq!(of(Meaning::Refused), "EHJMOPQSUVXgu");
    }

    #[test]
    fn t_arg_1_a_name_that_takes_a_path_is_refused_in_every_abbreviation() {
        for name in REFUSED {
            for length in 1..=name.len() {
                let short = &name[..length];
                for form in [short.to_owned(), short.to_lowercase(), short.to_uppercase()] {
                    let meaning = of_name(&form);
                    assert!(matches!(meaning, Meaning::Refused | Meaning::AliasFile), "{form} is {meaning:?}");
                }
            }
        }
        for name in ["XyzCertFile", "someKeyFile", "AnyPath", "Q", "queuedir"] {
            assert_eq!(of_name(name), Meaning::Refused, "{name}");
        }
    }

    #[test]
    fn honoured_names_are_taken_in_any_case_and_unique_abbreviation() {
        for (name, meaning) in [
            ("ErrorMode", Meaning::ErrorMode),
            ("errormode", Meaning::ErrorMode),
            ("ErrorM", Meaning::ErrorMode),
            ("Error", Meaning::Refused),
            ("ig", Meaning::IgnoreDots),
            ("Deliver", Meaning::Ambiguous),
            ("DeliverB", Meaning::DeliverBy),
            ("DeliveryMode", Meaning::DeliveryMode),
            ("Verb", Meaning::Verbose),
            ("Priority", Meaning::Priority),
            ("QueueLA", Meaning::Ignored),
            ("Timeout.queuereturn", Meaning::Ignored),
            ("MaxHopCount", Meaning::Ignored),
        ] {
            assert_eq!(of_name(name), meaning, "{name}");
        }
    }
}
