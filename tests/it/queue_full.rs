//! Full is an answer: nothing is lost, and the session says when there is room.

use firmware_sim::faults::Faults;
use whimbrel_core::{Duration, Event, SendError};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Preset, Setup};

#[test]
fn full_then_freed() {
    for device in Preset::ALL {
        let mut pair = Setup { device, sizes: (30, 30), gateway: Preset::Large, ..Setup::new(1) }.build();
        pair.set_faults(Faults::BLACKOUT);
        pair.load(CHANNEL, 1_000);
        pair.run_for(Duration::from_secs(100));
        let kept = pair.device.queued();
        assert!(kept >= 8, "{device:?} keeps {kept}");
        assert_eq!(pair.backlog(), 1_000 - kept as u32, "{device:?}");
        let now = pair.now;
        assert_eq!(pair.device.send(now, CHANNEL, b"more"), Err(SendError::Full));
        assert!(!pair.events.contains(&Event::QueueFreed), "there was no room yet");
        pair.set_faults(Faults::NONE);
        // The load goes on only when it was told so.
        pair.finish(Duration::from_secs(600));
        assert!(pair.events.contains(&Event::QueueFreed));
        assert_eq!(pair.oracle.stored_count(), 1_000);
    }
}

#[test]
fn payload_bytes_run_out_before_messages_do() {
    let mut pair = Setup { sizes: (120, 128), ..Setup::new(2) }.build();
    pair.set_faults(Faults::BLACKOUT);
    pair.load(CHANNEL, 300);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.device.queued() < 64, "{}", pair.device.queued());
    pair.set_faults(Faults::NONE);
    pair.finish(Duration::from_secs(600));
}

#[test]
fn what_cannot_be_sent_is_said_at_once() {
    let mut pair = Setup::new(3).build();
    let (now, max) = (pair.now, pair.device.max_message());
    let unknown = whimbrel_core::ChannelId::new(9).unwrap();
    assert_eq!(pair.device.send(now, unknown, b"x"), Err(SendError::UnknownChannel));
    assert_eq!(pair.device.send(now, CHANNEL, &vec![0; max + 1]), Err(SendError::TooLong { max }));
    assert_eq!(pair.device.queued(), 0);
}

/// The application at the gateway takes nothing: the device is held back, and nothing is lost.
#[test]
fn a_gateway_that_does_not_take_its_messages() {
    for gateway in Preset::ALL {
        let mut pair = Setup { gateway, ..Setup::new(4) }.build();
        pair.gateway.stalled = true;
        pair.load(CHANNEL, 500);
        pair.run_for(Duration::from_secs(300));
        assert_eq!(pair.oracle.stored_count(), 0);
        pair.gateway.stalled = false;
        pair.finish(Duration::from_secs(600));
        assert_eq!(pair.oracle.stored_count(), 500);
    }
}
