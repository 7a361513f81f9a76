//! From the gateway to the device.

use core::time::Duration;

use whimbrel_core::{ChannelConfig, ChannelId, SeqNo, StreamAdmission, StreamEpoch};
use whimbrel_tokio::{ClientEvent, DownlinkError, Endpoint, EndpointConfig, EndpointError, GatewayEvent, Protection};

use crate::collector::{SCHEMA, bind, bounded, channel, client, here, payload, until};

fn command() -> ChannelId {
    ChannelId::new(5).unwrap()
}

#[test]
fn messages_reach_the_device_in_order() {
    bounded(async {
        let downlink = vec![ChannelConfig::ordered(command(), SCHEMA)];
        let config = EndpointConfig { downlink, ..EndpointConfig::default() };
        let (endpoint, mut events) = bind(config).await;
        let handle = endpoint.handle();
        let mut client = client(endpoint.local_addr(), "obedient").await;
        let Some(GatewayEvent::Hello(hello)) = events.recv().await else { panic!("a request comes first") };
        let session = hello.session;
        let early = handle.send(session, command(), payload(0)).await;
        assert_eq!(early, Err(DownlinkError::UnknownSession));
        let admit = |id| StreamAdmission { id, epoch: StreamEpoch::new(1).unwrap(), next: SeqNo::ZERO };
        let streams = hello.streams.iter().map(|offer| admit(offer.id)).collect();
        hello.accept(streams);
        client.send(channel(), payload(0)).await.unwrap();
        until("it is in", || endpoint.stats().sessions == 1).await;
        for number in 0..10 {
            handle.send(session, command(), payload(number)).await.unwrap();
        }
        let mut next = 0;
        while next < 10 {
            let event = client.next_event().await.expect("the session lives");
            let ClientEvent::Message { stream, payload: got, .. } = event else {
                continue;
            };
            assert_eq!((stream, got), (command().live(), payload(next)));
            next += 1;
        }
        drop(client);
        endpoint.shutdown(Duration::from_secs(1)).await;
        let late = handle.send(session, command(), payload(0)).await;
        assert_eq!(late, Err(DownlinkError::Closed));
    });
}

#[test]
fn a_durable_downlink_is_refused_at_once() {
    bounded(async {
        let config = EndpointConfig { downlink: vec![ChannelConfig::durable(command(), SCHEMA)], ..Default::default() };
        let error = Endpoint::bind(here(), Protection::InsecurePlain, config).await.unwrap_err();
        assert!(matches!(error, EndpointError::DurableDownlink));
    });
}
