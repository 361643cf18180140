//! The ways into the spool.
//!
//! In: an envelope, then the message in wire form. Out: a queue id, after which the message is durable; or one line that names
//! every door that was tried and why it is shut. There is one door today, the drop directory. The other one of DESIGN.md, a unix
//! socket for callers who cannot see that directory, will be a second variant of [`Door`], tried when the first is shut.

use crate::config::paths::Mode;
use crate::config::{Config, Params};
use crate::exit::{Exit, Failure};
use crate::mail::Envelope;
use crate::spool::admission::{Admission, Reserve};
use crate::spool::drop::{Draft, DropError, Kept};

/// An open door: a message on its way in. Dropped, it leaves nothing behind.
pub enum Door {
    /// `new/` in the spool.
    Directory(Draft),
}

/// Why no mail of `uid` is taken now, before any of it was read: admission is closed, `uid` is over its cap, or the spool is nearly
/// full. A spool that this process cannot see says nothing here.
///
/// Errors: EX_UNAVAILABLE.
pub fn admit(config: &Config, uid: u32) -> Result<(), Failure> {
    let reserve = Reserve { octets: config.params.reserve(), inodes: config.params.spool_inode_reserve };
    let refusal = Admission::read(&config.paths.admission_file()).refusal(uid).or_else(|| reserve.refusal(&config.paths.spool));
    refusal.map_or(Ok(()), |text| Err(spool_failure(Exit::Unavailable, text, &config.params)))
}

impl Door {
    /// Opens the first door that opens.
    ///
    /// Errors: EX_CANTCREAT where all are shut; EX_OSERR.
    pub fn open(config: &Config, envelope: Envelope) -> Result<Door, Failure> {
        let mut shut = Vec::new();
        match Draft::begin(&config.paths.spool, config.paths.mode == Mode::Rootless, envelope) {
            Ok(draft) => return Ok(Door::Directory(draft)),
            Err(e) if e.exit == Exit::CantCreate => shut.push(e),
            Err(e) => return Err(failure(&e, &config.params)),
        }
        let reasons: Vec<String> = shut.iter().map(ToString::to_string).collect();
        Err(spool_failure(Exit::CantCreate, reasons.join("; "), &config.params))
    }

    /// Takes the next octets.
    ///
    /// Errors: EX_IOERR.
    pub fn write(&mut self, octets: &[u8], params: &Params) -> Result<(), Failure> {
        match self {
            Door::Directory(draft) => draft.write(octets).map_err(|e| failure(&e, params)),
        }
    }

    /// Octets taken so far.
    pub fn written(&self) -> u64 {
        match self {
            Door::Directory(draft) => draft.written(),
        }
    }

    /// Makes the message durable. `settle` fills in what is known only now.
    ///
    /// Errors: EX_CANTCREAT, EX_IOERR, EX_OSERR; then nothing was kept.
    pub fn commit(self, settle: impl FnOnce(&mut Envelope), params: &Params) -> Result<Kept, Failure> {
        match self {
            Door::Directory(draft) => draft.commit(settle).map_err(|e| failure(&e, params)),
        }
    }
}

fn failure(e: &DropError, params: &Params) -> Failure {
    spool_failure(e.exit, e.to_string(), params)
}

/// Section 6: `spool_error_exit = 75` turns what a later try may cure into EX_TEMPFAIL, where the administrator knows that all
/// callers try again.
fn spool_failure(exit: Exit, text: String, params: &Params) -> Failure {
    let is_spool = matches!(exit, Exit::Unavailable | Exit::CantCreate | Exit::IoErr);
    let exit = if is_spool && params.spool_error_exit == Some(Exit::TempFail.code()) { Exit::TempFail } else { exit };
    Failure::new(exit, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_6_75_only_where_the_administrator_asked_and_only_for_the_spool() {
        let exit = |exit, asked| spool_failure(exit, String::new(), &Params { spool_error_exit: asked, ..Params::default() }).exit;
        assert_eq!(exit(Exit::CantCreate, None), Exit::CantCreate);
        assert_eq!(exit(Exit::CantCreate, Some(75)), Exit::TempFail);
        assert_eq!(exit(Exit::IoErr, Some(75)), Exit::TempFail);
        assert_eq!(exit(Exit::OsErr, Some(75)), Exit::OsErr);
        assert_eq!(exit(Exit::CantCreate, Some(1)), Exit::CantCreate);
    }
}
