//! How far a run is, on standard error: a bar on a terminal, a line now and then elsewhere.

use core::time::Duration;
use firmware_sim::run::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// The display.
pub(crate) enum Display {
    Bar(ProgressBar),
    Lines { next: Instant },
}

impl Display {
    pub(crate) fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self::Lines { next: Instant::now() + LINE_EVERY };
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos} of {len} stored{msg}");
        Self::Bar(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// `total`: readings of the whole run.
    pub(crate) fn show(&mut self, progress: Progress, total: u64) {
        let Progress { accepted, committed } = progress;
        match self {
            Self::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(committed);
                bar.set_message(format!(", {} on the way", accepted.saturating_sub(committed)));
            }
            Self::Lines { next } => {
                let now = Instant::now();
                if now >= *next {
                    *next = now + LINE_EVERY;
                    // Nobody listens any more: the run goes on all the same.
                    let _ = writeln!(io::stderr(), "{committed} of {total} stored, {accepted} sent");
                }
            }
        }
    }

    pub(crate) fn finish(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
