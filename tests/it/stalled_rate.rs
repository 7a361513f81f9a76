//! A receiver whose application takes nothing costs the sender little.

use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Preset, Setup};

#[test]
fn a_stalled_receiver_is_asked_ever_more_rarely() {
    for gateway in Preset::ALL {
        let mut world = Setup { gateway, ..Setup::new(4) }.build();
        world.gateway.stalled = true;
        world.load(CHANNEL, 500);
        world.run_for(Duration::from_secs(300));
        // As with any silent peer: the interval doubles up to max_backoff, here a minute.
        let sent = world.devices[0].session.stats().tx_datagrams;
        assert!(sent < 100, "{gateway:?}: {sent} datagrams in 5 minutes");
    }
}
