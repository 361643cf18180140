//! The command line of `mailchute`.

use clap::{Parser, Subcommand};

use super::range::Range;
use super::select::Chosen;
use control::protocol::Part;

#[derive(Debug, Parser)]
#[command(name = "mailchute", version, about = "Shows and may_modify the mail of this host; see mailchute(8)")]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the queue, as mailq does
    List {
        /// JSON Lines, one message per line
        #[arg(long, short)]
        json: bool,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// The same under its old name, with the options that scripts give it
    #[command(hide = true, override_usage = "mailq [OPTIONS]")]
    Mailq {
        /// JSON Lines, one message per line
        #[arg(short)]
        json: bool,
        /// Accepted for old scripts
        #[arg(short, action = clap::ArgAction::Count)]
        verbose: u8,
        /// Accepted for old scripts: -Ac, -Am
        #[arg(short = 'A', hide = true)]
        submission: Option<String>,
    },
    /// How many messages there are, and their size
    Count(Chosen),
    /// The queue by destination and age
    #[command(alias = "shape")]
    Qshape {
        /// JSON Lines, one destination per line
        #[arg(long, short)]
        json: bool,
        /// Destinations in the table
        #[arg(long, default_value_t = 20)]
        lines: usize,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// What is in the queue, and what went through
    Stats {
        /// JSON
        #[arg(long, short)]
        json: bool,
    },
    /// One message: envelope, recipients, history
    Show {
        /// Queue id
        id: String,
        /// JSON
        #[arg(long, short)]
        json: bool,
    },
    /// The whole history of messages, also after their end
    Trace {
        /// Queue id, address or Message-ID
        subject: String,
        /// JSON Lines, one message per line
        #[arg(long, short)]
        json: bool,
        /// At most so many messages, the latest first
        #[arg(long, default_value_t = 20, value_parser = parse_limit)]
        limit: usize,
    },
    /// Why something waits or failed, and what to do
    Why {
        /// Queue id, address, domain or route
        subject: String,
        /// JSON
        #[arg(long, short)]
        json: bool,
    },
    /// What failed for good, with advice
    Failed {
        /// JSON Lines, one message per line
        #[arg(long, short)]
        json: bool,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// The daemon at work, again and again
    Top {
        /// JSON Lines, one look per line
        #[arg(long, short)]
        json: bool,
        /// Look so often, then end
        #[arg(short = 'n', value_name = "TIMES")]
        count: Option<u64>,
        /// Time between two looks
        #[arg(short = 'd', value_name = "TIME", default_value = "2s")]
        delay: Wait,
    },
    /// The bytes of one message
    Cat {
        /// Queue id
        id: String,
        #[command(flatten)]
        part: Parts,
    },
    /// Try messages now: all, or these
    Flush(Modify),
    /// Park messages: no attempt until they are released
    Hold(Modify),
    /// Let held messages go on
    Release(Modify),
    /// Drop messages; for 24 hours requeue brings them back
    Remove(Modify),
    /// Begin anew, failed, held and removed messages too
    Requeue(Modify),
    /// Give messages up after their next attempt, and tell their senders
    Expire(Modify),
    /// Give messages up now, and tell their senders
    Bounce(Modify),
    /// Stop delivery, until it is resumed; mail is accepted all the same
    Pause,
    /// Let delivery go on
    Resume,
    /// Refuse all mail, until it is opened; what is queued is delivered all the same
    Close {
        /// Why, for those who are refused
        #[arg(default_value = "")]
        reason: String,
    },
    /// Take mail again
    Open,
    /// How the daemon is
    Status {
        /// JSON
        #[arg(long, short)]
        json: bool,
    },
    /// A page about all of it, to look at in a browser
    Report {
        /// As HTML, into this file, or to standard output
        #[arg(long, value_name = "FILE", num_args = 0..=1, required = true, default_missing_value = "-")]
        html: Option<std::path::PathBuf>,
    },
    /// Is this installation right?
    Check,
    /// A plug-in for Nagios: state, performance data, exit code 0 to 3
    Monitor(Monitor),
    /// One line if something is wrong, for those who log in
    Motd,
    /// Make the spool of a rootless installation
    Setup,
    /// Send a test message through sendmail and wait for its outcome
    Test {
        /// Where to
        recipient: String,
        /// How long to wait for the outcome
        #[arg(long, default_value = "60s")]
        wait: Wait,
    },
    /// What becomes of addresses at submission: aliases, and the way they go
    Aliases {
        /// Addresses, or local names
        #[arg(required = true)]
        recipients: Vec<String>,
    },
    /// Where the configuration is
    Config {
        /// All parameters with their defaults
        #[arg(long)]
        defaults: bool,
    },
    /// DKIM keys
    Dkim {
        #[command(subcommand)]
        verb: Dkim,
    },
}

/// Messages that an operator changes.
#[derive(Debug, clap::Args)]
pub(super) struct Modify {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub chosen: Chosen,
}

/// Thresholds of the plug-in.
#[derive(Debug, clap::Args)]
pub(super) struct Monitor {
    /// Warning outside of this range of queued messages
    #[arg(long, short)]
    pub warning: Option<Range>,
    /// Critical outside of this range of queued messages
    #[arg(long, short)]
    pub critical: Option<Range>,
    /// Warning outside of this range of the oldest message's age, in seconds
    #[arg(long)]
    pub warning_age: Option<Range>,
    /// Critical outside of this range of the oldest message's age, in seconds
    #[arg(long)]
    pub critical_age: Option<Range>,
    /// How long the daemon may take to answer
    #[arg(long, short, default_value = "10s")]
    pub timeout: Wait,
}

#[derive(Debug, Subcommand)]
pub(super) enum Dkim {
    /// Make a private key, and say what to publish
    Keygen {
        /// The domain in From
        domain: String,
        /// A name for the key, such as s1
        selector: String,
        /// Ed25519 instead of RSA (RFC 8463)
        #[arg(long)]
        ed25519: bool,
        /// Size of an RSA key: 2048, 3072 or 4096
        #[arg(long)]
        bits: Option<u32>,
    },
    /// The DNS records to publish
    Dns {
        /// The domain in From
        domain: String,
    },
}

/// Which part of a message; by default header section and body.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct Parts {
    /// Only the header section
    #[arg(long)]
    headers: bool,
    /// Only the body
    #[arg(long)]
    body: bool,
    /// The whole spool file, envelope line first
    #[arg(long)]
    raw: bool,
}

impl From<Parts> for Part {
    fn from(parts: Parts) -> Self {
        match parts {
            Parts { headers: true, .. } => Part::Headers,
            Parts { body: true, .. } => Part::Body,
            Parts { raw: true, .. } => Part::Raw,
            Parts { .. } => Part::Message,
        }
    }
}

fn parse_limit(text: &str) -> Result<usize, &'static str> {
    text.parse::<usize>().ok().filter(|limit| *limit > 0).ok_or("a number from 1 on")
}

/// A time on the command line, in the units of the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait(pub std::time::Duration);

impl std::str::FromStr for Wait {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        config::Span::parse(text).map(|span| Wait(span.0)).ok_or("a time such as 30s or 5m")
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    fn said(words: &str) -> String {
        super::Arguments::try_parse_from(words.split(' ')).unwrap_err().to_string()
    }

    #[test]
    fn help_is_a_verb_and_an_old_name_is_shown_as_it_is_called() {
        assert!(said("mailchute help").contains("Usage: mailchute <COMMAND>"));
        assert!(said("mailq mailq --help").contains("Usage: mailq [OPTIONS]\n"));
    }

    #[test]
    fn no_messages_at_most_are_no_question() {
        assert!(said("mailchute trace --limit 0 x").contains("a number from 1 on"));
        assert!(super::Arguments::try_parse_from(["mailchute", "trace", "--limit", "1", "x"]).is_ok());
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
