//! Local attacks: what a hostile user of the host does to the drop directory, the sockets, the disk and the daemon itself;
//! each by a stranger, and again by a member of `admin_group`, who may steer mail by right, but not get at files or be somebody else.
//!
//! `attacker.py` has the attacks, by name; the table below says what must hold beyond what the one judge asks of all (`judge.rs`).
//! An attack stands while it is judged.

mod judge;
mod stage;
mod table;

use stage::{Role, Stage};
use table::{Attack, CONTROL, FORGERIES, OBJECTS, PROCESS, RACES};

/// One attack after the other upon one daemon.
fn storm(role: Role, attacks: &[Attack]) {
    let mut stage = Stage::new(role);
    for attack in attacks {
        stage.suffer(attack);
    }
    stage.end();
}

/// The group of attacks by the role, in a world of its own.
macro_rules! storm {
    ($role:ident, $attacks:ident) => {{
        require!(stage::python());
        isolated!();
        storm(Role::$role, $attacks);
    }};
}

#[test]
fn t_spool_1_no_object_of_a_stranger_gets_at_others() {
    storm!(Stranger, OBJECTS);
}

#[test]
fn t_spool_1_no_object_of_an_operator_gets_at_others() {
    storm!(Operator, OBJECTS);
}

#[test]
fn t_spool_3_no_forgery_of_a_stranger_makes_it_another() {
    storm!(Stranger, FORGERIES);
}

#[test]
fn t_spool_3_no_forgery_of_an_operator_makes_it_another() {
    storm!(Operator, FORGERIES);
}

#[test]
fn t_spool_2_no_race_of_a_stranger_changes_what_is_sent() {
    storm!(Stranger, RACES);
}

#[test]
fn t_spool_2_no_race_of_an_operator_changes_what_is_sent() {
    storm!(Operator, RACES);
}

#[test]
fn t_spool_5_a_stranger_gets_at_no_file_disk_or_process() {
    storm!(Stranger, PROCESS);
}

#[test]
fn t_spool_5_an_operator_gets_at_no_file_disk_or_process() {
    storm!(Operator, PROCESS);
}

#[test]
fn t_spool_8_a_stranger_at_the_control_socket_steers_nobody_else() {
    storm!(Stranger, CONTROL);
}

#[test]
fn t_spool_8_an_operator_at_the_control_socket_only_steers() {
    storm!(Operator, CONTROL);
}
