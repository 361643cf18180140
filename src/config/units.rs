//! Values with units: `50MiB`, `5d`. A bare number is bytes or seconds.

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number of bytes: `10KiB`, `50MiB`, `1GiB`, or a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// A length of time: `30s`, `10m`, `4h`, `5d`, or a bare number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Span(Duration::from_secs(seconds))
    }

    /// The span that `text` spells, as in the configuration.
    pub fn parse(text: &str) -> Option<Self> {
        scaled(text, SPANS).map(Span::seconds)
    }
}

/// A time of day: `04:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: i8,
    /// 0 to 59.
    pub minute: i8,
}

impl TimeOfDay {
    /// The time that `text` spells, with two digits each.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |digits: &str, limit: i8| {
            let is_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            is_two.then(|| digits.parse::<i8>().ok()).flatten().filter(|number| *number < limit)
        };
        let (hour, minute) = text.split_once(':')?;
        Some(TimeOfDay { hour: number(hour, 24)?, minute: number(minute, 60)? })
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        TimeOfDay::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not a time of day such as 04:00")))
    }
}

impl Size {
    /// The size that `text` spells, as in the configuration.
    pub fn parse(text: &str) -> Option<Self> {
        scaled(text, SIZES).map(Size)
    }
}

const SIZES: &[(&str, u64)] = &[("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const SPANS: &[(&str, u64)] = &[("", 1), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

/// The number that `text` spells in one of `units`.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

struct Scaled {
    units: &'static [(&'static str, u64)],
    expecting: &'static str,
}

impl Visitor<'_> for Scaled {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        u64::try_from(value).map_err(|_| E::custom(format!("{value} is negative; expected {}", self.expecting)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        scaled(text, self.units).ok_or_else(|| E::custom(format!("`{text}` is not {}", self.expecting)))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scaled { units: SIZES, expecting: "a size such as 50MiB" }).map(Size)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scaled { units: SPANS, expecting: "a time such as 30m or 5d" }).map(Span::seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_have_two_digits_each() {
        assert_eq!(TimeOfDay::parse("23:59"), Some(TimeOfDay { hour: 23, minute: 59 }));
        for text in ["", "4:00", "24:00", "12:60", "12", "12:0", "1a:00", "-1:00", "12:00:00"] {
            assert_eq!(TimeOfDay::parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_unit_has_its_factor() {
        for (text, bytes) in [("3", 3), ("3B", 3), ("3KiB", 3072), ("3 MiB", 3 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
        for (text, seconds) in [("3", 3), ("3s", 3), ("3m", 180), ("3h", 10_800), ("3 d", 259_200)] {
            assert_eq!(Span::parse(text), Some(Span::seconds(seconds)), "{text}");
        }
    }

    #[test]
    fn a_value_is_a_number_or_a_text_and_an_error_says_what_was_expected() {
        #[derive(Debug, serde::Deserialize)]
        struct Values {
            size: Size,
            span: Span,
            at: TimeOfDay,
        }
        let read = |text: &str| toml::from_str::<Values>(text).map_err(|e| e.message().to_owned());
        let values = read("size = 7\nspan = \"2m\"\nat = \"04:05\"").unwrap();
        assert_eq!((values.size, values.span, values.at), (Size(7), Span::seconds(120), TimeOfDay { hour: 4, minute: 5 }));
        for (text, why) in [
            ("size = -1\nspan = 1\nat = \"04:05\"", "-1 is negative; expected a size such as 50MiB"),
            ("size = true\nspan = 1\nat = \"04:05\"", "invalid type: boolean `true`, expected a size such as 50MiB"),
            ("size = 1\nspan = \"1y\"\nat = \"04:05\"", "`1y` is not a time such as 30m or 5d"),
            ("size = 1\nspan = 1\nat = \"4\"", "`4` is not a time of day such as 04:00"),
        ] {
            assert_eq!(read(text).unwrap_err(), why);
        }
    }

    #[test]
    fn units_scale_and_nonsense_is_refused() {
        assert_eq!(scaled("50MiB", SIZES), Some(50 << 20));
        assert_eq!(scaled("5d", SPANS), Some(432_000));
        assert_eq!(scaled("7", SPANS), Some(7));
        for text in ["", "MiB", "5 parsecs", "-1s", "99999999999999999999d", "18446744073709551615GiB"] {
            assert_eq!(scaled(text, SPANS).or(scaled(text, SIZES)), None, "{text}");
        }
    }
}
