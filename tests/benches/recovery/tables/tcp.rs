//! One Whimbrel bulk flow beside one TCP flow.

use super::links::{RATE, narrow, wide};
use super::report::Report;
use crate::args::Args;
use crate::load::Load;
use crate::peers::tcp::{Settings, Tcp};
use crate::peers::whimbrel::{self, Preset};
use crate::statistics::{median, percentile};
use crate::world::World;
use serde_json::json;
use smoltcp::socket::tcp::CongestionControl;
use whimbrel_core::{Instant, Redundancy};

const SIZE: usize = 256;
const TCP: Settings = Settings { buffer: 16 * 1024, control: CongestionControl::Reno, nagle: true, prompt: false };
const FROM: Instant = Instant::from_millis(10_000);
const END: Instant = Instant::from_millis(60_000);
const LATER: Instant = Instant::from_millis(5_000);

/// When Whimbrel begins, and when TCP does; `None`: never.
type Scenario = [Option<Instant>; 2];

const SCENARIOS: &[(&str, Scenario)] = &[
    ("TCP 5 s earlier", [Some(LATER), Some(Instant::ZERO)]),
    ("TCP 5 s later", [Some(Instant::ZERO), Some(LATER)]),
    ("together", [Some(Instant::ZERO), Some(Instant::ZERO)]),
    ("Whimbrel alone", [Some(Instant::ZERO), None]),
    ("TCP alone", [None, Some(Instant::ZERO)]),
];

/// Of Whimbrel and of TCP.
#[derive(Clone, Copy, Default)]
struct Outcome {
    /// Payload, of the bottleneck's rate.
    goodput: [f64; 2],
    /// 95th percentile of the wait at the bottleneck, in microseconds.
    queued: [u64; 2],
}

/// Runs the table.
pub(crate) fn run(args: &Args) -> Report {
    let lines = super::scenarios(args, SCENARIOS, one);
    let mut report = Report {
        name: "tcp",
        title: "One Whimbrel bulk flow of the 32 KiB preset beside one smoltcp TCP flow (Reno, 16 KiB buffers) on a \
                1 Mbit/s bottleneck that loses nothing but what its queue has no room for, seconds 10 to 60: goodput of \
                each over the bottleneck's rate, its share of both, the 95th percentile of the wait in ms."
            .into(),
        columns: ["Whimbrel", "TCP", "Whimbrel's share", "least", "most", "queue Whimbrel", "queue TCP"]
            .map(Into::into)
            .into(),
        rows: Vec::new(),
        values: Vec::new(),
        plot: None,
    };
    for (name, outcomes) in lines {
        let share = |outcome: &Outcome| outcome.goodput[0] / (outcome.goodput[0] + outcome.goodput[1]);
        let mut shares: Vec<_> = outcomes.iter().map(share).collect();
        shares.sort_by(f64::total_cmp);
        let middle = |of: &dyn Fn(&Outcome) -> f64| {
            median(&outcomes.iter().map(of).collect::<Vec<_>>()).expect("there are seeds")
        };
        let [whimbrel, tcp] = [0, 1].map(|at| middle(&|outcome| outcome.goodput[at]));
        let queued = [0, 1].map(|at| middle(&|outcome| outcome.queued[at] as f64) / 1_000.0);
        let middle = median(&shares).expect("there are seeds");
        let (least, most) = (shares[0], shares[shares.len() - 1]);
        let cells = [whimbrel, tcp, middle, least, most].map(|number| format!("{number:.3}"));
        report.rows.push((name.into(), cells.into_iter().chain(queued.map(|ms| format!("{ms:.0}"))).collect()));
        report.values.push(json!({
            "whimbrel": whimbrel, "tcp": tcp, "whimbrels_share": middle, "least": least, "most": most,
            "queued_p95_ms": queued,
        }));
    }
    report
}

fn one([whimbrel, tcp]: &Scenario, seed: u64) -> Outcome {
    let mut world = World::new(seed, narrow(0), wide(0));
    let load = || vec![Load::endless(0, SIZE)];
    let mut flows = Vec::new();
    if let Some(begins) = whimbrel {
        world = world.with(whimbrel::flow(Preset::Large, Redundancy::None, seed), *begins, load());
        flows.push(0);
    }
    if let Some(begins) = tcp {
        world = world.with(Box::new(Tcp::new(TCP, seed)), *begins, load());
        flows.push(1);
    }
    world.run_until(END, |_| false);
    let seconds = END.saturating_since(FROM).as_micros() as f64 / 1e6;
    let mut outcome = Outcome::default();
    for (flow, place) in flows.into_iter().zip(&world.places) {
        outcome.goodput[flow] = place.delivered_within(FROM, END) as f64 / seconds / RATE as f64;
        outcome.queued[flow] = percentile(&place.queued, 95).unwrap_or(0);
    }
    outcome
}
