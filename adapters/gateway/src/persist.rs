//! Storing a batch, however often it takes.

use core::iter;
use core::num::NonZeroU32;
use core::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tracing::{error, info, warn};

use crate::Stored;
use crate::control::Control;
use crate::counters::Counters;
use crate::sink::{Batch, Reading, Sink, SinkError};

/// The first pause after a failure; it doubles from there.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause: how late a gateway may notice that there is room again.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The same complaint is logged at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// At most one line an interval.
pub(crate) struct Quiet(DefaultDirectRateLimiter);

impl Quiet {
    pub(crate) fn new() -> Self {
        let quota = Quota::with_period(LOG_INTERVAL).unwrap_or(Quota::per_minute(NonZeroU32::MIN));
        Self(RateLimiter::direct(quota))
    }

    /// Whether a line is due.
    pub(crate) fn is_due(&self) -> bool {
        self.0.check().is_ok()
    }
}

/// What storing needs beside the sink.
pub(crate) struct Persist<'a> {
    pub(crate) control: &'a Control,
    pub(crate) counters: &'a Counters,
    pub(crate) failing: &'a Quiet,
    pub(crate) refusing: &'a Quiet,
}

impl Persist<'_> {
    /// Stores a batch. While the sink fails nothing is acknowledged, and nothing more is taken from
    /// the endpoint: that is what pushes back. The sink's last word when it still fails at the
    /// deadline of a shutdown.
    pub(crate) fn store(&self, sink: &mut dyn Sink, batch: &[Reading]) -> Result<Batch, SinkError> {
        let backoff = ExponentialBuilder::new().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX).without_max_times();
        for (failures, pause) in iter::zip(0u64.., backoff.build().chain(iter::repeat(PAUSE_MAX))) {
            match sink.store(batch) {
                Ok(stored) => {
                    self.note(&stored, failures);
                    return Ok(stored);
                }
                Err(reason) => {
                    self.counters.add(&Stored { failures: 1, ..Stored::default() });
                    if self.failing.is_due() {
                        error!(%reason, readings = batch.len(), "cannot store readings; they stay unacknowledged");
                    }
                    if self.control.is_over() {
                        return Err(reason);
                    }
                    self.control.pause(pause);
                }
            }
        }
        // Not reached: the pauses have no end.
        Err(SinkError::new("no attempt is left"))
    }

    fn note(&self, stored: &Batch, failures: u64) {
        self.counters.add(&stored.counts);
        if failures > 0 {
            info!(failures, rows = stored.counts.rows, "the sink works again");
        }
        if stored.counts.gaps > 0 && self.refusing.is_due() {
            warn!(readings = stored.counts.gaps, "refused readings beyond a gap or of an unknown stream");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{AdmitError, SessionRequest};
    use std::sync::Arc;
    use std::time::Instant;
    use whimbrel_core::StreamAdmission;

    /// Fails so many times first.
    struct Failing(u64);

    impl Sink for Failing {
        fn admit(&mut self, _: &SessionRequest<'_>) -> Result<Vec<StreamAdmission>, AdmitError> {
            Ok(Vec::new())
        }

        fn store(&mut self, batch: &[Reading]) -> Result<Batch, SinkError> {
            if let Some(left) = self.0.checked_sub(1) {
                self.0 = left;
                return Err(SinkError::new("no room"));
            }
            let counts = Stored { rows: batch.len() as u64, batches: 1, ..Stored::default() };
            Ok(Batch { watermarks: Vec::new(), counts })
        }

        fn close(self: Box<Self>) -> Result<(), SinkError> {
            Ok(())
        }
    }

    fn store(control: &Control, failures: u64) -> (Result<Batch, SinkError>, Stored) {
        let (counters, failing, refusing) = (Counters::default(), Quiet::new(), Quiet::new());
        let persist = Persist { control, counters: &counters, failing: &failing, refusing: &refusing };
        (persist.store(&mut Failing(failures), &[]), counters.snapshot())
    }

    #[test]
    fn a_sink_that_fails_is_tried_again_later_and_later() {
        let start = Instant::now();
        let (stored, counts) = store(&Control::default(), 3);
        assert!(stored.is_ok());
        assert_eq!((counts.failures, counts.batches), (3, 1));
        // 50, 100 and 200 ms.
        assert!(start.elapsed() >= PAUSE_MIN * 7);
    }

    #[test]
    fn the_deadline_of_a_shutdown_ends_the_attempts() {
        let control = Arc::new(Control::default());
        let stopper = {
            let control = Arc::clone(&control);
            std::thread::spawn(move || control.stop(Instant::now() + Duration::from_millis(200)))
        };
        let start = Instant::now();
        let (stored, counts) = store(&control, u64::MAX);
        stopper.join().unwrap();
        assert_eq!(stored.unwrap_err().to_string(), "no room");
        assert_eq!(counts.batches, 0);
        assert!(counts.failures >= 2);
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn complaints_are_few() {
        let quiet = Quiet::new();
        assert!(quiet.is_due());
        assert!(!(0..100).any(|_| quiet.is_due()));
    }
}
