//! Many seeds on all cores, or one with its trace.

use crate::cli::Cli;
use crate::table;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;
use whimbrel_tests::storm::{Counts, Cuts, Failure, Passed, draw, judge, shrink};

/// So many storms must inject everything.
const ENOUGH: u64 = 1_000;
/// Failures that are made smaller: those after it are most likely the same.
const SHRINK_MAX: u64 = 20;
/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// One seed alone.
pub(crate) fn replay(seed: u64, cli: &Cli) -> ExitCode {
    let cuts = cli.cuts();
    if cli.trace.is_some() {
        println!("{:?}", draw(seed).cut(&cuts));
    }
    match judge(seed, &cuts, cli.trace.unwrap_or(0)) {
        Ok(passed) => {
            if cli.hash {
                println!("{seed} {:016x}", passed.hash);
            } else {
                table::print(&passed.counts, cli.json);
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            failure.trace.iter().for_each(|line| println!("{line}"));
            println!("seed {seed}{cuts} failed: {}", failure.message);
            if cli.trace.is_none() {
                println!("the last of what happened: {} --trace", command(seed, &cuts));
            }
            ExitCode::FAILURE
        }
    }
}

/// All seeds of the range.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    let (cuts, begun) = (cli.cuts(), Instant::now());
    let next = AtomicU64::new(cli.seeds.start);
    let jobs = cli.jobs.or(thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let (results, heard) = mpsc::channel();
    let mut progress = Progress::new(cli.seeds.end - cli.seeds.start);
    let (mut counts, mut failed, mut hashes) = (Counts::default(), 0, BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (results, next, cuts) = (results.clone(), &next, &cuts);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= cli.seeds.end || results.send((seed, judge(seed, cuts, 0))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        for (seed, verdict) in heard {
            match verdict {
                Ok(Passed { counts: more, hash }) => {
                    counts += more;
                    if cli.hash {
                        hashes.insert(seed, hash);
                    }
                }
                Err(failure) => {
                    failed += 1;
                    let smaller = !cli.no_shrink && failed <= SHRINK_MAX;
                    progress.say(&report(seed, &cuts, &failure, smaller));
                }
            }
            progress.one_more(failed);
        }
    });
    progress.finish();
    hashes.iter().for_each(|(seed, hash)| println!("{seed} {hash:016x}"));
    if !cli.hash {
        table::print(&counts, cli.json);
    }
    let storms = counts.storms + failed;
    eprintln!("{storms} storms, {failed} failed, {:.1} s on {jobs} threads", begun.elapsed().as_secs_f64());
    let missing: Vec<_> = counts.missing().filter(|_| storms >= ENOUGH && cuts == Cuts::default()).collect();
    if !missing.is_empty() {
        eprintln!("never injected: {}", missing.join(", "));
    }
    if failed == 0 && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(seed: u64, cuts: &Cuts, failure: &Failure, smaller: bool) -> String {
    let mut report = format!("seed {seed} failed: {}\n    {}", failure.message, command(seed, cuts));
    if smaller {
        let smallest = shrink(seed, cuts);
        if let Err(failure) = judge(seed, &smallest, 0) {
            report += &format!("\n  smaller: {}\n    {}", failure.message, command(seed, &smallest));
        }
    }
    report
}

fn command(seed: u64, cuts: &Cuts) -> String {
    format!("cargo run --release -p whimbrel-tests --bin storm -- --seed {seed}{cuts}")
}

/// How far it is, on standard error: a bar on a terminal, a line now and then elsewhere.
enum Progress {
    Bar(ProgressBar),
    Lines { next: Instant, done: u64, total: u64 },
}

impl Progress {
    fn new(total: u64) -> Self {
        if !io::stderr().is_terminal() {
            return Self::Lines { next: Instant::now() + LINE_EVERY, done: 0, total };
        }
        let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos} of {len} storms{msg}, {eta} left");
        Self::Bar(ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn one_more(&mut self, failed: u64) {
        match self {
            Self::Bar(bar) => {
                bar.inc(1);
                if failed > 0 {
                    bar.set_message(format!(", {failed} failed"));
                }
            }
            Self::Lines { next, done, total } => {
                *done += 1;
                if Instant::now() >= *next {
                    *next = Instant::now() + LINE_EVERY;
                    // Nobody listens any more: the run goes on all the same.
                    let _ = writeln!(io::stderr(), "{done} of {total} storms, {failed} failed");
                }
            }
        }
    }

    fn say(&self, text: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
            Self::Lines { .. } => eprintln!("{text}"),
        }
    }

    fn finish(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
