//! The table of parameters: one row each, with name, type, default and prose. The loader, the sample file and
//! mailchute.toml(5) are all made from it or tested against it.

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
    /// What its value is, in words.
    pub kind: &'static str,
    /// The default, as one would write it; empty where there is none.
    pub default: &'static str,
    /// What it does and when to change it.
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
            "The name that qualifies bare addresses and stands in Message-ID and Received. Default: the first line of /etc/mailname, else the host name.";
        hostname: Option<String> = None, "domain name", "",
            "The name in EHLO. Should be the name that the address of this host resolves back to. Default: the host name if it has a dot, else mailname.";
        next_hop: NextHop = NextHop::Mx, "URL or \"mx\"", "mx",
            "Where all mail goes: smtp://[user@]host[:port], smtps://, lmtp://, lmtp+unix:///path, with ?tls=opportunistic|required|verified|none; or mx, to deliver to each domain's mail exchangers.";
        password_file: Option<PathBuf> = None, "path", "",
            "The file whose first line is the password of the user in next_hop. Nobody but its owner may read it. Default: the systemd credential next_hop, else credentials/next_hop below the configuration directory.";
        ca_file: Option<PathBuf> = None, "path", "",
            "PEM certificates that verify the next hop. Default: the system's certificate store.";
        message_size_limit: Size = Size(50 << 20), "size", "50MiB",
            "The largest message that is accepted; 0 means no limit. A larger one ends in exit code 65.";
        spool_reserve: Option<Size> = None, "size", "",
            "How much of the spool's file system new mail leaves free; where less is free, sendmail ends with exit code 69, and old mail is still delivered. 0 means none. Default: 64MiB, or one and a half times message_size_limit where that is more.";
        spool_inode_reserve: u64 = 1000, "number", "1000",
            "How many inodes of the spool's file system new mail leaves free; 0 means none.";
        user_message_limit: u64 = 100_000, "number", "100000",
            "The most messages that one user may have in the spool, held and failed ones too; 0 means no limit. At the limit sendmail ends with exit code 69, and what comes all the same is held. Root and the daemon's own user have no limit.";
        user_bytes_limit: Size = Size(4 << 30), "size", "4GiB",
            "The most bytes that the messages of one user may have in the spool; 0 means no limit. It works as user_message_limit does.";
        recipient_limit: usize = 10_000, "number, 1 to 10000", "10000",
            "The most recipients of one message. More end in exit code 65.";
        dot: Dot = Dot::Smart, "smart, strict or data", "smart",
            "What a line with a single dot means without -i. smart: it ends the message only as the last line or on a terminal; strict: it always ends it; data: never.";
        t_arguments: TArguments = TArguments::Add, "add or remove", "add",
            "What addresses on the command line mean together with -t. add: they are recipients too; remove: they are taken away from those in the header.";
        undisclosed_recipients: bool = false, "boolean", "false",
            "Add To: undisclosed-recipients:; to messages without To and Cc.";
        sender_from_header: bool = false, "boolean", "false",
            "Without -f, take the envelope sender from the From field instead of the user's name. For relays that insist on it.";
        sender_policy: SenderPolicy = SenderPolicy::Any, "any, own or list", "any",
            "Who may choose another envelope sender with -f. any: everybody; own: nobody but trusted_users and trusted_groups; list: only those may send at all.";
        trusted_users: Vec<String> = Vec::new(), "list of user names or ids", "[]",
            "Users to whom sender_policy does not apply. Root is always one.";
        trusted_groups: Vec<String> = Vec::new(), "list of group names or ids", "[]",
            "Groups to whose members sender_policy does not apply.";
        local_domains: Vec<String> = Vec::new(), "list of domain names", "[]",
            "More domains whose addresses are local names, beside mailname, the host name and localhost: aliases and admin_address apply to them.";
        alias_file: Option<PathBuf> = None, "path", "",
            "The alias file, in the syntax of aliases(5). It is read for each message to a local name; newaliases checks it. Default: /etc/aliases.";
        admin_address: Option<String> = None, "address", "",
            "Where mail for local names without an alias goes. Without it they are qualified with mailname and relayed.";
        unknown_local: UnknownLocal = UnknownLocal::Relay, "relay or reject", "relay",
            "What happens to a bare name that no alias and no admin_address catches. reject: exit code 67.";
        spool_error_exit: Option<u8> = None, "75", "",
            "Set to 75 to end with EX_TEMPFAIL where the spool cannot take a message (69, 73, 74). PHP 8.5 and later count 75 as success, so leave it unset unless all callers retry on 75.";
        received_uid: bool = true, "boolean", "true",
            "Name the user id of the sender in the Received field.";
        admin_group: String = "mailchute-admin".to_owned(), "group name", "mailchute-admin",
            "The group whose members see and steer all mail, as root does.";
        mailq_users: MailqUsers = MailqUsers::Own, "own, anyone or admin", "own",
            "Whose mail ordinary users see in mailq. own: their own; anyone: all; admin: none.";
        queue_lifetime: Span = Span::seconds(5 * 86_400), "time", "5d",
            "How long a message is tried before it fails for good (RFC 5321 4.5.4.1).";
        delay_warning_time: Span = Span::seconds(4 * 3600), "time", "4h",
            "How long a message may wait before its sender is told, once, that it is late; 0 means never. NOTIFY without DELAY asks not to be told.";
        dsn_limit: u32 = 100, "number", "100",
            "The most failure and delay notices that are sent within an hour; 0 means no limit. The others wait for the next hour, and admin_address is told how many there are, and of what reasons most of them.";
        retry_min: Span = Span::seconds(300), "time", "5m",
            "The wait after the first failed attempt. It doubles with each attempt, with a jitter of a fifth.";
        retry_max: Span = Span::seconds(4 * 3600), "time", "4h",
            "The longest wait between two attempts; no shorter than retry_min.";
        route_connections: usize = 20, "number, 1 to 500", "20",
            "The most connections to one next hop at a time.";
        uncertain: OnUncertain = OnUncertain::Retry, "retry or hold", "retry",
            "What happens to a message whose connection was lost between the final dot and the reply: it may or may not have been delivered.";
        connect_timeout: Span = Span::seconds(30), "time", "30s",
            "How long one address of a next hop may take to accept a connection.";
        reply_timeout: Span = Span::seconds(300), "time", "5m",
            "How long a reply may take. The reply to the final dot may take twice as long (RFC 5321 4.5.3.2).";
        history_time: Span = Span::seconds(30 * 86_400), "time", "30d",
            "How long the history of a finished message is kept, unless history_size is reached before.";
        history_size: Size = Size(1 << 30), "size", "1GiB",
            "How large the database of the queue and its history may become before the oldest history is deleted; a message takes about a kilobyte. What ended within the last hour is always kept.";
        event_file: Option<PathBuf> = None, "path", "",
            "A file that gets every event as a line of JSON, as mailchute-log(5) lists them. The daemon's user must be able to write it: the unit gives it /var/log/mailchute.";
        event_file_size: Size = Size(10 << 20), "size", "10MiB",
            "The size at which event_file is moved to event_file.1 and begun anew; 0 means never.";
        event_file_count: u32 = 5, "number", "5",
            "How many older event files are kept.";
        metrics_file: Option<PathBuf> = None, "path", "",
            "The file with the metrics, in the OpenMetrics text form: give it a name ending in .prom in the textfile directory of node_exporter, which must be writable for the daemon (ReadWritePaths in its unit). Default: metrics.prom in the directory of the sockets.";
        metrics_interval: Span = Span::seconds(30), "time", "30s",
            "How often the metrics are written; 0 means never.";
        alarm_age: Span = Span::seconds(86_400), "time", "1d",
            "The age of the oldest waiting message that is an alarm; 0 means never. mailchute(8) lists the alarms.";
        alarm_route_time: Span = Span::seconds(1800), "time", "30m",
            "How long next_hop may be suspended before that is an alarm; 0 means for ever. Destinations that are found by MX make none.";
        alarm_silence_time: Span = Span::seconds(4 * 3600), "time", "4h",
            "How long every attempt may be in vain before that is an alarm; 0 means for ever.";
        alarm_free_space: Size = Size(256 << 20), "size", "256MiB",
            "The room on the spool's file system below which there is an alarm; 0 means none is needed.";
        alarm_command: Vec<String> = Vec::new(), "list: a program and its arguments", "[]",
            "A program that is run when an alarm is raised or cleared, without a shell, as the daemon's user; mailchute(8) has its environment. The path is absolute.";
        canary_address: Option<String> = None, "address", "",
            "Where a message goes once a day, given to sendmail as any other; that it does not arrive at the next hop is an alarm. Default: none is sent. With sender_policy own or list, the daemon's user has to be trusted.";
        canary_time: TimeOfDay = TimeOfDay { hour: 4, minute: 0 }, "hour:minute, local time", "04:00",
            "When the canary is sent.";
        canary_wait: Span = Span::seconds(900), "time", "15m",
            "How long the canary may take to the next hop.";
        webhook_queue_limit: u64 = 10_000, "number", "10000",
            "How many events may wait for one webhook. More are lost, and counted.";
        webhook_event_lifetime: Span = Span::seconds(3 * 86_400), "time", "3d",
            "How long an event is tried before it is lost.";
        dns_servers: Vec<std::net::SocketAddr> = Vec::new(), "list of address:port", "[]",
            "DNS servers to ask instead of those in /etc/resolv.conf.";
        mx_port: u16 = 25, "port", "25",
            "The port of mail exchangers. Another one than 25 is for tests.";
        domain: BTreeMap<String, DomainParams> = BTreeMap::new(), "tables", "",
            "One table [domain.\"example.org\"] for each domain in From that has DKIM keys.";
        webhook: BTreeMap<String, WebhookParams> = BTreeMap::new(), "tables", "",
            "One table [webhook.\"ops\"] for each receiver of events, as Standard Webhooks. The file must belong to root.";
    }
}

parameters! {
    /// `[domain."example.org"]`
    DOMAIN_PARAMETERS for DomainParams {
        dkim: DkimPolicy = DkimPolicy::Required, "required or off", "required",
            "required: mail from this domain is held, never sent unsigned, when a key cannot be used. off: not signed.";
        selectors: Vec<String> = Vec::new(), "list of selectors", "[]",
            "The selectors that sign; the private key of each is keys/DOMAIN/SELECTOR.pem below the configuration directory.";
    }
}

parameters! {
    /// `[webhook."ops"]`
    WEBHOOK_PARAMETERS for WebhookParams {
        url: Option<WebhookUrl> = None, "URL", "",
            "Where events are posted: https://host[:port]/path, or http:// to a loopback address. Redirects are not followed.";
        events: Vec<String> = vec!["alarm_raised".to_owned(), "alarm_cleared".to_owned()], "list of event names", "[\"alarm_raised\", \"alarm_cleared\"]",
            "The events that it gets, by their names in mailchute-log(5); \"*\" is all of them but those about webhooks.";
        secret_file: Option<PathBuf> = None, "path", "",
            "The file with the secret that signs: whsec_ and the base64 of 24 to 64 bytes; a second line signs too, while receivers change from one to the other. Nobody but its owner may read it. Default: the systemd credential webhook-NAME, else credentials/webhook-NAME or credentials/webhook below the configuration directory.";
        ca_file: Option<PathBuf> = None, "path", "",
            "PEM certificates that verify the receiver. Default: the system's certificate store.";
    }
}

impl Params {
    /// Whether parameters fit each other that are right by themselves.
    ///
    /// Errors: one line.
    pub(crate) fn consistent(&self) -> Result<(), String> {
        let (min, max) = (self.retry_min.0.as_secs(), self.retry_max.0.as_secs());
        if min <= max { Ok(()) } else { Err(format!("retry_min ({min} s) is longer than retry_max ({max} s): set both")) }
    }

    /// Bytes that new mail leaves free (`spool_reserve`). A message that is being taken when the rest of the space is used up must
    /// still fit, so the default grows with the largest message.
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
        /// Ends the message only where it is the last line, or on a terminal.
        Smart,
        /// Always ends it.
        Strict,
        /// Never ends it.
        Data,
    }
    /// SENDMAIL.md R3.
    TArguments {
        /// The union.
        Add,
        /// Operands are taken away from the header's recipients.
        Remove,
    }
    /// SENDMAIL.md S3.
    SenderPolicy {
        /// Everybody may use -f.
        Any,
        /// Only the trusted may name another sender.
        Own,
        /// Only the trusted may send.
        List,
    }
    /// SENDMAIL.md R6.
    UnknownLocal {
        /// Qualify and relay.
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
    /// What a missing or unusable key means.
    DkimPolicy {
        /// Hold the message and say why.
        Required,
        /// Do not sign.
        Off,
    }
}
