//! Full is an answer: nothing is lost, and the session says when there is room.

use firmware_sim::faults::Faults;
use whimbrel_core::{Duration, Event, SendError};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Preset, Setup};

#[test]
fn full_then_freed() {
    for device in Preset::ALL {
        let mut world = Setup::new(1).sizes(30, 30).presets(device, Preset::Large).build();
        world.set_faults(Faults::BLACKOUT);
        world.load(CHANNEL, 1_000);
        world.run_for(Duration::from_secs(100));
        let kept = world.devices[0].session.queued();
        assert!(kept >= 8, "{device:?} keeps {kept}");
        assert_eq!(world.backlog(), 1_000 - kept as u32, "{device:?}");
        let now = world.now;
        assert_eq!(world.devices[0].session.send(now, CHANNEL, b"more"), Err(SendError::Full));
        assert!(!world.devices[0].events.contains(&Event::QueueFreed), "there was no room yet");
        world.set_faults(Faults::NONE);
        // The load goes on only when it was told so.
        world.finish(Duration::from_secs(600));
        assert!(world.devices[0].events.contains(&Event::QueueFreed));
        assert_eq!(world.devices[0].oracle.stored_count(), 1_000);
    }
}

#[test]
fn payload_bytes_run_out_before_messages_do() {
    let mut world = Setup::new(2).sizes(120, 128).build();
    world.set_faults(Faults::BLACKOUT);
    world.load(CHANNEL, 300);
    world.run_for(Duration::from_secs(1));
    assert!(world.devices[0].session.queued() < 64, "{}", world.devices[0].session.queued());
    world.set_faults(Faults::NONE);
    world.finish(Duration::from_secs(600));
}

#[test]
fn what_cannot_be_sent_is_said_at_once() {
    let mut world = Setup::new(3).build();
    let (now, max) = (world.now, world.devices[0].session.max_message());
    let unknown = whimbrel_core::ChannelId::new(9).unwrap();
    assert_eq!(world.devices[0].session.send(now, unknown, b"x"), Err(SendError::UnknownChannel));
    assert_eq!(world.devices[0].session.send(now, CHANNEL, &vec![0; max + 1]), Err(SendError::TooLong { max }));
    assert_eq!(world.devices[0].session.queued(), 0);
}

/// The application at the gateway takes nothing: the device is held back, and nothing is lost.
#[test]
fn a_gateway_that_does_not_take_its_messages() {
    for gateway in Preset::ALL {
        let mut world = Setup { gateway, ..Setup::new(4) }.build();
        world.gateway.stalled = true;
        world.load(CHANNEL, 500);
        world.run_for(Duration::from_secs(300));
        assert_eq!(world.devices[0].oracle.stored_count(), 0);
        world.gateway.stalled = false;
        world.finish(Duration::from_secs(600));
        assert_eq!(world.devices[0].oracle.stored_count(), 500);
    }
}
