//! packaging/files.list against the programs, the tree, and the systemd files.

use std::collections::BTreeSet;

use config::paths::Paths;
use spool::layout::DIRECTORIES;

/// One row: path:type:owner:group:mode:from.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub path: String,
    pub kind: String,
    pub owner: String,
    pub group: String,
    pub mode: String,
    pub from: String,
}

/// The rows of the list.
pub(crate) fn rows() -> Vec<Row> {
    let text = super::read("packaging/files.list");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split(':').collect::<Vec<_>>()[..] {
            [path, kind, owner, group, mode, from] => Row {
                path: path.to_owned(),
                kind: kind.to_owned(),
                owner: owner.to_owned(),
                group: group.to_owned(),
                mode: mode.to_owned(),
                from: from.to_owned(),
            },
            _ => panic!("not six columns: {line}"),
        })
        .collect()
}

/// What the programs expect of the spool: path, owner, mode.
fn spool_of_the_programs() -> BTreeSet<(String, String, String)> {
    let spool = Paths::system("/".as_ref()).spool;
    let path = |name: &str| if name == "." { spool.clone() } else { spool.join(name) };
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    DIRECTORIES.iter().map(|d| (text(d.name), "mailchute:mailchute".to_owned(), format!("{:04o}", d.mode))).collect()
}

#[test]
fn the_spool_rows_are_the_layout_of_the_programs() {
    let spool: BTreeSet<_> = rows()
        .into_iter()
        .filter(|row| row.path.starts_with("/var/spool/mailchute"))
        .map(|row| (row.path, format!("{}:{}", row.owner, row.group), row.mode))
        .collect();
    assert_eq!(spool, spool_of_the_programs());
}

#[test]
fn tmpfiles_makes_the_spool_and_the_run_directory_and_nothing_else() {
    let text = super::read("packaging/tmpfiles.d/mailchute.conf");
    let made: BTreeSet<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            // "-": never cleaned by age.
            ["d", path, mode, owner, group, "-"] => (path.to_owned(), format!("{owner}:{group}"), mode.to_owned()),
            _ => panic!("unexpected: {line}"),
        })
        .collect();
    let mut wanted = spool_of_the_programs();
    wanted.insert(("/run/mailchute".to_owned(), "mailchute:mailchute".to_owned(), "0755".to_owned()));
    assert_eq!(made, wanted);
}

#[test]
fn the_other_paths_are_those_that_the_programs_use() {
    let paths = Paths::system("/".as_ref());
    let listed: BTreeSet<_> = rows().into_iter().map(|row| row.path).collect();
    for path in [paths.config_file, paths.keys, paths.credentials, paths.run] {
        assert!(listed.contains(path.to_str().unwrap()), "{}", path.display());
    }
}

#[test]
fn everything_listed_exists_and_every_manual_page_is_listed() {
    let rows = rows();
    for row in rows.iter().filter(|row| row.kind != "l" && !row.from.is_empty() && !row.from.starts_with("bin/")) {
        assert!(super::tree().join(&row.from).is_file(), "{} is missing", row.from);
    }
    let pages: BTreeSet<_> = std::fs::read_dir(super::tree().join("man"))
        .unwrap()
        .map(|entry| format!("man/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    let listed: BTreeSet<_> = rows.iter().map(|row| row.from.clone()).filter(|from| from.starts_with("man/")).collect();
    assert_eq!(pages, listed);
}

#[test]
fn no_file_is_set_id_or_writable_by_others_and_files_belong_to_root() {
    for row in rows().iter().filter(|row| matches!(row.kind.as_str(), "f" | "c")) {
        let mode = u32::from_str_radix(&row.mode, 8).unwrap();
        assert_eq!(mode & 0o7022, 0, "{row:?}");
        assert_eq!((row.owner.as_str(), row.group.as_str()), ("root", "root"), "{row:?}");
    }
}

#[test]
fn the_names_that_scripts_call_lead_to_the_programs() {
    let targets: Vec<_> = rows().into_iter().filter(|row| row.kind == "l").map(|row| (row.path, row.from)).collect();
    let wanted = [
        ("/usr/lib/sendmail", "../sbin/sendmail"),
        ("/usr/bin/mailq", "mailchute"),
        ("/usr/bin/newaliases", "../sbin/sendmail"),
        ("/usr/sbin/runq", "sendmail"),
    ];
    assert_eq!(targets, wanted.map(|(path, from)| (path.to_owned(), from.to_owned())));
}

#[test]
fn the_unit_gives_the_daemon_no_power_and_hides_nothing_that_it_needs() {
    let unit = super::read("packaging/systemd/mailchuted.service");
    let settings: BTreeSet<_> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    for needed in [
        "User=mailchute",
        "Type=notify",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "ProtectSystem=strict",
        "ReadWritePaths=/var/spool/mailchute /run/mailchute",
        "RuntimeDirectory=mailchute",
        "RuntimeDirectoryMode=0755",
        "SocketBindDeny=any",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "SystemCallFilter=@system-service",
        "RestrictSUIDSGID=yes",
    ] {
        assert!(settings.contains(needed), "{needed}");
    }
    for harmful in ["PrivateUsers=", "DynamicUser=", "ProcSubset="] {
        assert!(!settings.iter().any(|line| line.starts_with(harmful)), "{harmful}");
    }
}
