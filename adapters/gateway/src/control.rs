//! How the gateway tells the sink's thread to end.

use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// Said once: end, and give up what cannot be stored by this time.
#[derive(Debug, Default)]
pub(crate) struct Control {
    deadline: Mutex<Option<Instant>>,
    changed: Condvar,
    asked: Notify,
}

impl Control {
    /// Asks for the end. Said again, the earlier deadline holds.
    pub(crate) fn stop(&self, by: Instant) {
        let mut deadline = self.lock();
        *deadline = Some(deadline.map_or(by, |old| old.min(by)));
        drop(deadline);
        self.changed.notify_all();
        self.asked.notify_one();
    }

    /// Returns when the end was asked for. For one waiter; cancel safe.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The time by which to be done, once the end was asked for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        *self.lock()
    }

    /// Whether the end was asked for and its deadline has come.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Sleeps for `span`, but not beyond the deadline; returns as soon as the end is asked for.
    pub(crate) fn pause(&self, span: Duration) {
        let deadline = self.lock();
        let Some(by) = *deadline else {
            let _woken = self.changed.wait_timeout_while(deadline, span, |deadline| deadline.is_none());
            return;
        };
        drop(deadline);
        std::thread::sleep(span.min(by.saturating_duration_since(Instant::now())));
    }

    /// A poisoned deadline is as good as another: it changes in a single step.
    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for the end when it is dropped, so that a gateway that is dropped leaves no thread behind
/// that retries for ever.
#[derive(Debug)]
pub(crate) struct StopOnDrop(pub(crate) std::sync::Arc<Control>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_pause_ends_when_the_end_is_asked_for() {
        let control = Arc::new(Control::default());
        let sleeper = {
            let control = Arc::clone(&control);
            std::thread::spawn(move || control.pause(Duration::from_secs(60)))
        };
        control.stop(Instant::now());
        let start = Instant::now();
        sleeper.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(30));
        assert!(control.is_over());
    }

    #[test]
    fn the_earlier_deadline_holds() {
        let control = Control::default();
        assert!(!control.is_over());
        let soon = Instant::now();
        control.stop(soon);
        control.stop(soon + Duration::from_secs(60));
        assert_eq!(control.deadline(), Some(soon));
    }
}
