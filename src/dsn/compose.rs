//! From what is due to a message for somebody, or to the reason why nobody is told. Pure.

use jiff::tz::TimeZone;

use super::addressee::addressee;
use super::content::Dsn;
use super::original::Original;
use super::recipient::DsnRecipient;
use super::render;
use config::Names;
use mail::Address;
use state::{Action, DueDsn, Progress, RecipientRow};

/// What the configuration says to DSNs.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// This host.
    pub names: &'a Names,
    /// `admin_address`.
    pub admin: Option<&'a Address>,
    /// For dates.
    pub zone: &'a TimeZone,
}

/// A DSN that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// To whom.
    pub to: Address,
    /// In wire form.
    pub bytes: Vec<u8>,
    /// The gravest news in it.
    pub action: Action,
}

/// Composes the DSN; `None` where there is nothing to tell any more. `now` is unix seconds, `random` any number.
///
/// Errors: why nobody is told.
pub fn compose(due: &DueDsn, original: Option<&Original>, site: Site<'_>, now: i64, random: u64) -> Result<Option<Composed>, &'static str> {
    let recipients: Vec<DsnRecipient> = due
        .recipients
        .iter()
        .filter(|(row, action)| still_holds(row, *action))
        .map(|(row, action)| told(due, row, *action, original))
        .collect();
    let Some(action) = gravest(&recipients) else { return Ok(None) };
    let header = original.map_or(&[][..], |original| &original.header);
    let to = addressee(&due.message.reverse_path, header, site.names, site.admin)?;
    let notice = Dsn {
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
    let bytes = render::build(&notice);
    Ok(Some(Composed { to, bytes, action }))
}

/// A recipient that was late may have its message by now; one that failed may be tried again by an operator.
fn still_holds(row: &RecipientRow, action: Action) -> bool {
    match action {
        Action::Relayed => row.progress == Progress::Relayed,
        Action::Delayed => row.progress.is_open(),
        Action::Failed => row.progress == Progress::Failed,
    }
}

fn told(due: &DueDsn, row: &RecipientRow, action: Action, original: Option<&Original>) -> DsnRecipient {
    let in_envelope = original.and_then(|original| original.envelope.recipients.get(usize::try_from(row.n).ok()?));
    // The file may have been changed since its rows were made: then it has nothing to say about this recipient.
    let same = in_envelope.filter(|recipient| recipient.address.to_string() == row.address);
    let told = DsnRecipient::new(row, action, same.and_then(|recipient| recipient.orcpt.clone()));
    // RFC 3464 2.3.7: the time of an attempt, or none.
    DsnRecipient { at: told.at.or(due.message.last_attempt), ..told }
}

fn gravest(recipients: &[DsnRecipient]) -> Option<Action> {
    [Action::Failed, Action::Delayed, Action::Relayed].into_iter().find(|action| recipients.iter().any(|told| told.action == *action))
}
