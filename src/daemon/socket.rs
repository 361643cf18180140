//! Unix sockets that everybody may connect to.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use exit::{Exit, Failure};
use tokio::net::UnixListener;

/// Opens a socket that everybody may connect to.
///
/// Errors: EX_CANTCREAT with the path.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, Failure> {
    let failed = |e: std::io::Error| Failure::new(Exit::CantCreate, format!("cannot open the socket {}: {e}", path.display()));
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}
