//! The command line.

use clap::Parser;
use core::num::NonZeroUsize;
use core::ops::Range;
use whimbrel_tests::storm::{Class, Cuts};

/// Random worlds of devices, a gateway and bad links, in virtual time, under the eyes of an oracle.
///
/// Each seed draws limits, channels, loads, faults and crashes; nothing else has a part in it. A seed that fails
/// is printed at once, with the smallest variant of it that still fails and the command that replays that. At
/// the end comes a table of what was injected and what was delivered.
///
/// Exit code 0: everything held. 1: a seed failed, or in 1,000 storms or more something was never injected.
/// 2: wrong usage.
#[derive(Debug, Parser)]
#[command(name = "storm", max_term_width = 100)]
pub(crate) struct Cli {
    /// Seeds A to B - 1
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds)]
    pub(crate) seeds: Range<u64>,
    /// One seed alone
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub(crate) seed: Option<u64>,
    /// With --seed: what happened in the end; so many lines of it [default: 200]
    #[arg(long, value_name = "LINES", num_args = 0..=1, default_missing_value = "200", requires = "seed")]
    pub(crate) trace: Option<usize>,
    /// Faults to leave out, separated by commas
    #[arg(long, value_name = "FAULTS", value_delimiter = ',')]
    pub(crate) without: Vec<Class>,
    /// At most so many devices
    #[arg(long, value_name = "N")]
    pub(crate) devices: Option<usize>,
    /// At most so many channels in each direction
    #[arg(long, value_name = "N")]
    pub(crate) channels: Option<usize>,
    /// At most so many turns before the faults end
    #[arg(long, value_name = "N")]
    pub(crate) turns: Option<usize>,
    /// Halve the messages so often
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) halvings: u32,
    /// Do not look for a smaller variant of what fails
    #[arg(long)]
    pub(crate) no_shrink: bool,
    /// Print each seed with the hash over all its datagrams
    #[arg(long)]
    pub(crate) hash: bool,
    /// Print the counts as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Threads [default: as many as there are cores]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
}

impl Cli {
    pub(crate) fn cuts(&self) -> Cuts {
        Cuts {
            without: self.without.clone(),
            devices: self.devices,
            channels: self.channels,
            turns: self.turns,
            halvings: self.halvings.min(31),
        }
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("not of the form A..B")?;
    let number = |text: &str| text.replace('_', "").parse::<u64>().map_err(|error| error.to_string());
    let range = number(from)?..number(to)?;
    if range.is_empty() { Err("no seed is in it".to_owned()) } else { Ok(range) }
}
