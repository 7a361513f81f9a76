//! The device's address changes in the middle of a session.

use core::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use whimbrel_tokio::EndpointConfig;

use crate::collector::{Gateway, Shared, assert_stored, bounded, client, here, send, until};

/// A relay like a NAT that loses its table: at every order it goes on from another port.
async fn rebind(near: UdpSocket, gateway: core::net::SocketAddr, mut orders: mpsc::Receiver<()>) {
    let (mut up, mut down) = (vec![0; 2000], vec![0; 2000]);
    let mut far = UdpSocket::bind(here()).await.unwrap();
    let mut device = None;
    loop {
        tokio::select! {
            Some(()) = orders.recv() => far = UdpSocket::bind(here()).await.unwrap(),
            Ok((len, from)) = near.recv_from(&mut up) => {
                device = Some(from);
                let _ = far.send_to(&up[..len], gateway).await;
            }
            Ok((len, _)) = far.recv_from(&mut down) => if let Some(device) = device {
                let _ = near.send_to(&down[..len], device).await;
            },
        }
    }
}

#[test]
fn the_session_goes_on_from_another_address() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let near = UdpSocket::bind(here()).await.unwrap();
        let near_addr = near.local_addr().unwrap();
        let (order, orders) = mpsc::channel(1);
        let relay = tokio::spawn(rebind(near, gateway.addr(), orders));
        let client = client(near_addr, "roamer").await;
        for round in 0..8 {
            send(&client, round * 50..(round + 1) * 50).await;
            until("this address works", || store.lock().unwrap().streams.values().any(|s| s.len() == (round + 1) * 50))
                .await;
            order.send(()).await.unwrap();
        }
        client.close(Duration::from_secs(10)).await.unwrap();
        relay.abort();
        assert_stored(&store, "roamer", 400);
        let stats = gateway.endpoint.stats();
        assert_eq!((stats.sessions_established, stats.sessions_superseded), (1, 0), "one session all the way");
        gateway.stop().await;
    });
}
