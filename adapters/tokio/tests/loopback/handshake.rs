//! Devices that come again, that are refused, that nobody answers, that are too many.

use core::time::Duration;
use std::sync::Arc;

use whimbrel_core::{CloseReason, Event};
use whimbrel_tokio::{ClientEvent, Endpoint, EndpointConfig, EndpointError, GatewayEvent, Protection};

use crate::collector::{Gateway, Shared, assert_stored, bind, bounded, channel, client, device, here, send, until};

#[test]
fn a_newer_session_of_a_device_takes_over() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let first = client(gateway.addr(), "twice").await;
        send(&first, 0..10).await;
        until("the first is stored", || store.lock().unwrap().streams.values().any(|s| s.len() == 10)).await;
        // Dropped without a word, like a power cut; a device without storage begins a new stream epoch.
        drop(first);
        let second = client(gateway.addr(), "twice").await;
        send(&second, 0..20).await;
        second.close(Duration::from_secs(10)).await.unwrap();
        let stats = gateway.endpoint.stats();
        assert_eq!((stats.sessions_established, stats.sessions_superseded), (2, 1));
        let lens: Vec<usize> = store.lock().unwrap().streams.values().map(Vec::len).collect();
        assert_eq!(lens, [10, 20]);
        gateway.stop().await;
    });
}

#[test]
fn a_refused_device_is_told() {
    bounded(async {
        let (endpoint, mut events) = bind(EndpointConfig::default()).await;
        let mut client = client(endpoint.local_addr(), "stranger").await;
        let Some(GatewayEvent::Hello(hello)) = events.recv().await else { panic!("a request comes first") };
        assert_eq!((hello.device, hello.streams.len()), (device("stranger"), 1));
        assert_eq!(hello.peer.port(), client.local_addr().port());
        hello.refuse(CloseReason::Refused);
        loop {
            match client.next_event().await {
                Some(ClientEvent::Session(Event::Closed { reason })) => {
                    break assert_eq!(reason, CloseReason::Refused);
                }
                Some(_) => {}
                None => panic!("the client was not told"),
            }
        }
        assert!(client.send(channel(), *b"late").await.is_err());
        until("it is counted", || endpoint.stats().handshakes_refused == 1).await;
        endpoint.shutdown(Duration::from_secs(1)).await;
    });
}

#[test]
fn a_request_that_is_dropped_comes_again() {
    bounded(async {
        let (endpoint, mut events) = bind(EndpointConfig::default()).await;
        let _client = client(endpoint.local_addr(), "patient").await;
        for _ in 0..2 {
            let Some(GatewayEvent::Hello(hello)) = events.recv().await else { panic!("a request") };
            until("it has a place", || endpoint.stats().handshakes == 1).await;
            drop(hello);
        }
        until("its place is free", || endpoint.stats().handshakes == 0).await;
        endpoint.shutdown(Duration::from_secs(1)).await;
    });
}

#[test]
fn a_request_repeated_while_the_application_thinks_is_asked_once() {
    bounded(async {
        let (endpoint, mut events) = bind(EndpointConfig::default()).await;
        let client = client(endpoint.local_addr(), "waiting").await;
        let Some(GatewayEvent::Hello(_hello)) = events.recv().await else { panic!("a request") };
        until("the device asks again", || endpoint.stats().hello_repeated >= 1).await;
        assert!(events.try_recv().is_none());
        drop(client);
        endpoint.shutdown(Duration::from_secs(1)).await;
    });
}

#[test]
fn one_session_more_than_there_is_room_for_waits() {
    bounded(async {
        let store = Shared::default();
        let config = EndpointConfig { sessions_max: 2, ..EndpointConfig::default() };
        let gateway = Gateway::start(here(), &store, config).await;
        let a = client(gateway.addr(), "a").await;
        let b = client(gateway.addr(), "b").await;
        until("two are in", || gateway.endpoint.stats().sessions == 2).await;
        let c = client(gateway.addr(), "c").await;
        send(&c, 0..3).await;
        until("the third is turned away", || gateway.endpoint.stats().hello_no_room > 0).await;
        assert_eq!(gateway.endpoint.stats().sessions, 2);
        a.close(Duration::from_secs(5)).await.unwrap();
        c.close(Duration::from_secs(10)).await.unwrap();
        assert_stored(&store, "c", 3);
        drop(b);
        gateway.stop().await;
    });
}

#[test]
fn silent_sessions_are_dropped() {
    bounded(async {
        let store = Shared::default();
        let config = EndpointConfig { idle_timeout: Duration::from_millis(300), ..EndpointConfig::default() };
        let gateway = Gateway::start(here(), &store, config).await;
        let client = client(gateway.addr(), "sleepy").await;
        send(&client, 0..3).await;
        until("it is dropped", || gateway.endpoint.stats().sessions_idle == 1).await;
        assert_eq!(gateway.endpoint.stats().sessions, 0);
        // The device finds out when it has something to say.
        send(&client, 3..6).await;
        client.close(Duration::from_secs(10)).await.unwrap();
        assert_stored(&store, "sleepy", 6);
        gateway.stop().await;
    });
}

#[test]
fn a_port_in_use_and_bad_limits_are_named() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        for shards in [1, 2] {
            let config = EndpointConfig { shards, ..EndpointConfig::default() };
            let error = Endpoint::bind(gateway.addr(), Protection::InsecurePlain, config).await.unwrap_err();
            assert!(matches!(error, EndpointError::Bind { address, .. } if address == gateway.addr()), "{error}");
        }
        let config = EndpointConfig { shards: 0, ..EndpointConfig::default() };
        let error = Endpoint::bind(here(), Protection::InsecurePlain, config).await.unwrap_err();
        assert_eq!(error.to_string(), "shards must be in 1..=64");
        gateway.stop().await;
        drop(Arc::clone(&store));
    });
}
