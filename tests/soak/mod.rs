//! The soak: many injectors, flushes, listings, holds and releases, reloads, and a daemon that is killed again and again. Nothing is
//! lost, nothing half arrives, what comes twice was called a possible duplicate, what is refused or bounced is reported once, the books balance
//! to the message, and neither memory nor descriptors grow.
//!
//! The test here is a selection of seconds; `tests/soak/run` does two hundred thousand messages with the programs of the release.

mod books;
mod inject;
mod judge;
mod receiver;
mod world;

use std::time::{Duration, Instant};

use crate::support::command::PATIENCE;
use world::{Plan, World};

#[test]
fn the_soak_loses_nothing_and_grows_nothing() {
    require!(crate::support::parts::time());
    let (mut world, began) = (World::new(Plan::chosen()), Instant::now());
    let (samples, kills) = std::thread::scope(|scope| {
        let world = &world;
        for injector in 0..world.plan.injectors {
            scope.spawn(move || inject::run(world, injector));
        }
        world.operate(scope);
        world.spawn_daemon();
        world.torment()
    });
    (world.samples, world.kills) = (samples, kills);
    drain(&world);
    let counts = judge::judge(&world);
    println!("{:.0} s: {counts:#?}", began.elapsed().as_secs_f64());
    let books = books::read(&world);
    println!("{books:#?}");
    counts.assert_clean();
    books.assert_balanced();
}

/// The daemon is left in peace until all has arrived, and nothing is left: not even what arrived, and is uncertain.
fn drain(world: &World) {
    let (mut before, mut since) = ((0, 0), Instant::now());
    while world.missing() > 0 || !judge::left(world).is_empty() {
        world.revive();
        world.mailchute(&["release", "ALL"]);
        world.end_stuck();
        world.mailchute(&["flush"]);
        std::thread::sleep(Duration::from_millis(500));
        let now = (world.shared.arrived.total(), judge::left(world).len());
        if now != before {
            (before, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            println!("{} acknowledged messages do not arrive, or do not go", world.missing());
            break;
        }
    }
    world.stop_daemon();
}
