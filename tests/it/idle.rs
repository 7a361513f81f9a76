//! Nothing to do is nothing to wait for: a device may sleep.

use whimbrel_core::{Duration, Instant};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn no_deadline_when_everything_is_stored() {
    for seed in 0..20 {
        let mut world = Setup::new(seed).loss(0.2).build();
        world.load(CHANNEL, 50);
        world.finish(Duration::from_secs(600));
        world.run_for(Duration::from_secs(300));
        assert_eq!(world.next_deadline(), None, "{}", world.place());
        let sent = world.devices[0].session.stats().tx_datagrams;
        world.run_for(Duration::from_secs(86_400));
        assert_eq!(world.devices[0].session.stats().tx_datagrams, sent, "a day of silence");
        world.load(CHANNEL, 50);
        world.finish(Duration::from_secs(600));
    }
}

#[test]
fn a_device_without_messages_opens_its_session_and_is_silent() {
    let mut world = Setup::new(1).build();
    world.run_for(Duration::from_secs(60));
    assert!(world.devices[0].session.is_established());
    assert_eq!((world.devices[0].session.poll_timeout(), world.next_deadline()), (None, None));
    assert!(world.devices[0].session.stats().tx_datagrams <= 3, "HELLO, PING, and an acknowledgement at most");
}

/// Extra calls change nothing: the contract of the five calls.
#[test]
fn extra_calls_are_no_ops() {
    let run = |extra: bool| {
        let mut world = Setup::new(2).loss(0.2).build();
        world.load(CHANNEL, 200);
        while world.backlog() > 0 || world.devices[0].session.queued() > 0 {
            world.run_for(Duration::from_millis(7));
            assert!(world.now < Instant::from_millis(600_000), "{}", world.place());
            if extra {
                let (now, mut buf) = (world.now, [0; 1200]);
                assert_eq!(world.devices[0].session.poll_transmit(now, &mut buf), None);
                world.devices[0].session.handle_timeout(now);
                assert_eq!(world.devices[0].session.poll_transmit(now, &mut buf), None);
                assert_eq!(world.devices[0].session.poll_event(), None);
                assert!(world.devices[0].session.poll_received(now).next().is_none());
            }
        }
        world.trace.hash()
    };
    assert_eq!(run(true), run(false));
}
