//! Telemetry against loss: a 64-byte message every 10 ms for 20 s.

use super::links::{DELAY, LOSSES, REORDER_DELAY, wide};
use super::report::Report;
use super::rows::{self, Line, Make, Method};
use crate::args::Args;
use crate::load::{Load, Pace};
use crate::peers::yardstick::{MESSAGE, PACKET};
use crate::plot::LATENCY;
use crate::statistics::{median, percentile};
use crate::world::{UDP_IP, World};
use serde_json::json;
use whimbrel_core::{Duration, Instant};

const SIZE: usize = 64;
const COUNT: usize = 2_000;
const INTERVAL: Duration = Duration::from_millis(10);
/// For the messages themselves and whatever comes late.
const PATIENCE: Instant = Instant::from_millis(180_000);

/// One run, or the medians of many. Times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// In-order delivery latency: half, 95 and 99 of a hundred messages are not slower.
    pub(crate) percentiles: [u64; 3],
    /// Bytes of IP packets, both ways, for each byte of payload.
    pub(crate) wire: f64,
    /// Messages that came out, of `COUNT`.
    pub(crate) arrived: usize,
}

/// Runs the table.
pub(crate) fn run(args: &Args) -> Report {
    report(&measure(args))
}

/// The medians over the seeds, for each row and loss.
pub(crate) fn measure(args: &Args) -> Vec<Line<Outcome>> {
    // Of settings with the same 99th percentile, the one with the fewest bytes.
    let order = |a: &Outcome, b: &Outcome| a.percentiles[2].cmp(&b.percentiles[2]).then(a.wire.total_cmp(&b.wire));
    let mut lines = rows::measure(args, rows::telemetry(), &Method { one, middle, order });
    let name = "limit";
    if args.wants_row(name) {
        lines.push((name, LOSSES.map(limit).into()));
    }
    lines
}

/// What nobody gets below: the latency of packets that are not lost, of which two in a hundred are late, and the bytes
/// of a message in a packet of its own, sent again as often as it is lost and never acknowledged.
fn limit(loss: u32) -> Outcome {
    let (on_time, late) = (DELAY.as_micros(), DELAY.saturating_add(REORDER_DELAY).as_micros());
    let wire = (UDP_IP + PACKET + MESSAGE + SIZE) as f64 / SIZE as f64 * 100.0 / f64::from(100 - loss);
    Outcome { percentiles: [on_time, on_time, late], wire, arrived: COUNT }
}

fn one(make: &Make, loss: u32, seed: u64) -> Outcome {
    let load = Load::new(0, SIZE, COUNT, Pace::Every(INTERVAL));
    let mut world = World::new(seed, wide(loss), wide(loss)).with(make(seed), Instant::ZERO, vec![load]);
    world.run_until(PATIENCE, World::is_done);
    let place = &world.places[0];
    let latencies = place.loads[0].latencies();
    // What never arrived counts as slower than all that did.
    let missing = vec![u64::MAX; COUNT - latencies.len()];
    let all = [latencies.as_slice(), &missing].concat();
    Outcome {
        percentiles: [50, 95, 99].map(|percent| percentile(&all, percent).expect("there are messages")),
        wire: place.wire_bytes as f64 / (SIZE * COUNT) as f64,
        arrived: latencies.len(),
    }
}

fn middle(outcomes: &[Outcome]) -> Outcome {
    let each = |at: usize| outcomes.iter().map(|outcome| outcome.percentiles[at]).collect::<Vec<_>>();
    let wire: Vec<_> = outcomes.iter().map(|outcome| outcome.wire).collect();
    let arrived: Vec<_> = outcomes.iter().map(|outcome| outcome.arrived).collect();
    Outcome {
        percentiles: [0, 1, 2].map(|at| median(&each(at)).expect("there are seeds")),
        wire: median(&wire).expect("there are seeds"),
        arrived: median(&arrived).expect("there are seeds"),
    }
}

fn report(lines: &[Line<Outcome>]) -> Report {
    let millis = |micros: u64| if micros == u64::MAX { "-".into() } else { micros.div_ceil(1_000).to_string() };
    let cell = |outcome: &Outcome| {
        let [p50, p95, p99] = outcome.percentiles.map(millis);
        let arrived = if outcome.arrived < COUNT { format!(" ({} arrived)", outcome.arrived) } else { String::new() };
        format!("{p50}/{p95}/{p99}{arrived}")
    };
    let cells = |outcomes: &[Outcome]| {
        let latencies = outcomes.iter().map(cell);
        latencies.chain(outcomes.iter().map(|outcome| format!("{:.2}", outcome.wire))).collect()
    };
    let value = |outcomes: &[Outcome]| {
        let columns = outcomes.iter().zip(LOSSES).map(|(outcome, loss)| {
            json!({ "loss_percent": loss, "p50_p95_p99_us": outcome.percentiles, "wire": outcome.wire, "arrived": outcome.arrived })
        });
        columns.collect()
    };
    let columns = LOSSES.map(|loss| format!("{loss} %"));
    Report {
        name: "telemetry",
        title: "A 64-byte message every 10 ms for 20 s, 25 ms each way, 2 % of packets 10 ms late, losses both ways: \
                p50/p95/p99 of in-order delivery latency in ms, then bytes of IP packets, both ways, for each byte of payload."
            .into(),
        columns: columns.iter().cloned().chain(columns.iter().map(|loss| format!("bytes {loss}"))).collect(),
        rows: lines.iter().map(|(name, outcomes)| ((*name).into(), cells(outcomes))).collect(),
        values: lines.iter().map(|(_, outcomes)| value(outcomes)).collect(),
        plot: Some((LATENCY.file, LATENCY.draw(&rows::points(lines, |outcome| outcome.percentiles[2] as f64 / 1_000.0)))),
    }
}
