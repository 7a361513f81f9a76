//! Everything that was accepted is stored once, in order, and the device learns it.

use core::time::Duration;

use whimbrel_core::{Event, SeqNo};
use whimbrel_tokio::{ClientEvent, EndpointConfig};

use crate::collector::{Gateway, Shared, assert_stored, bounded, channel, client, here, send, until};

#[test]
fn a_thousand_messages_and_their_commits() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let mut client = client(gateway.addr(), "one").await;
        let sender = client.sender();
        let sending = tokio::spawn(async move {
            for number in 0..1000 {
                sender.send(channel(), crate::collector::payload(number)).await.unwrap();
            }
        });
        let (mut established, mut committed) = (false, SeqNo::ZERO);
        while committed < SeqNo::new(1000) {
            match client.next_event().await.expect("the session lives") {
                ClientEvent::Session(Event::Established) => established = true,
                ClientEvent::Session(Event::Committed { stream, next }) => {
                    assert_eq!(stream, channel().live());
                    assert!(next >= committed, "the watermark never goes back");
                    committed = next;
                }
                _ => {}
            }
        }
        assert!(established);
        sending.await.unwrap();
        assert_stored(&store, "one", 1000);
        client.close(Duration::from_secs(5)).await.unwrap();
        until("the goodbye arrives", || gateway.endpoint.stats().sessions == 0).await;
        let stats = gateway.endpoint.stats();
        assert_eq!((stats.readings, stats.sessions_established, stats.sessions_closed), (1000, 1, 1));
        gateway.stop().await;
    });
}

#[test]
fn several_devices_at_once_on_several_shards() {
    bounded(async {
        let store = Shared::default();
        let config = EndpointConfig { shards: 3, ..EndpointConfig::default() };
        let gateway = Gateway::start(here(), &store, config).await;
        let names: Vec<String> = (0..12).map(|number| format!("device-{number}")).collect();
        let mut sending = Vec::new();
        for name in &names {
            let client = client(gateway.addr(), name).await;
            sending.push(tokio::spawn(async move {
                send(&client, 0..200).await;
                client.close(Duration::from_secs(10)).await.unwrap();
            }));
        }
        for task in sending {
            task.await.unwrap();
        }
        for name in &names {
            assert_stored(&store, name, 200);
        }
        // The kernel spreads by address, we by device: twelve devices do not all fall together.
        assert!(gateway.endpoint.stats().rx_forwarded > 0);
        gateway.stop().await;
    });
}

#[test]
fn two_devices_do_not_disturb_each_other() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let (a, b) = (client(gateway.addr(), "a").await, client(gateway.addr(), "b").await);
        tokio::join!(send(&a, 0..500), send(&b, 0..300));
        a.close(Duration::from_secs(10)).await.unwrap();
        b.close(Duration::from_secs(10)).await.unwrap();
        assert_stored(&store, "a", 500);
        assert_stored(&store, "b", 300);
        gateway.stop().await;
    });
}
