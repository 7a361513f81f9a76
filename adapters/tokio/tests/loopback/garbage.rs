//! Bytes that are no packets change nothing and are counted.

use core::time::Duration;

use tokio::net::UdpSocket;
use whimbrel_tokio::EndpointConfig;

use crate::collector::{Gateway, Shared, assert_stored, bounded, client, here, send, until};

/// A small generator with a fixed seed (Marsaglia's xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}

#[test]
fn random_datagrams_beside_a_live_session() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let client = client(gateway.addr(), "calm").await;
        send(&client, 0..50).await;
        until("it is in", || gateway.endpoint.stats().sessions == 1).await;
        let stranger = UdpSocket::bind(here()).await.unwrap();
        let mut random = Random(0x5eed);
        let hellos = store.lock().unwrap().hellos;
        let before = gateway.endpoint.stats().rx_dropped();
        let mut sent = 0;
        for round in 0..1000usize {
            // From nothing to longer than any packet.
            let len = [0, 1, 2, 4, 5, 9, 20, 60, 300, 1200, 1201, 1453, 9000][round % 13];
            stranger.send_to(&random.bytes(len), gateway.addr()).await.unwrap();
            sent += 1;
            if round % 20 == 0 {
                // The socket's buffer must not overflow: each datagram is to be counted.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        send(&client, 50..100).await;
        client.close(Duration::from_secs(10)).await.unwrap();
        assert_stored(&store, "calm", 100);
        until("every stray datagram is counted", || gateway.endpoint.stats().rx_dropped() >= before + sent).await;
        let stats = gateway.endpoint.stats();
        assert_eq!(store.lock().unwrap().hellos, hellos, "no stranger got as far as the application");
        assert!(stats.rx_truncated > 0 && stats.rx_malformed > 0 && stats.rx_unknown_connection > 0, "{stats:?}");
        gateway.stop().await;
    });
}

/// A device behind a relay whose packets are also truncated, corrupted, lengthened and repeated.
#[test]
fn mangled_copies_of_real_packets() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let (near, far) = (UdpSocket::bind(here()).await.unwrap(), UdpSocket::bind(here()).await.unwrap());
        far.connect(gateway.addr()).await.unwrap();
        let near_addr = near.local_addr().unwrap();
        let relay = tokio::spawn(async move {
            let mut random = Random(0xfeed);
            let (mut up, mut down) = (vec![0; 65_535], vec![0; 65_535]);
            let mut device = None;
            loop {
                tokio::select! {
                    Ok((len, from)) = near.recv_from(&mut up) => {
                        device = Some(from);
                        for packet in mangle(&up[..len], &mut random) {
                            let _ = far.send(&packet).await;
                        }
                    }
                    Ok(len) = far.recv(&mut down) => if let Some(device) = device {
                        for packet in mangle(&down[..len], &mut random) {
                            let _ = near.send_to(&packet, device).await;
                        }
                    },
                }
            }
        });
        let client = client(near_addr, "mangled").await;
        send(&client, 0..300).await;
        client.close(Duration::from_secs(20)).await.unwrap();
        relay.abort();
        assert_stored(&store, "mangled", 300);
        let stats = gateway.endpoint.stats();
        assert!(stats.session_rx_unauthentic > 0 && stats.session_rx_replayed > 0, "{stats:?}");
        gateway.stop().await;
    });
}

/// The packet as it is, and copies that are not.
fn mangle(packet: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    let mut flipped = packet.to_vec();
    let bit = random.next() as usize % (packet.len().max(1) * 8);
    if let Some(byte) = flipped.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
    let cut = packet[..random.next() as usize % packet.len().max(1)].to_vec();
    let long = [packet, &random.bytes(1300)].concat();
    let mut all = vec![flipped, cut, long, packet.to_vec()];
    if random.next().is_multiple_of(2) {
        all.push(packet.to_vec());
    }
    all
}
