//! Whimbrel beside its peers on the same bad links, in virtual time.
//!
//! ```text
//! cargo bench -p whimbrel-tests --bench recovery -- [--table NAME]... [--only NAME]... [--seeds A..B] [--json]
//!
//! load -> flow's device end == uplink, downlink (firmware_sim::link) == flow's gateway end -> load
//! ```
//!
//! A [`flow::Flow`] is a protocol with both of its ends; each peer is one, in its own file under `peers`. A
//! [`world::World`] moves its frames over two links and jumps from one deadline to the next. A [`load::Load`] is the
//! application: it gives messages, and checks that they come out whole and in order, when. `tables` run worlds, and print.
//!
//! A run of every row on the default seeds draws its results anew into the documentation's folder.
//!
//! One seed determines a run, and every peer meets the same links on it. Runs are independent of each other, so that
//! the number of threads changes nothing but the time that all of them take.

mod args;
mod flow;
mod jobs;
mod load;
mod peers;
mod plot;
#[path = "../common/quic.rs"]
mod quic;
#[path = "../common/stack.rs"]
mod stack;
mod statistics;
mod tables;
mod world;

use args::Args;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    let tables = tables::ALL.iter().filter(|table| args.wants_table(table.name));
    let mut reports = Vec::new();
    for table in tables {
        let report = (table.run)(&args);
        if !args.json {
            println!("{report}");
        }
        if let (Some(folder), Some((file, svg))) = (args.plots(), &report.plot) {
            let path = folder.join(file);
            if let Err(error) = std::fs::write(&path, svg) {
                eprintln!("cannot write {}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
        reports.push(report);
    }
    if reports.is_empty() {
        let names: Vec<_> = tables::ALL.iter().map(|table| table.name).collect();
        eprintln!("no table of that name; there are: {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    if args.json {
        println!(
            "{}",
            serde_json::Value::from_iter(reports.iter().map(|report| (report.name.to_owned(), report.json())))
        );
    }
    ExitCode::SUCCESS
}
