//! AUTH PLAIN and LOGIN (RFC 4954, 4616): the dialogue as data, without the socket.
//!
//! The password lives in memory that is wiped, is never part of a Debug form, an error or a log line, and is encoded into a line
//! of its own that is wiped after the write. Who may see it is decided in [`super::session`]: only a server with a verified
//! certificate (THREATS T-SMTP-7).

use std::fmt;

use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::failure::Failure;
use mail::{Reply, sentence};

/// Octets of a user name or a password. RFC 4954 4 allows lines of 12288 octets; both fit with room to spare.
const LONGEST: usize = 1024;

/// A user name and a password.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: Zeroizing<String>,
}

impl Credentials {
    /// The credentials, if both can be sent.
    ///
    /// Errors: empty, longer than 1024 bytes, or with a NUL, which PLAIN uses to separate them (RFC 4616 2).
    pub fn new(user: String, password: Zeroizing<String>) -> Result<Self, &'static str> {
        let bad = |text: &str| text.is_empty() || text.len() > LONGEST || text.contains('\0');
        match (bad(&user), bad(&password)) {
            (true, _) => Err("the user name is empty, longer than 1024 bytes, or contains a NUL"),
            (_, true) => Err("the password is empty, longer than 1024 bytes, or contains a NUL"),
            _ => Ok(Credentials { user, password }),
        }
    }

    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// `reply`, unless the server repeats the password in it: then its code alone.
    fn censor(&self, reply: Reply) -> Reply {
        match reply.lines().iter().any(|line| self.is_in(line)) {
            true => Reply::new(reply.code(), ["(text withheld: it contains the password)"]),
            false => reply,
        }
    }

    /// `failure`, without the password that the server may have repeated.
    pub(super) fn censor_failure(&self, failure: Failure) -> Failure {
        match &failure.reply {
            Some(reply) => {
                let reply = self.censor(reply.clone());
                let cause = if Some(&reply) == failure.reply.as_ref() { failure.cause } else { reply.to_string() };
                Failure { cause, reply: Some(reply), ..failure }
            }
            // The server may have sent anything instead of a reply.
            None if self.is_in(&failure.cause) => {
                Failure { cause: sentence::made("the server violated the protocol, and its answer contains the password"), ..failure }
            }
            None => failure,
        }
    }

    /// True if `text` contains the password, plain or encoded.
    fn is_in(&self, text: &str) -> bool {
        let encoded = [base64(self.password.as_bytes()), base64(&self.plain())].map(Zeroizing::new);
        // A password of three letters would occur by chance.
        (self.password.len() > 3 && text.contains(self.password.as_str())) || encoded.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// RFC 4616 2, without an authorization identity.
    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let mut message = Zeroizing::new(Vec::with_capacity(self.user.len() + self.password.len() + 2));
        for part in [&b"\0"[..], self.user.as_bytes(), b"\0", self.password.as_bytes()] {
            message.extend_from_slice(part);
        }
        message
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A mechanism that both sides know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    Login,
}

impl Mechanism {
    /// The mechanism to use: PLAIN, which is one round trip and specified, before LOGIN.
    pub(crate) fn choose(offer: &Capabilities) -> Option<Self> {
        match (offer.auth_plain, offer.auth_login) {
            (true, _) => Some(Mechanism::Plain),
            (_, true) => Some(Mechanism::Login),
            _ => None,
        }
    }

    /// The lines to send, each after a 334 to the one before.
    pub(crate) fn lines(self, credentials: &Credentials) -> Vec<Zeroizing<Vec<u8>>> {
        match self {
            Mechanism::Plain => vec![line("AUTH PLAIN ", &credentials.plain())],
            Mechanism::Login => {
                vec![line("AUTH LOGIN", b""), line("", credentials.user.as_bytes()), line("", credentials.password.as_bytes())]
            }
        }
    }
}

/// One line, in a buffer that never grows: growing would leave an unwiped copy behind.
fn line(command: &str, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let encoded = Zeroizing::new(base64(bytes));
    let mut line = Zeroizing::new(Vec::with_capacity(command.len() + encoded.len() + 2));
    line.extend_from_slice(command.as_bytes());
    line.extend_from_slice(encoded.as_bytes());
    line.extend_from_slice(b"\r\n");
    line
}

/// RFC 4648 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0usize, |bits, at| bits << 8 | usize::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let symbol = ALPHABET.get(bits >> (18 - 6 * at) & 63).filter(|_| at <= group.len());
            out.push(symbol.map_or('=', |symbol| char::from(*symbol)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(user: &str, password: &str) -> Result<Credentials, &'static str> {
        Credentials::new(user.to_owned(), Zeroizing::new(password.to_owned()))
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn the_lines_of_the_mechanisms() {
        let me = credentials("me", "pa ss").unwrap();
        let lines = |m: Mechanism| m.lines(&me).iter().map(|l| String::from_utf8(l.to_vec()).unwrap()).collect::<Vec<_>>();
        assert_eq!(lines(Mechanism::Plain), ["AUTH PLAIN AG1lAHBhIHNz\r\n"]);
        assert_eq!(lines(Mechanism::Login), ["AUTH LOGIN\r\n", "bWU=\r\n", "cGEgc3M=\r\n"]);
    }

    #[test]
    fn t_smtp_7_the_password_is_in_no_debug_form_and_in_no_reply() {
        let me = credentials("me", "hunter2").unwrap();
        assert!(!format!("{me:?}").contains("hunter2"));
        for echo in ["bad hunter2", "bad aHVudGVyMg==", "bad AG1lAGh1bnRlcjI="] {
            let shown = me.censor(Reply::new(535, ["5.7.8 no", echo])).to_string();
            assert_eq!(shown, "535 (text withheld: it contains the password)");
        }
        assert_eq!(me.censor(Reply::new(535, ["5.7.8 no"])).to_string(), "535 5.7.8 no");
    }

    #[test]
    fn t_smtp_2_what_cannot_be_sent_is_refused() {
        for (user, password) in [("", "x"), ("x", ""), ("a\0b", "x"), ("x", "a\0b"), ("x", &*"y".repeat(1025))] {
            assert!(credentials(user, password).is_err());
        }
    }
}
