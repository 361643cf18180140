//! The table of attacks.

use super::stage::Stage;

/// One attack.
pub(crate) struct Attack {
    /// The function in `attacker.py`.
    pub name: &'static str,
    /// What must hold, in words for a failure.
    pub must: &'static str,
    /// What is asked beyond the common judgement.
    pub holds: fn(&Stage),
    /// By right, an operator may do this to another's message.
    pub may_modify: bool,
    /// The attacker holds what everybody needs: the victim is served when it lets go.
    pub starves: bool,
    /// The attacker goes on giving the daemon something to do, by right: that it is idle can be asked only when that ends.
    pub goes_on: bool,
}

const fn attack(name: &'static str, must: &'static str) -> Attack {
    Attack { name, must, holds: |_| {}, may_modify: false, starves: false, goes_on: false }
}

const fn endless(attack: Attack) -> Attack {
    Attack { goes_on: true, ..attack }
}

const fn and(attack: Attack, holds: fn(&Stage)) -> Attack {
    Attack { holds, ..attack }
}

/// What is put into the drop directory.
pub(crate) const OBJECTS: &[Attack] = &[
    and(attack("symbolic_links", "no link is followed, and each is removed"), Stage::clears_new),
    and(attack("fifos", "no FIFO makes the daemon wait"), Stage::clears_new),
    attack("directories", "empty ones go, full ones stay and harm nobody"),
    attack("devices", "the kernel makes none, and none is opened as one"),
    and(attack("sockets", "they are removed"), Stage::clears_new),
    attack("terabytes", "a hole is not read"),
    attack("own_hard_links", "a file with two links is not sent"),
    attack("hard_links_of_others", "the kernel makes none, and none would be a message"),
    attack("renamed_in", "a file that was born elsewhere is not sent"),
    attack("strange_names", "no name is more than bytes"),
    attack("flood_of_names", "a hundred thousand names hide no mail"),
    attack("litter", "what lies in tmp/ is nobody's business"),
];

/// Files of the right form that lie.
pub(crate) const FORGERIES: &[Attack] = &[
    and(attack("forged_peer", "`peer` is believed only of the daemon"), Stage::sends_nothing_of_mallory),
    and(attack("unknown_keys", "an unknown key is no key"), Stage::sends_nothing_of_mallory),
    and(attack("control_characters", "no value of an envelope has one"), Stage::sends_nothing_of_mallory),
    and(attack("huge_envelopes", "limits are limits"), Stage::sends_nothing_of_mallory),
    and(attack("newer_versions", "they are left alone, and hold up nobody"), Stage::sends_nothing_of_mallory),
    and(attack("id_of_another", "an id belongs to its first message"), Stage::sends_nothing_of_mallory),
    attack("name_of_another", "the sender is who owns the file, whatever it says"),
    and(endless(attack("replay", "a message is sent once")), |stage| assert_eq!(stage.copies_to("replayed@receiver.example"), 1)),
    attack("smuggled", "a message is one message"),
];

/// What changes while it is looked at.
pub(crate) const RACES: &[Attack] = &[
    and(attack("honest", "a file of the right form is a message"), |stage| stage.waits_for("honest@receiver.example")),
    endless(attack("changed_while_sent", "what is sent is what was claimed")),
    endless(attack("cut_while_sent", "nothing half is sent")),
    attack("lease", "a lease delays nobody else"),
    attack("locked", "a lock delays nobody else"),
    attack("locked_spool", "nobody can lock what is the daemon's"),
    endless(attack("swapped", "what was checked is what is sent")),
    attack("stopped_injectors", "half an injection is no message"),
];

/// Others' files, the disk, the process.
pub(crate) const PROCESS: &[Attack] = &[
    attack("sticky", "nobody reads, moves or removes what is another's"),
    attack("state_files", "the daemon's files are the daemon's"),
    attack("own_socket", "nobody takes the daemon's place"),
    Attack { starves: true, ..attack("full_disk", "a full disk stops nothing for longer than it is full") },
    Attack { starves: true, ..attack("no_inodes", "neither do missing inodes") },
    attack("process_memory", "the daemon's memory and descriptors are its own"),
    attack("signals", "nobody signals or limits the daemon"),
];

/// The sockets.
pub(crate) const CONTROL: &[Attack] = &[
    attack("garbage", "nonsense is refused"),
    attack("idle_connections", "one user does not take all places"),
    attack("deaf_connections", "one that does not listen holds up nobody"),
    endless(attack("flood_of_requests", "requests do not hold up delivery")),
    and(attack("submissions", "the second door takes no nonsense, and no name but the kernel's"), Stage::sends_nothing_of_mallory),
    Attack { may_modify: true, ..attack("requests_about_another", "others' mail is neither shown nor steered without the right to") },
];
