//! A link that dies for a minute and returns.

use super::links::{ROUND_TRIP, wide};
use super::report::Report;
use crate::args::Args;
use crate::load::{Load, Pace};
use crate::peers::whimbrel::{self, Preset};
use crate::statistics::median;
use crate::world::World;
use firmware_sim::faults::Faults;
use serde_json::json;
use whimbrel_core::{Duration, Instant, Redundancy};

const SIZE: usize = 64;
const COUNT: usize = 2_000;
const INTERVAL: Duration = Duration::from_millis(100);
const DARK: Duration = Duration::from_secs(60);
const PATIENCE: Instant = Instant::from_millis(600_000);

struct Scenario {
    loss: u32,
    /// The application says when the link is back.
    told: bool,
}

const SCENARIOS: &[(&str, Scenario)] = &[
    ("not told", Scenario { loss: 0, told: false }),
    ("told", Scenario { loss: 0, told: true }),
    ("not told, 5 % lost", Scenario { loss: 5, told: false }),
    ("told, 5 % lost", Scenario { loss: 5, told: true }),
];

/// In milliseconds.
struct Outcome {
    /// The probe interval that the return fell into.
    interval: f64,
    /// From the return to the first message that comes out.
    resumed: f64,
    /// From the return until nothing waits any more.
    caught_up: f64,
    arrived: usize,
}

/// Runs the table.
pub(crate) fn run(args: &Args) -> Report {
    let lines = super::scenarios(args, SCENARIOS, one);
    let mut report = Report {
        name: "blackout",
        title: "A 64-byte message every 100 ms for 200 s; after 10 s both directions are cut for 60 s: the probe interval \
                that the return falls into, from the return to the first message that comes out, the most by which that \
                exceeds interval and round trip together, from the return until everything has come out; in ms."
            .into(),
        columns: ["interval", "resumed", "worst", "excess, worst", "caught up", "arrived"].map(Into::into).into(),
        rows: Vec::new(),
        values: Vec::new(),
        plot: None,
    };
    for (name, outcomes) in lines {
        let middle = |of: &dyn Fn(&Outcome) -> f64| {
            median(&outcomes.iter().map(of).collect::<Vec<_>>()).expect("there are seeds")
        };
        let round_trip = ROUND_TRIP.as_micros() as f64 / 1_000.0;
        let excess = |outcome: &Outcome| outcome.resumed - outcome.interval - round_trip;
        let most = |of: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let (interval, resumed) = (middle(&|outcome| outcome.interval), middle(&|outcome| outcome.resumed));
        let (worst, excess) = (most(&|outcome| outcome.resumed), most(&excess));
        let caught_up = middle(&|outcome| outcome.caught_up);
        let arrived = outcomes.iter().map(|outcome| outcome.arrived).min().unwrap_or(0);
        let cells = [interval, resumed, worst, excess, caught_up].map(|number| format!("{number:.0}"));
        let arrived_all = format!("{arrived} of {COUNT}");
        report.rows.push((name.into(), cells.into_iter().chain([arrived_all]).collect()));
        report.values.push(json!({
            "interval_ms": interval, "resumed_ms": resumed, "resumed_worst_ms": worst, "excess_worst_ms": excess,
            "caught_up_ms": caught_up, "arrived": arrived,
        }));
    }
    report
}

fn one(scenario: &Scenario, seed: u64) -> Outcome {
    let load = Load::new(0, SIZE, COUNT, Pace::Every(INTERVAL));
    let flow = whimbrel::flow(Preset::Large, Redundancy::None, seed);
    let mut world = World::new(seed, wide(scenario.loss), wide(scenario.loss)).with(flow, Instant::ZERO, vec![load]);
    // Another phase of the sender's timers on each seed.
    let cut = Instant::from_millis(10_000 + 37 * (seed % 32));
    let back = cut + DARK;
    world.run_until(cut, |_| false);
    let dark = Faults { partition: true, ..wide(scenario.loss) };
    world.set_faults(dark, dark);
    world.run_until(back, |_| false);
    world.set_faults(wide(scenario.loss), wide(scenario.loss));
    if scenario.told {
        world.wake();
    }
    world.run_until(PATIENCE, World::is_done);
    let place = &world.places[0];
    let next = place.sent.partition_point(|sent| *sent < back);
    let millis = |from: Instant, to: Instant| to.saturating_since(from).as_micros() as f64 / 1_000.0;
    let around = (place.sent.get(next.wrapping_sub(1)), place.sent.get(next));
    let interval = around.0.zip(around.1).map_or(f64::INFINITY, |(before, after)| millis(*before, *after));
    let delivered = place.loads[0].delivered();
    let first = delivered.iter().find(|delivered| **delivered >= back);
    Outcome {
        interval,
        resumed: first.map_or(f64::INFINITY, |first| millis(back, *first)),
        caught_up: caught_up(delivered, &place.loads[0].latencies(), back).map_or(f64::INFINITY, |at| millis(back, at)),
        arrived: delivered.len(),
    }
}

/// When the first message came out that had not waited for the others.
fn caught_up(delivered: &[Instant], latencies: &[u64], back: Instant) -> Option<Instant> {
    let fresh = ROUND_TRIP.as_micros();
    let mut after = delivered.iter().zip(latencies).filter(|(delivered, _)| **delivered >= back);
    after.find(|(_, latency)| **latency <= fresh).map(|(delivered, _)| *delivered)
}
