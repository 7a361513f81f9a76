//! What eight honest devices notice while strangers flood their gateway with a million datagrams, twice.
//!
//! ```text
//! cargo bench -p whimbrel-gateway --bench flood [-- --flood N]
//! ```
//!
//! A gateway with a database, its devices and the flood are one process, over the loopback interface: the flood takes
//! its time from the same cores as the gateway, and the kernel works for both. On a line, only the gateway would be
//! busy. Latency is from when a reading was due, every 10 ms, to when its device knows that it is stored; only ratios
//! within one run mean anything. Ends by itself, with an exit code other than 0 when a reading was lost or stored
//! twice, or when memory grew.

mod captured;
mod honest;
mod phase;
mod place;
mod process;
mod report;
mod spoofed;
mod strangers;

use core::time::Duration;
use std::process::ExitCode;

use clap::Parser;

use self::honest::Honest;
use self::phase::{Hellos, Phase, measure};
use self::place::Place;

/// Honest devices.
const DEVICES: usize = 8;
/// Boots of each device before the one that sends.
const FORMER_BOOTS: u32 = 4;
/// How long a phase without a flood lasts.
const QUIET: Duration = Duration::from_secs(8);
/// Readings that each device sends at once before anything is measured, so that the database's caches are full.
const WARM_UP: u64 = 4000;
/// Forged HELLOs before anything is measured: from more sources than the gateway watches, so that its tables are full.
const FILL: u64 = 1 << 16;
/// Part of the memory before that may come on top.
const GROWTH_MAX: f64 = 0.1;

/// Honest devices beside a flood.
#[derive(Parser)]
struct Args {
    /// Datagrams in each flood; fewer if they take longer than 20 seconds.
    #[arg(long, default_value_t = 1_000_000)]
    flood: u64,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::parse();
    let place = Place::new(DEVICES).await;
    let former = captured::former_boots(&place, FORMER_BOOTS).await;
    let forged = Box::new(spoofed::Forger::new(&place.devices));
    let mut honest = Vec::new();
    for (number, device) in place.devices.iter().enumerate() {
        honest.push(Honest::connect(number, device, FORMER_BOOTS + 1, place.address()).await);
    }
    let memory_at_start = process::memory();
    for device in &mut honest {
        device.send_at_once(WARM_UP).await;
    }
    (_, honest) = measure("full tables", Hellos::Forged(forged.clone()), FILL, &place, honest).await;

    let plan = [
        ("before", Hellos::None(QUIET)),
        ("forged HELLOs", Hellos::Forged(forged)),
        ("replayed HELLOs", Hellos::Replayed(former)),
        ("after", Hellos::None(QUIET)),
    ];
    let mut phases: Vec<Phase> = Vec::new();
    for (name, hellos) in plan {
        let phase;
        (phase, honest) = measure(name, hellos, args.flood, &place, honest).await;
        phases.push(phase);
    }
    let accepted: Vec<u64> = honest.iter().map(Honest::accepted).collect();
    for device in honest {
        device.close().await;
    }
    let stored = place.end().await;

    report::print(&phases);
    let is_complete = report::readings(&accepted, &stored);
    let is_flat = report::memory(memory_at_start, &phases, GROWTH_MAX);
    if is_complete && is_flat { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
