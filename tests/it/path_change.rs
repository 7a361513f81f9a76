//! The device's address changes under it, as behind a NAT: the session goes on.

use whimbrel_core::{Duration, PathId};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn the_session_follows_the_device() {
    for seed in 0..20 {
        let mut world = Setup::new(seed).loss(0.1).build();
        world.load(CHANNEL, 2_000);
        assert!(world.run_until(Duration::from_secs(60), |world| world.devices[0].oracle.stored_count() > 100));
        for path in 2..12 {
            world.devices[0].path = PathId(path);
            world.run_for(Duration::from_millis(40 * u64::from(path)));
        }
        world.finish(Duration::from_secs(600));
        assert_eq!(world.devices[0].session.stats().reconnects, 0, "{}", world.place());
        assert_eq!(world.gateway.peers[0].sink.epochs(CHANNEL.live()), 1);
    }
}

/// An old datagram that comes late from the old address does not take the session back there.
#[test]
fn only_the_newest_packet_moves_the_path() {
    let mut world = Setup::new(1).build();
    world.load(CHANNEL, 50);
    world.finish(Duration::from_secs(60));
    let (now, mut buf) = (world.now, [0; 1200]);
    let mut packet = |world: &mut whimbrel_tests::World| {
        let id = world.devices[0].session.send(now, CHANNEL, b"x").unwrap();
        world.devices[0].oracle.accepted(id, b"x", None).unwrap();
        let sent = world.devices[0].session.poll_transmit(now, &mut buf).unwrap();
        buf[..sent.len].to_vec()
    };
    let (older, newer) = (packet(&mut world), packet(&mut world));
    world.devices[0].path = PathId(2);
    world.gateway.handle_datagram(now, PathId(2), newer);
    world.gateway.handle_datagram(now, PathId(1), older);
    let paths: Vec<_> = core::iter::from_fn(|| world.gateway.poll_transmit(now)).map(|(path, _)| path).collect();
    // Whether the device is at either of them is asked; the acknowledgement goes to the new one, when it has answered.
    assert_eq!(paths, [PathId(1), PathId(2)]);
    world.finish(Duration::from_secs(60));
    assert_eq!(world.devices[0].path_at_gateway, Some(PathId(2)));
}
