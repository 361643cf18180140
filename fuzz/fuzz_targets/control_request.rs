//! The control socket, both ways: what a program asks of the daemon, and what a program makes of an answer.
//!
//! Input: bytes, taken as one request and as one answer.
//!
//! Asserts: a request that is understood is written and understood again, in one line; an answer of any bytes ends in success or
//! in one printable line; whatever a listing prints is printable.

#![no_main]

use control::client;
use control::printer::Printer;
use control::protocol::{Count, Detail, Done, Request, Status, Text};
use exit::{Exit, Failure};
use libfuzzer_sys::fuzz_target;
use mailchute_fuzz::is_printable;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<Request>(data) {
        let line = serde_json::to_string(&request).unwrap();
        assert!(!line.contains('\n'), "a request is one line");
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
    }
    let text = Text::new(data);
    let travelled: Text = serde_json::from_str(&serde_json::to_string(&text).unwrap()).unwrap();
    assert_eq!(travelled.bytes(), data, "any bytes travel");
    answer(data);
});

fn answer(data: &[u8]) {
    let mut out = Vec::new();
    let mut printer = Printer::text(&mut out, jiff::tz::TimeZone::UTC);
    let result = client::read_answer(data, |line| {
        assert!(!line.contains('\n'));
        let _ = serde_json::from_str::<Detail>(line);
        let _ = serde_json::from_str::<Status>(line);
        let _ = serde_json::from_str::<(Done, Count)>(line);
        if let Ok(text) = serde_json::from_str::<Text>(line) {
            let _ = text.bytes();
        }
        printer.line(line)
    });
    if let Ok(besides) = &result {
        assert!(is_printable(besides) && !besides.contains('\n'), "{besides:?}");
    }
    let listed = printer.finish();
    for failure in [result.err().map(Failure::from), listed.err()].into_iter().flatten() {
        assert!(failure.exit != Exit::Ok && is_printable(&failure.text) && !failure.text.contains('\n'), "{:?}", failure.text);
    }
    assert!(is_printable(std::str::from_utf8(&out).unwrap()), "{:?}", String::from_utf8_lossy(&out));
}
