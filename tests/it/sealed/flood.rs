//! Floods; `cargo run --release -p whimbrel-tests --bin flood` has larger ones, and says what they cost.

use whimbrel_core::Duration;
use whimbrel_tests::flood::{Flood, Kind};

const TIME: Duration = Duration::from_secs(4);
const ROUND_TRIP: Duration = Duration::from_millis(10);

#[test]
fn nothing_grows_and_nobody_waits() {
    for kind in [Kind::Spoofed, Kind::Replayed] {
        let report = Flood::new(1, 12, kind).run(TIME, 10_000);
        let (calm, flood) = &report.delays;
        assert!(report.is_flat(), "{kind:?}: {:?}", report.held);
        assert_eq!(
            (report.held.0.epochs + 8, report.opened),
            (report.held.1.epochs, 0),
            "{kind:?}: 8 devices rebooted"
        );
        assert!(flood.messages.count() > 200 && flood.sessions.count() >= 7);
        assert_eq!(flood.messages.percentile(99), calm.messages.percentile(99), "{kind:?}");
        assert_eq!(flood.sessions.percentile(99), ROUND_TRIP, "{kind:?}");
    }
}

/// What cannot be told from a device is held off by cookies, which cost devices a round trip.
#[test]
fn stolen_keys_open_no_more_than_the_gateway_will() {
    let report = Flood::new(1, 12, Kind::Stolen).run(TIME, 1_500);
    let (calm, flood) = &report.delays;
    assert!(report.is_flat(), "{:?}", report.held);
    assert!(report.opened <= 50 * 5, "{}", report.opened);
    assert_eq!(flood.messages.percentile(99), calm.messages.percentile(99));
    assert!(flood.sessions.percentile(90) <= ROUND_TRIP.saturating_add(ROUND_TRIP));
}
