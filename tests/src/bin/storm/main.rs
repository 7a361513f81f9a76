//! Storms: random worlds by the thousand, each from one seed.

mod cli;
mod crowd;
mod table;

use clap::Parser;
use cli::Cli;
use std::process::ExitCode;
use whimbrel_tests::storm::hush;

fn main() -> ExitCode {
    let cli = Cli::parse();
    hush();
    match cli.seed {
        Some(seed) => crowd::replay(seed, &cli),
        None => crowd::run(&cli),
    }
}
