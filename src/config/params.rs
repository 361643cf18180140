//! The table of parameters. Each row has a name, a type, a default and a description. The loader, the sample file and
//! mailchute.toml(5) are made from it or tested against it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::next_hop::NextHop;
use super::units::{Size, Span, TimeOfDay};
use super::webhook::WebhookUrl;

/// One row of the table, for documents.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// The key in mailchute.toml.
    pub name: &'static str,
    /// The type of the value, in words.
    pub kind: &'static str,
    /// The default, as written in the file; empty if there is none.
    pub default: &'static str,
    /// What it does, and when to change it.
    pub prose: &'static str,
}

macro_rules! parameters {
    ($(#[$meta:meta])* $table:ident for $name:ident { $($field:ident: $type:ty = $value:expr, $kind:literal, $default:literal, $prose:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        // The prose is written for a manual page, where a bracket is a bracket.
        #[allow(rustdoc::broken_intra_doc_links)]
        pub struct $name {
            $(#[doc = $prose] pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $value,)* }
            }
        }

        #[doc = concat!("The rows of [`", stringify!($name), "`].")]
        pub const $table: &[Parameter] =
            &[$(Parameter { name: stringify!($field), kind: $kind, default: $default, prose: $prose },)*];
    };
}

parameters! {
    /// The top level of mailchute.toml.
    PARAMETERS for Params {
        mailname: Option<String> = None, "domain name", "",
            "The domain for addresses without one; also used in Message-ID and Received. Default: the first line of /etc/mailname, else the host name.";
        hostname: Option<String> = None, "domain name", "",
            "The name in EHLO. Receivers expect it to match the reverse DNS (PTR) of this host. Default: the host name if it has a dot, else mailname.";
        next_hop: NextHop = NextHop::Mx, "URL or \"mx\"", "mx",
            "The destination of all mail: smtp://[user@]host[:port], smtps://, lmtp://, lmtp+unix:///path, with ?tls=opportunistic|required|verified|none; or mx, to deliver to each domain's mail exchangers.";
        password_file: Option<PathBuf> = None, "path", "",
            "The file with the password of the user in next_hop, on its first line. Only its owner may be able to read it. Default: the systemd credential next_hop, else credentials/next_hop below the configuration directory.";
        ca_file: Option<PathBuf> = None, "path", "",
            "PEM file of the CA certificates that verify the next hop. Default: the system's certificate store.";
        message_size_limit: Size = Size(50 << 20), "size", "50MiB",
            "The largest message that sendmail accepts; 0 means no limit. For a larger message, sendmail exits with code 65.";
        spool_reserve: Option<Size> = None, "size", "",
            "Free space on the spool's file system that new mail must not use; 0 means none. With less free space, sendmail exits with code 69 and queued mail is still delivered. Default: 64MiB or 1.5 times message_size_limit, whichever is larger.";
        spool_inode_reserve: u64 = 1000, "number", "1000",
            "Free inodes on the spool's file system that new mail must not use; 0 means none.";
        user_message_limit: u64 = 100_000, "number", "100000",
            "The most messages of one user that may be queued or held; 0 means no limit. Failed messages do not count. At the limit, sendmail exits with code 69, and messages that arrive anyway are held. Root and the daemon's own user have no limit.";
        user_bytes_limit: Size = Size(4 << 30), "size", "4GiB",
            "The most bytes that the messages of one user may use in the spool; 0 means no limit. Failed, removed and corrupt messages count until their files are deleted. It works like user_message_limit.";
        recipient_limit: usize = 10_000, "number, 1 to 10000", "10000",
            "The most recipients of one message. With more, sendmail exits with code 65.";
        dot: Dot = Dot::Smart, "smart, strict or data", "smart",
            "What a line with a single dot means without -i. smart: it ends the message only as the last line or on a terminal. strict: it always ends the message. data: it never does.";
        t_arguments: TArguments = TArguments::Add, "add or remove", "add",
            "What addresses on the command line mean with -t. add: they are recipients too. remove: they are removed from the recipients in the header.";
        undisclosed_recipients: bool = false, "boolean", "false",
            "Add To: undisclosed-recipients:; to messages without To and Cc.";
        sender_from_header: bool = false, "boolean", "false",
            "Without -f, take the envelope sender from the From field instead of the user's name. Some relays require this.";
        sender_policy: SenderPolicy = SenderPolicy::Any, "any, own or list", "any",
            "Who may set another envelope sender with -f. any: everybody. own: only trusted_users and trusted_groups. list: only trusted_users and trusted_groups may send at all.";
        trusted_users: Vec<String> = Vec::new(), "list of user names or ids", "[]",
            "Users to whom sender_policy does not apply. Root is always trusted.";
        trusted_groups: Vec<String> = Vec::new(), "list of group names or ids", "[]",
            "Groups whose members are exempt from sender_policy.";
        local_domains: Vec<String> = Vec::new(), "list of domain names", "[]",
            "Additional local domains, besides mailname, the host name and localhost. Aliases and admin_address apply to their addresses.";
        alias_file: Option<PathBuf> = None, "path", "",
            "The alias file, in the syntax of aliases(5). sendmail reads it for each message to a local name; newaliases checks it. Default: /etc/aliases.";
        admin_address: Option<String> = None, "address", "",
            "The recipient of mail for local names without an alias. If unset, mailname is appended to such names and the mail is relayed.";
        unknown_local: UnknownLocal = UnknownLocal::Relay, "relay or reject", "relay",
            "What happens to a bare name without an alias when admin_address is unset. relay: append mailname and relay. reject: exit with code 67.";
        spool_error_exit: Option<u8> = None, "75", "",
            "Set to 75 to exit with EX_TEMPFAIL when the spool cannot take a message (instead of 69, 73 or 74). PHP 8.5 and later treat 75 as success: leave this unset unless all callers retry on 75.";
        received_uid: bool = true, "boolean", "true",
            "Put the user id of the sender in the Received field.";
        admin_group: String = "mailchute-admin".to_owned(), "group name", "mailchute-admin",
            "The group whose members may see and modify all mail, like root.";
        mailq_users: MailqUsers = MailqUsers::Own, "own, anyone or admin", "own",
            "Which mail ordinary users see in mailq. own: their own. anyone: all. admin: none.";
        queue_lifetime: Span = Span::seconds(5 * 86_400), "time", "5d",
            "How long a message is tried before it fails permanently (RFC 5321 4.5.4.1).";
        delay_warning_time: Span = Span::seconds(4 * 3600), "time", "4h",
            "How long a message may be deferred before its sender gets one delay notification; 0 means never. NOTIFY without DELAY suppresses it.";
        dsn_limit: u32 = 100, "number", "100",
            "The most DSNs that are sent within an hour; 0 means no limit. The rest are sent in the next hour, and admin_address gets a message with their number and the most frequent reasons.";
        retry_min: Span = Span::seconds(300), "time", "5m",
            "The delay after the first failed attempt. It doubles with each attempt, with a jitter of 20 %.";
        retry_max: Span = Span::seconds(4 * 3600), "time", "4h",
            "The longest delay between two attempts. It must not be shorter than retry_min.";
        route_connections: usize = 20, "number, 1 to 500", "20",
            "The most simultaneous connections to one next hop.";
        uncertain: OnUncertain = OnUncertain::Retry, "retry or hold", "retry",
            "What happens to a message when the connection is lost between the final dot and the reply, so that nobody knows whether it was delivered. retry: try again, which may deliver it twice. hold: hold it for an operator.";
        connect_timeout: Span = Span::seconds(30), "time", "30s",
            "How long to wait for a connection to one address of a next hop.";
        reply_timeout: Span = Span::seconds(300), "time", "5m",
            "How long to wait for a reply. For the reply to the final dot, the limit is twice as long (RFC 5321 4.5.3.2).";
        history_time: Span = Span::seconds(30 * 86_400), "time", "30d",
            "How long the history of a finished message is kept, unless history_size is reached first.";
        failed_lifetime: Option<Span> = None, "time", "",
            "How long the file of a failed or corrupt message is kept for requeue, cat and failed; 0 means for ever. Its history is kept for history_time. Default: history_time.";
        history_size: Size = Size(1 << 30), "size", "1GiB",
            "The size of the queue and history database above which the oldest history is deleted. A message takes about one kilobyte. The history of the last hour is always kept.";
        event_file: Option<PathBuf> = None, "path", "",
            "A file for all events, one JSON line each; mailchute-log(5) lists them. The daemon's user must be able to write it; the unit provides /var/log/mailchute.";
        event_file_size: Size = Size(10 << 20), "size", "10MiB",
            "The size at which event_file is renamed to event_file.1 and a new file is started; 0 means never.";
        event_file_count: u32 = 5, "number", "5",
            "How many older event files are kept.";
        metrics_file: Option<PathBuf> = None, "path", "",
            "The metrics file, in the OpenMetrics text format. For node_exporter, use a name that ends in .prom in its textfile directory, and make that directory writable for the daemon (ReadWritePaths in its unit). Default: metrics.prom in the directory of the sockets.";
        metrics_interval: Span = Span::seconds(30), "time", "30s",
            "How often the metrics file is written; 0 means never.";
        alarm_age: Span = Span::seconds(86_400), "time", "1d",
            "Raise an alarm when the oldest queued message reaches this age; 0 means never. mailchute(8) lists the alarms.";
        alarm_route_time: Span = Span::seconds(1800), "time", "30m",
            "Raise an alarm when next_hop has been suspended for this long; 0 means never. Destinations found by MX lookup raise none.";
        alarm_silence_time: Span = Span::seconds(4 * 3600), "time", "4h",
            "Raise an alarm when every delivery attempt has failed for this long; 0 means never.";
        alarm_free_space: Size = Size(256 << 20), "size", "256MiB",
            "Raise an alarm when the spool's file system has less free space than this; 0 means never.";
        alarm_command: Vec<String> = Vec::new(), "list: a program and its arguments", "[]",
            "A program to run when an alarm is raised or cleared, as the daemon's user and without a shell. mailchute(8) describes its environment. The path must be absolute.";
        canary_address: Option<String> = None, "address", "",
            "The recipient of a daily test message, the canary, which is submitted through sendmail. An alarm is raised if the next hop does not accept it in time. Default: no canary. With sender_policy own or list, the daemon's user must be trusted.";
        canary_time: TimeOfDay = TimeOfDay { hour: 4, minute: 0 }, "hour:minute, local time", "04:00",
            "When the canary is sent.";
        canary_wait: Span = Span::seconds(900), "time", "15m",
            "How long the canary may take to reach the next hop.";
        webhook_queue_limit: u64 = 10_000, "number", "10000",
            "The most events queued for one webhook. Further events are dropped and counted.";
        webhook_event_lifetime: Span = Span::seconds(3 * 86_400), "time", "3d",
            "How long an event is tried before it is dropped.";
        dns_servers: Vec<std::net::SocketAddr> = Vec::new(), "list of address:port", "[]",
            "DNS servers to use instead of those in /etc/resolv.conf.";
        mx_port: u16 = 25, "port", "25",
            "The port of mail exchangers. Change it only for tests.";
        domain: BTreeMap<String, DomainParams> = BTreeMap::new(), "tables", "",
            "One table [domain.\"example.org\"] for each From domain with DKIM keys.";
        webhook: BTreeMap<String, WebhookParams> = BTreeMap::new(), "tables", "",
            "One table [webhook.\"ops\"] for each receiver of events (Standard Webhooks). With webhooks, the configuration file must belong to root.";
    }
}

parameters! {
    /// `[domain."example.org"]`
    DOMAIN_PARAMETERS for DomainParams {
        dkim: DkimPolicy = DkimPolicy::Required, "required or off", "required",
            "required: if a key cannot be used, mail from this domain is held, never sent unsigned. off: mail is not signed.";
        selectors: Vec<String> = Vec::new(), "list of selectors", "[]",
            "The selectors to sign with. The private key of each is keys/DOMAIN/SELECTOR.pem below the configuration directory.";
    }
}

parameters! {
    /// `[webhook."ops"]`
    WEBHOOK_PARAMETERS for WebhookParams {
        url: Option<WebhookUrl> = None, "URL", "",
            "The URL for the POST requests: https://host[:port]/path, or http:// to a loopback address. Redirects are not followed.";
        events: Vec<String> = vec!["alarm_raised".to_owned(), "alarm_cleared".to_owned()], "list of event names", "[\"alarm_raised\", \"alarm_cleared\"]",
            "The events to send, by their names in mailchute-log(5). \"*\" means all except those about webhooks.";
        secret_file: Option<PathBuf> = None, "path", "",
            "The file with the signing secret: whsec_ followed by 24 to 64 bytes in base64. A second line is a second secret, which also signs, for changing the secret. Only its owner may be able to read the file. Default: the systemd credential webhook-NAME, else credentials/webhook-NAME or credentials/webhook below the configuration directory.";
        ca_file: Option<PathBuf> = None, "path", "",
            "PEM file of the CA certificates that verify the receiver. Default: the system's certificate store.";
    }
}

impl Params {
    /// Checks that parameters agree with each other.
    ///
    /// Errors: one line.
    pub(crate) fn consistent(&self) -> Result<(), String> {
        let (min, max) = (self.retry_min.0.as_secs(), self.retry_max.0.as_secs());
        if min <= max { Ok(()) } else { Err(format!("retry_min ({min} s) is longer than retry_max ({max} s): set both")) }
    }

    /// How long failed and corrupt files are kept; `None` is for ever.
    pub fn failed_lifetime(&self) -> Option<Span> {
        Some(self.failed_lifetime.unwrap_or(self.history_time)).filter(|lifetime| !lifetime.0.is_zero())
    }

    /// Bytes that new mail must leave free (`spool_reserve`). A message that is being accepted when the rest of the space is used up
    /// must still fit, so the default grows with the largest message.
    pub fn reserve(&self) -> u64 {
        const LEAST: u64 = 64 << 20;
        let largest = self.message_size_limit.0;
        self.spool_reserve.map_or_else(|| LEAST.max(largest.saturating_add(largest / 2)), |size| size.0)
    }
}

macro_rules! choices {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)* })*) => {
        $($(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$doc])* $variant,)* })*
    };
}

choices! {
    /// SENDMAIL.md I2.
    Dot {
        /// It ends the message only as the last line, or on a terminal.
        Smart,
        /// It always ends the message.
        Strict,
        /// It never ends the message.
        Data,
    }
    /// SENDMAIL.md R3.
    TArguments {
        /// The union.
        Add,
        /// Operands are removed from the recipients of the header.
        Remove,
    }
    /// SENDMAIL.md S3.
    SenderPolicy {
        /// Everybody may use -f.
        Any,
        /// Only trusted users may set another sender.
        Own,
        /// Only trusted users may send.
        List,
    }
    /// SENDMAIL.md R6.
    UnknownLocal {
        /// Append the mailname and relay.
        Relay,
        /// Exit code 67.
        Reject,
    }
    /// SENDMAIL.md Q4.
    MailqUsers {
        /// Their own mail.
        Own,
        /// All mail.
        Anyone,
        /// Nothing.
        Admin,
    }
    /// SPOOL.md, "Guarantees", 9.
    OnUncertain {
        /// Try again after ten minutes.
        Retry,
        /// Hold until an operator decides.
        Hold,
    }
    /// What happens when a key is missing or unusable.
    DkimPolicy {
        /// Hold the message and say why.
        Required,
        /// Do not sign.
        Off,
    }
}
