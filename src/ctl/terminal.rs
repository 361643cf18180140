//! The size of the terminal.

/// Rows and columns of the terminal on standard output; `None` if stdout is not a terminal or the size is unknown.
pub(crate) fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some((usize::from(size.ws_row), usize::from(size.ws_col))).filter(|(rows, columns)| *rows > 0 && *columns > 0)
}
