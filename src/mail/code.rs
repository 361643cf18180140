//! The codes: every decision that is stored, sent or counted, as an enumeration with a stable number and a stable word. Pure.
//!
//! The number stands in state.sqlite, the word in JSON, events and metrics. Neither ever changes its meaning; `tests/data/codes.txt`
//! holds them, and a test compares. Sentences are made from codes in [`super::words`], and nothing is ever decided from a sentence.

use std::fmt;

/// One enumeration of codes.
pub trait Code: Copy + Eq + Sized + fmt::Debug + 'static {
    /// Its name, in the table `code` of the database and in mailchute-spool(5).
    const KIND: &'static str;
    /// All of its values.
    const ALL: &'static [Self];
    /// The number in the database.
    fn number(self) -> i64;
    /// The word everywhere else.
    fn word(self) -> &'static str;

    /// The value of this number, if there is one.
    fn of_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// The value of this word, if there is one.
    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident($kind:literal) { $($(#[$of:meta])* $variant:ident = $number:literal $word:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub enum $name {
                $($(#[$of])* $variant = $number,)*
            }

            impl Code for $name {
                const KIND: &'static str = $kind;
                const ALL: &'static [Self] = &[$($name::$variant,)*];

                fn number(self) -> i64 {
                    match self { $($name::$variant => $number,)* }
                }

                fn word(self) -> &'static str {
                    match self { $($name::$variant => $word,)* }
                }
            }

            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.word())
                }
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    $name::of_word(&word).ok_or_else(|| serde::de::Error::unknown_variant(&word, &[$($word,)*]))
                }
            }
        )*

        /// Every code there is: kind, number, word.
        pub fn all() -> Vec<(&'static str, i64, &'static str)> {
            let mut all = Vec::new();
            $(all.extend($name::ALL.iter().map(|code| ($kind, code.number(), code.word())));)*
            all
        }
    };
}

codes! {
    /// Where a message's file is.
    QueueDir("dir") {
        /// `cur/`: deferred or being sent.
        Cur = 0 "cur",
        /// `hold/`
        Hold = 1 "hold",
        /// `failed/`
        Failed = 2 "failed",
        /// Nowhere: relayed, vanished, or deleted after it ended.
        NoFile = 3 "none",
        /// `trash/`
        Trash = 4 "trash",
        /// `corrupt/`
        Corrupt = 5 "corrupt",
    }

    /// How a message ended. It has none while a recipient is open.
    MessageEnd("outcome") {
        /// Every recipient was relayed.
        Relayed = 1 "relayed",
        /// A recipient was refused for good.
        Failed = 2 "failed",
        /// A recipient was open when the time for the message was over.
        Expired = 3 "expired",
        /// An operator gave it up at once.
        Bounced = 4 "bounced",
        /// An operator dropped it while a recipient was open.
        Removed = 5 "removed",
        /// Its file was changed or damaged on this host.
        Corrupt = 6 "corrupt",
        /// Its file is gone.
        Vanished = 7 "vanished",
    }

    /// How far one recipient has come.
    Progress("recipient") {
        /// Not delivered yet.
        Deferred = 0 "deferred",
        /// The next hop took responsibility.
        Relayed = 1 "relayed",
        /// Failed for good.
        Failed = 2 "failed",
        /// The final dot was sent and no reply came: it may have been delivered.
        Uncertain = 3 "uncertain",
    }

    /// Why a recipient is deferred, uncertain or failed.
    Cause("cause") {
        /// A server answered.
        Reply = 1 "reply",
        /// The connection was lost, or nothing came in time, before the final dot.
        NoAnswer = 2 "no_answer",
        /// No connection, or no greeting.
        Unreachable = 3 "unreachable",
        /// TLS could not be negotiated as required.
        Tls = 4 "tls",
        /// The login was not accepted, or could not be tried.
        Login = 5 "login",
        /// The DNS gave no answer.
        Dns = 6 "dns",
        /// The DNS says that the domain takes no mail.
        NoDomain = 7 "no_domain",
        /// The next hop lacks what the message needs: SMTPUTF8, SIZE.
        Capability = 8 "capability",
        /// The server broke the protocol.
        Protocol = 9 "protocol",
        /// The transaction ended without a reply for this recipient.
        NotAnswered = 10 "not_answered",
        /// The file of the message cannot be read at present.
        Disk = 20 "disk",
        /// The DKIM key cannot be used.
        Key = 21 "key",
        /// A fault of this program.
        Internal = 22 "internal",
        /// The file is larger, or from another owner, than the configuration allows.
        Policy = 23 "policy",
        /// The queue lifetime is over.
        Expired = 30 "expired",
        /// An operator had the message expire.
        ExpiredByOperator = 31 "expired_by_operator",
        /// An operator gave it up at once.
        Bounced = 32 "bounced",
        /// The time that the sender set (RFC 2852) is over.
        DeliverBy = 33 "deliver_by",
        /// The file of the message was changed or damaged on this host.
        Corrupt = 40 "corrupt",
        /// The file of the message is gone.
        Vanished = 41 "vanished",
        /// The connection was lost after the final dot.
        NoReply = 50 "no_reply",
        /// The daemon stopped between the final dot and the record of the outcome.
        Stopped = 51 "stopped",
        /// The database was lost, and with it what had happened.
        StateLost = 52 "state_lost",
        /// Not known: from before schema 3.
        Unknown = 60 "unknown",
    }

    /// What a failure is about: nothing else waits or fails because of it.
    Subject("subject") {
        /// One recipient.
        Recipient = 1 "recipient",
        /// The sender's address.
        Sender = 2 "sender",
        /// The message.
        Message = 3 "message",
        /// One connection.
        Connection = 4 "connection",
        /// Our login.
        Credential = 5 "credential",
        /// The next hop.
        Relay = 6 "relay",
        /// The domain of the recipient.
        Destination = 7 "destination",
        /// This host.
        Host = 8 "host",
    }

    /// How far an attempt had come.
    Stage("stage") {
        /// Looking up where to connect to.
        Route = 0 "route",
        /// Opening the connection.
        Connect = 1 "connect",
        /// Waiting for 220.
        Greeting = 2 "greeting",
        /// EHLO, HELO or LHLO.
        Ehlo = 3 "ehlo",
        /// The STARTTLS command, or its absence from the capabilities.
        StartTls = 4 "starttls",
        /// The TLS handshake.
        Tls = 5 "tls",
        /// AUTH, or its absence.
        Auth = 6 "auth",
        /// MAIL FROM.
        MailFrom = 7 "mail",
        /// RCPT TO.
        RcptTo = 8 "rcpt",
        /// DATA, up to 354.
        Data = 9 "data",
        /// The content, before the end of data was handed to the kernel.
        Body = 10 "body",
        /// After the end of data.
        FinalDot = 11 "dot",
        /// QUIT.
        Quit = 12 "quit",
    }

    /// Why a message is held.
    HoldCause("hold") {
        /// An operator wanted it.
        Operator = 1 "operator",
        /// It may have been delivered (`uncertain = "hold"`).
        Uncertain = 2 "uncertain",
        /// It cannot be signed.
        Dkim = 3 "dkim",
        /// Its user has reached the spool limit.
        Quota = 4 "quota",
        /// Admission is closed.
        Closed = 5 "closed",
        /// It is larger than `message_size_limit`.
        Size = 6 "size",
        /// Its owner is the overflow uid.
        OverflowUid = 7 "overflow_uid",
        /// The database was lost: it may have been delivered.
        StateLost = 8 "state_lost",
        /// It was held before the database was lost; why is not known.
        ReasonLost = 9 "reason_lost",
        /// Its file was moved by hand.
        Moved = 10 "moved",
        /// A fault of this program.
        Internal = 11 "internal",
        /// It had ended, and its file was put back.
        Restored = 13 "restored",
        /// Not known: from before schema 3.
        Unknown = 60 "unknown",
    }

    /// What is done to a message.
    Op("op") {
        /// To `hold/`.
        Hold = 1 "hold",
        /// Out of `hold/`.
        Release = 2 "release",
        /// To `trash/`.
        Remove = 3 "remove",
        /// Retried from scratch.
        Requeue = 4 "requeue",
        /// Its next attempt is its last.
        Expire = 5 "expire",
        /// Given up at once.
        Bounce = 6 "bounce",
        /// Due now.
        Flush = 7 "flush",
        /// No recipient is open and one failed: to `failed/`.
        Fail = 20 "fail",
        /// Its file is not what was claimed: to `corrupt/`.
        Lose = 21 "lose",
        /// Its time in `failed/` is over: its file is deleted.
        Discard = 22 "discard",
    }

    /// What made the system do it, where no operator asked.
    Trigger("trigger") {
        /// An operator.
        Operator = 1 "operator",
        /// A delivery attempt.
        Delivery = 2 "delivery",
        /// The keys were read again.
        Keys = 3 "keys_reloaded",
        /// Its user is below the spool limit again.
        Quota = 4 "quota_freed",
        /// Admission was opened.
        Opened = 5 "admission_opened",
        /// Its time was over.
        Lifetime = 6 "lifetime",
        /// The start of the daemon.
        Start = 7 "start",
        /// The rules of admission.
        Policy = 8 "policy",
    }

    /// Why the next attempt may be a second delivery.
    Duplicate("duplicate") {
        /// The daemon stopped between the final dot and the record of the outcome.
        Stopped = 1 "stopped",
        /// The connection was lost after the final dot.
        NoReply = 2 "no_reply",
        /// The machine stopped without a clean stop of the daemon.
        PowerCut = 3 "power_cut",
        /// The database was lost.
        StateLost = 4 "state_lost",
        /// The spool or the database is an older copy.
        Restored = 5 "restored",
    }

    /// What is wrong with a file of the spool.
    FileFault("file_fault") {
        /// Its name.
        Name = 1 "name",
        /// It is no regular file.
        Kind = 2 "kind",
        /// Its links.
        Links = 3 "links",
        /// Its mode.
        Mode = 4 "mode",
        /// Its owner.
        Owner = 5 "owner",
        /// Its group.
        Group = 6 "group",
        /// Its envelope line.
        Line = 7 "line",
        /// What the envelope line says.
        Envelope = 8 "envelope",
        /// Its queue id belongs to another message.
        OtherId = 9 "other_id",
        /// Its size.
        Size = 10 "size",
        /// Its checksum.
        Checksum = 11 "checksum",
        /// Its message is not in wire form.
        Form = 12 "form",
        /// The peer that it names.
        Peer = 13 "peer",
        /// Another file has its name.
        Twin = 14 "twin",
        /// It was changed after it was claimed.
        Digest = 15 "digest",
        /// Its header section.
        Header = 16 "header",
        /// Not known.
        Unknown = 60 "unknown",
    }

    /// A line of a message's history. Its attempts are rows of their own.
    Happened("history") {
        /// From before schema 3.
        Note = 0 "note",
        /// Claimed: ours from here.
        Accepted = 1 "accepted",
        /// Parked.
        Held = 2 "held",
        /// Delivery resumed.
        Released = 3 "released",
        /// Retried from scratch.
        Requeued = 4 "requeued",
        /// Dropped.
        Removed = 5 "removed",
        /// Its next attempt is its last.
        Expired = 6 "expired",
        /// Given up at once.
        Bounced = 7 "bounced",
        /// Due now.
        Flushed = 8 "flushed",
        /// An operator's order that follows after the attempt under way.
        Asked = 9 "asked",
        /// A recipient failed without a reply that says so.
        Failed = 11 "failed",
        /// Its file was changed or damaged on this host.
        Corrupt = 12 "corrupt",
        /// Its file is gone.
        Vanished = 13 "vanished",
        /// It may have been delivered.
        Uncertain = 14 "uncertain",
        /// The next attempt may be a second delivery.
        Suspect = 15 "possible_duplicate",
        /// A DSN was written.
        Dsn = 16 "dsn",
        /// Nobody gets a DSN.
        NoDsn = 17 "no_dsn",
        /// Its file was deleted.
        Discarded = 18 "discarded",
        /// File and row were made to agree.
        Reconciled = 19 "reconciled",
        /// A change that an earlier run began, and did not live to end.
        Completed = 20 "completed",
        /// Taken out of `trash/`.
        Restored = 21 "restored",
    }

    /// What became of an operator's order about one message.
    Answer("answer") {
        /// It was done.
        Done = 1 "done",
        /// It would be done.
        WouldDo = 2 "would_do",
        /// It follows after the attempt under way.
        Later = 3 "later",
        /// It would follow after the attempt under way.
        WouldLater = 4 "would_later",
        /// It needs no doing.
        Already = 5 "already",
        /// There is no such message.
        NotFound = 6 "not_found",
        /// The state of the message does not allow it.
        Refused = 7 "refused",
        /// The disk refused.
        NotDone = 8 "not_done",
        /// Its file is gone: the message is lost.
        Lost = 9 "lost",
    }

    /// Why nobody gets a DSN.
    NoDsn("no_dsn") {
        /// The message is in a loop.
        Loop = 1 "loop",
        /// The message is an automatic answer.
        AutoReplied = 2 "auto_replied",
        /// The message was sent automatically, and there is no `admin_address`.
        NoAdmin = 3 "no_admin_address",
        /// The reverse-path is not an address.
        BadReversePath = 4 "bad_reverse_path",
        /// Not known: from before schema 3.
        Unknown = 60 "unknown",
    }
}

impl QueueDir {
    /// The directory, if there is a file.
    pub fn directory(self) -> Option<&'static str> {
        (self != QueueDir::NoFile).then(|| self.word())
    }

    /// True for what waits, is held or is kept in `failed/`: the queue as operators see it.
    pub fn is_queued(self) -> bool {
        matches!(self, QueueDir::Cur | QueueDir::Hold | QueueDir::Failed)
    }
}

#[expect(clippy::derivable_impls, reason = "the macro that makes the enumeration takes no mark for one of its variants")]
impl Default for Progress {
    fn default() -> Self {
        Progress::Deferred
    }
}

impl Answer {
    /// True where nothing was refused.
    pub fn is_success(self) -> bool {
        self <= Answer::Already
    }
}

impl Progress {
    /// True while the recipient still has to be tried.
    pub fn is_open(self) -> bool {
        matches!(self, Progress::Deferred | Progress::Uncertain)
    }
}

impl MessageEnd {
    /// True for a message that this host lost.
    pub fn is_lost(self) -> bool {
        matches!(self, MessageEnd::Corrupt | MessageEnd::Vanished)
    }

    /// True if a recipient failed permanently; the sender got a bounce or will get one.
    pub fn is_failure(self) -> bool {
        matches!(self, MessageEnd::Failed | MessageEnd::Expired | MessageEnd::Bounced)
    }
}

impl Stage {
    /// True for the stages that no message has part in: a failure there is one of the route (its address, its configuration, its
    /// certificate, its password), and never one of a message.
    pub fn is_route(self) -> bool {
        self <= Stage::Auth
    }
}

impl fmt::Display for Stage {
    /// As people say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Route => "route",
            Stage::Connect => "connect",
            Stage::Greeting => "greeting",
            Stage::Ehlo => "EHLO",
            Stage::StartTls => "STARTTLS",
            Stage::Tls => "TLS handshake",
            Stage::Auth => "AUTH",
            Stage::MailFrom => "MAIL FROM",
            Stage::RcptTo => "RCPT TO",
            Stage::Data => "DATA",
            Stage::Body => "message content",
            Stage::FinalDot => "end of data",
            Stage::Quit => "QUIT",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_frozen() {
        let lines: String = all().iter().map(|(kind, number, word)| format!("{kind} {number} {word}\n")).collect();
        assert_eq!(lines, include_str!("../../tests/data/codes.txt"), "a number or a word changed its meaning");
    }

    #[test]
    fn no_number_and_no_word_stands_twice_in_a_kind() {
        let all = all();
        for (at, (kind, number, word)) in all.iter().enumerate() {
            assert!(!all[..at].iter().any(|(k, n, w)| k == kind && (n == number || w == word)), "{kind} {number} {word}");
        }
        assert_eq!((QueueDir::of_number(7), Cause::of_word("no such"), Cause::of_number(40)), (None, None, Some(Cause::Corrupt)));
    }

    /// The values of which `is` is true.
    fn those<C: Code>(is: fn(C) -> bool) -> Vec<C> {
        C::ALL.iter().copied().filter(|code| is(*code)).collect()
    }

    #[test]
    fn every_code_is_found_by_its_number_and_by_its_word() {
        assert!(those(|code: Cause| Cause::of_number(code.number()) == Some(code)).len() == Cause::ALL.len());
        assert!(those(|code: Cause| Cause::of_word(code.word()) == Some(code)).len() == Cause::ALL.len());
    }

    #[test]
    fn a_file_is_in_the_directory_of_its_name_and_nowhere_without_one() {
        let directories: Vec<_> = QueueDir::ALL.iter().map(|dir| dir.directory()).collect();
        assert_eq!(directories, [Some("cur"), Some("hold"), Some("failed"), None, Some("trash"), Some("corrupt")]);
        assert_eq!(those(QueueDir::is_queued), [QueueDir::Cur, QueueDir::Hold, QueueDir::Failed]);
    }

    #[test]
    fn what_a_code_means_for_the_queue() {
        assert_eq!(those(Progress::is_open), [Progress::Deferred, Progress::Uncertain]);
        assert_eq!(those(MessageEnd::is_lost), [MessageEnd::Corrupt, MessageEnd::Vanished]);
        assert_eq!(those(MessageEnd::is_failure), [MessageEnd::Failed, MessageEnd::Expired, MessageEnd::Bounced]);
        assert_eq!(those(Answer::is_success), [Answer::Done, Answer::WouldDo, Answer::Later, Answer::WouldLater, Answer::Already]);
    }

    #[test]
    fn each_stage_has_a_name_of_its_own() {
        let names: std::collections::HashSet<String> = Stage::ALL.iter().map(Stage::to_string).collect();
        assert!(names.len() == Stage::ALL.len() && names.contains("STARTTLS") && names.contains("end of data"), "{names:?}");
    }

    #[test]
    fn the_stages_before_mail_are_the_routes() {
        let route: Vec<Stage> = Stage::ALL.iter().copied().filter(|stage| stage.is_route()).collect();
        assert_eq!(route, [Stage::Route, Stage::Connect, Stage::Greeting, Stage::Ehlo, Stage::StartTls, Stage::Tls, Stage::Auth]);
    }
}
