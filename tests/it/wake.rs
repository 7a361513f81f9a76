//! The application knows better than the backoff: it says so, and the session goes on at once.

use firmware_sim::faults::Faults;
use whimbrel_core::Duration;
use whimbrel_tests::{CHANNEL, Setup};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn wake_ends_the_backoff() {
    let mut pair = Setup::new(2).build();
    pair.load(CHANNEL, 500);
    assert!(pair.run_until(HOUR, |pair| pair.oracle.stored_count() >= 100));
    pair.set_faults(Faults::BLACKOUT);
    pair.run_for(HOUR);
    pair.set_faults(Faults::NONE);
    let (before, now) = (pair.oracle.stored_count(), pair.device_now());
    pair.device.wake(now);
    let soon = Duration::from_millis(100);
    assert!(pair.run_until(soon, |pair| pair.oracle.stored_count() > before), "{}", pair.place());
    pair.finish(Duration::from_secs(60));
}
