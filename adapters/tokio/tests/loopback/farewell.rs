//! The end of a gateway that takes leave.

use core::time::Duration;

use whimbrel_core::{Event, SeqNo, StreamAdmission, StreamEpoch};
use whimbrel_tokio::{ClientEvent, Committed, Endpoint, EndpointConfig, GatewayEvent, Protection};

use crate::collector::{bind, bounded, channel, client, payload};

#[test]
fn the_last_commits_are_sent_before_the_goodbye() {
    bounded(async {
        let (endpoint, mut events) = bind(EndpointConfig::default()).await;
        let mut client = client(endpoint.local_addr(), "last").await;
        for number in 0..10 {
            client.send(channel(), payload(number)).await.unwrap();
        }
        let Some(GatewayEvent::Hello(hello)) = events.recv().await else { panic!("a request comes first") };
        let admit = |id| StreamAdmission { id, epoch: StreamEpoch::new(1).unwrap(), next: SeqNo::ZERO };
        let streams = hello.streams.iter().map(|offer| admit(offer.id)).collect();
        hello.accept(streams);
        let mut last = None;
        while last.is_none_or(|commit: Committed| commit.next < SeqNo::new(10)) {
            let Some(GatewayEvent::Readings(readings)) = events.recv().await else { panic!("readings come next") };
            last = readings.last().map(|r| Committed { session: r.session, stream: r.stream, next: r.seq.next() });
        }
        endpoint.handle().commit(last.into_iter().collect());
        endpoint.shutdown(Duration::from_secs(5)).await;
        assert!(events.recv().await.is_some_and(|e| matches!(e, GatewayEvent::Closed { .. })));
        assert!(events.recv().await.is_none(), "nothing comes after the end");

        // Events are states, in no promised order; the gateway is gone, so that both came before its end.
        let (mut committed, mut restarted) = (SeqNo::ZERO, false);
        while committed < SeqNo::new(10) || !restarted {
            match client.next_event().await.expect("the session lives") {
                ClientEvent::Session(Event::Committed { next, .. }) => committed = next,
                ClientEvent::Session(Event::PeerRestarted) => restarted = true,
                _ => {}
            }
        }
        // Nothing is left to say, so that the device can end although nobody listens.
        client.close(Duration::from_secs(1)).await.unwrap();
    });
}

#[test]
fn an_endpoint_without_sessions_ends_at_once() {
    bounded(async {
        let (endpoint, mut events) = bind(EndpointConfig::default()).await;
        let addr = endpoint.local_addr();
        endpoint.shutdown(Duration::from_secs(60)).await;
        assert!(events.recv().await.is_none());
        // The port is free again.
        let (endpoint, _events) =
            Endpoint::bind(addr, Protection::InsecurePlain, EndpointConfig::default()).await.unwrap();
        assert_eq!(endpoint.local_addr(), addr);
    });
}
