//! Requests that somebody recorded and sends again.

use core::time::Duration;

use tokio::net::UdpSocket;
use whimbrel_tokio::EndpointConfig;

use crate::collector::{Gateway, Shared, assert_stored, bounded, client, here, send, until};

/// What a device of this name says first.
async fn record_hello(name: &str) -> Vec<u8> {
    let ear = UdpSocket::bind(here()).await.unwrap();
    let _client = client(ear.local_addr().unwrap(), name).await;
    let mut bytes = vec![0; 2000];
    let len = ear.recv(&mut bytes).await.unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn a_replayed_request_does_not_disturb_the_live_session_and_is_forgotten() {
    bounded(async {
        let store = Shared::default();
        let pending_timeout = Duration::from_millis(300);
        let config = EndpointConfig { pending_timeout, ..EndpointConfig::default() };
        let gateway = Gateway::start(here(), &store, config).await;
        let client = client(gateway.addr(), "victim").await;
        send(&client, 0..10).await;
        until("it is in", || gateway.endpoint.stats().sessions == 1).await;

        let hello = record_hello("victim").await;
        let stranger = UdpSocket::bind(here()).await.unwrap();
        stranger.connect(gateway.addr()).await.unwrap();
        stranger.send(&hello).await.unwrap();
        // The answer comes, and comes again when asked again; nobody uses it.
        let mut answer = vec![0; 2000];
        let len = stranger.recv(&mut answer).await.unwrap();
        stranger.send(&hello).await.unwrap();
        let mut again = vec![0; 2000];
        let len_again = stranger.recv(&mut again).await.unwrap();
        assert!(answer[..len] == again[..len_again], "the stored answer, not another one");
        until("the repeat is counted", || gateway.endpoint.stats().hello_repeated == 1).await;
        assert_eq!(store.lock().unwrap().hellos, 2);

        send(&client, 10..20).await;
        until("the request is forgotten", || gateway.endpoint.stats().handshakes_timed_out == 1).await;
        send(&client, 20..30).await;
        client.close(Duration::from_secs(10)).await.unwrap();
        let stats = gateway.endpoint.stats();
        assert_eq!((stats.sessions_established, stats.sessions_superseded, stats.handshakes), (1, 0, 0));
        store.lock().unwrap().streams.retain(|key, _| key.2 == 1);
        assert_stored(&store, "victim", 30);
        gateway.stop().await;
    });
}

#[test]
fn answers_to_unknown_connections_are_limited_and_shorter_than_their_cause() {
    bounded(async {
        let store = Shared::default();
        let first = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let addr = first.addr();
        // A real packet of a session that this gateway does not know.
        let near = UdpSocket::bind(here()).await.unwrap();
        let client = client(near.local_addr().unwrap(), "recorded").await;
        let far = UdpSocket::bind(here()).await.unwrap();
        let (mut bytes, mut back) = (vec![0; 2000], vec![0; 2000]);
        let (len, device) = near.recv_from(&mut bytes).await.unwrap();
        far.send_to(&bytes[..len], addr).await.unwrap();
        let (len, _) = far.recv_from(&mut back).await.unwrap();
        near.send_to(&back[..len], device).await.unwrap();
        send(&client, 0..1).await;
        let len = loop {
            let (len, _) = near.recv_from(&mut bytes).await.unwrap();
            if len > 30 && matches!(whimbrel_core::route(&bytes[..len]), Ok(whimbrel_core::Route::Session(_))) {
                break len;
            }
        };
        let packet = bytes[..len].to_vec();
        first.kill().await;

        let config = EndpointConfig { resets_per_second: 5, ..EndpointConfig::default() };
        let second = Gateway::start(addr, &store, config).await;
        for _ in 0..50 {
            far.send_to(&packet, addr).await.unwrap();
        }
        let (len, _) = far.recv_from(&mut back).await.unwrap();
        assert!(len < packet.len());
        until("all are counted", || second.endpoint.stats().rx_unknown_connection == 50).await;
        let stats = second.endpoint.stats();
        assert!((5..10).contains(&stats.resets_sent), "{stats:?}");
        assert_eq!(stats.resets_sent + stats.resets_limited, 50);
        second.stop().await;
    });
}
