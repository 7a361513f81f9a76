//! The controller on a model of a path: one server with a queue, in packets of one size.

extern crate std;
use super::super::pacing::Pacer;
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const DATAGRAM: u16 = 1200;

/// A path; every packet takes `service` at its bottleneck.
struct Path {
    base: u64,
    service: u64,
    queue: usize,
    /// Losses for other reasons, of 1000.
    loss: u64,
}

/// What became of a run's second half.
struct Outcome {
    /// Packets acknowledged, of those that the bottleneck could have served, in percent.
    used: u64,
    /// Most that stood at the bottleneck.
    standing: usize,
    /// Lost at the bottleneck, of all sent, in percent.
    dropped: u64,
    /// The bottleneck's queue ran empty.
    drained: bool,
}

impl Path {
    /// Sends whenever the window allows, `seconds` long. A lost packet is known to be lost when the next is acknowledged.
    fn run(&self, congestion: &mut Congestion, seconds: u64, random: &mut u64) -> Outcome {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        let (mut loss_rate, mut pacer) = (LossRate::default(), Pacer::new(false));
        let mut flight: VecDeque<(u64, u64, Option<u64>)> = VecDeque::new();
        let (mut now, mut next, mut free) = (0u64, 0u64, 0u64);
        let (half, end) = (seconds * 500_000, seconds * 1_000_000);
        let (mut acked, mut sent, mut dropped, mut standing, mut drained) = (0, 0, 0, 0, false);
        while now < end {
            while congestion.room() >= u32::from(DATAGRAM) && pacer.check(Instant::from_micros(now)) {
                let waiting = free.saturating_sub(now).div_ceil(self.service) as usize;
                *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let lost = (*random >> 33) % 1_000 < self.loss;
                let full = waiting >= self.queue;
                if !full {
                    free = free.max(now) + self.service;
                }
                flight.push_back((next, now, (!full && !lost).then_some(free + self.base)));
                pacer.on_sent(Instant::from_micros(now), DATAGRAM, false, DATAGRAM);
                congestion.on_sent(Instant::from_micros(now), PacketNumber::new(next), DATAGRAM);
                next += 1;
                if now > half {
                    sent += 1;
                    dropped += u64::from(full);
                    standing = standing.max(waiting);
                    drained |= waiting == 0;
                }
            }
            if congestion.room() < u32::from(DATAGRAM) {
                congestion.on_limited();
                pacer.rest();
            }
            let first = flight.iter().find_map(|(_, _, arrives)| *arrives);
            if let Some(due) = pacer.deadline()
                && first.is_none_or(|first| first > due.as_micros())
            {
                now = due.as_micros();
                continue;
            }
            let Some(at) = flight.iter().position(|(_, _, arrives)| arrives.is_some()) else {
                // All lost: a probe timeout finds out.
                now += 1_000_000;
                for (_, sent, _) in flight.drain(..) {
                    congestion.on_lost(Instant::from_micros(sent), DATAGRAM, Instant::from_micros(now));
                }
                continue;
            };
            for (_, sent, _) in flight.drain(..at) {
                congestion.on_lost(Instant::from_micros(sent), DATAGRAM, Instant::from_micros(now));
                loss_rate.on_resolved(true);
            }
            let (pn, sent_at, arrives) = flight.pop_front().unwrap();
            now = arrives.unwrap();
            loss_rate.on_resolved(false);
            let time = Instant::from_micros(now);
            rtt.sample(time, Duration::from_micros(now - sent_at), Duration::ZERO);
            congestion.on_acked(Instant::from_micros(sent_at), DATAGRAM, false);
            if congestion.on_ack(time, PacketNumber::new(pn), PacketNumber::new(next), &rtt, loss_rate) {
                pacer.set_rate(congestion.window(), rtt.smoothed(), congestion.is_slow_start());
            }
            acked += u64::from(now > half);
        }
        let could = (end - half) / self.service;
        Outcome { used: acked * 100 / could, standing, dropped: dropped * 100 / sent, drained }
    }
}

fn steady(loss: u64) -> Path {
    // 1 Mbit/s, 50 ms: the path holds five datagrams.
    Path { base: 50_000, service: 10_000, queue: 64, loss }
}

fn run(path: &Path, seconds: u64) -> Outcome {
    path.run(&mut Congestion::new(DATAGRAM), seconds, &mut 1)
}

#[test]
fn a_flow_alone_uses_the_path_and_keeps_its_few_datagrams_in_the_queue() {
    let outcome = run(&steady(0), 16);
    // A drain costs a little.
    assert!(outcome.used >= 97, "{}", outcome.used);
    assert!((6..=10).contains(&outcome.standing), "{}", outcome.standing);
    assert_eq!(outcome.dropped, 0);
}

// Ten seconds without a short sample, and the queue is drained, for a fiftieth of the rate at most.
#[test]
fn the_queue_drains_now_and_then() {
    let outcome = run(&steady(0), 60);
    assert!(outcome.drained && outcome.used >= 97, "{}", outcome.used);
}

#[test]
fn losses_that_are_not_congestion_cost_no_more_than_what_is_lost() {
    for (loss, used) in [(10, 96), (50, 92), (100, 86), (200, 74)] {
        let outcome = run(&steady(loss), 16);
        assert!(outcome.used >= used, "{} at {loss}", outcome.used);
        assert!(outcome.standing <= 12, "{} at {loss}", outcome.standing);
    }
}

// RFC 8085 section 3.1: a sender must not go on at a rate of which most is dropped.
#[test]
fn a_queue_too_short_for_it_makes_the_flow_smaller() {
    let path = Path { queue: 4, ..steady(0) };
    let outcome = run(&path, 30);
    assert!(outcome.dropped < 25, "{}", outcome.dropped);
    assert!(outcome.used >= 95, "{}", outcome.used);
}

// RFC 9002 §7.8: a window that was not used does not grow.
#[test]
fn the_window_grows_only_when_it_is_the_limit() {
    let rtt = Rtt::new(Duration::from_millis(50));
    let mut congestion = Congestion::new(DATAGRAM);
    let before = congestion.window();
    for pn in 0..100 {
        let now = Instant::from_millis(pn * 60);
        congestion.on_sent(now, PacketNumber::new(pn), DATAGRAM);
        congestion.on_acked(now, DATAGRAM, false);
        congestion.on_ack(now, PacketNumber::new(pn), PacketNumber::new(pn + 1), &rtt, LossRate::default());
    }
    assert_eq!(congestion.window(), before);
}

// RFC 9002 §7.6.2: the window is reduced to the minimum; and back when what counted as lost arrived.
#[test]
fn a_collapse_that_was_none_is_undone() {
    let (sent, now) = (Instant::from_millis(10), Instant::from_millis(900));
    let mut congestion = Congestion::new(DATAGRAM);
    let before = congestion.window();
    congestion.on_sent(sent, PacketNumber::new(0), DATAGRAM);
    congestion.on_lost(sent, DATAGRAM, now);
    congestion.on_persistent_congestion(now);
    assert_eq!(congestion.window(), congestion.minimum());
    assert!(congestion.is_slow_start());
    congestion.on_acked(sent, DATAGRAM, true);
    assert_eq!(congestion.window(), before);
}

// RFC 9002 §7.6.1: from the first to the last lost packet, more than three probe timeouts.
#[test]
fn congestion_is_persistent_after_three_probe_timeouts() {
    let pto = Duration::from_millis(100);
    let at = Instant::from_millis;
    assert!(!is_persistent(at(0), at(300), pto));
    assert!(is_persistent(at(0), at(301), pto));
}

proptest! {
    // Whatever the path, it is used, and what stands in its queue is bounded.
    #[test]
    fn paths_are_used_and_their_queues_stay_short(base in 2_000u64..300_000, service in 500u64..50_000, seed: u64) {
        let path = Path { base, service, queue: 1_000, loss: 0 };
        // Long enough for windows that grow by a few datagrams in a round trip.
        let outcome = path.run(&mut Congestion::new(DATAGRAM), 60, &mut { seed });
        prop_assert!(outcome.used >= 85, "{} %", outcome.used);
        prop_assert!(outcome.standing <= 48, "{} datagrams", outcome.standing);
    }

    // The window stays within its bounds whatever is reported in whatever order.
    #[test]
    fn the_window_stays_in_its_bounds(steps in prop::collection::vec((0u8..5, 0u64..100_000), 1..300)) {
        let mut congestion = Congestion::new(DATAGRAM);
        let mut rtt = Rtt::new(Duration::from_millis(333));
        let (mut now, mut next) = (Instant::ZERO, 0);
        for (what, span) in steps {
            now = now + Duration::from_micros(span);
            match what {
                0 => {
                    congestion.on_sent(now, PacketNumber::new(next), DATAGRAM);
                    next += 1;
                }
                1 => congestion.on_limited(),
                2 => congestion.on_lost(now, DATAGRAM, now),
                3 => congestion.on_persistent_congestion(now),
                _ => {
                    rtt.sample(now, Duration::from_micros(span), Duration::ZERO);
                    congestion.on_acked(now, DATAGRAM, span % 2 == 0);
                    let acked = PacketNumber::new(next.saturating_sub(1));
                    congestion.on_ack(now, acked, PacketNumber::new(next), &rtt, LossRate::default());
                }
            }
            prop_assert!(congestion.window() >= congestion.minimum() && congestion.window() <= WINDOW_MAX);
            prop_assert!(congestion.room() <= congestion.window());
        }
    }
}
