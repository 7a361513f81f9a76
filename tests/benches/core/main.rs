//! What a message costs at both ends together, sent and acknowledged, in memory: Whimbrel, plain and sealed, beside
//! smoltcp's UDP and TCP.
//!
//! ```text
//! cargo bench -p whimbrel-tests --bench core [-- --rounds N]
//! ```
//!
//! Time is the processor's. Sealed sessions are `NKpsk0`; handshakes are over before the clock starts.
//!
//! smoltcp's rows are whole IPv4 stacks, checksums included, and nothing there is sealed. A Whimbrel session alone
//! stands above UDP: what it costs with smoltcp's UDP below it is a row of its own. UDP acknowledges nothing: its
//! messages are done when they are read.

mod carrier;
#[path = "../common/cpu.rs"]
mod cpu;
mod open;
#[path = "../common/rounds.rs"]
mod rounds;
#[path = "../common/stack.rs"]
mod stack;
mod tcp;
mod udp;
mod whimbrel;

use crate::cpu::Watch;
use crate::rounds::{Ratio, Rounds};
use clap::Parser;
use whimbrel_core::{Instant, Protection};

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
/// Rows of the same, plain and sealed.
const SEALING: [(&str, usize, usize); 2] = [("session", 2, 3), ("on smoltcp UDP", 4, 5)];

/// What a message costs, sent and acknowledged.
#[derive(Parser)]
struct Args {
    /// Rounds of each way; the figure is their median.
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn ways() -> Vec<(&'static str, Box<dyn Way>)> {
    let session = |protection| Box::new(whimbrel::Whimbrel::new(protection, None));
    let on_udp = |protection| Box::new(whimbrel::Whimbrel::new(protection, Some(udp::Udp::new())));
    vec![
        ("smoltcp UDP", Box::new(udp::Udp::new())),
        ("smoltcp TCP", Box::new(tcp::Tcp::new())),
        ("Whimbrel, plain", session(Protection::Plain)),
        ("Whimbrel, sealed", session(Protection::NkPsk0)),
        ("Whimbrel, plain, on smoltcp UDP", on_udp(Protection::Plain)),
        ("Whimbrel, sealed, on smoltcp UDP", on_udp(Protection::NkPsk0)),
    ]
}

fn main() {
    let args = Args::parse();
    let columns: Vec<Rounds> = WORK.iter().map(|(count, len)| column(usize::from(args.rounds), *count, *len)).collect();

    println!("Both ends, for each message sent, read and acknowledged; in brackets: smoltcp UDP = 1\n");
    heading();
    for (row, (name, _)) in ways().iter().enumerate() {
        line(name, &columns, |rounds| {
            format!("{:.0} ns ({:.2})", rounds.median(row), rounds.ratio(row, REFERENCE).median)
        });
    }
    println!("\nThroughput sealed for each of plain; in brackets: half of the rounds\n");
    heading();
    for (name, plain, sealed) in SEALING {
        line(name, &columns, |rounds| {
            let Ratio { lower, median, upper } = rounds.ratio(plain, sealed);
            format!("{median:.2} ({lower:.2} to {upper:.2})")
        });
    }
}

fn heading() {
    println!(
        "| {:32} | {} |",
        "",
        WORK.map(|(count, len)| format!("{:>20}", format!("{count} x {len} bytes"))).join(" | ")
    );
    println!("| {} | {} |", "-".repeat(32), WORK.map(|_| "-".repeat(20)).join(" | "));
}

fn line(name: &str, columns: &[Rounds], cell: impl Fn(&Rounds) -> String) {
    let cells: Vec<_> = columns.iter().map(|rounds| format!("{:>20}", cell(rounds))).collect();
    println!("| {name:32} | {} |", cells.join(" | "));
}

/// Nanoseconds for a message, of each way.
fn column(rounds: usize, count: usize, len: usize) -> Rounds {
    let message = vec![0x5a; len];
    Rounds::run(rounds, &mut ways(), |(_, way)| {
        let mut watch = Watch::default();
        watch.run(|| (0..MESSAGES / count).for_each(|_| way.exchange(count, &message)));
        watch.each(MESSAGES / count * count)
    })
}

/// The next moment that one of two ends asks for.
fn earliest(times: [Option<Instant>; 2]) -> Instant {
    times.into_iter().flatten().min().expect("something is still to happen")
}
