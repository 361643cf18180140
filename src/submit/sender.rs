//! The reverse-path and the sender policy (SENDMAIL.md section 5).
//!
//! In: `-f`, the caller, the policy. Out: a reverse-path. The proof of the caller's identity is st_uid of the spool file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::caller::Caller;
use config::{Names, Params};
use exit::{Exit, Failure};
use mail::address_list::{AddressList, ListError, Spec};
use mail::{Address, ReversePath, printable};

/// S2: parses the value of `-f`: exactly one address, `''` or `<>`.
///
/// Errors: EX_USAGE, or EX_DATAERR for bytes that are not UTF-8 (P6).
pub(crate) fn parse(value: &OsStr, names: &Names) -> Result<ReversePath, Failure> {
    let text = value.as_bytes();
    let bad = |exit, why: &str| Failure::new(exit, format!("sender address `{}`: {why}", printable::bytes(text)));
    if text.is_empty() {
        return Ok(ReversePath::Null);
    }
    // The whole value must be the address: injected options need blanks, comments or display names.
    let list = AddressList::parse(text);
    let [mailbox] = list.mailboxes.as_slice() else {
        return Err(bad(Exit::Usage, "it must be exactly one address"));
    };
    let whole = mailbox.span == (0..text.len()) && mailbox.plain && !list.has_group && list.comments.is_empty();
    match &mailbox.spec {
        Err(ListError::Utf8) => Err(bad(Exit::DataErr, "not UTF-8")),
        Err(why) => Err(bad(Exit::Usage, &why.to_string())),
        Ok(_) if !whole => Err(bad(Exit::Usage, "it must be an address without blanks, names or comments")),
        Ok(Spec::Null) => Ok(ReversePath::Null),
        Ok(Spec::Full(address)) => Ok(ReversePath::Address(address.clone())),
        Ok(Spec::Bare { local, .. }) => {
            Address::new(local, &names.mailname).map(ReversePath::Address).map_err(|why| bad(Exit::Usage, &why.to_string()))
        }
    }
}

/// S1, S5: `user@mailname`.
///
/// Errors: EX_OSERR if the login name is not valid in an address.
pub(crate) fn own_address(caller: &Caller, names: &Names) -> Result<Address, Failure> {
    caller.user().own_address(names)
}

/// S3: checks that the caller may send as `sender`. Every caller who may send may use the null sender.
///
/// Errors: EX_NOPERM.
pub(crate) fn check_policy(sender: &ReversePath, own: &Address, caller: &Caller, params: &Params) -> Result<(), Failure> {
    caller.user().check_sender(sender, own, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::SenderPolicy;

    fn names() -> Names {
        Names::of(Some("m.example"), None, "host", &[]).unwrap()
    }

    fn parsed(value: &str) -> Result<String, Exit> {
        parse(OsStr::new(value), &names()).map(|path| path.to_string()).map_err(|failure| failure.exit)
    }

    #[test]
    fn s2_one_address_the_null_sender_or_a_bare_name() {
        for (value, path) in [
            ("a@x.example", "a@x.example"),
            ("<a@x.example>", "a@x.example"),
            ("", ""),
            ("<>", ""),
            ("site", "site@m.example"),
            ("\"a b\"@x.example", "\"a b\"@x.example"),
            ("o\\'neil@x.example", "o'neil@x.example"),
            ("jörg@x.example", "jörg@x.example"),
        ] {
            assert_eq!(parsed(value).as_deref(), Ok(path), "{value:?}");
        }
    }

    #[test]
    fn s2_t_arg_2_anything_beside_an_address_is_refused() {
        for value in [
            " ",
            "a@x.example ",
            " a@x.example",
            "a@x.example,",
            "a@x.example b",
            "bob@x -oQ/tmp -X/tmp/p",
            "x\" -X/tmp/p -oQ/tmp @y",
            "a@x.example,b@x.example",
            "Name <a@x.example>",
            "a@x.example (c)",
            "(c)",
            "-be",
            "-X/tmp/x",
            "=x@y@z",
            "g:;",
            "<@r.example:a@x.example>",
            "<a@x.example",
            "@",
        ] {
            assert_eq!(parsed(value), Err(Exit::Usage), "{value:?}");
        }
        let raw = OsStr::from_bytes(b"\xff@x.example");
        assert_eq!(parse(raw, &names()).map_err(|failure| failure.exit), Err(Exit::DataErr));
    }

    #[test]
    fn s1_the_own_address_is_the_login_name_or_the_uid() {
        let own = |name: &str| own_address(&Caller { uid: 7, name: name.into(), gecos: vec![] }, &names()).unwrap().to_string();
        assert_eq!(own("alice"), "alice@m.example");
        assert_eq!(own("DOMAIN\\alice"), "\"DOMAIN\\\\alice\"@m.example");
        assert_eq!(own(&"x".repeat(99)), "uid7@m.example");
    }

    #[test]
    fn s3_the_policies() {
        let caller = Caller { uid: 4_000_000, name: "alice".into(), gecos: vec![] };
        let own = own_address(&caller, &names()).unwrap();
        let foreign = ReversePath::Address(Address::parse("b@x.example").unwrap());
        let mine = ReversePath::Address(own.clone());
        let check = |policy, trusted: &[&str], sender: &ReversePath| {
            let trusted_users = trusted.iter().map(ToString::to_string).collect();
            let params = Params { sender_policy: policy, trusted_users, ..Params::default() };
            check_policy(sender, &own, &caller, &params).map_err(|failure| failure.exit)
        };
        assert_eq!(check(SenderPolicy::Any, &[], &foreign), Ok(()));
        assert_eq!(check(SenderPolicy::Own, &[], &foreign), Err(Exit::NoPerm));
        assert_eq!(check(SenderPolicy::Own, &["alice"], &foreign), Ok(()));
        assert_eq!(check(SenderPolicy::Own, &[], &mine), Ok(()));
        assert_eq!(check(SenderPolicy::Own, &[], &ReversePath::Null), Ok(()));
        assert_eq!(check(SenderPolicy::List, &[], &mine), Err(Exit::NoPerm));
        assert_eq!(check(SenderPolicy::List, &["alice"], &foreign), Ok(()));
    }
}
