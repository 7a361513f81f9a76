//! An application that does not keep up: nothing is lost, memory stays bounded, the device waits.

use core::time::Duration;

use whimbrel_core::{SeqNo, StreamAdmission, StreamEpoch};
use whimbrel_tokio::{Committed, EndpointConfig, GatewayEvent};

use crate::collector::{bind, bounded, channel, client, payload, until};

/// More than a device has room for.
const MANY: usize = 3000;

fn long(number: usize) -> Vec<u8> {
    payload(number).repeat(6)
}

#[test]
fn an_application_that_pauses_gets_everything_later() {
    bounded(async {
        let config = EndpointConfig { event_capacity: 2, ..EndpointConfig::default() };
        let (endpoint, mut events) = bind(config).await;
        let client = client(endpoint.local_addr(), "eager").await;
        let Some(GatewayEvent::Hello(hello)) = events.recv().await else { panic!("a request comes first") };
        let admit = |id| StreamAdmission { id, epoch: StreamEpoch::new(1).unwrap(), next: SeqNo::ZERO };
        let streams = hello.streams.iter().map(|offer| admit(offer.id)).collect();
        hello.accept(streams);

        // Nobody takes events: the queue fills, then messages stay with the session, then with
        // the device, whose sender waits.
        let sender = client.sender();
        let sending = tokio::spawn(async move {
            for number in 0..MANY {
                sender.send(channel(), long(number)).await.unwrap();
                if number < 100 {
                    // Many small batches, so that the queue fills.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        until("messages wait in their session", || endpoint.stats().readings_deferred > 0).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!sending.is_finished(), "the device has accepted more than it has room for");

        let mut next = 0;
        while next < MANY {
            let Some(event) = events.recv().await else { panic!("the endpoint is gone") };
            let GatewayEvent::Readings(readings) = event else {
                continue;
            };
            let mut committed = Vec::new();
            for reading in readings {
                assert_eq!(reading.payload, long(next));
                assert_eq!(reading.seq.value(), next as u64);
                assert!(reading.durable);
                next += 1;
                let (session, stream) = (reading.session, reading.stream);
                committed.push(Committed { session, stream, next: SeqNo::new(next as u64) });
            }
            endpoint.handle().commit(committed);
        }
        sending.await.unwrap();
        client.close(Duration::from_secs(10)).await.unwrap();
        endpoint.shutdown(Duration::from_secs(1)).await;
    });
}

#[test]
fn what_was_not_taken_at_the_end_stays_with_the_device() {
    bounded(async {
        let (endpoint, mut events) = bind(EndpointConfig::default()).await;
        let client = client(endpoint.local_addr(), "careful").await;
        let Some(GatewayEvent::Hello(hello)) = events.recv().await else { panic!("a request comes first") };
        let admit = |id| StreamAdmission { id, epoch: StreamEpoch::new(1).unwrap(), next: SeqNo::ZERO };
        let streams = hello.streams.iter().map(|offer| admit(offer.id)).collect();
        hello.accept(streams);
        until("it is in", || endpoint.stats().sessions == 1).await;
        events.close();
        client.send(channel(), payload(0)).await.unwrap();
        while let Some(event) = events.recv().await {
            assert!(!matches!(event, GatewayEvent::Readings(_)), "nothing comes after the end");
        }
        endpoint.shutdown(Duration::from_secs(5)).await;
        let error = client.close(Duration::from_millis(300)).await.unwrap_err();
        assert_eq!(error.to_string(), "messages not confirmed by the deadline: 1");
    });
}
