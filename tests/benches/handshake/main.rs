//! What a handshake costs the gateway: Whimbrel's beside QUIC's full handshake, in memory, on one core, and what it
//! spends on a HELLO that it turns away.
//!
//! ```text
//! cargo bench -p whimbrel-tests --bench handshake [-- --rounds N]
//! ```
//!
//! The clock is the processor's, and runs only while the gateway has a datagram in its hands; devices work while it
//! stands. It runs
//! - Whimbrel: from the HELLO to the ACCEPT written (device found, MAC, counter, opened, session made with the memory
//!   of a gateway's sessions), and until the device's first packet was authentic;
//! - QUIC: from the client's first datagram to the server's flight written, and until the client's Finished was right.
//!
//! Both without proof of address (cookie, Retry), and without storage: a real gateway stores the counter too. A
//! certificate proves QUIC's server only, clients are anybody; in both of Whimbrel's patterns each end proves itself.
//! QUIC is quinn-proto with TLS 1.3 by rustls and ring, its defaults (X25519, ring's assembly), no resumption, and a
//! certificate signed by itself.

#[path = "../common/cpu.rs"]
mod cpu;
mod device;
mod gateway;
#[path = "../common/quic.rs"]
mod quic;
mod quic_server;
mod refusal;
#[path = "../common/rounds.rs"]
mod rounds;
mod whimbrel;

use crate::refusal::{Refusal, Refused};
use crate::rounds::{Ratio, Rounds};
use clap::Parser;
use whimbrel_core::Protection;

/// Something that a gateway is asked for.
trait Way {
    /// What the gateway spends on one, in nanoseconds: the mean of some.
    fn turn(&mut self) -> f64;
}

/// Handshakes in a turn, side by side.
const HANDSHAKES: usize = 32;
/// The row that handshakes are compared with.
const REFERENCE: usize = 0;
/// The row that refusals are compared with.
const NK: usize = 2;

/// What a handshake costs the gateway.
#[derive(Parser)]
struct Args {
    /// Rounds of each way; a figure is the median over them.
    #[arg(long, default_value_t = 101, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn handshakes() -> Vec<(&'static str, Box<dyn Way>)> {
    vec![
        ("QUIC, ECDSA P-256", Box::new(quic_server::QuicServer::new(&rcgen::PKCS_ECDSA_P256_SHA256))),
        ("QUIC, Ed25519", Box::new(quic_server::QuicServer::new(&rcgen::PKCS_ED25519))),
        ("Whimbrel, NKpsk0", Box::new(whimbrel::Whimbrel::new(Protection::NkPsk0))),
        ("Whimbrel, NNpsk0", Box::new(whimbrel::Whimbrel::new(Protection::NnPsk0))),
    ]
}

fn refusals() -> Vec<(&'static str, Box<dyn Way>)> {
    vec![
        ("HELLO with a wrong MAC", Box::new(Refusal::new(Refused::Mac))),
        ("HELLO replayed", Box::new(Refusal::new(Refused::Replay))),
    ]
}

fn main() {
    let args = Args::parse();
    let mut ways = handshakes();
    let count = ways.len();
    ways.extend(refusals());
    let rounds = Rounds::run(usize::from(args.rounds), &mut ways, |(_, way)| way.turn());

    println!("The gateway's side alone, on one core; in brackets: half of the rounds\n");
    let handshakes = 0..count;
    println!("| {:24} | {:>8} | {:>24} |", "handshakes", "a second", "QUIC, ECDSA P-256 = 1");
    println!("| {} | {} | {} |", "-".repeat(24), "-".repeat(8), "-".repeat(24));
    for (row, (name, _)) in handshakes.clone().zip(&ways) {
        let Ratio { lower, median, upper } = rounds.ratio(REFERENCE, row);
        let cell = format!("{median:.2} ({lower:.2} to {upper:.2})");
        println!("| {name:24} | {:>8.0} | {cell:>24} |", 1e9 / rounds.median(row));
    }
    println!("\n| {:24} | {:>8} | {:>24} |", "turned away", "a second", "time of NKpsk0 = 1");
    println!("| {} | {} | {} |", "-".repeat(24), "-".repeat(8), "-".repeat(24));
    for (row, (name, _)) in ways.iter().enumerate().skip(handshakes.end) {
        let Ratio { lower, median, upper } = rounds.ratio(row, NK);
        let cell = format!("{median:.4} ({lower:.4} to {upper:.4})");
        println!("| {name:24} | {:>8.0} | {cell:>24} |", 1e9 / rounds.median(row));
    }
}
