//! Four bulk flows on one bottleneck.

use super::links::{RATE, narrow, wide};
use super::report::Report;
use crate::args::Args;
use crate::load::Load;
use crate::peers::whimbrel::{self, Preset};
use crate::statistics::{jain, median, percentile};
use crate::world::World;
use serde_json::json;
use whimbrel_core::{Instant, Redundancy};

const FLOWS: u64 = 4;
const SIZE: usize = 256;
const END: Instant = Instant::from_millis(60_000);

struct Scenario {
    /// Between the beginnings of two flows, in milliseconds.
    apart: u64,
    loss: u32,
    /// Measured from here to the end.
    from: Instant,
}

const SCENARIOS: &[(&str, Scenario)] = &[
    ("37 ms apart, from 0 s", Scenario { apart: 37, loss: 0, from: Instant::ZERO }),
    ("37 ms apart, from 10 s", Scenario { apart: 37, loss: 0, from: Instant::from_millis(10_000) }),
    ("2 s apart, from 10 s", Scenario { apart: 2_000, loss: 0, from: Instant::from_millis(10_000) }),
    ("10 s apart, from 40 s", Scenario { apart: 10_000, loss: 0, from: Instant::from_millis(40_000) }),
    ("37 ms apart, from 10 s, 5 % lost", Scenario { apart: 37, loss: 5, from: Instant::from_millis(10_000) }),
];

struct Outcome {
    jain: f64,
    /// Of the bottleneck's rate, ascending.
    shares: Vec<f64>,
    queued: u64,
}

/// Runs the table.
pub(crate) fn run(args: &Args) -> Report {
    let lines = super::scenarios(args, SCENARIOS, one);
    let mut report = Report {
        name: "fairness",
        title: "Four Whimbrel bulk flows of the 32 KiB preset on one 1 Mbit/s bottleneck for 60 s: Jain's index, the \
                smallest and the largest share of the bottleneck, all shares, the 95th percentile of the wait in ms."
            .into(),
        columns: ["Jain, median", "Jain, worst", "smallest", "largest", "all", "queue"].map(Into::into).into(),
        rows: Vec::new(),
        values: Vec::new(),
        plot: None,
    };
    for (name, outcomes) in lines {
        let middle = |of: &dyn Fn(&Outcome) -> f64| {
            median(&outcomes.iter().map(of).collect::<Vec<_>>()).expect("there are seeds")
        };
        let index = middle(&|outcome| outcome.jain);
        let worst = outcomes.iter().map(|outcome| outcome.jain).fold(1.0, f64::min);
        let (smallest, largest) = (middle(&|outcome| outcome.shares[0]), middle(&|outcome| outcome.shares[3]));
        let all = middle(&|outcome| outcome.shares.iter().sum());
        let queued = middle(&|outcome| outcome.queued as f64) / 1_000.0;
        let numbers = [index, worst, smallest, largest, all];
        let cells = numbers.iter().map(|number| format!("{number:.3}")).chain([format!("{queued:.0}")]);
        report.rows.push((name.into(), cells.collect()));
        report.values.push(json!({
            "jain_median": index, "jain_worst": worst, "smallest": smallest, "largest": largest, "all": all,
            "queued_p95_ms": queued,
        }));
    }
    report
}

fn one(scenario: &Scenario, seed: u64) -> Outcome {
    let mut world = World::new(seed, narrow(scenario.loss), wide(scenario.loss));
    for at in 0..FLOWS {
        let flow = whimbrel::flow(Preset::Large, Redundancy::None, seed * FLOWS + at);
        world = world.with(flow, Instant::from_millis(at * scenario.apart), vec![Load::endless(0, SIZE)]);
    }
    world.run_until(END, |_| false);
    let seconds = END.saturating_since(scenario.from).as_micros() as f64 / 1e6;
    let share = |bytes: usize| bytes as f64 / seconds / RATE as f64;
    let delivered = world.places.iter().map(|place| place.delivered_within(scenario.from, END));
    let mut shares: Vec<_> = delivered.map(share).collect();
    shares.sort_by(f64::total_cmp);
    let queued: Vec<_> = world.places.iter().flat_map(|place| &place.queued).copied().collect();
    Outcome { jain: jain(&shares), shares, queued: percentile(&queued, 95).unwrap_or(0) }
}
