//! The queue id: 16 upper-case hex digits, 8 of unix seconds and 8 random (SENDMAIL.md Q1).
//!
//! Third-party parsers of `mailq` want hex; the time prefix makes a sorted listing a history. It is also the file name, so
//! nothing that is not exactly this form may ever become one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A valid queue id. Built by [`QueueId::new`] and [`QueueId::parse`] only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueId(u64);

impl QueueId {
    /// Bytes of the printed form.
    pub(crate) const LEN: usize = 16;

    /// An id from unix seconds (wraps in 2106) and random bits.
    pub const fn new(seconds: u32, random: u32) -> Self {
        QueueId((seconds as u64) << 32 | random as u64)
    }

    /// The id that `text` spells: exactly 16 upper-case hex digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != Self::LEN || !text.iter().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')) {
            return None;
        }
        u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok().map(QueueId)
    }

    /// The unix second at which the id was made, as its maker's clock had it.
    pub const fn seconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The id as an integer, for the database key. The sign bit is just a bit.
    pub const fn to_i64(self) -> i64 {
        self.0 as i64
    }

    /// The inverse of [`QueueId::to_i64`].
    pub const fn from_i64(key: i64) -> Self {
        QueueId(key as u64)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for QueueId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        QueueId::parse(text.as_bytes()).ok_or("a queue id is 16 upper-case hex digits")
    }
}

impl From<QueueId> for String {
    fn from(id: QueueId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q1_an_id_prints_as_16_upper_case_hex_digits_and_parses_back() {
        let id = QueueId::new(0x6921_CE05, 0x0000_00AB);
        assert_eq!(id.to_string(), "6921CE05000000AB");
        assert_eq!(QueueId::parse(b"6921CE05000000AB"), Some(id));
        assert_eq!(QueueId::from_i64(id.to_i64()), id);
        assert_eq!(id.seconds(), 0x6921_CE05);
    }

    #[test]
    fn an_id_is_text_in_files_and_an_integer_in_the_database() {
        let id = QueueId::new(0xF921_CE05, 0x8000_00AB);
        assert_eq!((format!("{id:?}"), String::from(id)), ("F921CE05800000AB".to_owned(), id.to_string()));
        assert_eq!(QueueId::try_from(id.to_string()), Ok(id));
        assert!(QueueId::try_from("f921ce05800000ab".to_owned()).is_err());
        assert_eq!((QueueId::from_i64(id.to_i64()), id.to_i64() < 0, id.seconds()), (id, true, 0xF921_CE05));
    }

    #[test]
    fn nothing_else_is_an_id() {
        for text in
            ["", "6921ce05000000ab", "6921CE05000000A", "6921CE05000000AB0", "../../etc/passwd0", "+921CE05000000AB", " 921CE05000000AB"]
        {
            assert_eq!(QueueId::parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
