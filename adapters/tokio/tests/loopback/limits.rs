//! Limits over real sockets: what is beyond them is refused, and honest devices deliver.

use core::time::Duration;

use tokio::net::UdpSocket;
use whimbrel_core::{CloseReason, Event, GatewayKeys, GatewaySecret};
use whimbrel_tokio::{AccessLists, ClientEvent, EndpointConfig, Limits, Protection, Rate, StrikeLimits};

use crate::collector::{
    Gateway, Shared, assert_stored, bounded, client, device, here, plain_client, secret, send, until,
};

fn config(limits: Limits) -> EndpointConfig {
    EndpointConfig { limits, ..EndpointConfig::default() }
}

#[test]
fn the_lists_hold_from_one_moment_to_the_next() {
    bounded(async {
        let store = Shared::default();
        let access = AccessLists { deny: vec!["127.0.0.0/8".parse().unwrap()], ..AccessLists::default() };
        let limits = Limits { access: access.clone(), ..Limits::default() };
        let gateway = Gateway::start(here(), &store, config(limits)).await;
        let client = client(gateway.addr(), "shut-out").await;
        send(&client, 0..5).await;
        until("it is not heard", || gateway.endpoint.stats().rx_denied >= 2).await;
        assert_eq!(store.lock().unwrap().hellos, 0);
        gateway.endpoint.handle().set_access(&AccessLists::default());
        until("it is heard", || gateway.endpoint.stats().sessions == 1).await;
        client.close(Duration::from_secs(10)).await.unwrap();
        assert_stored(&store, "shut-out", 5);
        gateway.stop().await;
    });
}

#[test]
fn a_device_that_sends_too_much_waits_and_loses_nothing() {
    bounded(async {
        let store = Shared::default();
        let rate = Some(Rate::per_second(500).with_burst(20));
        let limits = Limits { device_messages: rate, ..Limits::default() };
        let gateway = Gateway::start(here(), &store, config(limits)).await;
        let (eager, calm) = (client(gateway.addr(), "eager").await, client(gateway.addr(), "calm").await);
        let sender = eager.sender();
        let sending = tokio::spawn(async move {
            for number in 0..1000 {
                sender.send(crate::collector::channel(), crate::collector::payload(number)).await.unwrap();
            }
        });
        until("it is held back", || gateway.endpoint.stats().readings_limited > 0).await;
        send(&calm, 0..10).await;
        calm.close(Duration::from_secs(10)).await.unwrap();
        sending.await.unwrap();
        eager.close(Duration::from_secs(20)).await.unwrap();
        assert_stored(&store, "eager", 1000);
        assert_stored(&store, "calm", 10);
        gateway.stop().await;
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_flood_from_many_addresses_leaves_devices_alone() {
    bounded(async {
        let store = Shared::default();
        let strikes = StrikeLimits { sources_max: 100, ..StrikeLimits::default() };
        let config = EndpointConfig { shards: 2, ..config(Limits { strikes, ..Limits::default() }) };
        let gateway = Gateway::start(here(), &store, config).await;
        let client = client(gateway.addr(), "steady").await;
        send(&client, 0..10).await;
        until("it is in", || gateway.endpoint.stats().sessions == 1).await;
        let spoofer = crate::spoofer::Spoofer::new(gateway.addr());
        let request = [&[0x80, 1, 1, 6][..], b"steady", &[0x55; 120]].concat();
        for number in 0..20_000 {
            spoofer.send(number, [&request[..], &[0xff; 30], &[0x80, 1, 0]][number as usize % 3]).await;
            if number % 200 == 0 {
                send(&client, number as usize / 200 + 10..number as usize / 200 + 11).await;
            }
        }
        let late = crate::collector::client(gateway.addr(), "late").await;
        send(&late, 0..10).await;
        late.close(Duration::from_secs(10)).await.unwrap();
        client.close(Duration::from_secs(10)).await.unwrap();
        assert_stored(&store, "steady", 110);
        assert_stored(&store, "late", 10);
        let stats = gateway.endpoint.stats();
        assert!(stats.strikes > 1000 && stats.hello_unauthentic > 300, "{stats:?}");
        assert!(stats.sources_watched <= 100 && stats.sessions_established == 2, "{stats:?}");
        assert_eq!(store.lock().unwrap().hellos, 2);
        gateway.stop().await;
    });
}

#[test]
fn a_source_of_junk_is_blocked_and_a_device_at_its_address_is_not() {
    bounded(async {
        let store = Shared::default();
        let strikes = StrikeLimits { strikes: 20, ..StrikeLimits::default() };
        let gateway = Gateway::start(here(), &store, config(Limits { strikes, ..Limits::default() })).await;
        let stranger = UdpSocket::bind(here()).await.unwrap();
        stranger.connect(gateway.addr()).await.unwrap();
        for _ in 0..100 {
            stranger.send(&[0xff; 50]).await.unwrap();
        }
        until("it is blocked", || gateway.endpoint.stats().rx_blocked >= 50).await;
        let stats = gateway.endpoint.stats();
        assert_eq!((stats.strikes, stats.sources_blocked), (21, 1));
        // At the same address.
        let client = client(gateway.addr(), "neighbour").await;
        send(&client, 0..20).await;
        client.close(Duration::from_secs(10)).await.unwrap();
        assert_stored(&store, "neighbour", 20);
        gateway.stop().await;
    });
}

#[test]
fn a_revoked_device_is_cut_off_and_stays_out() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let (mut revoked, other) = (client(gateway.addr(), "revoked").await, client(gateway.addr(), "other").await);
        send(&revoked, 0..5).await;
        until("both are in", || gateway.endpoint.stats().sessions == 2).await;
        store.lock().unwrap().revoked.insert(device("revoked"));
        gateway.endpoint.handle().disconnect(device("revoked"));
        let closed = ClientEvent::Session(Event::Closed { reason: CloseReason::Refused });
        while revoked.next_event().await.expect("it is told") != closed {}
        until("it is gone", || gateway.endpoint.stats().sessions_disconnected == 1).await;
        assert_eq!(gateway.endpoint.stats().sessions, 1);
        let again = client(gateway.addr(), "revoked").await;
        until("it is not taken", || gateway.endpoint.stats().hello_unknown_device >= 2).await;
        drop(again);
        send(&other, 0..5).await;
        other.close(Duration::from_secs(10)).await.unwrap();
        assert_stored(&store, "other", 5);
        gateway.stop().await;
    });
}

#[test]
fn the_gateways_key_is_changed_while_it_runs() {
    bounded(async {
        let store = Shared::default();
        let gateway = Gateway::start(here(), &store, EndpointConfig::default()).await;
        let other = GatewaySecret::new([0x77; 32]);
        gateway.endpoint.handle().set_keys(GatewayKeys::new(other.clone(), [0x17; 32]));
        let client = client(gateway.addr(), "waiting").await;
        send(&client, 0..5).await;
        until("its key is not known", || gateway.endpoint.stats().hello_unopened >= 1).await;
        gateway.endpoint.handle().set_keys(GatewayKeys::new(other, [0x17; 32]).with_second(secret()));
        client.close(Duration::from_secs(10)).await.unwrap();
        assert_stored(&store, "waiting", 5);
        gateway.stop().await;
    });
}

#[test]
fn a_plain_endpoint_serves_plain_devices_and_no_others() {
    bounded(async {
        let store = Shared::default();
        let config = EndpointConfig { shards: 2, ..EndpointConfig::default() };
        let gateway = Gateway::start_with(here(), &store, Protection::InsecurePlain, config).await;
        let sealed = client(gateway.addr(), "sealed").await;
        for number in 0..4 {
            let name = format!("plain-{number}");
            let plain = plain_client(gateway.addr(), &name).await;
            send(&plain, 0..50).await;
            plain.close(Duration::from_secs(10)).await.unwrap();
            assert_stored(&store, &name, 50);
        }
        until("the sealed one is not taken", || gateway.endpoint.stats().hello_protection >= 1).await;
        drop(sealed);
        gateway.stop().await;
    });
}
