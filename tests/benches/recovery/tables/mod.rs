//! The tables: each runs its worlds and reports.

mod blackout;
mod bulk;
mod fairness;
mod links;
mod priority;
mod report;
mod rows;
mod tcp;
mod telemetry;

use crate::args::Args;
use crate::jobs;
use report::Report;

/// A table by its name.
pub(crate) struct Table {
    /// As `--table` takes it.
    pub(crate) name: &'static str,
    /// Runs it.
    pub(crate) run: fn(&Args) -> Report,
}

/// All of them, in the order in which they are printed.
pub(crate) const ALL: &[Table] = &[
    Table { name: "telemetry", run: telemetry::run },
    Table { name: "bulk", run: bulk::run },
    Table { name: "fairness", run: fairness::run },
    Table { name: "tcp", run: tcp::run },
    Table { name: "blackout", run: blackout::run },
    Table { name: "priority", run: priority::run },
];

/// The seeds' outcomes for each of the scenarios that are asked for, and the scenarios' names.
fn scenarios<S: Sync, T: Send>(
    args: &Args,
    scenarios: &[(&'static str, S)],
    run: impl Fn(&S, u64) -> T + Sync,
) -> Vec<(&'static str, Vec<T>)> {
    let wanted: Vec<_> = scenarios.iter().filter(|(name, _)| args.wants_row(name)).collect();
    let jobs: Vec<_> =
        wanted.iter().flat_map(|(_, scenario)| args.seeds.clone().map(move |seed| (scenario, seed))).collect();
    let mut outcomes = jobs::run(args.threads, &jobs, |(scenario, seed)| run(scenario, *seed)).into_iter();
    let seeds = args.seeds.clone().count();
    wanted.iter().map(|(name, _)| (*name, outcomes.by_ref().take(seeds).collect())).collect()
}
