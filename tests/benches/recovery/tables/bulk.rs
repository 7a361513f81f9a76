//! Bulk against loss: 1 MiB in 256-byte messages through a bottleneck.

use super::links::{LOSSES, RATE, narrow, wide};
use super::report::Report;
use super::rows::{self, Line, Make, Method};
use crate::args::Args;
use crate::load::{Load, Pace};
use crate::peers::yardstick::{MESSAGE, PACKET, PACKET_MAX};
use crate::plot::GOODPUT;
use crate::statistics::{median, percentile};
use crate::world::{UDP_IP, World};
use serde_json::json;
use whimbrel_core::Instant;

const SIZE: usize = 256;
const COUNT: usize = 4_096;
/// The end of a sealed packet, and that of a plain one.
const TAG: usize = 16;
const CHECK: usize = 4;
/// At a hundredth of the bottleneck's rate it would be over.
const PATIENCE: Instant = Instant::from_millis(840_000);

/// One run, or the medians of many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Payload a second over the bottleneck's rate, from the first packet of the handshake to the last message.
    pub(crate) goodput: f64,
    /// Messages that came out, of `COUNT`.
    pub(crate) arrived: usize,
    /// 95 of a hundred packets wait no longer at the bottleneck; microseconds.
    pub(crate) queued: u64,
    /// Packets that found the bottleneck's queue full.
    pub(crate) overflowed: u64,
}

/// Runs the table.
pub(crate) fn run(args: &Args) -> Report {
    report(&measure(args))
}

/// The medians over the seeds, for each row and loss; the limit in the end.
pub(crate) fn measure(args: &Args) -> Vec<Line<Outcome>> {
    let order = |a: &Outcome, b: &Outcome| b.goodput.total_cmp(&a.goodput);
    let mut lines = rows::measure(args, rows::bulk(), &Method { one, middle, order });
    for (name, protection) in [("limit, plain packets", 0), ("limit, sealed packets", TAG - CHECK)] {
        if args.wants_row(name) {
            lines.push((name, LOSSES.map(|loss| limit(loss, protection)).into()));
        }
    }
    lines
}

/// What a sender reaches that always has a full packet ready when the bottleneck is free, and sends again only what is
/// lost. It takes no account of the first round trips and of the last.
fn limit(loss: u32, protection: usize) -> Outcome {
    let messages = (PACKET_MAX - PACKET - protection) / (MESSAGE + SIZE);
    let packet = UDP_IP + PACKET + protection + messages * (MESSAGE + SIZE);
    let goodput = (messages * SIZE) as f64 / packet as f64 * f64::from(100 - loss) / 100.0;
    Outcome { goodput, arrived: COUNT, queued: 0, overflowed: 0 }
}

fn one(make: &Make, loss: u32, seed: u64) -> Outcome {
    let load = Load::new(0, SIZE, COUNT, Pace::Flood);
    let mut world = World::new(seed, narrow(loss), wide(loss)).with(make(seed), Instant::ZERO, vec![load]);
    world.run_until(PATIENCE, World::is_done);
    let arrived = world.places[0].loads[0].delivered().len();
    let bytes_a_second = (arrived * SIZE) as f64 * 1e6 / world.now.as_micros() as f64;
    Outcome {
        goodput: bytes_a_second / RATE as f64,
        arrived,
        queued: percentile(&world.places[0].queued, 95).unwrap_or(0),
        overflowed: world.uplink().overflowed,
    }
}

fn middle(outcomes: &[Outcome]) -> Outcome {
    let all = |what: fn(&Outcome) -> u64| median(&outcomes.iter().map(what).collect::<Vec<_>>()).unwrap_or(0);
    let goodput: Vec<_> = outcomes.iter().map(|outcome| outcome.goodput).collect();
    Outcome {
        goodput: median(&goodput).expect("there are seeds"),
        arrived: all(|outcome| outcome.arrived as u64) as usize,
        queued: all(|outcome| outcome.queued),
        overflowed: all(|outcome| outcome.overflowed),
    }
}

fn report(lines: &[Line<Outcome>]) -> Report {
    let goodput = |outcome: &Outcome| {
        let unfinished = if outcome.arrived < COUNT { " unfinished" } else { "" };
        format!("{:.3}{unfinished}", outcome.goodput)
    };
    let cells = |outcomes: &[Outcome]| {
        let queued = outcomes.iter().map(|outcome| (outcome.queued / 1_000).to_string());
        outcomes.iter().map(goodput).chain(queued).collect()
    };
    let value = |outcomes: &[Outcome]| {
        let columns = outcomes.iter().zip(LOSSES).map(|(outcome, loss)| {
            json!({
                "loss_percent": loss,
                "goodput": outcome.goodput,
                "arrived": outcome.arrived,
                "queued_p95_us": outcome.queued,
                "overflowed": outcome.overflowed,
            })
        });
        columns.collect()
    };
    let columns = LOSSES.map(|loss| format!("{loss} %"));
    Report {
        name: "bulk",
        title:
            "1 MiB in 256-byte messages; uplink of 1 Mbit/s of IP bytes with a 64-packet drop-tail queue: payload a \
                second over the bottleneck's rate, then the 95th percentile of the wait at the bottleneck in ms."
                .into(),
        columns: columns.iter().cloned().chain(columns.iter().map(|loss| format!("queue {loss}"))).collect(),
        rows: lines.iter().map(|(name, outcomes)| ((*name).into(), cells(outcomes))).collect(),
        values: lines.iter().map(|(_, outcomes)| value(outcomes)).collect(),
        plot: Some((GOODPUT.file, GOODPUT.draw(&rows::points(lines, |outcome| outcome.goodput)))),
    }
}
