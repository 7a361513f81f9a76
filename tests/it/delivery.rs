//! The other kinds of delivery, and the other direction.

use whimbrel_core::{ChannelConfig, ChannelId, Duration, Event, SchemaId, SendError};
use whimbrel_tests::Setup;

const SCHEMA: SchemaId = SchemaId::named("test/1");
const CHANNEL: ChannelId = ChannelId::new(7).unwrap();
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn best_effort_is_sent_once() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed).loss(0.2);
        setup.channels = vec![ChannelConfig::best_effort(CHANNEL, SCHEMA)];
        let mut pair = setup.build();
        assert!(pair.run_until(LIMIT, |pair| pair.device.is_established()));
        for _ in 0..300 {
            pair.load(CHANNEL, 1);
            pair.run_for(Duration::from_millis(10));
        }
        pair.run_for(LIMIT);
        // The oracle saw that none came twice; the link loses a fifth.
        let stored = pair.oracle.stored_count();
        assert!((180..300).contains(&stored), "{}: {stored}", pair.place());
        assert_eq!(pair.device.stats().tx_retransmitted, 0);
        assert_eq!(pair.device.queued(), 0);
    }
}

#[test]
fn ordered_without_a_sink_is_acknowledged() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed).loss(0.2);
        setup.channels = vec![ChannelConfig::ordered(CHANNEL, SCHEMA)];
        let mut pair = setup.build();
        pair.load(CHANNEL, 300);
        pair.finish(LIMIT);
        pair.settle();
        let acknowledged = |event: &Event| matches!(event, Event::Acknowledged { next, .. } if next.value() == 300);
        assert!(pair.events.iter().any(acknowledged), "{}", pair.place());
    }
}

#[test]
fn the_gateway_sends_to_the_device() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed).loss(0.2);
        setup.gateway_channels = vec![ChannelConfig::ordered(CHANNEL, SCHEMA)];
        let mut pair = setup.build();
        assert!(pair.run_until(LIMIT, |pair| pair.gateway.live.is_some()));
        let mut sent = 0u32;
        while pair.device_received.len() < 300 {
            let now = pair.now;
            let session = pair.gateway.live.as_mut().unwrap();
            while sent < 300 {
                match session.send(now, CHANNEL, &sent.to_le_bytes()) {
                    Ok(_) => sent += 1,
                    Err(SendError::Full) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            pair.run_for(Duration::from_millis(20));
            assert!(now.as_micros() < LIMIT.as_micros(), "{}: {}", pair.place(), pair.device_received.len());
        }
        pair.run_for(LIMIT);
        let expected = (0..300u32).map(|number| (CHANNEL, number.to_le_bytes().to_vec()));
        let received = pair.device_received.iter().map(|(channel, _, payload)| (*channel, payload.clone()));
        assert!(expected.eq(received), "{}", pair.place());
    }
}
