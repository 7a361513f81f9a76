//! What must be true when a storm is over.

use super::run::recovery_bound;
use crate::oracle::Kind;
use crate::world::World;

/// Everything is where it belongs.
pub(super) fn check_fates(world: &mut World) {
    let place = world.place();
    // What had arrived and waited for its turn, or for the application, is gone with its session.
    let forgotten = world.tally.stalls + world.tally.gateway_crashes + world.tally.sessions_ended > 0;
    for at in 0..world.devices.len() {
        let early = world.doubt(at).early;
        let (device, peer) = (&mut world.devices[at], &mut world.gateway.peers[at]);
        let (ledger, now) = (device.session.ledger(), device.time(world.now) + early);
        let forgotten = forgotten || device.reconnects() > 0;
        let (mut missing, mut stored, mut arrived) = (Vec::new(), true, 0);
        for flow in device.oracle.present() {
            let (mode, fates) = (flow.mode(), flow.fates(now));
            match mode.kind {
                Kind::Ordered | Kind::Reliable => missing.extend(flow.open(now).into_iter().map(|seq| (mode, seq))),
                Kind::Latest if flow.lacks_newest(now) => missing.push((mode, fates.accepted - 1)),
                Kind::Latest | Kind::BestEffort => {}
            }
            stored &= !mode.durable || fates.open <= u64::from(ledger.undeliverable);
            // What expired or was replaced at the receiver had arrived there.
            arrived += fates.delivered + fates.expired + fates.superseded;
        }
        assert!(stored, "{place}, device {at}: not stored: {missing:?}");
        let unknown = device.unknown() as usize;
        assert!(forgotten || missing.len() <= unknown, "{place}, device {at}: {missing:?} missing, {ledger:?}");
        let delivered = u64::from(ledger.delivered);
        assert!(forgotten || delivered <= arrived, "{place}, device {at}: {delivered} delivered, {arrived} arrived");
        let Some(session) = &mut peer.live else { continue };
        for flow in device.oracle.session(session.hello_id()) {
            let mode = flow.mode();
            let promised = matches!(mode.kind, Kind::Ordered | Kind::Reliable);
            let open = if promised { flow.open(world.now + early) } else { Vec::new() };
            assert!(open.is_empty(), "{place}, to device {at}: {mode:?} lacks {open:?}, {:?}", session.ledger());
        }
    }
}

/// With nothing to send and nothing awaited, nobody waits for anything.
pub(super) fn check_rest(world: &mut World) {
    let bound = recovery_bound(world);
    world.run_for(bound);
    for (at, device) in world.devices.iter().enumerate() {
        let deadline = device.session.poll_timeout();
        assert_eq!(deadline, None, "{}: device {at} does not rest", world.place());
    }
    let deadline = world.gateway.poll_timeout();
    assert_eq!(deadline, None, "{}: the gateway does not rest", world.place());
}
