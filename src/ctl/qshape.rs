//! `mailchute shape`: the queue by destination and age, as qshape(1) shows it: which destination does not take its mail, and since
//! when. Pure.
//!
//! In: entries of the queue, one by one. Out: a table. A bounded number of destinations is told apart, so that mail to a million
//! domains costs no memory.

use std::collections::HashMap;

use serde::Serialize;

use control::filter::domain_of;
use control::listing::Entry;

/// Destinations told apart; all further ones are counted together.
const DESTINATIONS: usize = 10_000;
/// Their name.
const OTHERS: &str = "(others)";
/// The ages in minutes; what is older than the last is in one more column.
pub(crate) const AGES: [i64; 9] = [5, 10, 20, 40, 80, 160, 320, 640, 1280];
/// Columns of ages.
pub(crate) const COLUMNS: usize = AGES.len() + 1;

/// The recipients of one destination that are still open or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// The domain, in lower case.
    pub destination: String,
    /// All of them.
    pub total: u64,
    /// By age, [`AGES`] first.
    pub ages: [u64; COLUMNS],
}

/// The table while it grows.
#[derive(Debug, Default)]
pub(crate) struct Qshape {
    rows: HashMap<String, [u64; COLUMNS]>,
}

impl Qshape {
    /// Counts a message's recipients that were not relayed.
    pub(crate) fn add(&mut self, entry: &Entry, now: i64) {
        let minutes = now.saturating_sub(entry.arrival_time).max(0) / 60;
        let column = AGES.iter().position(|age| minutes < *age).unwrap_or(AGES.len());
        for recipient in entry.recipients.iter().filter(|recipient| recipient.status != "relayed") {
            let domain = domain_of(&recipient.address);
            let name = if self.rows.len() < DESTINATIONS || self.rows.contains_key(&domain) { domain } else { OTHERS.to_owned() };
            if let Some(cell) = self.rows.entry(name).or_default().get_mut(column) {
                *cell += 1;
            }
        }
    }

    /// The sum of all rows, and the rows: the largest first.
    pub(crate) fn finish(self) -> (Row, Vec<Row>) {
        let row = |(destination, ages): (String, [u64; COLUMNS])| Row { destination, total: ages.iter().sum(), ages };
        let mut rows: Vec<Row> = self.rows.into_iter().map(row).collect();
        rows.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.destination.cmp(&b.destination)));
        let mut ages = [0; COLUMNS];
        for row in &rows {
            ages.iter_mut().zip(row.ages).for_each(|(sum, cell)| *sum += cell);
        }
        (Row { destination: "TOTAL".to_owned(), total: ages.iter().sum(), ages }, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::listing::Recipient;

    fn entry(address: &str, status: &str, age: i64) -> Entry {
        let recipient = Recipient { address: address.into(), status: status.into(), ..Recipient::default() };
        Entry { arrival_time: 100_000 - age * 60, recipients: vec![recipient], ..Entry::default() }
    }

    #[test]
    fn recipients_stand_in_the_row_of_their_domain_and_the_column_of_their_age() {
        let mut table = Qshape::default();
        for (address, status, age) in [
            ("a@x.example", "deferred", 0),
            ("b@X.example", "uncertain", 5),
            ("c@x.example", "relayed", 0),
            ("d@y.example", "failed", 1280),
            ("e@x.example", "deferred", -7),
        ] {
            table.add(&entry(address, status, age), 100_000);
        }
        let (total, rows) = table.finish();
        assert_eq!((total.total, total.ages), (4, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(rows.iter().map(|row| (row.destination.as_str(), row.total)).collect::<Vec<_>>(), [("x.example", 3), ("y.example", 1)]);
    }

    #[test]
    fn mail_to_countless_domains_costs_no_memory_and_is_counted_all_the_same() {
        let mut table = Qshape::default();
        (0..DESTINATIONS + 5).for_each(|n| table.add(&entry(&format!("a@{n}.example"), "deferred", 1), 100_000));
        assert!(table.rows.len() <= DESTINATIONS + 1);
        let (total, rows) = table.finish();
        assert_eq!((total.total, rows[0].destination.as_str(), rows[0].total), (DESTINATIONS as u64 + 5, OTHERS, 5));
    }
}
