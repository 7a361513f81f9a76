//! The gateway goes and comes back; the device goes on by itself.

use core::time::Duration;

use tokio::task::JoinHandle;
use whimbrel_core::Event;
use whimbrel_tokio::{Client, ClientEvent, EndpointConfig};

use crate::collector::{Gateway, Shared, assert_stored, bounded, channel, client, here, payload, send, until};

/// More than any device has room for, so that some are sent after the gateway is back.
const TOTAL: usize = 3000;

fn stored(store: &Shared) -> usize {
    store.lock().unwrap().streams.values().map(Vec::len).sum()
}

/// Sends all the time, also while nobody listens.
fn send_in_background(client: &Client, count: usize) -> JoinHandle<()> {
    let sender = client.sender();
    tokio::spawn(async move {
        for number in 0..count {
            sender.send(channel(), payload(number)).await.unwrap();
        }
    })
}

#[test]
fn after_a_crash() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let addr = gateway.addr();
        let client = client(addr, "tough").await;
        let sending = send_in_background(&client, TOTAL);
        until("some are stored", || stored(&store) > 100).await;
        gateway.kill().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(stored(&store) < TOTAL, "the crash came too late to test anything");
        let gateway = Gateway::start(addr, &store, EndpointConfig::default()).await;
        sending.await.unwrap();
        client.close(Duration::from_secs(15)).await.unwrap();
        assert_stored(&store, "tough", TOTAL);
        gateway.stop().await;
    });
}

#[test]
fn after_a_graceful_end() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let addr = gateway.addr();
        let mut client = client(addr, "polite").await;
        let sending = send_in_background(&client, TOTAL);
        until("some are stored", || stored(&store) > 100).await;
        gateway.stop().await;
        assert!(stored(&store) < TOTAL, "the end came too late to test anything");
        while client.next_event().await.expect("the session lives") != ClientEvent::Session(Event::PeerRestarted) {}
        let gateway = Gateway::start(addr, &store, EndpointConfig::default()).await;
        sending.await.unwrap();
        client.close(Duration::from_secs(15)).await.unwrap();
        assert_stored(&store, "polite", TOTAL);
        gateway.stop().await;
    });
}

#[test]
fn a_gateway_that_is_there_only_later() {
    bounded(async {
        let store = Shared::default();
        let addr = {
            let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
            let addr = gateway.addr();
            gateway.stop().await;
            addr
        };
        let client = client(addr, "early").await;
        send(&client, 0..5).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let gateway = Gateway::start(addr, &store, EndpointConfig::default()).await;
        client.close(Duration::from_secs(15)).await.unwrap();
        assert_stored(&store, "early", 5);
        gateway.stop().await;
    });
}
