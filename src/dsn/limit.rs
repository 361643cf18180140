//! How many DSNs may leave within an hour (U04). Pure: the clock is passed in.
//!
//! The count outlives the daemon, in one value of state.sqlite, so that a daemon that crashes and starts again cannot exceed it.

/// Seconds of a window.
const WINDOW: i64 = 3600;

/// An hour, and what was sent in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    start: i64,
    sent: u32,
    /// The administrator was told that DSNs wait.
    pub told: bool,
}

impl Window {
    /// The window that [`Display`](std::fmt::Display) wrote; an empty one for anything else.
    pub fn parse(text: &str) -> Window {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<i64>().ok();
        let (Some(start), Some(sent), Some(told)) = (number(), number(), number()) else { return Window::default() };
        Window { start, sent: u32::try_from(sent).unwrap_or(u32::MAX), told: told != 0 }
    }

    /// The window at `now`: this one, or a new one when its hour is over. A clock that was set back begins a new one, too.
    pub fn at(self, now: i64) -> Window {
        let is_over = now >= self.end() || now < self.start;
        if is_over { Window { start: now, ..Window::default() } } else { self }
    }

    /// True if one more may be sent; a limit of 0 is none.
    pub fn has_room(self, limit: u32) -> bool {
        limit == 0 || self.sent < limit
    }

    /// The window after one more was sent.
    pub fn with_one_more(self) -> Window {
        Window { sent: self.sent.saturating_add(1), ..self }
    }

    /// The window after the administrator was told that DSNs wait.
    pub fn with_admin_warned(self) -> Window {
        Window { told: true, ..self }
    }

    /// When it is over, unix seconds.
    pub fn end(self) -> i64 {
        self.start.saturating_add(WINDOW)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.start, self.sent, u8::from(self.told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u04_no_more_than_the_limit_within_an_hour() {
        let mut window = Window::default().at(10_000);
        let mut sent = 0;
        while window.has_room(3) {
            window = window.with_one_more();
            sent += 1;
        }
        assert_eq!(sent, 3);
        assert!(!window.at(13_599).has_room(3) && window.at(13_600).has_room(3));
        assert!(window.has_room(0));
        assert!(window.at(9_999).has_room(3), "a clock that was set back does not close it for ever");
    }

    #[test]
    fn a_window_comes_back_as_it_was_written() {
        let window = Window::default().at(77).with_one_more().with_admin_warned();
        assert_eq!(Window::parse(&window.to_string()), window);
        for text in ["", "x", "1 2", "1 -2 x"] {
            assert_eq!(Window::parse(text), Window::default(), "{text}");
        }
    }
}
