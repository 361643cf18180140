//! mailchute.

use std::process::Command;

use super::{DOMAIN, HOST, MailSystem, give_name, receiver};
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Transaction};

pub(crate) struct Ours {
    installation: Installation,
    receiver: Receiver,
}

impl Ours {
    pub(crate) fn start() -> Ours {
        let receiver = receiver("127.0.0.1:25");
        let mut installation = Installation::system();
        installation.configure(&format!("mailname = \"{DOMAIN}\"\nhostname = \"{HOST}\"\nnext_hop = \"smtp://127.0.0.1:25?tls=none\"\n"));
        installation.start_daemon();
        Ours { installation, receiver }
    }
}

impl MailSystem for Ours {
    fn name(&self) -> &'static str {
        "mailchute"
    }

    fn command(&self, uid: u32, called: &str) -> Command {
        let program = env!("CARGO_BIN_EXE_sendmail");
        match called {
            "sendmail" => self.installation.program_as(uid, program),
            name => {
                let mut command = self.installation.program_as(uid, "env");
                give_name(&mut command, program, name);
                command
            }
        }
    }

    fn arrived(&self) -> Vec<Transaction> {
        self.installation.wait_until_drained();
        self.receiver.messages()
    }
}
