//! `mailchute qshape`: the queue by destination and age, like Postfix's qshape(1). Pure.
//!
//! In: entries of the queue, one by one. Out: a table. The number of destinations is bounded, so mail to a million domains needs no
//! memory.

use std::collections::HashMap;

use serde::Serialize;

use control::filter::domain_of;
use control::listing::Entry;
use mail::printable;

/// Destinations counted separately; the others are counted together.
const DESTINATIONS: usize = 10_000;
/// The row of the others.
const OTHERS: &str = "(others)";
/// Upper bounds of the age columns in minutes. One more column has older messages.
pub(crate) const AGES: [i64; 9] = [5, 10, 20, 40, 80, 160, 320, 640, 1280];
/// Width of the text in columns.
const COLUMNS_OF_TEXT: usize = 80;
/// Number of age columns.
pub(crate) const COLUMNS: usize = AGES.len() + 1;

/// The open and failed recipients of one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// The domain, in lower case.
    pub destination: String,
    /// Their number.
    pub total: u64,
    /// Their number by age; see [`AGES`].
    pub ages: [u64; COLUMNS],
}

/// Builds the table.
#[derive(Debug, Default)]
pub(crate) struct Qshape {
    rows: HashMap<String, [u64; COLUMNS]>,
}

impl Qshape {
    /// Counts the recipients of a message that were not relayed.
    pub(crate) fn add(&mut self, entry: &Entry, now: i64) {
        let minutes = now.saturating_sub(entry.arrival_time).max(0) / 60;
        let column = AGES.iter().position(|age| minutes < *age).unwrap_or(AGES.len());
        for recipient in entry.recipients.iter().filter(|recipient| recipient.status != mail::code::Progress::Relayed) {
            let domain = domain_of(&recipient.address);
            let name = if self.rows.len() < DESTINATIONS || self.rows.contains_key(&domain) { domain } else { OTHERS.to_owned() };
            if let Some(cell) = self.rows.entry(name).or_default().get_mut(column) {
                *cell += 1;
            }
        }
    }

    /// The sum of all rows, and the rows, largest first.
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

/// The table as text: the total, then the `lines` largest destinations. It has [`COLUMNS_OF_TEXT`] columns unless the numbers are
/// huge; a long destination loses its beginning.
pub(crate) fn text(total: &Row, rows: &[Row], lines: usize) -> String {
    let shown: Vec<&Row> = std::iter::once(total).chain(rows.iter().take(lines)).collect();
    let cells = |row: &Row| std::iter::once(row.total).chain(row.ages).map(|cell| cell.to_string()).collect::<Vec<String>>();
    let last = AGES.last().map(|age| format!("{age}+"));
    let head: Vec<String> = std::iter::once("T".to_owned()).chain(AGES.map(|age| age.to_string())).chain(last).collect();
    let mut widths: Vec<usize> = head.iter().map(String::len).collect();
    for row in &shown {
        widths.iter_mut().zip(cells(row)).for_each(|(width, cell)| *width = cell.len().max(*width));
    }
    let numbers: usize = widths.iter().map(|width| width + 1).sum();
    let name_width = COLUMNS_OF_TEXT.saturating_sub(numbers).clamp(10, 40);
    let line = |name: &str, cells: &[String]| {
        let cells: String = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:>width$}")).collect();
        format!("{:>name_width$}{cells}\n", shortened(name, name_width))
    };
    let mut text = line("", &head);
    shown.iter().for_each(|row| text.push_str(&line(&printable::column(&row.destination), &cells(row))));
    if rows.len() > lines {
        text.push_str(&line(&format!("and {} more", rows.len() - lines), &[]));
    }
    text
}

/// The end of `name`, which tells domains apart better than the beginning.
fn shortened(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count <= width { name.to_owned() } else { format!("…{}", name.chars().skip(count + 1 - width).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::listing::Recipient;
    use mail::code::Progress;

    fn entry(address: &str, status: Progress, age: i64) -> Entry {
        let recipient = Recipient { address: address.into(), status, ..Recipient::default() };
        Entry { arrival_time: 100_000 - age * 60, recipients: vec![recipient], ..Entry::default() }
    }

    #[test]
    fn recipients_are_counted_by_domain_and_age() {
        let mut table = Qshape::default();
        for (address, status, age) in [
            ("a@x.example", Progress::Deferred, 0),
            ("b@X.example", Progress::Uncertain, 5),
            ("c@x.example", Progress::Relayed, 0),
            ("d@y.example", Progress::Failed, 1280),
            ("e@x.example", Progress::Deferred, -7),
        ] {
            table.add(&entry(address, status, age), 100_000);
        }
        let (total, rows) = table.finish();
        assert_eq!((total.total, total.ages), (4, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(rows.iter().map(|row| (row.destination.as_str(), row.total)).collect::<Vec<_>>(), [("x.example", 3), ("y.example", 1)]);
    }

    #[test]
    fn the_number_of_rows_is_bounded_and_every_recipient_is_counted() {
        let mut table = Qshape::default();
        (0..DESTINATIONS + 5).for_each(|n| table.add(&entry(&format!("a@{n}.example"), Progress::Deferred, 1), 100_000));
        assert!(table.rows.len() <= DESTINATIONS + 1);
        let (total, rows) = table.finish();
        assert_eq!((total.total, rows[0].destination.as_str(), rows[0].total), (DESTINATIONS as u64 + 5, OTHERS, 5));
    }

    #[test]
    fn the_text_fits_a_terminal_of_80_columns() {
        let row = |destination: &str, cell: u64| Row { destination: destination.to_owned(), total: cell * 10, ages: [cell; COLUMNS] };
        let rows = [row("a.very.long.host.name.in.a.long.domain.example.com", 12_345), row("x.example", 1), row("y.example", 0)];
        let text = text(&row("TOTAL", 99_999), &rows, 2);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS_OF_TEXT), "{text}");
        assert!(text.contains("….example.com 123450 12345") && text.ends_with("and 1 more\n"), "{text}");
    }
}
