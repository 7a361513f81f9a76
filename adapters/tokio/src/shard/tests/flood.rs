//! A million packets of strangers, or nearly so, each from an address of its own, beside a device that goes on.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicUsize, Ordering};

use tracing::span;

use super::*;
use crate::limits::{Rate, StrikeLimits};

const FLOOD: u32 = 1_000_000;
/// In a millisecond.
const EACH: u32 = 1000;
const READINGS: usize = 500;

/// Counts the lines that would go into the log.
struct Lines(Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Flood {
    stats: EndpointStats,
    bytes_in: usize,
    bytes_out: usize,
    lines: usize,
}

/// Sends what `stranger` makes of a number, each from its own address, a million in a second. The device sends readings
/// all the while, and each is stored soon after.
fn flood(sealed: bool, count: u32, stranger: impl Fn(&World, u32) -> Vec<u8>) -> Flood {
    let strikes = StrikeLimits { sources_max: 1000, ..StrikeLimits::default() };
    // A MAC takes long without optimisation.
    let hello_macs = Some(Rate::per_second(5000));
    let limits = Limits { strikes, prefixes_max: 1000, hello_macs, ..Limits::default() };
    let mut world = World::new(EndpointConfig { limits, ..EndpointConfig::default() }, sealed);
    let at = from([10, 0, 0, 1], 1);
    let mut device = [if sealed { Device::sealed("honest", 2, at) } else { Device::plain("honest", at) }];
    world.run(500, &mut device);
    let lines = Arc::new(AtomicUsize::new(0));
    let (mut bytes_in, mut bytes_out) = (0, 0);
    tracing::subscriber::with_default(Lines(Arc::clone(&lines)), || {
        for millis in 0..count / EACH {
            world.now = world.now + whimbrel_core::Duration::from_millis(1);
            device[0].send(world.now, (millis as usize + 1) * READINGS / (count / EACH) as usize);
            let source = |number| SocketAddr::from((Ipv4Addr::from_bits(0x2000_0000 + number * 257), 9));
            let mut mail: Vec<Mail> =
                (millis * EACH..(millis + 1) * EACH).map(|n| (source(n), stranger(&world, n))).collect();
            bytes_in += mail.iter().map(|(_, datagram)| datagram.len()).sum::<usize>();
            device[0].transmit(world.now, &mut mail);
            for (to, mut datagram) in world.turn(mail) {
                if to == at {
                    device[0].receive(world.now, &mut datagram);
                } else {
                    bytes_out += datagram.len();
                }
            }
        }
    });
    let stats = world.stats();
    assert_eq!(device[0].session.stats().tx_retransmitted, 0, "the device noticed nothing");
    world.run(500, &mut device);
    assert_eq!(world.stored("honest"), READINGS);
    assert_eq!(stats.sessions, 1);
    assert!(stats.sources_watched <= 1000);
    assert!(world.shard.table.len() <= 1 + EndpointConfig::default().pending_max);
    Flood { stats, bytes_in, bytes_out, lines: lines.load(Ordering::Relaxed) }
}

#[test]
fn of_forged_requests_and_junk() {
    let request = hello(Device::new(identity("honest", 3, 2), from([10, 0, 0, 9], 9)));
    let flood = flood(true, FLOOD, |_, number| match number % 3 {
        0 => request.clone(),
        1 => vec![0xff; 40],
        _ => vec![0x80, 1, 3],
    });
    let Flood { stats, bytes_out, lines, .. } = flood;
    assert_eq!(stats.handshakes, 0);
    assert_eq!(stats.hello_unauthentic + stats.hello_unseen, u64::from(FLOOD).div_ceil(3));
    assert_eq!(stats.rx_malformed + stats.rx_truncated, u64::from(FLOOD) * 2 / 3);
    assert_eq!(bytes_out, 0, "silence to strangers");
    assert!(lines < 20, "{lines}");
}

#[test]
fn of_replayed_requests() {
    // What the device said when it booted before.
    let request = hello(Device::sealed("honest", 1, from([10, 0, 0, 1], 1)));
    let Flood { stats, bytes_in, bytes_out, lines } = flood(true, FLOOD, |_, _| request.clone());
    assert_eq!(stats.hello_counter_low + stats.hello_unseen, u64::from(FLOOD));
    assert!(stats.hello_counter_low > 1000 && stats.handshakes == 0);
    assert_eq!(stats.strikes, 0, "somebody else may have sent it first");
    assert!(bytes_out <= bytes_in && lines < 20, "{bytes_out} bytes, {lines} lines");
}

#[test]
fn of_packets_of_unknown_connections() {
    let flood = flood(true, FLOOD, |_, number| [&[0x10][..], &number.to_be_bytes(), &[0; 30]].concat());
    let Flood { stats, bytes_in, bytes_out, lines } = flood;
    assert!(stats.rx_unknown_connection >= u64::from(FLOOD) - 1);
    // In a second, and a burst.
    assert!(stats.resets_sent <= 2001 && bytes_out < bytes_in / 100, "{stats:?}");
    assert!(lines < 20, "{lines}");
}

#[test]
fn of_invented_devices_in_the_plain_mode() {
    let hellos: Vec<_> = (0..500).map(|i| hello(Device::plain(&format!("{i}"), from([1, 1, 1, 1], 1)))).collect();
    let flood = flood(false, FLOOD / 5, |_, number| hellos[number as usize % hellos.len()].clone());
    let Flood { stats, bytes_in, bytes_out, lines } = flood;
    assert!(stats.handshakes <= 500 && stats.hello_repeated > 0, "{stats:?}");
    assert!(bytes_out <= 3 * bytes_in && lines < 20, "{bytes_out} bytes, {lines} lines");
}
