//! `mailchute check` finds what is wrong, and the daemon agrees.

use std::process::Command;

use crate::support::command::wait_for;
use crate::support::installation::{CALLER_ID, DAEMON_ID, Installation};
use crate::support::scripted::Script;

const GOOD: &str = "mailname = \"sender.example\"\nhostname = \"host.sender.example\"\nnext_hop = \"smtp://127.0.0.1:9?tls=none\"\n";

/// What `check` finds, one line each.
fn findings(installation: &Installation) -> Vec<String> {
    installation.mailchute(&["check"]).ended_with(78).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn check_finds_each_wrong_configuration_and_says_what_it_is() {
    let installation = Installation::rootless();
    installation.mailchute(&["setup"]).succeeded();
    let empty = installation.write_public("aliases", "");
    let good = format!("{GOOD}alias_file = \"{}\"\n", empty.display());
    installation.configure(&good);
    let base = findings(&installation);
    assert!(
        matches!(base.as_slice(), [one] if one.starts_with("mailchuted is not running; mail is accepted but not delivered")),
        "{base:?}"
    );
    let broken = installation.write_public("broken", "root: a@b.example\nnonsense\n");
    let no_program = installation.write_public("no-program", "");
    std::fs::set_permissions(&no_program, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let broken = format!("alias_file = \"{}\"", broken.display());
    let no_program = format!("alarm_command = [\"{}\"]", no_program.display());
    for (toml, wanted) in [
        ("ca_file = \"/nonexistent/ca.pem\"", "mailchuted does not start with this configuration: "),
        ("alarm_command = [\"mail\"]", "alarm_command: the path of the program is absolute"),
        ("alarm_command = [\"/nonexistent\"]", "alarm_command: /nonexistent: "),
        (&no_program, "is not an executable file; run `chmod 755` on it"),
        ("event_file = \"events.json\"", "event_file: events.json is not absolute"),
        ("event_file = \"/nonexistent/events.json\"", "event_file: the directory /nonexistent does not exist"),
        ("metrics_file = \"m.prom\"", "metrics_file: m.prom is not absolute"),
        ("metrics_file = \"/nonexistent/m.prom\"", "metrics_file: the directory /nonexistent does not exist"),
        ("metrics_file = \"/proc/1/m.prom\"", "metrics_file: "),
        ("admin_address = \"a@@b\"", "admin_address: "),
        ("canary_address = \"nobody\"", "canary_address: "),
        ("admin_group = \"no-such-group\"", "admin_group: there is no group `no-such-group`"),
        ("trusted_users = [\"no-such-user\", \"0\", \"root\"]", "trusted_users: there is no user `no-such-user`"),
        ("trusted_groups = [\"no-such-group\"]", "trusted_groups: there is no group `no-such-group`"),
        ("queue_lifetime = 0", "queue_lifetime: with 0, every message fails"),
        ("local_domains = [\"a b\"]", "local_domains: `a b` is not a domain name"),
        ("spool_reserve = \"1000000GiB\"", "is nearly full: "),
        ("password_file = \"/nonexistent\"", "password file /nonexistent: "),
        ("[webhook.\"ops\"]\nurl = \"https://h.example/\"", "webhook ops: secret file "),
        ("[webhook.\"ops\"]\nurl = \"https://h.example/\"\nevents = [\"bounced\"]\nsecret_file = \"@\"", "unknown event `bounced`"),
        ("[domain.\"x.example\"]\ndkim = \"required\"", "the domain x.example has no selectors; "),
        ("[domain.\"x.example\"]\nselectors = [\"s1\"]", "keys/x.example/s1.pem"),
        (&broken, "broken:2: "),
        ("alias_file = \"/nonexistent/aliases\"", "alias_file: /nonexistent/aliases does not exist"),
    ] {
        let secret = installation.paths.credentials.join("webhook-of-this-test");
        installation.write_secret(&secret, "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=");
        let toml = toml.replace('@', if toml.contains("secret_file") { secret.to_str().unwrap() } else { "@" });
        let rest = if toml.starts_with("alias_file") { GOOD } else { &good };
        let rest = if toml.starts_with("password_file") { rest.replace("127.0.0.1:9?tls=none", "me@127.0.0.1:9") } else { rest.to_owned() };
        installation.configure(&format!("{rest}{toml}\n"));
        let said = findings(&installation);
        assert!(said.iter().any(|line| line.contains(wanted)), "{toml}: {said:?}");
        assert_eq!(said.len(), 2, "{toml}: {said:?}");
    }
}

#[test]
fn check_asks_the_daemon_what_stands() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    let aliases = installation.write_public("aliases", "");
    installation.relay_to(&receiver.url("smtp", "tls=none"), &format!("alias_file = \"{}\"\n", aliases.display()));
    installation.start_daemon();
    assert_eq!(installation.mailchute(&["check"]).succeeded().stdout, "no problems found\n");
    installation.mailchute(&["pause"]).succeeded();
    installation.mailchute(&["close", "moving house"]).succeeded();
    for when in ["at once", "as alarms"] {
        let said = findings(&installation);
        assert!(said.len() == 2 && said.iter().any(|line| line.contains("delivery has been paused since ")), "{when}: {said:?}");
        assert!(said.iter().any(|line| line.contains("moving house")), "{when}: {said:?}");
        wait_for("the alarms", || installation.mailchute(&["monitor"]).stdout.contains("alarms=2;"));
    }
    installation.stop_daemon();
    let said = findings(&installation);
    assert!(said.len() == 2 && said.iter().any(|line| line.starts_with("delivery has been paused since ")), "{said:?}");
    installation.start_daemon();
    installation.mailchute(&["open"]).succeeded();
    installation.mailchute(&["resume"]).succeeded();
    wait_for("their end", || installation.mailchute(&["check"]).code == Some(0));
    // What both know is told once.
    let broken = format!("alias_file = \"{}\"\n[domain.\"a.example\"]\n[domain.\"b.example\"]\n", aliases.display());
    installation.relay_to(&receiver.url("smtp", "tls=none"), &broken);
    installation.reload_daemon();
    wait_for("the alarm", || installation.mailchute(&["monitor"]).stdout.contains("credential_unusable"));
    let said = findings(&installation);
    assert!(said.len() == 2 && said.iter().all(|line| line.contains("has no selectors")), "{said:?}");
    installation.relay_to("smtp://127.0.0.1:9?tls=none", &format!("alias_file = \"{}\"\n", aliases.display()));
    installation.reload_daemon();
    installation.sendmail(&["bob@r.example"], b"Subject: s\n\nx\n").succeeded();
    wait_for("the suspended route", || installation.mailchute(&["check"]).stdout.starts_with("route 127.0.0.1:9 is suspended: "));
}

#[test]
fn root_has_the_owner_of_the_spool_judge_and_others_are_told_that_they_see_less() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let well = installation.mailchute(&["check"]).stdout;
    assert!(well == "no problems found\n" || well.starts_with("fs.protected_hardlinks is off"), "{well}");
    let said = installation.mailchute_as(CALLER_ID, &["check"]).stdout;
    assert!(well != "no problems found\n" || said == "no problems found; run it as root for a complete check\n", "{said}");
    // Root could write there; the daemon cannot.
    installation.relay_to(&receiver.url("smtp", "tls=none"), "event_file = \"/events.json\"");
    let said = findings(&installation);
    assert!(said.iter().any(|line| line.starts_with("event_file: the directory / cannot be written to")), "{said:?}");
    assert!(said.iter().any(|line| line.contains(&format!("uid{DAEMON_ID}"))), "{said:?}");
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.stop_daemon();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&installation.paths.spool).status().unwrap();
    assert!(remounted.success());
    let said = findings(&installation);
    assert!(said.iter().any(|line| line.contains("is read-only, so no mail can be accepted")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("mailchuted is not running: ")), "{said:?}");
}
