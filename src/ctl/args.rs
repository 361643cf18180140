//! Command-line arguments of `mailchute`.

use clap::{Parser, Subcommand};

use super::range::Range;
use super::select::Chosen;
use control::protocol::Part;

#[derive(Debug, Parser)]
#[command(name = "mailchute", version, about = "Show and modify the mail queue; see mailchute(8)")]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the queue, as mailq does
    List {
        /// Print JSON Lines, one message per line
        #[arg(long, short)]
        json: bool,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// List the mail queue
    #[command(hide = true, override_usage = "mailq [OPTIONS]")]
    Mailq {
        /// Print JSON Lines, one message per line
        #[arg(short)]
        json: bool,
        /// List failed messages instead of queued and held ones
        #[arg(long)]
        failed: bool,
        /// Accepted and ignored
        #[arg(short, action = clap::ArgAction::Count)]
        verbose: u8,
        /// -Ac, -Am: accepted and ignored
        #[arg(short = 'A', hide = true)]
        submission: Option<String>,
    },
    /// Count messages and their total size
    Count(Chosen),
    /// Show the queue by destination and age
    #[command(alias = "shape")]
    Qshape {
        /// Print JSON Lines, one destination per line
        #[arg(long, short)]
        json: bool,
        /// Maximum number of destinations
        #[arg(long, default_value_t = 20)]
        lines: usize,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Show queue and throughput statistics
    Stats {
        /// Print JSON
        #[arg(long, short)]
        json: bool,
    },
    /// Show a message: envelope, recipients, history
    Show {
        /// Queue id
        id: String,
        /// Print JSON
        #[arg(long, short)]
        json: bool,
    },
    /// Show the full history of messages, finished ones included
    Trace {
        /// Queue id, address or Message-ID
        subject: String,
        /// Print JSON Lines, one message per line
        #[arg(long, short)]
        json: bool,
        /// Maximum number of messages, latest first
        #[arg(long, default_value_t = 20, value_parser = parse_limit)]
        limit: usize,
    },
    /// Explain why mail is deferred or failed, and what to do
    Why {
        /// Queue id, address, domain or route
        subject: String,
        /// Print JSON
        #[arg(long, short)]
        json: bool,
    },
    /// List permanently failed messages with advice
    Failed {
        /// Print JSON Lines, one message per line
        #[arg(long, short)]
        json: bool,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Watch the daemon
    Top {
        /// Print JSON Lines, one snapshot per line
        #[arg(long, short)]
        json: bool,
        /// Stop after this many snapshots
        #[arg(short = 'n', value_name = "TIMES")]
        count: Option<u64>,
        /// Time between snapshots
        #[arg(short = 'd', value_name = "TIME", default_value = "2s")]
        delay: Wait,
    },
    /// Print a message
    Cat {
        /// Queue id
        id: String,
        #[command(flatten)]
        part: Parts,
    },
    /// Retry messages now; without arguments, all of them
    Flush(Modify),
    /// Hold messages: no delivery attempt until they are released
    Hold(Modify),
    /// Release held messages
    Release(Modify),
    /// Remove messages; requeue can restore them within 24 hours
    Remove(Modify),
    /// Retry from scratch, including failed, held and removed messages
    Requeue(Modify),
    /// Bounce messages after their next attempt
    Expire(Modify),
    /// Bounce messages now
    Bounce(Modify),
    /// Pause delivery until resume; mail is still accepted
    Pause,
    /// Resume delivery
    Resume,
    /// Refuse new mail until open; queued mail is still delivered
    Close {
        /// The reason shown to callers
        #[arg(default_value = "")]
        reason: String,
    },
    /// Accept new mail again
    Open,
    /// Daemon status
    Status {
        /// Print JSON
        #[arg(long, short)]
        json: bool,
    },
    /// Write a report page for a web browser
    Report {
        /// Write HTML to this file or to standard output
        #[arg(long, value_name = "FILE", num_args = 0..=1, required = true, default_missing_value = "-")]
        html: Option<std::path::PathBuf>,
    },
    /// Check the installation and say how to fix what is wrong
    Check,
    /// Nagios plugin: state, performance data, exit code 0 to 3
    Monitor(Monitor),
    /// Print one line if there is a problem, for login messages
    Motd,
    /// Create the spool of a rootless installation
    Setup,
    /// Send a test message and wait for the result
    Test {
        /// Recipient address
        recipient: String,
        /// How long to wait for the result
        #[arg(long, default_value = "60s")]
        wait: Wait,
    },
    /// Show how addresses expand and where their mail goes
    Aliases {
        /// Addresses or local names
        #[arg(required = true)]
        recipients: Vec<String>,
    },
    /// Print the path of the configuration file
    Config {
        /// Print all parameters with their defaults
        #[arg(long)]
        defaults: bool,
    },
    /// Manage DKIM keys
    Dkim {
        #[command(subcommand)]
        verb: Dkim,
    },
}

/// The messages to modify.
#[derive(Debug, clap::Args)]
pub(super) struct Modify {
    /// Show what would happen, without doing it
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub chosen: Chosen,
}

/// Thresholds of the Nagios plugin.
#[derive(Debug, clap::Args)]
pub(super) struct Monitor {
    /// Warn outside this queue length
    #[arg(long, short, value_name = "RANGE")]
    pub warning: Option<Range>,
    /// Critical outside this queue length
    #[arg(long, short, value_name = "RANGE")]
    pub critical: Option<Range>,
    /// Warn outside this oldest age in seconds
    #[arg(long, value_name = "RANGE")]
    pub warning_age: Option<Range>,
    /// Critical outside this oldest age in seconds
    #[arg(long, value_name = "RANGE")]
    pub critical_age: Option<Range>,
    /// Warn outside this failed count
    #[arg(long, value_name = "RANGE", default_value = "99")]
    pub warning_failed: Range,
    /// Critical outside this failed count
    #[arg(long, value_name = "RANGE")]
    pub critical_failed: Option<Range>,
    /// Time limit for the reply
    #[arg(long, short, value_name = "TIME", default_value = "10s")]
    pub timeout: Wait,
}

#[derive(Debug, Subcommand)]
pub(super) enum Dkim {
    /// Create a private key and print its DNS record
    Keygen {
        /// The domain of the From field
        domain: String,
        /// A name for the key, such as s1
        selector: String,
        /// Ed25519 instead of RSA (RFC 8463)
        #[arg(long)]
        ed25519: bool,
        /// Size of the RSA key: 2048, 3072 or 4096
        #[arg(long)]
        bits: Option<u32>,
    },
    /// Print the DNS records to publish
    Dns {
        /// The domain of the From field
        domain: String,
    },
}

/// The part of a message; by default, header section and body.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct Parts {
    /// Print only the header section
    #[arg(long)]
    headers: bool,
    /// Print only the body
    #[arg(long)]
    body: bool,
    /// Print the whole spool file, envelope line first
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
    text.parse::<usize>().ok().filter(|limit| *limit > 0).ok_or("1 or more")
}

/// A duration on the command line, in the units of the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait(pub std::time::Duration);

impl std::str::FromStr for Wait {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        config::Span::parse(text).map(|span| Wait(span.0)).ok_or("use a time such as 30s or 5m")
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    fn said(words: &str) -> String {
        super::Arguments::try_parse_from(words.split(' ')).unwrap_err().to_string()
    }

    #[test]
    fn help_is_a_verb_and_mailq_has_its_own_usage() {
        assert!(said("mailchute help").contains("Usage: mailchute <COMMAND>"));
        assert!(said("mailq mailq --help").contains("Usage: mailq [OPTIONS]\n"));
    }

    #[test]
    fn a_limit_of_zero_is_a_usage_error() {
        assert!(said("mailchute trace --limit 0 x").contains("1 or more"));
        assert!(super::Arguments::try_parse_from(["mailchute", "trace", "--limit", "1", "x"]).is_ok());
    }

    #[test]
    fn help_fits_a_terminal_of_80_columns() {
        let mut pending = vec![super::Arguments::command()];
        while let Some(mut command) = pending.pop() {
            let help = command.render_help().to_string();
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
            pending.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn a_misspelt_verb_or_option_gets_a_suggestion() {
        assert!(said("mailchute relaese").contains("'release'"));
        assert!(said("mailchute list --jsn").contains("'--json'"));
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
