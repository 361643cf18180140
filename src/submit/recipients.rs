//! Recipients: turns operands and header fields into forward-paths (SENDMAIL.md section 3).
//!
//! In: the operands and the header section. Out: at least one [`Recipient`], without duplicates, or an error line with every malformed
//! address (R5). Pure, except that the given resolver may read the alias file.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::head::Head;
use config::TArguments;
use exit::{Exit, Failure};
use mail::address::AddressError;
use mail::address_list::{AddressList, ListError, Mailbox, Spec};
use mail::envelope::{Notify, Recipient};
use mail::{Address, printable};

/// Maximum characters shown of a malformed address.
const SHOWN: usize = 80;
/// Maximum malformed addresses shown; a header section can have 250,000.
const LISTED: usize = 20;

/// An address as given: not yet qualified or expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A name without a domain.
    Bare(String),
    /// A whole address.
    Full(Address),
}

/// Collects valid and malformed recipients.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// Valid recipients, in the given order.
    pub wanted: Vec<Wanted>,
    offenders: Vec<String>,
    /// The number of malformed addresses that are not shown.
    unlisted: usize,
}

impl Wish {
    /// R1: each operand is an address list.
    pub(crate) fn of_operands(operands: &[OsString]) -> Wish {
        let mut wish = Wish::default();
        for operand in operands {
            let text = operand.as_bytes();
            let list = AddressList::parse(text);
            if list.mailboxes.is_empty() && !list.has_group {
                wish.refuse(text, &ListError::Address(AddressError::Empty));
            }
            wish.add(text, &list);
        }
        wish
    }

    /// R2: the recipients in a header section.
    pub(crate) fn of_head(head: &Head) -> Wish {
        let mut wish = Wish::default();
        let names = if head.is_resent() { &["Resent-To", "Resent-Cc", "Resent-Bcc"] } else { &["To", "Cc", "Bcc"] };
        for field in head.named(names) {
            if let Some(list) = &field.list {
                wish.add(field.at.value_in(head.bytes), list);
            }
        }
        wish
    }

    fn add(&mut self, text: &[u8], list: &AddressList) {
        for Mailbox { span, spec, .. } in &list.mailboxes {
            match spec {
                Ok(Spec::Full(address)) => self.wanted.push(Wanted::Full(address.clone())),
                Ok(Spec::Bare { local, .. }) => self.wanted.push(Wanted::Bare(local.clone())),
                Ok(Spec::Null) => self.refuse(text.get(span.clone()).unwrap_or_default(), &ListError::Address(AddressError::Empty)),
                Err(why) => self.refuse(text.get(span.clone()).unwrap_or_default(), why),
            }
        }
    }

    fn refuse(&mut self, text: &[u8], why: &ListError) {
        if self.offenders.len() >= LISTED {
            self.unlisted += 1;
            return;
        }
        let text = printable::bytes(text);
        let mut short: String = text.chars().take(SHOWN).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        self.offenders.push(format!("`{short}` ({why})"));
    }

    /// R5.
    ///
    /// Errors: EX_DATAERR with the malformed addresses, and the number of those not shown.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.offenders.is_empty() {
            return Ok(());
        }
        let plural = if self.offenders.len() == 1 { "" } else { "es" };
        let more = if self.unlisted == 0 { String::new() } else { format!(", and {} more", self.unlisted) };
        let text = format!("malformed recipient address{plural}, so nothing was sent: {}{more}", self.offenders.join(", "));
        Err(Failure::new(Exit::DataErr, text))
    }
}

/// R2, R3, R8: the requested recipients. `head` is given with `-t`.
///
/// Errors: EX_DATAERR for malformed addresses, EX_USAGE without any address.
pub(crate) fn wanted(operands: &[OsString], head: Option<&Head>, t_arguments: TArguments) -> Result<Vec<Wanted>, Failure> {
    let mut wish = Wish::of_operands(operands);
    if let Some(head) = head {
        let from_head = Wish::of_head(head);
        wish.offenders.extend(from_head.offenders);
        wish.unlisted += from_head.unlisted;
        wish.wanted = match t_arguments {
            TArguments::Add => wish.wanted.into_iter().chain(from_head.wanted).collect(),
            TArguments::Remove => {
                let removed = wish.wanted;
                from_head.wanted.into_iter().filter(|wanted| !removed.contains(wanted)).collect()
            }
        };
    }
    wish.check()?;
    if wish.wanted.is_empty() {
        let text = match head {
            Some(_) => "No recipient addresses found in message header",
            None => "Recipient addresses must be specified on the command line or via the -t option",
        };
        return Err(Failure::new(Exit::Usage, text));
    }
    Ok(wish.wanted)
}

/// A resolved address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// The address itself, perhaps qualified.
    Address(Address),
    /// The addresses of an alias or `admin_address`; empty if the mail is discarded.
    Expanded(Vec<Address>),
}

/// Resolves the requested recipients into envelope recipients, without duplicates (R7), each with `-N`.
///
/// Errors: those of `known`; EX_DATAERR for more than `limit`.
pub(crate) fn resolve(
    wanted: &[Wanted],
    notify: Option<Notify>,
    limit: usize,
    mut known: impl FnMut(&Wanted) -> Result<Resolved, Failure>,
) -> Result<Vec<Recipient>, Failure> {
    let mut seen = BTreeSet::new();
    let mut recipients: Vec<Recipient> = Vec::new();
    for wanted in wanted {
        let (addresses, original) = match known(wanted)? {
            Resolved::Address(address) => (vec![address], None),
            Resolved::Expanded(addresses) => (addresses, Some(wanted.to_string())),
        };
        for address in addresses {
            if seen.insert((address.domain().to_ascii_lowercase(), address.local().to_owned())) {
                recipients.push(Recipient { original: original.clone(), notify, ..Recipient::new(address) });
            }
        }
        if recipients.len() > limit {
            return Err(Failure::new(Exit::DataErr, format!("too many recipients: more than {limit}")));
        }
    }
    Ok(recipients)
}

impl std::fmt::Display for Wanted {
    /// What the caller wrote, in canonical form.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wanted::Bare(name) => f.write_str(name),
            Wanted::Full(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Collector;

    fn names(operands: &[&str], header: Option<&str>, t_arguments: TArguments) -> Result<Vec<String>, Failure> {
        let mut collector = Collector::default();
        for line in header.unwrap_or_default().split_inclusive('\n') {
            collector.feed(line.trim_end_matches('\n').as_bytes())?;
            collector.feed(b"\r\n")?;
        }
        let collected = collector.finish();
        let head = collected.head();
        let operands: Vec<OsString> = operands.iter().map(OsString::from).collect();
        Ok(wanted(&operands, header.map(|_| &head), t_arguments)?.iter().map(ToString::to_string).collect())
    }

    fn listed(operands: &[&str], header: Option<&str>) -> String {
        match names(operands, header, TArguments::Add) {
            Ok(names) => names.join(" "),
            Err(failure) => format!("{}: {}", failure.exit.code(), failure.text),
        }
    }

    #[test]
    fn r1_operands_are_address_lists() {
        assert_eq!(listed(&["a@x.example,b", "Name <c@x.example>", "g: d;"], None), "a@x.example b c@x.example d");
    }

    #[test]
    fn r2_recipient_fields_and_resent_fields_instead() {
        let plain = "To: a\nCc: b\nBCC : c\nApparently-To: d\nX-To: e\n";
        assert_eq!(listed(&[], Some(plain)), "a b c");
        assert_eq!(listed(&[], Some(&format!("{plain}Resent-Cc: f\nResent-From: g\n"))), "f");
        assert_eq!(listed(&[], Some("To: a\nResent-From: g\n")), "a");
        assert_eq!(listed(&[], Some("To: a,\n b\n\nBcc: body@x\n")), "a b");
    }

    #[test]
    fn r3_operands_are_added_or_taken_away() {
        assert_eq!(listed(&["a", "z"], Some("To: a, b\n")), "a z a b");
        assert_eq!(names(&["a"], Some("To: a, b\n"), TArguments::Remove).ok(), Some(vec!["b".to_owned()]));
    }

    #[test]
    fn r5_every_malformed_address_is_listed_and_nothing_is_sent() {
        assert_eq!(
            listed(&["a b", "good@x.example", ""], Some("To: <>, ok\n")),
            "65: malformed recipient addresses, so nothing was sent: `a b` (several words instead of one address; is a comma or a quote missing?), \
             `` (empty address), `<>` (empty address)"
        );
        assert!(listed(&["(only a comment)"], None).starts_with("65:"));
        let many = listed(&[&"a b,".repeat(100_000)], None);
        assert!(many.ends_with("), and 99980 more") && many.len() < 4000, "{many}");
        assert!(listed(&["-foo"], None).starts_with("65:"));
    }

    #[test]
    fn r8_no_recipients() {
        assert_eq!(listed(&[], None), "64: Recipient addresses must be specified on the command line or via the -t option");
        for header in ["Subject: x\n", "", "To: g:;\n", "\nTo: a\n"] {
            assert_eq!(listed(&[], Some(header)), "64: No recipient addresses found in message header", "{header:?}");
        }
    }

    #[test]
    fn r7_each_address_once_and_not_too_many() {
        let wanted: Vec<Wanted> =
            ["a@x.example", "A@x.example", "a@X.EXAMPLE"].map(|text| Wanted::Full(Address::parse(text).unwrap())).to_vec();
        let known = |wanted: &Wanted| match wanted {
            Wanted::Full(address) => Ok(Resolved::Address(address.clone())),
            Wanted::Bare(_) => unreachable!(),
        };
        let found = super::resolve(&wanted, Some(Notify::NEVER), 2, known).unwrap();
        assert_eq!(found.iter().map(|r| r.address.to_string()).collect::<Vec<_>>(), ["a@x.example", "A@x.example"]);
        assert!(found.iter().all(|recipient| recipient.notify == Some(Notify::NEVER) && recipient.original.is_none()));
        assert_eq!(super::resolve(&wanted, None, 1, known).unwrap_err().exit, Exit::DataErr);
    }
}
