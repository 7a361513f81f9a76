//! Nothing to do is nothing to wait for: a device may sleep.

use whimbrel_core::{Duration, Instant};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn no_deadline_when_everything_is_stored() {
    for seed in 0..20 {
        let mut pair = Setup::new(seed).loss(0.2).build();
        pair.load(CHANNEL, 50);
        pair.finish(Duration::from_secs(600));
        pair.run_for(Duration::from_secs(300));
        assert_eq!(pair.next_deadline(), None, "{}", pair.place());
        let sent = pair.device.stats().tx_datagrams;
        pair.run_for(Duration::from_secs(86_400));
        assert_eq!(pair.device.stats().tx_datagrams, sent, "a day of silence");
        pair.load(CHANNEL, 50);
        pair.finish(Duration::from_secs(600));
    }
}

#[test]
fn a_device_without_messages_opens_its_session_and_is_silent() {
    let mut pair = Setup::new(1).build();
    pair.run_for(Duration::from_secs(60));
    assert!(pair.device.is_established());
    assert_eq!((pair.device.poll_timeout(), pair.next_deadline()), (None, None));
    assert!(pair.device.stats().tx_datagrams <= 3, "HELLO, PING, and an acknowledgement at most");
}

/// Extra calls change nothing: the contract of the five calls.
#[test]
fn extra_calls_are_no_ops() {
    let run = |extra: bool| {
        let mut pair = Setup::new(2).loss(0.2).build();
        pair.load(CHANNEL, 200);
        while pair.backlog() > 0 || pair.device.queued() > 0 {
            pair.run_for(Duration::from_millis(7));
            assert!(pair.now < Instant::from_millis(600_000), "{}", pair.place());
            if extra {
                let (now, mut buf) = (pair.now, [0; 1200]);
                assert_eq!(pair.device.poll_transmit(now, &mut buf), None);
                pair.device.handle_timeout(now);
                assert_eq!(pair.device.poll_transmit(now, &mut buf), None);
                assert_eq!(pair.device.poll_event(), None);
                assert!(pair.device.poll_received(now).next().is_none());
            }
        }
        pair.trace
    };
    assert_eq!(run(true), run(false));
}
