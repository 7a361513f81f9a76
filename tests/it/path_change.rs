//! The device's address changes under it, as behind a NAT: the session goes on.

use whimbrel_core::{Duration, PathId};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn the_session_follows_the_device() {
    for seed in 0..20 {
        let mut pair = Setup::new(seed).loss(0.1).build();
        pair.load(CHANNEL, 2_000);
        assert!(pair.run_until(Duration::from_secs(60), |pair| pair.oracle.stored_count() > 100));
        for path in 2..12 {
            pair.device_path = PathId(path);
            pair.run_for(Duration::from_millis(40 * u64::from(path)));
        }
        pair.finish(Duration::from_secs(600));
        assert_eq!(pair.device.stats().reconnects, 0, "{}", pair.place());
        assert_eq!(pair.gateway.sink.epochs(CHANNEL.live()), 1);
    }
}

/// An old datagram that comes late from the old address does not take the session back there.
#[test]
fn only_the_newest_packet_moves_the_path() {
    let mut pair = Setup::new(1).build();
    pair.load(CHANNEL, 50);
    pair.finish(Duration::from_secs(60));
    let (now, mut buf) = (pair.now, [0; 1200]);
    let mut packet = |pair: &mut whimbrel_tests::Pair| {
        let id = pair.device.send(now, CHANNEL, b"x").unwrap();
        pair.oracle.accepted(id, b"x").unwrap();
        let sent = pair.device.poll_transmit(now, &mut buf).unwrap();
        buf[..sent.len].to_vec()
    };
    let (older, newer) = (packet(&mut pair), packet(&mut pair));
    pair.device_path = PathId(2);
    pair.gateway.handle_datagram(now, PathId(2), newer);
    pair.gateway.handle_datagram(now, PathId(1), older);
    let (path, _) = pair.gateway.poll_transmit(now).expect("an acknowledgement is due at once");
    assert_eq!(path, PathId(2));
    pair.finish(Duration::from_secs(60));
}
