//! The application knows better than the backoff: it says so, and the session goes on at once.

use firmware_sim::faults::Faults;
use whimbrel_core::Duration;
use whimbrel_tests::{CHANNEL, Setup};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn wake_ends_the_backoff() {
    let mut world = Setup::new(2).build();
    world.load(CHANNEL, 500);
    assert!(world.run_until(HOUR, |world| world.devices[0].oracle.stored_count() >= 100));
    world.set_faults(Faults::BLACKOUT);
    world.run_for(HOUR);
    world.set_faults(Faults::NONE);
    let (before, now) = (world.devices[0].oracle.stored_count(), world.device_now());
    world.devices[0].session.wake(now);
    let soon = Duration::from_millis(100);
    assert!(world.run_until(soon, |world| world.devices[0].oracle.stored_count() > before), "{}", world.place());
    world.finish(Duration::from_secs(60));
}
