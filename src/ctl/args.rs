//! The command line of `mailchute`.

use clap::{Parser, Subcommand, ValueEnum};

use super::range::Range;
use crate::control::protocol;

#[derive(Debug, Parser)]
#[command(name = "mailchute", version, about = "Shows and steers the mail of this host; see mailchute(8)", disable_help_subcommand = true)]
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
        /// Only these messages
        ids: Vec<String>,
    },
    /// The same under its old name, with the options that scripts give it
    #[command(hide = true)]
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
    Count,
    /// One message: envelope, recipients, history
    Show {
        /// Queue id
        id: String,
        /// JSON
        #[arg(long, short)]
        json: bool,
    },
    /// The octets of one message
    Cat {
        /// Queue id
        id: String,
        /// Which part
        #[arg(long, value_enum, default_value_t = Part::Message)]
        part: Part,
    },
    /// Try messages now
    Flush {
        /// Only these (queue ids, or their beginnings)
        ids: Vec<String>,
    },
    /// Park messages: no attempt until they are released
    Hold(Chosen),
    /// Let held messages go on
    Release(Chosen),
    /// Drop messages; their files are kept in trash/ for 24 hours
    Remove(Chosen),
    /// Begin anew, failed and held messages too
    Requeue(Chosen),
    /// How the daemon is
    Status {
        /// JSON
        #[arg(long, short)]
        json: bool,
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

/// Messages that an operator names.
#[derive(Debug, clap::Args)]
pub(super) struct Chosen {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Queue ids, or ALL, or - to read ids from standard input
    pub ids: Vec<String>,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Part {
    /// Header section and body
    Message,
    /// The header section
    Headers,
    /// The body
    Body,
    /// The whole spool file, envelope line first
    Raw,
}

impl From<Part> for protocol::Part {
    fn from(part: Part) -> Self {
        match part {
            Part::Message => protocol::Part::Message,
            Part::Headers => protocol::Part::Headers,
            Part::Body => protocol::Part::Body,
            Part::Raw => protocol::Part::Raw,
        }
    }
}

/// A time on the command line, in the units of the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait(pub std::time::Duration);

impl std::str::FromStr for Wait {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        crate::config::Span::parse(text).map(|span| Wait(span.0)).ok_or("a time such as 30s or 5m")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
