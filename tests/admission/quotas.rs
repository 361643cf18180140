//! Quotas: one user with too much mail harms no other, and mail that bypasses a quota is kept and delivered later.

use crate::delivery::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::{CALLER_ID, Installation, OTHER_ID};
use crate::support::scripted::Script;

fn admission(installation: &Installation) -> String {
    std::fs::read_to_string(installation.paths.admission_file()).unwrap_or_default()
}

#[test]
fn t_spool_5_a_user_at_its_cap_is_refused_with_69_and_nobody_else_is() {
    isolated!();
    use std::os::unix::fs::PermissionsExt;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut installation = Installation::system();
    installation.relay_to(&format!("smtp://{closed}?tls=none"), "user_message_limit = 3\nretry_min = \"1h\"\nretry_max = \"2h\"");
    installation.start_daemon();
    assert_eq!(admission(&installation), "{\"v\":1,\"over\":[]}\n");
    assert_eq!(installation.paths.admission_file().metadata().unwrap().permissions().mode() & 0o7777, 0o644);
    for _ in 0..3 {
        installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    }
    wait_for("the quota", || admission(&installation).contains(&CALLER_ID.to_string()));
    installation.wait_for_log("quota_reached");
    let refused = installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).ended_with(69);
    assert!(refused.stderr.contains("user_message_limit") && refused.stderr.lines().count() == 1, "{}", refused.stderr);
    installation.sendmail_as(OTHER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    for _ in 0..5 {
        installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    }
    let status = installation.mailchute(&["status"]).succeeded().stdout;
    assert!(status.contains(&format!("spool limit reached by uid: {CALLER_ID}\n")), "{status}");
    // Who does not read the file is told 0, so the message is kept, and waits.
    std::fs::remove_file(installation.paths.admission_file()).unwrap();
    installation.sendmail_as(CALLER_ID, &["late@receiver.example"], MESSAGE).succeeded();
    let held = installation.wait_for_entry("the held one", |entry| entry["queue_name"] == "hold");
    assert!(held["reason"].as_str().unwrap().contains("(user_message_limit)") && held.to_string().contains("late@"), "{held}");
    // Delivered mail makes room, and what was held goes on by itself.
    let receiver = Script::new().start_at(&closed.to_string());
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(10);
    installation.wait_until_drained();
    wait_for("room", || !admission(&installation).contains(&CALLER_ID.to_string()));
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    receiver.wait_for_messages(11);
}

#[test]
fn a_cap_that_the_configuration_raises_frees_at_once() {
    isolated!();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut installation = Installation::system();
    let configure = |installation: &Installation, limit: &str| {
        installation.relay_to(
            &format!("smtp://{closed}?tls=none"),
            &format!("user_bytes_limit = \"{limit}\"\nretry_min = \"1h\"\nretry_max = \"2h\""),
        );
    };
    configure(&installation, "2KiB");
    installation.start_daemon();
    let large = [MESSAGE, &b"0123456789\n".repeat(300)].concat();
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], &large).succeeded();
    installation.wait_for_entry("the held one", |entry| entry["reason"].as_str().is_some_and(|why| why.contains("(user_bytes_limit)")));
    wait_for("the quota", || admission(&installation).contains(&CALLER_ID.to_string()));
    configure(&installation, "1MiB");
    installation.reload_daemon();
    wait_for("the new quota", || !admission(&installation).contains(&CALLER_ID.to_string()));
    installation.wait_for_entry("the released one", |entry| entry["queue_name"] == "deferred");
}

#[test]
fn who_nears_a_cap_is_told_of_before_it_is_reached() {
    isolated!();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut installation = Installation::system();
    installation.relay_to(&format!("smtp://{closed}?tls=none"), "user_message_limit = 5\nretry_min = \"1h\"\nretry_max = \"2h\"");
    installation.start_daemon();
    let usage = |uid: u32| {
        let status = installation.mailchute_as(uid, &["status", "--json"]).succeeded().stdout;
        serde_json::from_str::<serde_json::Value>(&status).unwrap()["usage"].clone()
    };
    let monitor = |code| installation.mailchute_as(CALLER_ID, &["monitor"]).ended_with(code).stdout;
    let look = |what: &str| {
        installation.reload_daemon();
        wait_for(what, || installation.daemon_log().contains(what));
    };
    let waiting = |count| wait_for("the claims", || installation.spooled("cur").len() == count);
    for _ in 0..3 {
        installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    }
    waiting(3);
    assert!(usage(0).is_null());
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    waiting(4);
    assert_eq!((&usage(0)[0]["uid"], &usage(0)[0]["messages"], &usage(0)[0]["message_limit"]), (&CALLER_ID.into(), &4.into(), &5.into()));
    assert!(usage(CALLER_ID).is_null() && usage(OTHER_ID).is_null(), "how much others have is for administrators");
    let said = format!("uid {CALLER_ID} uses 80 % of user_message_limit: 4 of 5 messages queued or held");
    for verb in ["status", "check"] {
        let text = installation.mailchute(&[verb]).stdout;
        assert!(text.contains(&said), "{verb}: {text}");
    }
    look("quota_near");
    let told = monitor(1);
    assert!(told.contains(&format!("quota_near {CALLER_ID}: ")) && told.contains("user_message_limit"), "{told}");
    // Four are enough to be told of, and not too many to be taken.
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    installation.mailchute(&["remove", "--uid", &CALLER_ID.to_string()]).succeeded();
    look("alarm_cleared");
    assert!(usage(0).is_null());
}
