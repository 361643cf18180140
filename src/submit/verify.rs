//! `-bv` verifies addresses; `newaliases` checks the alias file. Nothing is sent.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::aliases::{self, Aliases};
use super::local::{Resolver, Unresolved};
use super::query;
use super::recipients::{Resolved, Wanted};
use config::{Config, Names};
use exit::{Exit, Failure};
use mail::address::AddressError;
use mail::address_list::{AddressList, Spec};
use mail::{Address, printable};

/// `-bv`: prints one line per address to `out`. Exit code 67 if one of them is undeliverable.
///
/// Errors: EX_CONFIG; EX_IOERR if `out` is closed.
pub(crate) fn addresses(operands: &[OsString], config: &Config, names: &Names, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut verdict = Exit::Ok;
    let mut resolver = Resolver::new(config, names);
    for operand in operands {
        let text = operand.as_bytes();
        let list = AddressList::parse(text);
        if list.mailboxes.is_empty() && !list.has_group {
            verdict = Exit::NoUser;
            write_line(out, &printable::bytes(text), &AddressError::Empty.to_string())?;
        }
        for mailbox in &list.mailboxes {
            let shown = printable::bytes(text.get(mailbox.span.clone()).unwrap_or_default());
            let answers = match &mailbox.spec {
                Ok(Spec::Full(address)) => answers(&Wanted::Full(address.clone()), &mut resolver, config)?,
                Ok(Spec::Bare { local, .. }) => answers(&Wanted::Bare(local.clone()), &mut resolver, config)?,
                Ok(Spec::Null) => Err(AddressError::Empty.to_string()),
                Err(why) => Err(why.to_string()),
            };
            match answers {
                Ok(answers) => {
                    answers.iter().try_for_each(|(address, answer)| write_line(out, address.as_ref().unwrap_or(&shown), answer))?
                }
                Err(why) => {
                    verdict = Exit::NoUser;
                    write_line(out, &shown, &why)?;
                }
            }
        }
    }
    Ok(verdict)
}

/// The result for one address: each expanded address (`None` for itself) with its text, or the reason why it is undeliverable.
type Answers = Result<Vec<(Option<String>, String)>, String>;

fn answers(wanted: &Wanted, resolver: &mut Resolver, config: &Config) -> Result<Answers, Failure> {
    let deliverable = |address: &Address| {
        let relay = query::relay(&config.paths, address);
        (Some(address.to_string()), format!("deliverable: relay {relay}"))
    };
    match resolver.resolve(wanted) {
        Ok(Resolved::Address(address)) => Ok(Ok(vec![deliverable(&address)])),
        Ok(Resolved::Expanded(addresses)) if addresses.is_empty() => Ok(Ok(vec![(None, "deliverable: discarded by an alias".to_owned())])),
        Ok(Resolved::Expanded(addresses)) => Ok(Ok(addresses.iter().map(deliverable).collect())),
        Err(error @ Unresolved::Admin(_)) => Err(error.into()),
        Err(error @ (Unresolved::NoUser(_) | Unresolved::Name(..))) => Ok(Err(error.to_string())),
    }
}

fn write_line(out: &mut impl Write, address: &str, answer: &str) -> Result<(), Failure> {
    // A well-formed address may still be unsafe: a quoted local part may contain U+202E (T-OUT-1).
    writeln!(out, "{}... {}", printable::safe(address), printable::safe(answer))
        .map_err(|e| Failure::new(Exit::IoErr, format!("cannot write to standard output: {e}")))
}

/// `newaliases`: prints the size of the alias file to `out` in Sendmail's words, or its errors to `err` with exit code 65. A missing
/// file is not an error.
///
/// Errors: EX_DATAERR if the file cannot be read.
pub(crate) fn alias_file(file: &Path, out: &mut impl Write, err: &mut impl Write) -> Result<Exit, Failure> {
    let shown = file.display();
    let aliases = match Aliases::read(file) {
        Ok(Some(aliases)) => aliases,
        Ok(None) => return Ok(Exit::Ok),
        Err(e) => return Err(Failure::new(Exit::DataErr, format!("cannot read {shown}: {e}"))),
    };
    let mut problems: Vec<String> = aliases.problems.iter().map(|problem| format!("{shown}:{}: {}", problem.line, problem.text)).collect();
    let broken = aliases.includes().filter_map(|(name, path)| Some((name, aliases::read_include(path).err()?)));
    problems.extend(broken.map(|(name, why)| format!("{shown}: {name}: {}", printable::text(&why))));
    let written = if problems.is_empty() {
        writeln!(out, "{shown}: {} aliases, longest {} bytes, {} bytes total", aliases.count(), aliases.longest, aliases.total)
    } else {
        problems.iter().try_for_each(|problem| writeln!(err, "{problem}"))
    };
    // A closed pipe does not change the result.
    drop(written);
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::DataErr })
}
