//! The terminal that somebody looks at.

/// Rows and columns of the terminal on standard output; `None` where there is none, or it does not say.
pub(crate) fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some((usize::from(size.ws_row), usize::from(size.ws_col))).filter(|(rows, columns)| *rows > 0 && *columns > 0)
}
