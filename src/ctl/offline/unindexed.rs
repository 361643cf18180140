//! Unindexed files: messages submitted since the daemon stopped, and messages whose row was lost. Every command finds messages through
//! this module while the daemon is stopped.
//!
//! A query about all unindexed files reads every envelope. The cost depends on the mail since the daemon stopped, not on the queue.

use super::found::Found;
use super::{Offline, unreadable};
use control::listing::{Entry, Recipient};
use control::protocol::{Detail, Happening};
use control::state::QueueState;
use exit::Failure;
use mail::code::Progress;
use mail::date;
use mail::queue_id::QueueId;
use spool::layout;
use store::ClaimedMessage;

/// The directories that may have unindexed files.
pub(super) const DIRECTORIES: [&str; 4] = [layout::NEW, layout::CUR, layout::HOLD, layout::FAILED];

impl Offline {
    /// Finds an id: a queued message, an unindexed file, or a finished message with only its history.
    pub(super) fn locate(&self, id: QueueId) -> Result<Option<Found>, Failure> {
        let row = self.state.as_ref().map(|state| state.message(id)).transpose().map_err(|e| unreadable(&e))?.flatten();
        Ok(match row {
            Some(message) if message.dir.is_queued() => Some(Found::Row(Box::new(message))),
            row => {
                // The next start deletes the file of a finished message in `cur/`.
                let may_be_in = |directory: &&str| *directory != layout::CUR || row.is_none();
                let mut directories = DIRECTORIES.into_iter().filter(may_be_in);
                let file = directories.find(|directory| self.store.has(directory, id)).map(Found::File);
                file.or_else(|| row.map(|message| Found::Row(Box::new(message))))
            }
        })
    }

    /// Calls `each` with every unindexed file as an entry, oldest first within each directory.
    pub(super) fn each_unindexed(&self, mut each: impl FnMut(Entry) -> Result<(), Failure>) -> Result<(), Failure> {
        for directory in DIRECTORIES {
            for id in self.sorted(directory)? {
                each(self.entry_from_file(directory, id))?;
            }
        }
        Ok(())
    }

    /// The entry of a file. A corrupt file is shown as failed and never ends the listing (SENDMAIL.md Q5).
    pub(super) fn entry_from_file(&self, directory: &str, id: QueueId) -> Entry {
        match self.store.inspect(directory, id) {
            Ok(claimed) => entry_of(directory, id, &claimed),
            Err(why) => unreadable_entry(id, &why),
        }
    }

    /// The entry of a file with its history.
    pub(super) fn detail_from_file(&self, directory: &str, id: QueueId) -> Detail {
        let inspected = self.store.inspect(directory, id);
        let entry = inspected.as_ref().map_or_else(|why| unreadable_entry(id, why), |claimed| entry_of(directory, id, claimed));
        let envelope = inspected.as_ref().ok().map(|claimed| &claimed.envelope);
        let mut caller = envelope.map(|envelope| envelope.caller.clone()).unwrap_or_default();
        let peer = envelope.and_then(|envelope| envelope.peer);
        if let Some(peer) = peer {
            (caller.gid, caller.pid) = (Some(peer.gid), Some(peer.pid));
        }
        let text = format!("uid {}, {} bytes, not in the database yet", entry.uid, entry.message_size);
        let accepted = Happening { at: entry.arrival_time, kind: "accepted".to_owned(), text, ..Happening::default() };
        Detail {
            attested: peer.is_some(),
            caller,
            warnings: envelope.map(|envelope| envelope.warnings.clone()).unwrap_or_default(),
            digest: inspected.as_ref().map(|claimed| claimed.digest.iter().map(|b| format!("{b:02x}")).collect()).unwrap_or_default(),
            tries: Vec::new(),
            history: envelope.is_some().then_some(accepted).into_iter().collect(),
            entry,
        }
    }

    /// The unindexed files that match an address or a Message-ID, by the rules of [`find`](admin::history::find): an address first.
    pub(super) fn unindexed_of(&self, subject: &str) -> Result<Vec<Detail>, Failure> {
        let (mut by_address, mut by_message_id) = (Vec::new(), Vec::new());
        for directory in DIRECTORIES {
            for id in self.sorted(directory)? {
                let entry = self.entry_from_file(directory, id);
                if !subject.starts_with('<') && has_address(&entry, subject) {
                    by_address.push((directory, id));
                } else if !entry.message_id.is_empty() && bare(&entry.message_id) == bare(subject) {
                    by_message_id.push((directory, id));
                }
            }
        }
        let found = if by_address.is_empty() { by_message_id } else { by_address };
        Ok(found.into_iter().map(|(directory, id)| self.detail_from_file(directory, id)).collect())
    }
}

fn bare(message_id: &str) -> &str {
    message_id.trim_start_matches('<').trim_end_matches('>')
}

fn has_address(entry: &Entry, address: &str) -> bool {
    let is = |of: &String, address: &str| !of.is_empty() && of.eq_ignore_ascii_case(address);
    let original = admin::history::original_of(address);
    let is_to = |recipient: &Recipient| is(&recipient.address, address) || is(&recipient.orig_address, original);
    is(&entry.sender, address) || entry.recipients.iter().any(is_to)
}

fn entry_of(directory: &str, id: QueueId, claimed: &ClaimedMessage) -> Entry {
    let envelope = &claimed.envelope;
    let (queue_name, status) = match directory {
        layout::HOLD => (QueueState::Hold, Progress::Deferred),
        layout::FAILED => (QueueState::Failed, Progress::Failed),
        _ => (QueueState::Incoming, Progress::Deferred),
    };
    let recipient = |recipient: &mail::envelope::Recipient| Recipient {
        address: recipient.address.to_string(),
        orig_address: recipient.original.clone().unwrap_or_default(),
        status,
        ..Recipient::default()
    };
    Entry {
        queue_name,
        queue_id: id.to_string(),
        arrival_time: date::parse_rfc3339(&envelope.time).unwrap_or_else(|| i64::from(id.seconds())),
        message_size: envelope.size,
        uid: claimed.uid,
        message_id: claimed.message_id.clone(),
        sender: envelope.reverse_path.to_string(),
        recipients: envelope.recipients.iter().map(recipient).collect(),
        ..Entry::default()
    }
}

fn unreadable_entry(id: QueueId, why: &dyn std::fmt::Display) -> Entry {
    Entry {
        queue_name: QueueState::Failed,
        queue_id: id.to_string(),
        arrival_time: i64::from(id.seconds()),
        reason: format!("unreadable message: {why}"),
        ..Entry::default()
    }
}
