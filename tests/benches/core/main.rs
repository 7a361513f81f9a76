//! What a message costs at both ends together, sent and acknowledged, in memory: Whimbrel beside smoltcp's UDP and TCP.
//!
//! ```text
//! cargo bench -p whimbrel-tests --bench core [-- --rounds N]
//! ```
//!
//! The ways take turns, round by round, so that whatever else the machine does meets all of them alike; a figure is the
//! median over the rounds. Only ratios within one run mean anything.
//!
//! smoltcp's rows are whole IPv4 stacks, checksums included. A Whimbrel session alone stands above UDP: what it costs
//! with smoltcp's UDP below it is a row of its own. UDP acknowledges nothing: its messages are done when they are read.

#[path = "../common/stack.rs"]
mod stack;
mod tcp;
mod udp;
mod whimbrel;

use clap::Parser;
use std::time::Instant as Clock;
use whimbrel_core::Instant;

/// How a message travels.
trait Way {
    /// Sends `count` messages, and returns when all are read and, where there is such a thing, acknowledged. Virtual time
    /// goes on as far as timers ask for it.
    fn exchange(&mut self, count: usize, message: &[u8]);
}

/// Messages before anybody waits, and their length.
const WORK: [(usize, usize); 4] = [(1, 64), (8, 64), (1, 1024), (8, 1024)];
/// Messages in a round: some milliseconds.
const MESSAGES: usize = 2_000;
/// The row that ratios refer to.
const REFERENCE: usize = 0;

/// What a message costs, sent and acknowledged.
#[derive(Parser)]
struct Args {
    /// Rounds of each way; the figure is their median.
    #[arg(long, default_value_t = 31)]
    rounds: usize,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn ways() -> Vec<(&'static str, Box<dyn Way>)> {
    vec![
        ("smoltcp UDP", Box::new(udp::Udp::new())),
        ("smoltcp TCP", Box::new(tcp::Tcp::new())),
        ("Whimbrel session", Box::new(whimbrel::Whimbrel::new(None))),
        ("Whimbrel on smoltcp UDP", Box::new(whimbrel::Whimbrel::new(Some(udp::Udp::new())))),
    ]
}

fn main() {
    let args = Args::parse();
    println!("Both ends, for each message sent, read and acknowledged; in brackets: smoltcp UDP = 1\n");
    println!(
        "| {:24} | {} |",
        "",
        WORK.map(|(count, len)| format!("{:>18}", format!("{count} x {len} bytes"))).join(" | ")
    );
    println!("| {} | {} |", "-".repeat(24), WORK.map(|_| "-".repeat(18)).join(" | "));
    let columns: Vec<Vec<f64>> = WORK.iter().map(|(count, len)| column(args.rounds, *count, *len)).collect();
    for (row, (name, _)) in ways().iter().enumerate() {
        let cell = |column: &Vec<f64>| format!("{:>6.0} ns ({:.2})", column[row], column[row] / column[REFERENCE]);
        let cells: Vec<_> = columns.iter().map(|column| format!("{:>18}", cell(column))).collect();
        println!("| {name:24} | {} |", cells.join(" | "));
    }
}

/// Nanoseconds for a message, of each way.
fn column(rounds: usize, count: usize, len: usize) -> Vec<f64> {
    let mut ways = ways();
    let message = vec![0x5a; len];
    let mut times = vec![Vec::with_capacity(rounds); ways.len()];
    // One more than asked for: the first one warms caches and windows up.
    for round in 0..=rounds {
        for ((_, way), times) in ways.iter_mut().zip(&mut times) {
            let before = Clock::now();
            for _ in 0..MESSAGES / count {
                way.exchange(count, &message);
            }
            let nanos = before.elapsed().as_nanos() as f64 / (MESSAGES / count * count) as f64;
            if round > 0 {
                times.push(nanos);
            }
        }
    }
    times.into_iter().map(median).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The next moment that one of two ends asks for.
fn earliest(times: [Option<Instant>; 2]) -> Instant {
    times.into_iter().flatten().min().expect("something is still to happen")
}
