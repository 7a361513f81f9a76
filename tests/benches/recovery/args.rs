//! What is asked for.

use clap::Parser;
use core::ops::RangeInclusive;
use std::path::{Path, PathBuf};

const SEEDS: RangeInclusive<u64> = 1..=31;
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

/// Whimbrel beside its peers on the same bad links, in virtual time.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Seeds A to B, both included. A run on another seed is another run; medians are over all of them.
    #[arg(long, default_value = "1..31", value_name = "A..B", value_parser = seeds)]
    pub(crate) seeds: RangeInclusive<u64>,
    /// Rows whose name contains this, in any case; may be repeated. Default: all.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Tables of this name; may be repeated. Default: all.
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Threads; the results do not depend on it. Default: one for each core.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    pub(crate) threads: usize,
    /// Folder for the plots of the tables that have one. Default: `docs/`, when every row is run on the default seeds.
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    /// Whether the row is asked for.
    pub(crate) fn wants_row(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.only.is_empty() || self.only.iter().any(|part| name.contains(&part.to_lowercase()))
    }

    /// Where plots go, if anywhere.
    pub(crate) fn plots(&self) -> Option<&Path> {
        let whole = self.only.is_empty() && self.seeds == SEEDS;
        self.plots.as_deref().or(whole.then_some(Path::new(DOCS)))
    }

    /// Whether the table is asked for.
    pub(crate) fn wants_table(&self, name: &str) -> bool {
        self.table.is_empty() || self.table.iter().any(|wanted| wanted == name)
    }
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (first, last) = text.split_once("..").ok_or("seeds are given as A..B")?;
    let number = |text: &str| text.trim_start_matches('=').parse::<u64>().map_err(|error| error.to_string());
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err("the first seed is above the last".into());
    }
    Ok(first..=last)
}
