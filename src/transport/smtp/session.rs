//! Opens a session: connect, greeting, EHLO, TLS, AUTH.
//!
//! In: one address, and the TLS policy for mail and passwords. Out: a [`Session`], or a [`Failure`] in one of the stages of the route.
//! The host is treated as hostile. After its certificate was verified, it is trusted with the password and nothing else.
//!
//! TLS by policy (RFC 3207, 8314):
//!
//! | policy | STARTTLS not offered or refused, handshake failed | certificate |
//! |---|---|---|
//! | none | TLS is not used | - |
//! | opportunistic | retry in clear, except after injected bytes | any |
//! | required | failure | any |
//! | verified | failure | valid, for the configured name |

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::auth::{Credentials, Mechanism};
use super::capabilities::Capabilities;
use super::connection::{Broken, Connection, Stream};
use super::dialogue::{CHALLENGE, COMPLETED, Dialogue, NO_ANSWER, OURS, PROTOCOL};
use super::failure::{Failure, Stage};
use super::phase::Phase;
use super::timeouts::Timeouts;
use crate::tls::{TlsClient, TlsSummary};
use config::TlsPolicy;
use mail::{EnhancedStatus, printable};

/// 4.7.0: other security failure.
const SECURITY: EnhancedStatus = EnhancedStatus::new(4, 7, 0);
/// 4.7.4: a required security feature is missing.
const NO_TLS: EnhancedStatus = EnhancedStatus::new(4, 7, 4);
/// 4.7.5: a cryptographic failure.
const BAD_TLS: EnhancedStatus = EnhancedStatus::new(4, 7, 5);

/// The settings shared by all sessions.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name in EHLO (RFC 5321 4.1.1.1).
    pub ehlo_name: String,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Certificates and TLS sessions.
    pub tls: Arc<TlsClient>,
}

/// SMTP or LMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
    /// RFC 2033: LHLO, and one final reply for each recipient.
    Lmtp,
}

/// The endpoint of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// One address of the host.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// An endpoint, with the requirements for it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The configured name, or that of the mail exchanger. The certificate must be valid for it.
    pub host: String,
    /// The protocol.
    pub protocol: Protocol,
    /// TLS from the first octet (RFC 8314 3.3).
    pub implicit_tls: bool,
    /// The TLS policy.
    pub tls: TlsPolicy,
    /// For AUTH. Sent to a verified host only, whatever the policy.
    pub credentials: Option<Credentials>,
}

impl Target {
    /// The peer for people: `mx.example[192.0.2.1]:25`, or the path of the socket. Printable, although a name may come from hostile
    /// DNS.
    pub fn peer(&self) -> String {
        printable::text(&match &self.endpoint {
            Endpoint::Tcp(address) if address.ip().to_string() == self.host => format!("[{}]:{}", address.ip(), address.port()),
            Endpoint::Tcp(address) => format!("{}[{}]:{}", self.host, address.ip(), address.port()),
            Endpoint::Unix(path) => path.display().to_string(),
        })
    }
}

/// An open session. Its transactions are in `transaction.rs`.
pub struct Session {
    pub(super) dialogue: Dialogue,
    pub(super) protocol: Protocol,
    pub(super) capabilities: Capabilities,
    pub(super) phase: Phase,
    /// MAIL was accepted and no end of data followed: RSET comes first.
    pub(super) left_open: bool,
    /// The number of started transactions.
    pub(super) transactions: u32,
    /// The one outgoing buffer.
    pub(super) out: Vec<u8>,
    tls: Option<TlsSummary>,
    downgrade: Option<String>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("peer", &self.dialogue.peer).field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl Session {
    /// Connects to `target` and performs all steps before mail.
    ///
    /// Errors: a failure whose stage [`Stage::is_route`]: it says nothing about any message.
    pub async fn open(settings: &Settings, target: &Target) -> Result<Session, Failure> {
        let failure = match attempt(settings, target, target.tls).await {
            Err(failure) if falls_back(target, &failure) => failure,
            result => return result,
        };
        let mut session = attempt(settings, target, TlsPolicy::None).await?;
        session.downgrade = Some(format!("{}: {}", failure.stage, failure.cause));
        Ok(session)
    }

    /// What the server offers. After TLS: what it offered under TLS.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Version, cipher suite and verdict; None in clear.
    pub fn tls(&self) -> Option<&TlsSummary> {
        self.tls.as_ref()
    }

    /// Why an opportunistic session is in clear although TLS was offered.
    pub fn downgrade(&self) -> Option<&str> {
        self.downgrade.as_deref()
    }

    /// The peer, as in [`Target::peer`].
    pub fn peer(&self) -> &str {
        &self.dialogue.peer
    }

    /// The number of transactions started in this session.
    pub fn transactions(&self) -> u32 {
        self.transactions
    }

    /// True if [`Session::send_envelope`] may be called. An idle server may have closed the connection; then that call fails.
    pub fn is_usable(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.has_transactions_left()
    }

    /// RFC 9422: the server may limit the transactions of a session.
    pub(super) fn has_transactions_left(&self) -> bool {
        self.capabilities.mail_max.is_none_or(|most| self.transactions < most)
    }

    /// Sends QUIT if possible, and closes (RFC 5321 4.1.1.10). The reply does not matter.
    pub async fn quit(mut self) {
        let limit = self.dialogue.timeouts.quit;
        if matches!(self.phase, Phase::Idle) && self.dialogue.command(Stage::Quit, b"QUIT\r\n", COMPLETED).await.is_ok() {
            self.dialogue.connection.shutdown(limit).await;
        }
    }
}

/// True if an opportunistic session may be retried in clear. Not after bytes injected behind the 220 to STARTTLS (that failure has no
/// reply): that is an attack, and continuing in clear would let it succeed.
fn falls_back(target: &Target, failure: &Failure) -> bool {
    let tls_failed = failure.stage == Stage::Tls || (failure.stage == Stage::StartTls && failure.reply.is_some());
    target.tls == TlsPolicy::Opportunistic && !target.implicit_tls && target.credentials.is_none() && tls_failed
}

async fn attempt(settings: &Settings, target: &Target, policy: TlsPolicy) -> Result<Session, Failure> {
    let peer = target.peer();
    if settings.ehlo_name.is_empty() || !settings.ehlo_name.bytes().all(|b| b.is_ascii_graphic()) {
        // THREATS T-SMTP-2.
        return Err(Failure::lost(Stage::Ehlo, &peer, OURS, "`hostname` in the configuration is not valid in EHLO"));
    }
    let mut opening = Opening { settings, target, policy, tls: None };
    let stream = opening.connect(&peer).await?;
    let stream = if target.implicit_tls { opening.handshake(stream, &peer).await? } else { stream };
    let mut dialogue = Dialogue { connection: Connection::new(stream), peer, timeouts: settings.timeouts };
    // RFC 7504: 521 and 554 are refusals like any other here: of the host, never of a message.
    dialogue.answer(Stage::Greeting, COMPLETED).await?;
    let mut capabilities = opening.hello(&mut dialogue, true).await?;
    if opening.wants_starttls(&dialogue, &capabilities)? {
        dialogue = opening.start_tls(dialogue).await?;
        // RFC 3207 4.2: capabilities offered in clear are discarded.
        capabilities = opening.hello(&mut dialogue, false).await?;
    }
    opening.authenticate(&mut dialogue, &capabilities).await?;
    Ok(Session {
        dialogue,
        protocol: target.protocol,
        capabilities,
        phase: Phase::Idle,
        left_open: false,
        transactions: 0,
        out: Vec::new(),
        tls: opening.tls,
        downgrade: None,
    })
}

/// One attempt to open a session.
struct Opening<'a> {
    settings: &'a Settings,
    target: &'a Target,
    policy: TlsPolicy,
    tls: Option<TlsSummary>,
}

impl Opening<'_> {
    async fn connect(&self, peer: &str) -> Result<Box<dyn Stream>, Failure> {
        let limit = self.settings.timeouts.connect;
        let connect = async {
            let stream: Box<dyn Stream> = match &self.target.endpoint {
                Endpoint::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    // Whole groups are written at once. Without this, each message would take 40 ms longer.
                    stream.set_nodelay(true)?;
                    Box::new(stream)
                }
                Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
            };
            Ok::<_, std::io::Error>(stream)
        };
        let failed = |why: String| Failure::lost(Stage::Connect, peer, NO_ANSWER, why);
        match timeout(limit, connect).await {
            Ok(result) => result.map_err(|e| failed(format!("cannot connect: {e}"))),
            Err(_) => Err(failed(format!("cannot connect: no answer within {} s", limit.as_secs_f32()))),
        }
    }

    async fn handshake(&mut self, stream: Box<dyn Stream>, peer: &str) -> Result<Box<dyn Stream>, Failure> {
        let limit = self.settings.timeouts.tls;
        let failed = |why: String| Failure::lost(Stage::Tls, peer, BAD_TLS, why);
        let must_verify = self.policy == TlsPolicy::Verified;
        match timeout(limit, self.settings.tls.connect(stream, &self.target.host, must_verify)).await {
            Ok(Ok((stream, summary))) => {
                self.tls = Some(summary);
                Ok(Box::new(stream))
            }
            Ok(Err(why)) => Err(failed(why)),
            Err(_) => Err(failed(format!("the handshake did not end within {} s", limit.as_secs_f32()))),
        }
    }

    /// EHLO or LHLO; HELO for a server that does not know EHLO (RFC 5321 4.1.4), if no EHLO extension is needed.
    async fn hello(&self, dialogue: &mut Dialogue, may_fall_back: bool) -> Result<Capabilities, Failure> {
        let name = &self.settings.ehlo_name;
        let verb = if self.target.protocol == Protocol::Lmtp { "LHLO" } else { "EHLO" };
        let refusal = match dialogue.command(Stage::Ehlo, format!("{verb} {name}\r\n").as_bytes(), COMPLETED).await {
            Ok(reply) => return Ok(Capabilities::from_ehlo(&reply)),
            Err(refusal) => refusal,
        };
        let is_unknown = refusal.reply.as_ref().is_some_and(|reply| reply.is_permanent());
        let needs_ehlo = self.target.protocol == Protocol::Lmtp
            || self.target.credentials.is_some()
            || matches!(self.policy, TlsPolicy::Required | TlsPolicy::Verified);
        if !may_fall_back || !is_unknown || needs_ehlo {
            return Err(refusal);
        }
        dialogue.command(Stage::Ehlo, format!("HELO {name}\r\n").as_bytes(), COMPLETED).await?;
        Ok(Capabilities::default())
    }

    fn wants_starttls(&self, dialogue: &Dialogue, offer: &Capabilities) -> Result<bool, Failure> {
        match self.policy {
            _ if self.tls.is_some() => Ok(false),
            TlsPolicy::None => Ok(false),
            TlsPolicy::Opportunistic => Ok(offer.starttls),
            TlsPolicy::Required | TlsPolicy::Verified if offer.starttls => Ok(true),
            TlsPolicy::Required | TlsPolicy::Verified => {
                let cause = "TLS is required, but the server does not offer STARTTLS; see `?tls=` in next_hop";
                Err(Failure::lost(Stage::StartTls, &dialogue.peer, NO_TLS, cause))
            }
        }
    }

    async fn start_tls(&mut self, mut dialogue: Dialogue) -> Result<Dialogue, Failure> {
        dialogue.command(Stage::StartTls, b"STARTTLS\r\n", COMPLETED).await?;
        // THREATS T-SMTP-3: bytes after the 220 came in clear, from anybody, and must not be read as if they came over TLS.
        let injected = |peer: &str| {
            let cause = "the server sent clear text after its 220 to STARTTLS, which may be an attack; the connection was closed";
            Failure::lost(Stage::StartTls, peer, PROTOCOL, cause)
        };
        let Dialogue { mut connection, peer, timeouts } = dialogue;
        if matches!(connection.unasked().await, Ok(Some(_)) | Err(Broken::Reply(_))) {
            return Err(injected(&peer));
        }
        let stream = connection.into_stream().ok_or_else(|| injected(&peer))?;
        let stream = self.handshake(stream, &peer).await?;
        Ok(Dialogue { connection: Connection::new(stream), peer, timeouts })
    }

    /// AUTH, where there are credentials (RFC 4954 4).
    async fn authenticate(&self, dialogue: &mut Dialogue, offer: &Capabilities) -> Result<(), Failure> {
        let Some(credentials) = &self.target.credentials else { return Ok(()) };
        let refuse = |dialogue: &Dialogue, cause: String| Err(Failure::lost(Stage::Auth, &dialogue.peer, SECURITY, cause));
        // THREATS T-SMTP-7: depends on what TLS proved, not on the policy.
        match &self.tls {
            Some(TlsSummary { unverified: None, .. }) => {}
            Some(TlsSummary { unverified: Some(why), .. }) => {
                return refuse(dialogue, format!("the password was not sent because the server certificate is not trusted: {why}"));
            }
            None => return refuse(dialogue, "the password was not sent because the connection does not use TLS".to_owned()),
        }
        let Some(mechanism) = Mechanism::choose(offer) else {
            return refuse(dialogue, "the server offers neither AUTH PLAIN nor AUTH LOGIN".to_owned());
        };
        let lines = mechanism.lines(credentials);
        for (at, line) in lines.iter().enumerate() {
            let expected = if at + 1 == lines.len() { COMPLETED } else { CHALLENGE };
            if let Err(failure) = dialogue.command(Stage::Auth, line, expected).await {
                return Err(credentials.censor_failure(failure));
            }
        }
        Ok(())
    }
}
