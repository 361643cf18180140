//! The limit of DSNs per hour (U04). Pure: the clock is passed in.
//!
//! The count is stored as one value in state.sqlite, so that a restart cannot exceed the limit.

/// The length of a window in seconds.
const WINDOW: i64 = 3600;

/// A window of one hour, and the number of DSNs sent in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    start: i64,
    sent: u32,
    /// The administrator was warned that DSNs are on hold.
    pub admin_warned: bool,
}

impl Window {
    /// Parses the output of [`Display`](std::fmt::Display). Anything else is an empty window.
    pub fn parse(text: &str) -> Window {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<i64>().ok();
        let (Some(start), Some(sent), Some(warned)) = (number(), number(), number()) else { return Window::default() };
        Window { start, sent: u32::try_from(sent).unwrap_or(u32::MAX), admin_warned: warned != 0 }
    }

    /// The window at `now`: this one, or a new one after its end. Setting the clock back starts a new window too.
    pub fn at(self, now: i64) -> Window {
        let has_ended = now >= self.end() || now < self.start;
        if has_ended { Window { start: now, ..Window::default() } } else { self }
    }

    /// True if one more may be sent. A limit of 0 means no limit.
    pub fn has_room(self, limit: u32) -> bool {
        limit == 0 || self.sent < limit
    }

    /// The window after one more was sent.
    pub fn with_one_more(self) -> Window {
        Window { sent: self.sent.saturating_add(1), ..self }
    }

    /// The window after the administrator was warned that DSNs are on hold.
    pub fn with_admin_warned(self) -> Window {
        Window { admin_warned: true, ..self }
    }

    /// Its end, unix seconds.
    pub fn end(self) -> i64 {
        self.start.saturating_add(WINDOW)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.start, self.sent, u8::from(self.admin_warned))
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
        assert!(window.at(9_999).has_room(3), "setting the clock back does not close the window for ever");
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
