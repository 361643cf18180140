//! Thresholds in the syntax of the Monitoring Plugins Development Guidelines: `10`, `10:`, `~:10`, `10:20`, `@10:20`. Pure.

use std::fmt;
use std::str::FromStr;

/// The range of good values, or of bad values with `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    low: u64,
    high: Option<u64>,
    inside: bool,
    text: String,
}

impl Range {
    /// True if `value` is bad.
    pub(crate) fn alerts(&self, value: u64) -> bool {
        let is_within = value >= self.low && self.high.is_none_or(|high| value <= high);
        is_within == self.inside
    }
}

impl FromStr for Range {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (inside, rest) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| "use a range such as 10, 10:20, 10: or @10:20");
        let (low, high) = match rest.split_once(':') {
            None => (0, Some(number(rest)?)),
            // Values are never negative.
            Some((low, high)) => (if low == "~" { 0 } else { number(low)? }, if high.is_empty() { None } else { Some(number(high)?) }),
        };
        if high.is_some_and(|high| high < low) {
            return Err("the end of the range is below its start");
        }
        Ok(Range { low, high, inside, text: text.to_owned() })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_the_guidelines() {
        for (text, good, bad) in [
            ("10", vec![0, 10], vec![11]),
            ("10:", vec![10, 99], vec![9]),
            ("~:10", vec![0, 10], vec![11]),
            ("10:20", vec![10, 20], vec![9, 21]),
            ("@10:20", vec![9, 21], vec![10, 20]),
        ] {
            let range: Range = text.parse().unwrap();
            assert!(good.into_iter().all(|value| !range.alerts(value)), "{text}");
            assert!(bad.into_iter().all(|value| range.alerts(value)), "{text}");
            assert_eq!(range.to_string(), text);
        }
        for text in ["", ":", "a", "20:10", "-1", "1:2:3", "@"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }
}
