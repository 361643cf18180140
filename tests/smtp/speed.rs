//! Not a timed test: it prints what one connection does, for whoever runs it with `--nocapture`.

use std::time::Instant;

use mailchute::relay::smtp::Session;

use super::client::{content, deliver, envelope, patient, target};
use super::sink::Sink;

#[tokio::test]
async fn a_thousand_messages_of_4_kib_go_over_one_connection() {
    let server = Sink::new(&["PIPELINING", "SIZE", "8BITMIME"]).start().await;
    let mut session = Session::open(&patient(), &target(&server)).await.unwrap();
    let (envelope, content) =
        (envelope(&["a@x.example"]), content("a line of the usual length, as people write them to each other\r\n".repeat(64)));
    let started = Instant::now();
    for _ in 0..1000 {
        assert!(deliver(&mut session, &envelope, &content, Some(&envelope)).await[0].is_ok());
    }
    // A write error is a value; this one matters to nobody.
    let _ = std::io::Write::write_fmt(
        &mut std::io::stdout(),
        format_args!("{:.0} messages per second on one loopback connection\n", 1000.0 / started.elapsed().as_secs_f64()),
    );
    assert_eq!(server.seen().messages.len(), 1000);
}
