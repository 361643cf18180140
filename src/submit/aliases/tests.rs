use super::*;
use config::Names;
use mail::Address;

/// A lookup with one included file and one user.
struct TestLookup;

impl Lookup for TestLookup {
    fn include(&mut self, path: &str) -> Result<Vec<Target>, String> {
        match path {
            "/etc/list" => Ok(vec![Target::Local("bob".into()), Target::Address(Address::parse("l@x.example").unwrap())]),
            "/etc/self" => Ok(vec![Target::Include("/etc/self".into())]),
            _ => Err(format!("{path}: No such file")),
        }
    }

    fn is_user(&mut self, name: &str) -> bool {
        name == "alice"
    }
}

fn expansion(file: &str, name: &str, admin: Option<&str>) -> Option<Expansion> {
    let names = Names::of(Some("m.example"), None, "web1", &[]).unwrap();
    let admin = admin.map(|text| Address::parse(text).unwrap());
    expand(&Aliases::parse(file.as_bytes()), name, &names, admin.as_ref(), &mut TestLookup)
}

/// The addresses that `name` becomes, `-` for an unknown name.
fn expanded(file: &str, name: &str) -> String {
    match expansion(file, name, None) {
        None => "-".to_owned(),
        Some(expansion) => expansion.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn section_9_names_and_values() {
    let file = "# comment\nroot: admin@x.example, \\root\nMailer-Daemon: postmaster\npostmaster: root\nlist: a@x.example,\n\tb@x.example \\\n, \"c d\"@x.example (not # a comment)\n\"quoted\" : Bob <bob@x.example>\nnull: /dev/null\nmix: /dev/null, a@x.example\nhash: a#b@x.example\n";
    for (name, addresses) in [
        ("root", "admin@x.example root@m.example"),
        ("ROOT", "admin@x.example root@m.example"),
        ("root+cron", "admin@x.example root@m.example"),
        ("mailer-daemon", "admin@x.example root@m.example"),
        ("list", "a@x.example b@x.example \"c d\"@x.example"),
        ("quoted", "bob@x.example"),
        ("null", ""),
        ("mix", "a@x.example"),
        ("hash", "a#b@x.example"),
        ("nobody", "-"),
    ] {
        assert_eq!(expanded(file, name), addresses, "{name}");
    }
    assert_eq!(Aliases::parse(file.as_bytes()).problems, []);
}

#[test]
fn section_9_local_names_behind_local_names() {
    assert_eq!(expanded("a: b\nb: c, d@localhost\nd: e@x.example\n", "a"), "c@m.example e@x.example");
    assert_eq!(expanded("alice: alice, bob@x.example\n", "alice"), "alice@m.example bob@x.example");
    assert_eq!(expanded("a: b, c\nb: d\nc: d\nd: d@x.example\n", "a"), "d@x.example");
    assert_eq!(expanded("ext+one: a@x.example\next: b@x.example\n", "ext+one"), "a@x.example");
    assert_eq!(expanded("l: :include:/etc/list\nbob: b@x.example\n", "l"), "b@x.example l@x.example");
}

#[test]
fn section_9_the_catch_all_takes_what_no_key_takes() {
    assert_eq!(expanded("*: admin@x.example\nroot: r@x.example\n", "anybody"), "admin@x.example");
    assert_eq!(expanded("*: admin@x.example\nroot: r@x.example\n", "root"), "r@x.example");
    assert_eq!(expanded("*: admin\n", "anybody"), "admin@m.example");
    assert_eq!(expanded("*: a\na: b\n", "anybody"), "b@m.example");
    assert_eq!(expanded("default: d@x.example\n", "anybody"), "d@x.example");
}

#[test]
fn section_9_loops_commands_and_files_fall_back_with_a_warning() {
    for (file, name, reason) in [
        ("a: b\nb: a\n", "a", "leads back to itself"),
        ("a: b\nb: c\nc: b, x@x.example\n", "a", "leads back to itself"),
        ("a: \"|/usr/bin/vacation a, b\"\n", "a", "is not supported"),
        ("a: |cat\n", "a", "is not supported"),
        ("a: /var/mail/a\n", "a", "is not supported"),
        ("a: :include:/missing\n", "a", "No such file"),
        ("a: :include:/etc/self\n", "a", "leads back to itself"),
        ("a: not an address\n", "a", "is not supported"),
    ] {
        let with_admin = expansion(file, name, Some("admin@y.example")).unwrap();
        assert!(with_admin.addresses.iter().any(|address| address.to_string() == "admin@y.example"), "{file:?}");
        assert!(with_admin.warnings.iter().any(|warning| warning.contains(reason)), "{file:?}: {:?}", with_admin.warnings);
        let without = expansion(file, name, None).unwrap();
        assert!(without.addresses.iter().any(|address| address.to_string() == "a@m.example"), "{file:?}");
    }
    let deep: String = (0..40).map(|n| format!("n{n}: n{}\n", n + 1)).collect();
    assert!(expansion(&deep, "n0", None).unwrap().warnings[0].contains("nested too deep"));
}

#[test]
fn section_9_what_newaliases_says_of_each_line() {
    let file = "good: a@x.example\nno colon\n: empty\nx@y: a\nempty:\ndup: a\nDUP: b\ncmd: |cat\nfile: /var/mail/x\nrel: :include:x\nbad: a b, c\n\"open: a\n\\slash: \\a@x.example\nuni: \u{fc}@x.example\n";
    let problems = Aliases::parse(file.as_bytes()).problems;
    let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13], "{problems:#?}");
    assert!(problems.iter().all(|problem| !problem.text.is_empty() && !problem.text.contains('\n')));
    assert_eq!(Aliases::parse(b"a: \xff\n").problems.len(), 1);
}

#[test]
fn section_9_the_numbers_of_newaliases() {
    let aliases = Aliases::parse(b"MAILER-DAEMON: postmaster\npostmaster: root\n");
    assert_eq!((aliases.count(), aliases.longest, aliases.total), (2, 10, 37));
}

#[test]
fn pf26_4_a_wide_and_deep_file_ends_soon() {
    // Every name leads to all names of the next floor: without "each name once" this has no end.
    let floor = |n: usize| (0..30).map(|k| format!("f{n}k{k}")).collect::<Vec<_>>().join(", ");
    let file: String = (0..14).flat_map(|n| (0..30).map(move |k| format!("f{n}k{k}: {}\n", floor(n + 1)))).collect();
    let expansion = expansion(&file, "f0k0", None).unwrap();
    assert_eq!(expansion.addresses.len(), 30 * 30, "the last floor, once for each of the floor before");
}

#[test]
fn section_9_an_alias_of_commas_alone_is_a_mistake_and_discards_nothing() {
    for value in [",", " , ,", "\t,\n ,"] {
        let file = format!("root:{value}\n");
        assert_eq!(expanded(&file, "root"), "-", "{value:?}");
        let problems = Aliases::parse(file.as_bytes()).problems;
        assert_eq!(problems, [Problem { line: 1, text: "root: no target".to_owned() }]);
    }
    assert_eq!(expanded("root: ,a@x.example,,\n", "root"), "a@x.example");
}

/// Files `/0` to `/14`, each of which includes the next one twice; and how many were read.
struct Doubling(usize);

impl Lookup for Doubling {
    fn include(&mut self, path: &str) -> Result<Vec<Target>, String> {
        self.0 += 1;
        let number: usize = path.trim_start_matches('/').parse().unwrap();
        let next = if number < 14 { Target::Include(format!("/{}", number + 1)) } else { Target::Discard };
        Ok(vec![next.clone(), next])
    }

    fn is_user(&mut self, _: &str) -> bool {
        false
    }
}

#[test]
fn section_9_pf26_4_each_included_file_is_read_once() {
    let names = Names::of(Some("m.example"), None, "web1", &[]).unwrap();
    let mut lookup = Doubling(0);
    let expansion = expand(&Aliases::parse(b"a: :include:/0\n"), "a", &names, None, &mut lookup);
    assert_eq!((expansion, lookup.0), (Some(Expansion::default()), 15));
}

#[test]
fn t_out_1_an_error_of_a_line_has_no_control_sequence() {
    let file = "\u{202e}:\n\u{202e}: ,\nb: :include:\u{202e}\nc: |\u{202e}\nd: \u{202e} x y\n\u{202e}@x: a\n\u{2028}dup: a\n\u{2028}dup: b\ne: \\\u{202e}@x\n";
    let problems = Aliases::parse(file.as_bytes()).problems;
    assert_eq!(problems.len(), 8, "{problems:?}");
    assert!(problems.iter().all(|problem| !problem.text.contains(['\u{202e}', '\u{2028}'])), "{problems:?}");
}
