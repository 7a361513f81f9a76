//! The rows of the tables against loss: peers, and the settings of each.

use super::links::{LOSSES, RATE};
use crate::args::Args;
use crate::flow::Flow;
use crate::jobs;
use crate::peers::enet::Enet;
use crate::peers::kcp::Kcp;
use crate::peers::quic::Quic;
use crate::peers::tcp::{Settings, Tcp};
use crate::peers::whimbrel::{self, Preset};
use crate::peers::yardstick::{Bulk, Yardstick};
use core::cmp::Ordering;
use smoltcp::socket::tcp::CongestionControl;
use whimbrel_core::Redundancy;

/// Makes a flow on a seed.
pub(crate) type Make = Box<dyn Fn(u64) -> Box<dyn Flow> + Sync>;

/// A row: of several settings of a peer, the one that does best in each column is shown.
pub(crate) struct Row {
    name: &'static str,
    settings: Vec<Make>,
}

/// A row's outcomes, one for each of `LOSSES`.
pub(crate) type Line<T> = (&'static str, Vec<T>);

/// How runs become a cell of a table.
pub(crate) struct Method<T> {
    /// One run, at a loss in percent, on a seed.
    pub(crate) one: fn(&Make, u32, u64) -> T,
    /// The medians of several runs.
    pub(crate) middle: fn(&[T]) -> T,
    /// Less is better.
    pub(crate) order: fn(&T, &T) -> Ordering,
}

/// The rows asked for, at each loss, on all seeds.
pub(crate) fn measure<T: Send + Copy>(args: &Args, rows: Vec<Row>, method: &Method<T>) -> Vec<Line<T>> {
    let rows: Vec<_> = rows.into_iter().filter(|row| args.wants_row(row.name)).collect();
    let settings = rows.iter().flat_map(|row| &row.settings);
    let cells = settings.flat_map(|make| LOSSES.map(|loss| (make, loss)));
    let jobs: Vec<_> = cells.flat_map(|(make, loss)| args.seeds.clone().map(move |seed| (make, loss, seed))).collect();
    let outcomes = jobs::run(args.threads, &jobs, |(make, loss, seed)| (method.one)(make, *loss, *seed));
    let mut medians = outcomes.chunks(args.seeds.clone().count()).map(method.middle);
    let mut lines = Vec::new();
    for row in &rows {
        let settings = row.settings.iter().map(|_| medians.by_ref().take(LOSSES.len()).collect::<Vec<_>>());
        let better = |a: T, b: T| if (method.order)(&b, &a).is_lt() { b } else { a };
        let best = settings.reduce(|best, other| best.into_iter().zip(other).map(|(a, b)| better(a, b)).collect());
        lines.push((row.name, best.unwrap_or_default()));
    }
    lines
}

/// What a plot shows of each row: a value at each loss.
pub(crate) fn points<T>(lines: &[Line<T>], value: impl Fn(&T) -> f64) -> Vec<(&'static str, Vec<(f64, f64)>)> {
    let points = |outcomes: &[T]| LOSSES.map(f64::from).into_iter().zip(outcomes.iter().map(&value)).collect();
    lines.iter().map(|(name, outcomes)| (*name, points(outcomes))).collect()
}

/// Those of the telemetry table.
pub(crate) fn telemetry() -> Vec<Row> {
    vec![
        row("whimbrel", |seed| whimbrel::flow(Preset::Large, Redundancy::None, seed)),
        row("whimbrel, fixed 2", |seed| whimbrel::flow(Preset::Large, Redundancy::Fixed(2), seed)),
        row("whimbrel, adaptive", |seed| whimbrel::flow(Preset::Large, Redundancy::Adaptive, seed)),
        row("yardstick", |_| Box::new(Yardstick::new(0))),
        row("yardstick, 1 repeated", |_| Box::new(Yardstick::new(1))),
        row("yardstick, 2 repeated", |_| Box::new(Yardstick::new(2))),
    ]
    .into_iter()
    .chain(peers())
    .collect()
}

/// Those of the bulk table.
pub(crate) fn bulk() -> Vec<Row> {
    // The payload that the `Large` preset keeps, and the slots that the gateway lends.
    let memory = Bulk { rate: RATE, memory: 12_800, slots: 128 };
    vec![
        row("whimbrel, 32 KiB", |seed| whimbrel::flow(Preset::Large, Redundancy::None, seed)),
        row("whimbrel, 32 KiB, adaptive", |seed| whimbrel::flow(Preset::Large, Redundancy::Adaptive, seed)),
        row("whimbrel, 8 KiB", |seed| whimbrel::flow(Preset::Uplink, Redundancy::None, seed)),
        row("yardstick, 32 KiB", move |_| Box::new(Yardstick::bulk(memory))),
    ]
    .into_iter()
    .chain(peers())
    .collect()
}

/// What others use.
fn peers() -> Vec<Row> {
    vec![
        row("quinn (sealed)", |seed| Box::new(Quic::new(seed))),
        row("KCP, fastest", |_| Box::new(Kcp::new())),
        row("ENet", |seed| Box::new(Enet::new(seed))),
        tcp("smoltcp TCP, 4 KiB", 4 * 1024),
        tcp("smoltcp TCP, 16 KiB", 16 * 1024),
    ]
}

/// The best of its settings.
fn tcp(name: &'static str, buffer: usize) -> Row {
    let mut settings: Vec<Make> = Vec::new();
    for control in [CongestionControl::None, CongestionControl::Reno, CongestionControl::Cubic] {
        for (nagle, prompt) in [(false, false), (false, true), (true, false), (true, true)] {
            let chosen = Settings { buffer, control, nagle, prompt };
            settings.push(Box::new(move |seed| Box::new(Tcp::new(chosen, seed))));
        }
    }
    Row { name, settings }
}

fn row(name: &'static str, make: impl Fn(u64) -> Box<dyn Flow> + Sync + 'static) -> Row {
    Row { name, settings: vec![Box::new(make)] }
}
