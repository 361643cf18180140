//! Address lists of header fields (RFC 5322 3.4, including obsolete forms): the values of To, Cc and Bcc, and the operands of
//! `sendmail`.
//!
//! In: bytes of an untrusted caller, folds included. Out: one [`Mailbox`] for each address that is there, good or not, and where
//! the display names and comments lie, so that a field can be edited without touching anything else. Never fails as a whole:
//! each malformed address is reported separately (SENDMAIL.md R5).
//!
//! One pass over the tokens, nothing recursive: nested comments are a counter, groups a flag (THREATS T-HDR-4).

use std::fmt;
use std::ops::Range;

use super::address::{Address, AddressError};
use super::encoded_word::Word;

/// A member of an address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `<>`
    Null,
    /// A name without a domain, unquoted.
    Bare {
        /// The name.
        local: String,
        /// The offset after the name: where `@domain` would be written.
        end: usize,
    },
    /// A whole address.
    Full(Address),
}

/// Why something is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListError {
    /// The address itself is wrong.
    Address(AddressError),
    /// A quoted string, comment, domain literal or angle bracket does not close.
    Unclosed,
    /// Words side by side, such as two names without a comma.
    Words,
    /// Bytes that are not UTF-8.
    Utf8,
    /// It starts with a hyphen, so another program could take it for an option (THREATS T-ARG-2).
    Hyphen,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = crate::sentence::instead(f) {
            return nonsense;
        }
        match self {
            ListError::Address(why) => why.fmt(f),
            ListError::Unclosed => f.write_str("an unclosed quote or bracket"),
            ListError::Words => f.write_str("several words instead of one address; is a comma or a quote missing?"),
            ListError::Utf8 => f.write_str("not UTF-8"),
            ListError::Hyphen => f.write_str("starts with a hyphen"),
        }
    }
}

impl std::error::Error for ListError {}

impl From<AddressError> for ListError {
    fn from(why: AddressError) -> Self {
        ListError::Address(why)
    }
}

/// One member of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// All of it, display name included.
    pub span: Range<usize>,
    /// The address, or what is wrong with it.
    pub spec: Result<Spec, ListError>,
    /// True if nothing but the address stands here: no display name, no route, no blanks or comments within it.
    pub plain: bool,
}

/// A list, as ranges into the text that was parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressList {
    /// The members from left to right, those of groups too.
    pub mailboxes: Vec<Mailbox>,
    /// The display names of mailboxes and groups: words and quoted strings.
    pub phrases: Vec<Range<usize>>,
    /// The comments, parentheses included.
    pub comments: Vec<Range<usize>>,
    /// True if a group was there, which makes a list without members a valid one (RFC 5322 3.4).
    pub has_group: bool,
}

impl AddressList {
    /// The list in `text`. Empty members (`a,,b`, RFC 5322 4.4 obs-addr-list) are skipped; `;` outside a group separates as a
    /// comma does (SENDMAIL.md R4); a group that does not close ends with the text.
    pub fn parse(text: &[u8]) -> AddressList {
        let mut list = AddressList::default();
        let mut member: Vec<Token> = Vec::new();
        let (mut in_group, mut in_angle) = (false, false);
        for token in (Lexer { text, at: 0 }) {
            match token.kind {
                Kind::Comment => list.comments.push(token.span),
                Kind::Special(b',' | b';') if !in_angle => {
                    in_group &= token.kind != Kind::Special(b';');
                    list.end_member(text, &mut member);
                }
                Kind::Special(b':') if !in_angle && !in_group && is_phrase(&member) => {
                    (in_group, list.has_group) = (true, true);
                    list.phrases.extend(span_of(&member));
                    member.clear();
                }
                kind => {
                    in_angle = (in_angle || kind == Kind::Special(b'<')) && kind != Kind::Special(b'>');
                    member.push(token);
                }
            }
        }
        list.end_member(text, &mut member);
        list
    }

    fn end_member(&mut self, text: &[u8], tokens: &mut Vec<Token>) {
        let Some(span) = span_of(tokens) else { return };
        let contiguous = tokens.windows(2).all(|pair| matches!(pair, [a, b] if a.span.end == b.span.start));
        let open = tokens.iter().position(|token| token.kind == Kind::Special(b'<'));
        let (name, bracketed) = tokens.split_at(open.unwrap_or(0));
        self.phrases.extend(span_of(name));
        let (spec, routed) = match open {
            // `a@<x.example>` is an address torn in two, and not the name `a@` of a bare `x.example`.
            Some(_) if name.last().is_some_and(|token| token.kind == Kind::Special(b'@')) => (Err(AddressError::Syntax.into()), false),
            Some(_) => angle_addr(text, bracketed),
            None => (addr_spec(text, tokens), false),
        };
        self.mailboxes.push(Mailbox { span, spec, plain: contiguous && name.is_empty() && !routed });
        tokens.clear();
    }
}

/// True for the words of a display name (RFC 5322 3.2.5, with the dots of obs-phrase).
fn is_phrase(tokens: &[Token]) -> bool {
    !tokens.is_empty() && tokens.iter().all(|token| matches!(token.kind, Kind::Atom | Kind::Quoted | Kind::Special(b'.')))
}

fn span_of(tokens: &[Token]) -> Option<Range<usize>> {
    Some(tokens.first()?.span.start..tokens.last()?.span.end)
}

/// `<addr-spec>`, `<@route,@route:addr-spec>` (RFC 5322 4.4; the route is dropped), `<>`; and whether there was a route.
fn angle_addr(text: &[u8], tokens: &[Token]) -> (Result<Spec, ListError>, bool) {
    let inner = match tokens {
        [Token { kind: Kind::Special(b'<'), .. }, inner @ .., Token { kind: Kind::Special(b'>'), .. }] => inner,
        _ if tokens.iter().any(|token| token.kind == Kind::Special(b'>')) => return (Err(ListError::Words), false),
        _ => return (Err(ListError::Unclosed), false),
    };
    match inner.first().map(|token| token.kind) {
        None => (Ok(Spec::Null), false),
        Some(Kind::Special(b'@' | b',')) => {
            let colon = inner.iter().position(|token| token.kind == Kind::Special(b':'));
            let rest = colon.and_then(|at| inner.get(at + 1..));
            (rest.map_or(Err(AddressError::Syntax.into()), |rest| addr_spec(text, rest)), true)
        }
        Some(_) => (addr_spec(text, inner), false),
    }
}

/// `local-part@domain` or a bare local part, blanks and comments between the words allowed (RFC 5322 4.4).
fn addr_spec(text: &[u8], tokens: &[Token]) -> Result<Spec, ListError> {
    if let Some(Token { kind: Kind::Broken(why), .. }) = tokens.iter().find(|token| matches!(token.kind, Kind::Broken(_))) {
        return Err(*why);
    }
    let at = tokens.iter().position(|token| token.kind == Kind::Special(b'@')).unwrap_or(tokens.len());
    let (local_tokens, rest) = tokens.split_at(at);
    if local_tokens.is_empty() && !rest.is_empty() {
        return Err(AddressError::NoLocalPart.into());
    }
    let local = joined(text, local_tokens, |kind| matches!(kind, Kind::Atom | Kind::Quoted))?;
    let Some(last) = local_tokens.last() else { return Err(AddressError::Empty.into()) };
    if local.starts_with('-') {
        return Err(ListError::Hyphen);
    }
    let Some((_, domain_tokens)) = rest.split_first() else {
        // Checked as it will be sent, with any domain.
        return Address::new(&local, "localhost").map(|_| Spec::Bare { local, end: last.span.end }).map_err(ListError::from);
    };
    let domain = match domain_tokens {
        [] => return Err(AddressError::NoDomain.into()),
        [literal] if literal.kind == Kind::Literal => literal.cooked(text)?,
        _ => joined(text, domain_tokens, |kind| kind == Kind::Atom)?,
    };
    Ok(Spec::Full(Address::new(&local, &domain)?))
}

/// The text of words with dots between them. Dots may stand anywhere (`a..b.@docomo.example` exists), words not side by side.
fn joined(text: &[u8], tokens: &[Token], is_word: impl Fn(Kind) -> bool) -> Result<String, ListError> {
    if tokens.is_empty() {
        return Err(AddressError::Empty.into());
    }
    let mut out = String::new();
    let mut after_word = false;
    for token in tokens {
        let is_dot = token.kind == Kind::Special(b'.');
        if !is_dot && !is_word(token.kind) {
            return Err(AddressError::Syntax.into());
        }
        if !is_dot && after_word {
            return Err(ListError::Words);
        }
        out.push_str(&token.cooked(text)?);
        after_word = !is_dot;
    }
    Ok(out)
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Characters that need no quotes, backslash pairs (SENDMAIL.md C6) and everything beyond ASCII.
    Atom,
    /// `"…"`
    Quoted,
    /// `(…)`, nested ones within.
    Comment,
    /// `[…]`
    Literal,
    /// One of `<>:;@,.`
    Special(u8),
    /// What cannot be a token.
    Broken(ListError),
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    span: Range<usize>,
}

impl Token {
    /// The token's text as it reads without quotes, quoting backslashes and folds.
    fn bytes(&self, text: &[u8]) -> Vec<u8> {
        let raw = text.get(self.span.clone()).unwrap_or_default();
        let inner = match self.kind {
            Kind::Quoted => raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default(),
            _ => raw,
        };
        let mut out = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' if self.kind != Kind::Literal => out.extend(bytes.next()),
                b'\r' | b'\n' => {}
                b' ' | b'\t' if self.kind == Kind::Literal => {}
                byte => out.push(byte),
            }
        }
        out
    }

    fn cooked(&self, text: &[u8]) -> Result<String, ListError> {
        String::from_utf8(self.bytes(text)).map_err(|_| ListError::Utf8)
    }
}

/// The words of a display name, for encoding: what stands without blanks between is one word.
pub fn phrase_words(text: &[u8]) -> Vec<Word<'_>> {
    let mut words: Vec<Word> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for token in (Lexer { text, at: 0 }) {
        let Range { start, end: token_end } = token.span;
        match words.last_mut().filter(|_| start == end) {
            Some(word) => {
                word.raw = text.get(begin..token_end).unwrap_or_default();
                word.text.extend(token.bytes(text));
            }
            None => {
                let (blanks, raw) = (text.get(end..start).unwrap_or_default(), text.get(start..token_end).unwrap_or_default());
                words.push(Word { blanks, raw, text: token.bytes(text) });
                begin = start;
            }
        }
        end = token_end;
    }
    words
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn atom(&mut self) -> Kind {
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' if self.text.get(self.at + 1).is_none_or(|next| next.is_ascii_control()) => {
                    self.at += 1;
                    return Kind::Broken(ListError::Address(AddressError::Syntax));
                }
                b'\\' => self.at += 2,
                b'(' | b')' | b'<' | b'>' | b'[' | b']' | b':' | b';' | b'@' | b',' | b'.' | b'"' | b' ' => break,
                byte if byte.is_ascii_control() => break,
                _ => self.at += 1,
            }
        }
        Kind::Atom
    }

    /// From the opening octet to `close`. A backslash quotes the next octet; only comments nest (RFC 5322 3.2.2).
    fn delimited(&mut self, close: u8, kind: Kind) -> Kind {
        self.at += 1;
        let mut depth = 1usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at = (self.at + 1).min(self.text.len()),
                byte if byte == close && depth == 1 => return kind,
                b')' if kind == Kind::Comment => depth -= 1,
                b'(' if kind == Kind::Comment => depth += 1,
                _ => {}
            }
        }
        Kind::Broken(ListError::Unclosed)
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        let start = self.at;
        let kind = match self.peek()? {
            b'"' => self.delimited(b'"', Kind::Quoted),
            b'(' => self.delimited(b')', Kind::Comment),
            b'[' => self.delimited(b']', Kind::Literal),
            special @ (b'<' | b'>' | b':' | b';' | b'@' | b',' | b'.') => {
                self.at += 1;
                Kind::Special(special)
            }
            byte if byte == b')' || byte == b']' || byte.is_ascii_control() => {
                self.at += 1;
                Kind::Broken(ListError::Address(AddressError::Character))
            }
            _ => self.atom(),
        };
        Some(Token { kind, span: start..self.at })
    }
}

#[cfg(test)]
mod tests;
