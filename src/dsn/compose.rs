//! Turns a due DSN into a message, or into the reason why no DSN is sent. Pure.

use jiff::tz::TimeZone;

use super::addressee::addressee;
use super::content::Dsn;
use super::original::Original;
use super::recipient::DsnRecipient;
use super::render;
use config::Names;
use mail::Address;
use mail::code::NoDsn;
use state::{Action, DueDsn, Progress, RecipientRow};

/// The configuration for DSNs.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// This host.
    pub names: &'a Names,
    /// `admin_address`.
    pub admin: Option<&'a Address>,
    /// For dates.
    pub zone: &'a TimeZone,
}

/// A DSN ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// The recipient.
    pub to: Address,
    /// In wire form.
    pub bytes: Vec<u8>,
    /// The worst action in it.
    pub action: Action,
}

/// Composes the DSN; `None` if there is nothing left to report. `now` is unix seconds, `random` any number.
///
/// Errors: why no DSN is sent.
pub fn compose(due: &DueDsn, original: Option<&Original>, site: Site<'_>, now: i64, random: u64) -> Result<Option<Composed>, NoDsn> {
    let recipients: Vec<DsnRecipient> = due
        .recipients
        .iter()
        .filter(|(row, action)| still_holds(row, *action))
        .map(|(row, action)| recipient(due, row, *action, original))
        .collect();
    let Some(action) = worst(&recipients) else { return Ok(None) };
    let header = original.map_or(&[][..], |original| &original.header);
    let to = addressee(&due.message.reverse_path, header, site.names, site.admin)?;
    let dsn = Dsn {
        mailname: &site.names.mailname,
        is_guess: site.names.is_guess,
        zone: site.zone,
        to: &to,
        id: due.message.id,
        accepted: due.message.accepted,
        expires: due.message.expires,
        recipients: &recipients,
        original,
        at: due.at,
        now,
        random,
    };
    let bytes = render::build(&dsn);
    Ok(Some(Composed { to, bytes, action }))
}

/// A delayed recipient may have its message by now; an operator may have requeued a failed one.
fn still_holds(row: &RecipientRow, action: Action) -> bool {
    match action {
        Action::Relayed => row.progress == Progress::Relayed,
        Action::Delayed => row.progress.is_open(),
        Action::Failed => row.progress == Progress::Failed,
    }
}

fn recipient(due: &DueDsn, row: &RecipientRow, action: Action, original: Option<&Original>) -> DsnRecipient {
    let in_envelope = original.and_then(|original| original.envelope.recipients.get(usize::try_from(row.n).ok()?));
    // If the file was changed since its rows were made, it does not count for this recipient.
    let same = in_envelope.filter(|recipient| recipient.address.to_string() == row.address);
    let recipient = DsnRecipient::new(row, action, same.and_then(|same| same.orcpt.clone()));
    // RFC 3464 2.3.7: the time of an attempt, or none.
    DsnRecipient { at: recipient.at.or(due.message.last_attempt), ..recipient }
}

fn worst(recipients: &[DsnRecipient]) -> Option<Action> {
    [Action::Failed, Action::Delayed, Action::Relayed]
        .into_iter()
        .find(|action| recipients.iter().any(|recipient| recipient.action == *action))
}
