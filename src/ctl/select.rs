//! Selects messages on the command line: ids, `ALL`, `-` for ids on standard input, and conditions (SENDMAIL.md section 11).

use std::io::BufRead;

use config::{Size, Span};
use control::filter::{Filter, QueueState};
use exit::{Exit, Failure};

/// Maximum number of ids from standard input.
const IDS: usize = 100_000;
/// Ids per request; a request has at most 64 KiB.
const AT_ONCE: usize = 2000;

/// The messages of a command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Chosen {
    /// Only with this text in the sender (<>: null sender)
    #[arg(long, value_name = "PART")]
    pub from: Option<String>,
    /// Only with this text in a recipient
    #[arg(long, value_name = "PART")]
    pub to: Option<String>,
    /// Only with a recipient in this domain
    #[arg(long)]
    pub domain: Option<String>,
    /// Only from this user, by name or uid
    #[arg(long, value_name = "USER", value_parser = parse_user)]
    pub uid: Option<u32>,
    /// Only at least this old: 30m, 4h, 2d
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    pub older: Option<u64>,
    /// Only at least this large: 10MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub larger: Option<u64>,
    /// Only with this text in the reason
    #[arg(long, value_name = "PART")]
    pub reason: Option<String>,
    /// Only in one of these states
    #[arg(
        long,
        value_parser = parse_state,
        value_delimiter = ',',
        help = "Only in one of these states: incoming, active,\ndeferred, hold, failed, uncertain, removed"
    )]
    pub state: Vec<QueueState>,
    /// Queue ids, ALL, or - to read ids from standard input
    pub ids: Vec<String>,
}

fn parse_user(text: &str) -> Result<u32, String> {
    let number = text.parse::<u32>().ok();
    number.or_else(|| sys::process::user_id(text)).ok_or_else(|| "no such user".to_owned())
}

fn parse_span(text: &str) -> Result<u64, &'static str> {
    Span::parse(text).map(|span| span.0.as_secs()).ok_or("use a time such as 30m or 5d")
}

fn parse_size(text: &str) -> Result<u64, &'static str> {
    Size::parse(text).map(|size| size.0).ok_or("use a size such as 50MiB")
}

fn parse_state(text: &str) -> Result<QueueState, String> {
    let all = || QueueState::ALL.map(QueueState::word).join(", ");
    QueueState::parse(text).ok_or_else(|| format!("use one of {}", all()))
}

/// The selected messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// The ids. `None` selects all messages; an empty list selects none.
    pub ids: Option<Vec<String>>,
    /// The conditions.
    pub filter: Filter,
}

impl Chosen {
    /// True if nothing was selected.
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.filter().is_everything()
    }

    fn filter(&self) -> Filter {
        Filter {
            from: self.from.clone(),
            to: self.to.clone(),
            domain: self.domain.clone(),
            uid: self.uid,
            older: self.older,
            larger: self.larger,
            reason: self.reason.clone(),
            state: self.state.clone(),
        }
    }

    /// The selection of a command that shows messages. No arguments select all messages.
    pub(super) fn to_show(&self) -> Selection {
        let filter = self.filter();
        match self.ids.as_slice() {
            [] => Selection { ids: None, filter },
            [all] if all == "ALL" => Selection { ids: None, filter },
            [dash] if dash == "-" => Selection { ids: Some(once_each(from_stdin())), filter },
            ids => Selection { ids: Some(once_each(ids.to_vec())), filter },
        }
    }

    /// The selection of a command that modifies messages. Without arguments it is an error.
    ///
    /// Errors: EX_USAGE if nothing was selected.
    pub(super) fn to_change(&self) -> Result<Selection, Failure> {
        if self.is_empty() {
            let text =
                "select messages: give queue ids, ALL, - to read ids from standard input, or conditions such as --from, --domain, --older";
            return Err(Failure::new(Exit::Usage, text));
        }
        Ok(self.to_show())
    }
}

/// Removes duplicates.
fn once_each(mut ids: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    ids
}

fn from_stdin() -> Vec<String> {
    let lines = std::io::stdin().lock().lines().take(IDS).map_while(Result::ok);
    lines.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

impl Selection {
    /// All failed messages.
    pub(super) fn failed() -> Selection {
        Selection { ids: None, filter: Filter { state: vec![QueueState::Failed], ..Filter::default() } }
    }

    /// True for the whole queue.
    pub(super) fn is_queue(&self) -> bool {
        self.ids.is_none() && self.filter.is_everything()
    }

    /// True for all failed messages.
    pub(super) fn is_failed(&self) -> bool {
        self.ids.is_none() && self.filter == Selection::failed().filter
    }

    /// The ids of each request. One request without ids selects all messages.
    pub(super) fn requests(&self) -> Vec<Vec<String>> {
        match &self.ids {
            None => vec![Vec::new()],
            Some(ids) => ids.chunks(AT_ONCE).map(<[String]>::to_vec).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ids: &[&str]) -> Chosen {
        Chosen { ids: ids.iter().map(|id| (*id).to_owned()).collect(), ..Chosen::default() }
    }

    #[test]
    fn only_the_word_all_selects_all_messages_for_a_change() {
        assert_eq!(chosen(&[]).to_change().unwrap_err().exit, Exit::Usage);
        assert_eq!(chosen(&["B", "A", "B"]).to_change().unwrap().ids, Some(vec!["B".to_owned(), "A".to_owned()]));
        assert!(chosen(&["ALL"]).to_change().unwrap().ids.is_none());
        assert_eq!(chosen(&["all"]).to_change().unwrap().ids, Some(vec!["all".to_owned()]), "upper case only");
        let by_domain = Chosen { domain: Some("x.example".into()), ..Chosen::default() };
        assert!(by_domain.to_change().unwrap().ids.is_none());
        assert!(chosen(&[]).to_show().ids.is_none());
    }

    #[test]
    fn an_empty_list_of_ids_makes_no_request() {
        let nothing = Selection { ids: Some(Vec::new()), filter: Filter::default() };
        assert!(nothing.requests().is_empty());
        let many = Selection { ids: Some(vec!["x".into(); AT_ONCE + 1]), filter: Filter::default() };
        assert_eq!(many.requests().iter().map(Vec::len).collect::<Vec<_>>(), [AT_ONCE, 1]);
        assert_eq!(Selection::default().requests(), [Vec::<String>::new()]);
    }
}
