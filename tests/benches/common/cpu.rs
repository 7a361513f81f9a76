//! Processor time of this thread, which stands while others have the core.

use core::time::Duration;
use rustix::time::{ClockId, clock_gettime};

/// Counts what is done while it runs.
#[derive(Default)]
pub(crate) struct Watch(Duration);

impl Watch {
    /// Runs while `work` does.
    pub(crate) fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = now();
        let result = work();
        self.0 += now() - before;
        result
    }

    /// The mean of so many, in nanoseconds.
    pub(crate) fn each(&self, count: usize) -> f64 {
        self.0.as_nanos() as f64 / count as f64
    }
}

fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("time is not negative")
}
