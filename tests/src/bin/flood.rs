//! Floods of HELLOs against a gateway whose devices work: what it holds, what it spends, and how long devices wait.

use clap::Parser;
use std::process::ExitCode;
use whimbrel_core::Duration;
use whimbrel_tests::flood::{Flood, Kind, Report};

#[derive(Parser)]
#[command(about)]
struct Cli {
    /// HELLOs of each kind
    #[arg(long, default_value_t = 1_000_000)]
    hellos: u64,
    /// Of those under stolen keys, which cost a scalar multiplication to make
    #[arg(long, default_value_t = 100_000)]
    stolen: u64,
    /// Seconds of virtual time, before and during each
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Honest devices
    #[arg(long, default_value_t = 20)]
    devices: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let time = Duration::from_secs(cli.seconds);
    let mut flat = true;
    println!(
        "{:<12}{:>10}{:>10}{:>10}{:>9}{:>9}{:>10}{:>22}{:>22}",
        "flood", "HELLOs", "opened", "sessions", "epochs", "answered", "cost", "message p99, ms", "session p99, ms"
    );
    for kind in Kind::ALL {
        let hellos = if kind == Kind::Stolen { cli.stolen } else { cli.hellos };
        let report = Flood::new(cli.seed, cli.devices, kind).run(time, hellos);
        flat &= report.is_flat();
        print(kind, &report);
    }
    println!("sessions and epochs: before, and the most during the flood");
    println!("answered: bytes, of those received; cost: of what a session costs");
    println!("p99: before and during");
    if flat { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(kind: Kind, report: &Report) {
    let Report { hellos, bytes, held, delays, opened, nanos } = report;
    let pair = |a: u64, b: u64| format!("{a} {b}");
    let millis = |a: Duration, b: Duration| {
        let millis = |delay: Duration| delay.as_micros() as f64 / 1_000.0;
        format!("{:.1} {:.1}", millis(a), millis(b))
    };
    println!(
        "{:<12}{hellos:>10}{opened:>10}{:>10}{:>9}{:>8}%{:>9.2}%{:>22}{:>22}",
        kind.name(),
        pair(held.0.sessions as u64, held.1.sessions as u64),
        pair(held.0.epochs, held.1.epochs),
        bytes.1 * 100 / bytes.0.max(1),
        nanos.0 as f64 * 100.0 / nanos.1.max(1) as f64,
        millis(delays.0.messages.percentile(99), delays.1.messages.percentile(99)),
        millis(delays.0.sessions.percentile(99), delays.1.sessions.percentile(99)),
    );
}
