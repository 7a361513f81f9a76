//! The tables: each runs its worlds and reports.

mod bulk;
mod links;
mod report;
mod rows;
mod telemetry;

use crate::args::Args;
use report::Report;

/// A table by its name.
pub(crate) struct Table {
    /// As `--table` takes it.
    pub(crate) name: &'static str,
    /// Runs it.
    pub(crate) run: fn(&Args) -> Report,
}

/// All of them, in the order in which they are printed.
pub(crate) const ALL: &[Table] =
    &[Table { name: "telemetry", run: telemetry::run }, Table { name: "bulk", run: bulk::run }];
