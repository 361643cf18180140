//! One connection of the scripted receiver.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use mail_parser::decoders::base64::base64_decode;
use nix::sys::socket::{setsockopt, sockopt};

use super::{Connection, Reply, Shared, Transaction};

enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

struct Session<'a> {
    shared: &'a Shared,
    index: usize,
    stream: Stream,
    buffer: Vec<u8>,
    received: usize,
    sent: usize,
}

/// The first digit of a reply (RFC 5321 4.2.1).
const POSITIVE: u8 = b'2';
const GO_ON: u8 = b'3';

/// Serves `stream` until somebody has had enough.
pub(crate) fn run(shared: &Shared, stream: TcpStream, index: usize) {
    let _ = stream.set_nodelay(true);
    let mut session = Session { shared, index, stream: Stream::Plain(stream), buffer: Vec::new(), received: 0, sent: 0 };
    // How it ended is in the log of the connection; the error says nothing more.
    let _ = session.serve();
    shared.end(index);
}

impl Session<'_> {
    fn serve(&mut self) -> Result<()> {
        if self.shared.script.implicit_tls {
            self.start_tls()?;
        }
        self.answer("", "220 receiver.example ESMTP scripted")?;
        loop {
            let line = self.read_line()?;
            self.note(|connection| connection.commands.push(line.clone()));
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.answer(&line, &self.capabilities()).map(drop)?,
                "STARTTLS" if self.shared.script.tls.is_some() => self.upgrade(&line)?,
                "AUTH" => self.authenticate(&line)?,
                "MAIL" => self.mail(&line)?,
                "RCPT" => self.recipient(&line)?,
                "DATA" => self.data(&line)?,
                "QUIT" => {
                    self.answer(&line, "221 2.0.0 bye")?;
                    return Ok(());
                }
                _ => self.answer(&line, "250 2.0.0 ok").map(drop)?,
            }
        }
    }

    fn capabilities(&self) -> String {
        let script = &self.shared.script;
        let tls = self.is_tls();
        let mut lines = vec!["receiver.example".to_owned()];
        lines.extend(script.capabilities.iter().cloned());
        if script.tls.is_some() && !tls {
            lines.push("STARTTLS".to_owned());
        }
        if script.login.is_some() && tls {
            lines.push("AUTH PLAIN LOGIN".to_owned());
        }
        let last = lines.pop().unwrap();
        lines.iter().map(|line| format!("250-{line}\r\n")).collect::<String>() + "250 " + &last
    }

    fn mail(&mut self, line: &str) -> Result<()> {
        let allowed = self.shared.script.login.is_none() || self.note(|connection| connection.user.is_some());
        if !allowed {
            return self.answer(line, "530 5.7.0 authentication required").map(drop);
        }
        if self.answer(line, "250 2.1.0 ok")? == POSITIVE {
            let mail = argument(line);
            self.note(|connection| connection.transactions.push(Transaction { mail, ..Transaction::default() }));
        }
        Ok(())
    }

    fn recipient(&mut self, line: &str) -> Result<()> {
        if self.answer(line, "250 2.1.5 ok")? == POSITIVE {
            let recipient = argument(line);
            self.transaction(|transaction| transaction.recipients.push(recipient));
        }
        Ok(())
    }

    fn data(&mut self, line: &str) -> Result<()> {
        let empty = self.note(|connection| connection.transactions.last().is_none_or(|last| last.recipients.is_empty()));
        let usual = if empty { "554 5.5.1 no valid recipients" } else { "354 go ahead" };
        if self.answer(line, usual)? != GO_ON {
            return Ok(());
        }
        loop {
            let line = self.read_raw_line()?;
            if line == b".\r\n" {
                break;
            }
            // RFC 5321 4.5.2
            let line = line.strip_prefix(b".").unwrap_or(&line).to_vec();
            self.transaction(|transaction| transaction.data.extend_from_slice(&line));
        }
        let accepted = self.answer(".", "250 2.0.0 kept")? == POSITIVE;
        self.transaction(|transaction| transaction.accepted = accepted);
        Ok(())
    }

    fn upgrade(&mut self, line: &str) -> Result<()> {
        if self.answer(line, "220 2.0.0 go ahead")? != POSITIVE {
            return Ok(());
        }
        let injected = self.shared.script.injected.clone();
        self.send(&injected)?;
        self.start_tls()
    }

    fn start_tls(&mut self) -> Result<()> {
        let Stream::Plain(stream) = &self.stream else { return Ok(()) };
        let config = self.shared.script.tls.clone().unwrap();
        let connection = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
        self.stream = Stream::Tls(Box::new(rustls::StreamOwned::new(connection, stream.try_clone()?)));
        // RFC 3207 4.2: what came in clear is forgotten.
        self.buffer.clear();
        self.note(|connection| connection.tls = true);
        Ok(())
    }

    fn authenticate(&mut self, line: &str) -> Result<()> {
        let mut words = line.split(' ').skip(1);
        let (mechanism, initial) = (words.next().unwrap_or_default().to_ascii_uppercase(), words.next().map(str::to_owned));
        let given = match mechanism.as_str() {
            "PLAIN" => {
                let response = match initial {
                    Some(response) => response,
                    None => self.ask("334 ")?,
                };
                let bytes = decode(&response);
                let parts: Vec<&[u8]> = bytes.split(|&byte| byte == 0).collect();
                parts.get(1).zip(parts.get(2)).map(|(user, password)| (user.to_vec(), password.to_vec()))
            }
            "LOGIN" => {
                let user = match initial {
                    Some(response) => response,
                    None => self.ask("334 VXNlcm5hbWU6")?,
                };
                Some((decode(&user), decode(&self.ask("334 UGFzc3dvcmQ6")?)))
            }
            _ => None,
        };
        let known = self
            .shared
            .script
            .login
            .as_ref()
            .filter(|(user, password)| given.as_ref().is_some_and(|(u, p)| u == user.as_bytes() && p == password.as_bytes()));
        let usual = if known.is_some() { "235 2.7.0 welcome" } else { "535 5.7.8 wrong user or password" };
        if self.answer(line, usual)? == POSITIVE {
            self.note(|connection| connection.user = known.map(|(user, _)| user.clone()));
        }
        Ok(())
    }

    fn ask(&mut self, challenge: &str) -> Result<String> {
        self.send(format!("{challenge}\r\n").as_bytes())?;
        self.read_line()
    }

    /// Gives the reply of the first rule for `command`, else `usual`; its first digit.
    fn answer(&mut self, command: &str, usual: &str) -> Result<u8> {
        let reply = self.shared.rule(command).unwrap_or_else(|| Reply::Lines(usual.to_owned()));
        self.give(reply)
    }

    fn give(&mut self, reply: Reply) -> Result<u8> {
        match reply {
            Reply::Lines(lines) => {
                self.send(format!("{lines}\r\n").as_bytes())?;
                Ok(lines.bytes().next().unwrap_or_default())
            }
            Reply::Raw(bytes) => {
                self.send(&bytes)?;
                Ok(bytes.first().copied().unwrap_or_default())
            }
            Reply::Late(time, reply) => {
                std::thread::sleep(time);
                self.give(*reply)
            }
            Reply::Behind(gate, reply) => {
                gate.pass();
                self.give(*reply)
            }
            Reply::Close => self.close(false),
            Reply::Reset => self.close(true),
            Reply::Silence => loop {
                self.fill()?;
            },
        }
    }

    fn read_line(&mut self) -> Result<String> {
        let line = self.read_raw_line()?;
        Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    fn read_raw_line(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                return Ok(self.buffer.drain(..=end).collect());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        let mut bytes = [0; 16 << 10];
        let room = self
            .shared
            .cut(self.shared.script.cut_input, self.index)
            .map_or(bytes.len(), |cut| cut.saturating_sub(self.received).min(bytes.len()));
        if room == 0 {
            return self.close(true);
        }
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut bytes[..room])?,
            Stream::Tls(stream) => stream.read(&mut bytes[..room])?,
        };
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.received += read;
        self.buffer.extend_from_slice(&bytes[..read]);
        self.note(|connection| connection.received.extend_from_slice(&bytes[..read]));
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let room = self
            .shared
            .cut(self.shared.script.cut_output, self.index)
            .map_or(bytes.len(), |cut| cut.saturating_sub(self.sent).min(bytes.len()));
        let (now, never) = bytes.split_at(room);
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(now)?,
            Stream::Tls(stream) => stream.write_all(now).and_then(|()| stream.flush())?,
        }
        self.sent += room;
        if never.is_empty() { Ok(()) } else { self.close(true) }
    }

    /// Ends the connection; `reset` by RST, which throws away what is under way.
    fn close<T>(&mut self, reset: bool) -> Result<T> {
        if reset {
            // What was sent reaches the peer before the RST overtakes it in its queue.
            std::thread::sleep(Duration::from_millis(20));
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            let _ = setsockopt(self.socket(), sockopt::Linger, &linger);
        } else {
            let _ = self.socket().shutdown(std::net::Shutdown::Both);
        }
        Err(ErrorKind::ConnectionAborted.into())
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    fn note<T>(&self, act: impl FnOnce(&mut Connection) -> T) -> T {
        self.shared.with_connection(self.index, act)
    }

    fn transaction(&self, act: impl FnOnce(&mut Transaction)) {
        self.note(|connection| connection.transactions.last_mut().map(act));
    }
}

fn decode(text: &str) -> Vec<u8> {
    base64_decode(text.as_bytes()).unwrap_or_default()
}

/// What stands behind `MAIL FROM:` or `RCPT TO:`.
fn argument(line: &str) -> String {
    line.split_once(':').map_or("", |(_, rest)| rest).trim().to_owned()
}
