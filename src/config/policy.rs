//! Who may send as whom (SENDMAIL.md S1, S3, S5). `sendmail` checks its caller; the daemon checks the peer of its submission socket,
//! which may be any program.
//!
//! In: a uid as reported by the kernel, and its name. Out: its own address, or a refusal.

use super::{Names, Params, SenderPolicy};
use exit::{Exit, Failure};
use mail::{Address, ReversePath, printable};

/// A user of this host.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// As reported by the kernel.
    pub uid: u32,
    /// The login name, or `uid1234`.
    pub name: &'a str,
}

impl User<'_> {
    /// S1, S5: `user@mailname`.
    ///
    /// Errors: EX_OSERR if the login name cannot be part of an address.
    pub fn own_address(self, names: &Names) -> Result<Address, Failure> {
        let own = Address::new(self.name, &names.mailname).or_else(|_| Address::new(&format!("uid{}", self.uid), &names.mailname));
        own.map_err(|why| Failure::new(Exit::OsErr, format!("cannot make a sender address for user {}: {why}", printable::text(self.name))))
    }

    /// True for root, and for users that the configuration trusts by name or id (SENDMAIL.md S3).
    pub fn is_trusted(self, users: &[String], groups: &[String]) -> bool {
        let is_me = |user: &String| user == self.name || user.parse() == Ok(self.uid);
        let group_id = |group: &String| group.parse().ok().or_else(|| sys::process::group_id(group));
        let is_mine = |group: &String| group_id(group).is_some_and(|gid| sys::process::is_member(self.uid, gid));
        self.uid == 0 || users.iter().any(is_me) || groups.iter().any(is_mine)
    }

    /// S3: checks whether this user, whose address is `own`, may send as `sender`. Everybody who may send may use the null sender.
    ///
    /// Errors: EX_NOPERM.
    pub fn check_sender(self, sender: &ReversePath, own: &Address, params: &Params) -> Result<(), Failure> {
        let trusted = || self.is_trusted(&params.trusted_users, &params.trusted_groups);
        let refused = |text: String| Err(Failure::new(Exit::NoPerm, text));
        match (params.sender_policy, sender) {
            (SenderPolicy::Any, _) | (SenderPolicy::Own, ReversePath::Null) => Ok(()),
            (SenderPolicy::Own, ReversePath::Address(address)) if address == own || trusted() => Ok(()),
            (SenderPolicy::List, _) if trusted() => Ok(()),
            (SenderPolicy::Own, _) => refused(format!(
                "sender `{sender}` is not yours: sender_policy = \"own\" lets you send as {own}; ask to be one of trusted_users"
            )),
            (SenderPolicy::List, _) => {
                refused("you may not send mail: sender_policy = \"list\"; ask to be one of trusted_users or trusted_groups".to_owned())
            }
        }
    }
}
