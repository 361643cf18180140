//! The messages that a command line means: ids, `ALL`, `-` for ids on standard input, and conditions (SENDMAIL.md section 11).

use std::io::BufRead;

use config::{Size, Span};
use control::filter::{Filter, QueueState};
use exit::{Exit, Failure};

/// Ids read from standard input at most.
const IDS: usize = 100_000;
/// Ids in one request, which has 64 KiB.
const AT_ONCE: usize = 2000;

/// Messages that a person names.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Chosen {
    /// Only with this in the sender's address; <> is the null one
    #[arg(long, value_name = "PART")]
    pub from: Option<String>,
    /// Only with this in a recipient's address
    #[arg(long, value_name = "PART")]
    pub to: Option<String>,
    /// Only to this domain
    #[arg(long)]
    pub domain: Option<String>,
    /// Only of this user, by name or number
    #[arg(long, value_name = "USER", value_parser = parse_user)]
    pub uid: Option<u32>,
    /// Only accepted so long ago, such as 30m, 4h, 2d
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    pub older: Option<u64>,
    /// Only of such a size, such as 10MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub larger: Option<u64>,
    /// Only with this in the reason why they wait or failed
    #[arg(long, value_name = "PART")]
    pub reason: Option<String>,
    /// Only incoming, active, deferred, hold, failed, uncertain or removed ones
    #[arg(long, value_parser = parse_state, value_delimiter = ',')]
    pub state: Vec<QueueState>,
    /// Queue ids, or ALL, or - to read ids from standard input
    pub ids: Vec<String>,
}

fn parse_user(text: &str) -> Result<u32, String> {
    let number = text.parse::<u32>().ok();
    number.or_else(|| sys::process::user_id(text)).ok_or_else(|| "no such user".to_owned())
}

fn parse_span(text: &str) -> Result<u64, &'static str> {
    Span::parse(text).map(|span| span.0.as_secs()).ok_or("a time such as 30m or 5d")
}

fn parse_size(text: &str) -> Result<u64, &'static str> {
    Size::parse(text).map(|size| size.0).ok_or("a size such as 50MiB")
}

fn parse_state(text: &str) -> Result<QueueState, String> {
    let all = || QueueState::ALL.map(QueueState::word).join(", ");
    QueueState::parse(text).ok_or_else(|| format!("one of {}", all()))
}

/// What was chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// These; `None` is all. None of them at all is nothing, not all.
    pub ids: Option<Vec<String>>,
    /// That fulfil this.
    pub filter: Filter,
}

impl Chosen {
    /// True where nothing was chosen.
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

    /// The selection, of a verb that shows: nothing chosen is everything.
    pub(super) fn to_show(&self) -> Selection {
        let filter = self.filter();
        match self.ids.as_slice() {
            [] => Selection { ids: None, filter },
            [all] if all == "ALL" => Selection { ids: None, filter },
            [dash] if dash == "-" => Selection { ids: Some(once_each(from_stdin())), filter },
            ids => Selection { ids: Some(once_each(ids.to_vec())), filter },
        }
    }

    /// The selection, of a verb that changes: everything has to be asked for.
    ///
    /// Errors: EX_USAGE where nothing was chosen.
    pub(super) fn to_change(&self) -> Result<Selection, Failure> {
        if self.is_empty() {
            let text = "name queue ids, or ALL, or - to read ids from standard input, or say which with --from, --domain, --older …";
            return Err(Failure::new(Exit::Usage, text));
        }
        Ok(self.to_show())
    }
}

/// What is named twice is meant once.
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
    /// What failed for good and is kept.
    pub(super) fn failed() -> Selection {
        Selection { ids: None, filter: Filter { state: vec![QueueState::Failed], ..Filter::default() } }
    }

    /// True for the whole queue.
    pub(super) fn is_queue(&self) -> bool {
        self.ids.is_none() && self.filter.is_everything()
    }

    /// True for all that failed.
    pub(super) fn is_failed(&self) -> bool {
        self.ids.is_none() && self.filter == Selection::failed().filter
    }

    /// The ids of each request that it takes: one request without ids for all.
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
    fn all_is_meant_only_where_it_is_said() {
        assert_eq!(chosen(&[]).to_change().unwrap_err().exit, Exit::Usage);
        assert_eq!(chosen(&["B", "A", "B"]).to_change().unwrap().ids, Some(vec!["B".to_owned(), "A".to_owned()]));
        assert!(chosen(&["ALL"]).to_change().unwrap().ids.is_none());
        assert_eq!(chosen(&["all"]).to_change().unwrap().ids, Some(vec!["all".to_owned()]), "upper case only");
        let by_domain = Chosen { domain: Some("x.example".into()), ..Chosen::default() };
        assert!(by_domain.to_change().unwrap().ids.is_none());
        assert!(chosen(&[]).to_show().ids.is_none());
    }

    #[test]
    fn an_empty_list_of_ids_asks_for_nothing() {
        let nothing = Selection { ids: Some(Vec::new()), filter: Filter::default() };
        assert!(nothing.requests().is_empty());
        let many = Selection { ids: Some(vec!["x".into(); AT_ONCE + 1]), filter: Filter::default() };
        assert_eq!(many.requests().iter().map(Vec::len).collect::<Vec<_>>(), [AT_ONCE, 1]);
        assert_eq!(Selection::default().requests(), [Vec::<String>::new()]);
    }
}
