//! mailchute-log(5) against the event table: the events in their order, each with its level and its fields.

/// An event as a reader of the log sees it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub name: String,
    pub level: String,
    pub fields: Vec<String>,
}

/// The calls of the tracing macros in src/log/events.rs.
fn in_the_table() -> Vec<Event> {
    let source = super::read("src/log/events.rs");
    let code = source.split("#[cfg(test)]").next().unwrap();
    let mut events = Vec::new();
    for level in ["info", "warn", "error"] {
        for call in code.split(&format!(" {level}!(")).skip(1) {
            // The arguments hold no semicolon; the call is a statement.
            let arguments = call.split(");").next().unwrap().split(',').map(|argument| argument.trim().to_owned());
            let (event, rest): (Vec<_>, Vec<_>) = arguments.filter(|one| !one.is_empty()).partition(|one| one.starts_with("event = "));
            let name = event[0].trim_start_matches("event = ").trim_matches('"').to_owned();
            // What has no name is the text of the line.
            let fields = rest.iter().map_while(|argument| field(argument)).collect();
            events.push(Event { name, level: level.to_owned(), fields });
        }
    }
    events.sort();
    events
}

/// The name of a field: `name`, or `name = value`.
fn field(argument: &str) -> Option<String> {
    let name = argument.split(" = ").next()?;
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then(|| name.to_owned())
}

/// The items of the page.
pub(crate) fn in_the_manual() -> Vec<Event> {
    let page = super::read("man/mailchute-log.5");
    let mut events: Vec<Event> = page
        .split("\n.It Sy ")
        .skip(1)
        .map(|item| {
            let mut lines = item.lines();
            let (name, level) = lines.next().unwrap().split_once(" Pq ").unwrap();
            let fields = lines.next().and_then(|line| line.strip_prefix(".D1 ")).unwrap_or_default();
            Event { name: name.to_owned(), level: level.to_owned(), fields: fields.split_whitespace().map(str::to_owned).collect() }
        })
        .collect();
    events.sort();
    events
}

/// A function of the table.
struct Function {
    name: String,
    /// Names and types.
    parameters: Vec<(String, String)>,
    body: String,
}

fn functions(source: &str) -> Vec<Function> {
    let function = |text: &str| {
        let (name, rest) = text.split_once('(').unwrap();
        let (parameters, body) = rest.split_once(") {\n").unwrap();
        let pair = |one: &str| one.split_once(": ").map(|(name, kind)| (name.trim().to_owned(), kind.trim().to_owned()));
        let parameters = parameters.split(',').filter_map(pair).collect();
        Function { name: name.to_owned(), parameters, body: body.split("\n}").next().unwrap().to_owned() }
    };
    source.split("\npub fn ").skip(1).map(function).collect()
}

#[test]
fn t_out_1_every_text_of_an_event_is_made_printable_where_it_is_logged() {
    let source = super::read("src/log/events.rs");
    for Function { name, parameters, body } in functions(&source) {
        let texts = parameters.iter().filter(|(_, kind)| kind == "&str").map(|(text, _)| text.clone());
        let of_outcome = ["from", "to", "relay", "dsn", "reply"].map(|field| format!("o.{field}"));
        let has_outcome = parameters.iter().any(|(_, kind)| kind.starts_with("Outcome"));
        for text in texts.chain(of_outcome.into_iter().filter(|_| has_outcome)) {
            assert!(body.contains(&format!("&*safe({text})")), "{name} logs {text} as it is: write `{text} = &*safe({text})`");
        }
    }
}

#[test]
fn the_names_of_the_events_are_those_of_the_table() {
    let mut names: Vec<_> = in_the_table().into_iter().map(|event| event.name).collect();
    names.sort();
    assert_eq!(log::names::NAMES, names, "src/log/names.rs has every event, in the order of the alphabet");
}

#[test]
fn no_field_of_an_event_has_the_name_of_a_key_of_every_line() {
    for event in in_the_table() {
        let taken = event.fields.iter().find(|field| log::record::KEYS.contains(&field.as_str()));
        assert_eq!(taken, None, "{}", event.name);
    }
}

#[test]
fn the_manual_of_the_log_has_every_event_with_its_level_and_its_fields() {
    let table = in_the_table();
    let functions = super::read("src/log/events.rs").matches("\npub fn ").count();
    assert_eq!(table.len(), functions, "one function, one event: {table:#?}");
    assert_eq!(in_the_manual(), table);
}

#[test]
fn the_manual_of_the_administrators_command_has_every_alarm_with_its_severity() {
    use observe::alarms::alarm::Kind;
    let page = super::read("man/mailchute.8");
    let section = page.split("\n.Sh ALARMS").nth(1).and_then(|rest| rest.split("\n.Sh ").next()).unwrap();
    let mut listed: Vec<_> = section.lines().filter_map(|line| line.strip_prefix(".It Sy ")).map(str::to_owned).collect();
    let mut alarms: Vec<_> = Kind::ALL.iter().map(|kind| format!("{} Pq {}", kind.name(), kind.severity().word())).collect();
    listed.sort();
    alarms.sort();
    assert_eq!(listed, alarms);
}
