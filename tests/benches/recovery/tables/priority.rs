//! Commands beside telemetry that takes all there is.

use super::links::{narrow, wide};
use super::report::Report;
use crate::args::Args;
use crate::load::{Load, Pace};
use crate::peers::whimbrel::{self, Preset, channel};
use crate::statistics::{median, percentile};
use crate::world::World;
use serde_json::json;
use whimbrel_core::{Duration, Instant, Priority, Redundancy};

const COMMAND: usize = 64;
const COUNT: usize = 600;
const INTERVAL: Duration = Duration::from_millis(100);
const TELEMETRY: usize = 256;
/// The bottleneck, in bytes a second.
const RATE: u64 = 125_000;
const PATIENCE: Instant = Instant::from_millis(180_000);

struct Scenario {
    loss: u32,
    beside: bool,
}

const SCENARIOS: &[(&str, Scenario)] = &[
    ("commands alone", Scenario { loss: 0, beside: false }),
    ("beside telemetry", Scenario { loss: 0, beside: true }),
    ("commands alone, 5 % lost", Scenario { loss: 5, beside: false }),
    ("beside telemetry, 5 % lost", Scenario { loss: 5, beside: true }),
];

/// Runs the table.
pub(crate) fn run(args: &Args) -> Report {
    let lines = super::scenarios(args, SCENARIOS, one);
    let mut report = Report {
        name: "priority",
        title: "A 64-byte command every 100 ms for 60 s on an ordered channel of priority High, alone, and beside a channel \
                that sends 256-byte messages as fast as a 1 Mbit/s bottleneck takes them: latency of the commands in ms, and the goodput of the channel \
                beside them over the bottleneck's rate."
            .into(),
        columns: ["p50", "p95", "p99", "beside"].map(Into::into).into(),
        rows: Vec::new(),
        values: Vec::new(),
        plot: None,
    };
    for (name, outcomes) in lines {
        let each = |at: usize| median(&outcomes.iter().map(|outcome| outcome[at]).collect::<Vec<_>>());
        let percentiles = [0, 1, 2].map(|at| each(at).expect("there are seeds"));
        let beside = each(3).expect("there are seeds") as f64 / 1_000.0;
        let cells = percentiles.map(|micros| format!("{:.1}", micros as f64 / 1_000.0));
        report.rows.push((name.into(), [&cells[..], &[format!("{beside:.3}")]].concat()));
        report.values.push(json!({ "p50_p95_p99_us": percentiles, "beside": beside }));
    }
    report
}

/// Percentiles of the latency in us, and the thousandths of the bottleneck that the telemetry had.
fn one(scenario: &Scenario, seed: u64) -> [u64; 4] {
    let channels = [channel(0, Redundancy::None, Priority::High), channel(1, Redundancy::None, Priority::Normal)];
    let mut loads = vec![Load::new(0, COMMAND, COUNT, Pace::Every(INTERVAL))];
    if scenario.beside {
        loads.push(Load::endless(1, TELEMETRY));
    }
    let flow = whimbrel::flow_of(Preset::Large, &channels, seed);
    let mut world = World::new(seed, narrow(scenario.loss), wide(scenario.loss)).with(flow, Instant::ZERO, loads);
    world.run_until(PATIENCE, |world| world.places[0].loads[0].is_done());
    let latencies = world.places[0].loads[0].latencies();
    let missing = vec![u64::MAX; COUNT - latencies.len()];
    let all = [latencies, missing].concat();
    let beside = world.places[0].loads.get(1).map_or(0, |load| load.latencies().len() * TELEMETRY) as u64;
    let seconds = world.now.as_micros().div_ceil(1_000_000);
    let [p50, p95, p99] = [50, 95, 99].map(|percent| percentile(&all, percent).expect("there are commands"));
    [p50, p95, p99, (beside * 1_000).checked_div(RATE * seconds).unwrap_or(0)]
}
