//! A durable message is kept until the sink has it, whatever happens to the word that says so.

use firmware_sim::faults::Faults;
use whimbrel_core::{Duration, Event, SeqNo};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

const SLOW: Duration = Duration::from_millis(500);

#[test]
fn acknowledged_is_not_stored() {
    let mut setup = Setup::new(1);
    setup.store_delay = SLOW;
    let mut world = setup.build();
    world.load(CHANNEL, 10);
    world.run_for(Duration::from_millis(300));
    assert!(world.gateway.peers[0].live.is_some());
    assert_eq!(
        (world.devices[0].oracle.stored_count(), world.devices[0].session.queued()),
        (0, 10),
        "received, and kept"
    );
    assert_eq!(world.devices[0].session.stats().tx_retransmitted, 0);
    world.finish(Duration::from_secs(10));
    let committed = Event::Committed { stream: CHANNEL.live(), next: SeqNo::new(10) };
    assert!(world.devices[0].events.contains(&committed), "{:?}", world.devices[0].events);
    assert_eq!(world.devices[0].session.stats().tx_retransmitted, 0, "waiting for the sink is no loss");
}

#[test]
fn a_lost_commit_is_said_again() {
    let mut setup = Setup::new(2);
    setup.store_delay = SLOW;
    let mut world = setup.build();
    world.load(CHANNEL, 10);
    world.run_for(Duration::from_millis(300));
    world.network.down[0].set_faults(Faults::BLACKOUT);
    world.run_for(Duration::from_millis(400));
    assert_eq!(
        (world.devices[0].oracle.stored_count(), world.devices[0].session.queued()),
        (10, 10),
        "stored, and the device not told"
    );
    world.set_faults(Faults::NONE);
    world.finish(Duration::from_secs(60));
    assert_eq!(world.devices[0].session.stats().reconnects, 0);
    assert_eq!(world.gateway.peers[0].sink.duplicates, 0);
}

#[test]
fn a_commit_lost_with_the_gateway_comes_as_the_watermark() {
    let mut setup = Setup::new(3);
    setup.store_delay = SLOW;
    let mut world = setup.build();
    world.load(CHANNEL, 10);
    world.run_for(Duration::from_millis(300));
    world.network.down[0].set_faults(Faults::BLACKOUT);
    world.run_for(Duration::from_millis(400));
    assert_eq!((world.devices[0].oracle.stored_count(), world.devices[0].session.queued()), (10, 10));
    world.gateway.reboot();
    world.set_faults(Faults::NONE);
    // Nothing is in flight: the device asks by itself whether it is still known.
    world.finish(Duration::from_secs(60));
    assert_eq!(world.devices[0].session.stats().reconnects, 1);
    assert_eq!(world.devices[0].session.stats().tx_retransmitted, 0, "ACCEPT said that all of it is stored");
    assert_eq!(world.gateway.peers[0].sink.duplicates, 0);
}

#[test]
fn received_but_not_stored_when_the_gateway_died_comes_again() {
    let mut setup = Setup::new(4);
    setup.store_delay = SLOW;
    let mut world = setup.build();
    world.load(CHANNEL, 10);
    world.run_for(Duration::from_millis(300));
    assert_eq!((world.devices[0].oracle.stored_count(), world.devices[0].session.queued()), (0, 10));
    world.gateway.reboot();
    world.finish(Duration::from_secs(60));
    assert_eq!(world.devices[0].oracle.stored_count(), 10);
}
