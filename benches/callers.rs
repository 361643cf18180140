//! Programs that send mail, for the injection benchmarks.
//!
//! `callers COUNT JOBS FIRST FILE COMMAND [ARGUMENT...]` runs the command COUNT times, JOBS at a time, with FILE on standard input
//! and `{}` in the arguments replaced by the numbers from FIRST on. It starts them as cheaply as the system can (posix_spawn), as
//! the uid it has itself. Out: one line of JSON with wall times in microseconds and the CPU time of the commands alone, with all
//! that they waited for.
//!
//! `callers --probe DIRECTORY COUNT` tells what the disk is doing: the median of open, write 4 KiB, fsync.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)] // a tool: it may stop on an error

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--probe") {
        return probe(&arguments[1], arguments[2].parse().unwrap());
    }
    let number = |at: usize| -> usize { arguments[at].parse().expect("COUNT JOBS FIRST FILE COMMAND [ARGUMENT...]") };
    run(number(0), number(1), number(2), &arguments[3], &arguments[4..]);
}

fn run(count: usize, jobs: usize, first: usize, file: &str, command: &[String]) {
    let (next, failures, times) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let (cpu, start) = (cpu_of_children(), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= count {
                        return;
                    }
                    let begin = Instant::now();
                    if !call(file, command, first + number) {
                        failures.fetch_add(1, Relaxed);
                    }
                    times.lock().unwrap().push(begin.elapsed().as_micros());
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let mut times = times.into_inner().unwrap();
    times.sort_unstable();
    println!(
        "{{\"count\":{count},\"seconds\":{seconds:.4},\"failures\":{},\"wall_us\":{},\"wall_min_us\":{},\"wall_max_us\":{},\"cpu_us\":{:.0}}}",
        failures.into_inner(),
        times[times.len() / 2],
        times[0],
        times[times.len() - 1],
        (cpu_of_children() - cpu) * 1e6 / count as f64
    );
}

fn call(file: &str, command: &[String], number: usize) -> bool {
    let arguments = command[1..].iter().map(|argument| argument.replace("{}", &number.to_string()));
    let input = File::open(file).expect("the message file");
    let result = Command::new(&command[0]).args(arguments).stdin(Stdio::from(input)).stdout(Stdio::null()).status();
    result.is_ok_and(|status| status.success())
}

/// Seconds of user and system time of all children that were waited for (proc(5): cutime, cstime, in hundredths).
fn cpu_of_children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn probe(directory: &str, count: usize) {
    let block = [b'x'; 4096];
    let mut times: Vec<u128> = (0..count)
        .map(|number| {
            let path = format!("{directory}/.probe.{number}");
            let begin = Instant::now();
            let mut file = File::create(&path).expect("the probe's file");
            file.write_all(&block).and_then(|()| file.sync_all()).expect("the probe's write");
            let time = begin.elapsed().as_micros();
            let _ = std::fs::remove_file(&path);
            time
        })
        .collect();
    times.sort_unstable();
    println!("{}", times[times.len() / 2]);
}
