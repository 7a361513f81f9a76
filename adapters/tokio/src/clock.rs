//! The core's time, from the monotonic clock.

use std::time;

use whimbrel_core::Instant;

/// Counts from its own making, so that sessions of one endpoint agree on the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: time::Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: time::Instant::now() }
    }

    pub(crate) fn now(self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }

    /// The same point in time for the runtime's timers; far deadlines are clamped to a day, after
    /// which the caller asks again.
    pub(crate) fn runtime(self, at: Instant) -> tokio::time::Instant {
        let now = self.now();
        let wait = at.saturating_since(now).as_micros().min(24 * 60 * 60 * 1_000_000);
        tokio::time::Instant::now() + time::Duration::from_micros(wait)
    }
}

/// The core's form of a span; saturates after 584,000 years.
pub(crate) fn span(span: time::Duration) -> whimbrel_core::Duration {
    whimbrel_core::Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}
