//! An expired message blocks its successors for no longer than a round trip after the first FORWARD arrives.

use firmware_sim::faults::Faults;
use whimbrel_core::wire::{Frame, Frames, ShortHeader};
use whimbrel_core::{ChannelConfig, Duration, Protection, SchemaId};
use whimbrel_tests::load::Source;
use whimbrel_tests::{CHANNEL, Setup, World};

const ROUND_TRIP: Duration = Duration::from_millis(10);
const LIFETIME: Duration = Duration::from_millis(100);

fn has_forward(datagram: &[u8]) -> bool {
    let Ok((_, at)) = ShortHeader::parse(datagram) else { return false };
    let payload = datagram.get(at..datagram.len() - 4).unwrap_or(&[]);
    Frames::new(payload).flatten().any(|frame| matches!(frame, Frame::Forward { .. }))
}

fn forwards(world: &World) -> usize {
    world.history.iter().filter(|(by_gateway, datagram)| !by_gateway && has_forward(datagram)).count()
}

/// One message with a lifetime is lost, and everything else for a while; those after it live for ever.
#[test]
fn successors_wait_for_one_round_trip_after_forward() {
    for durable in [false, true] {
        let channel = ChannelConfig { durable, ..ChannelConfig::ordered(CHANNEL, SchemaId::named("test/1")) };
        // FORWARD is looked for on the wire.
        let mut world = Setup::new(1).protection(Protection::Plain).channels(&[channel]).build();
        world.load(CHANNEL, 3);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.devices[0].oracle.stored_count(), 3);

        world.recording = true;
        world.set_faults(Faults::BLACKOUT);
        let mut doomed = Source::greedy(CHANNEL, 1, (10, 10));
        doomed.lifetimes = Some((LIFETIME, LIFETIME));
        world.devices[0].load.sources.push(doomed);
        world.run_for(Duration::from_millis(1));
        world.load(CHANNEL, 5);
        world.run_for(Duration::from_millis(50));
        world.set_faults(Faults::NONE);
        assert!(world.run_until(Duration::from_secs(60), |world| forwards(world) > 0));
        // It arrives half a round trip from now.
        let limit = Duration::from_micros(ROUND_TRIP.as_micros() * 3 / 2);
        let all = |world: &mut World| world.devices[0].oracle.stored_count() == 8;
        assert!(world.run_until(limit, all), "{}: {}", world.place(), world.devices[0].oracle.stored_count());
        world.run_for(Duration::from_secs(1));
        let (ledger, received) = (world.devices[0].session.ledger(), *live(&mut world));
        assert_eq!((ledger.expired, ledger.delivered, ledger.in_flight), (1, 8, 0), "{ledger:?}");
        assert_eq!((received.delivered, received.skipped), (8, 1), "{received:?}");
    }
}

fn live(world: &mut World) -> &whimbrel_core::ReceivedLedger {
    world.gateway.peers[0].live.as_ref().unwrap().received_ledger()
}

/// The receiver decides: what had arrived before it was given up counts as delivered.
#[test]
fn what_had_arrived_was_not_skipped() {
    let channel = ChannelConfig::ordered(CHANNEL, SchemaId::named("test/1"));
    let mut world = Setup::new(2).channels(&[channel]).build();
    world.load(CHANNEL, 1);
    world.run_for(Duration::from_secs(1));
    // No acknowledgement comes back.
    world.network.down[0].set_faults(Faults::BLACKOUT);
    let mut doomed = Source::greedy(CHANNEL, 4, (10, 10));
    doomed.lifetimes = Some((LIFETIME, LIFETIME));
    world.devices[0].load.sources.push(doomed);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.devices[0].session.ledger().in_flight, 4, "nobody knows");
    world.set_faults(Faults::NONE);
    world.run_for(Duration::from_secs(60));
    let ledger = world.devices[0].session.ledger();
    assert_eq!((ledger.delivered, ledger.expired, ledger.in_flight), (5, 0, 0), "{ledger:?}");
}
