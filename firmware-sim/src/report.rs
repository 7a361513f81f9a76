//! What a run has to say: a table for people, and one JSON object for programs.

use crate::collector::Spoilt;
use crate::ethernet::Caught;
use crate::faults::Faults;
use crate::node::Node;
use crate::run::{FarEnd, Outcome};
use crate::sim::Options;
use crate::verify::Verified;
use core::fmt;
use core::time::Duration;
use serde::Serialize;

/// The devices' and links' counts, added up.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    offered: u64,
    accepted: u64,
    committed: u64,
    retransmitted: u64,
    reconnects: u64,
    wire_bytes: u64,
    payload_bytes: u64,
    latencies: Vec<Duration>,
    /// Frames lost, reordered, duplicated, corrupted by the links.
    injected: [u64; 4],
    caught: Caught,
    /// Caught by Whimbrel's own checks, at both ends.
    spoilt: u64,
    /// Lost in full queues of network cards and sockets.
    overrun: u64,
}

impl Totals {
    /// Adds up what `nodes` and the far end counted; `gateway` is what the gateway's checks caught.
    pub fn of(nodes: &[Node], far: &FarEnd, gateway: Spoilt) -> Self {
        let mut sum = Self { spoilt: gateway.0, ..Self::default() };
        for node in nodes {
            let (tally, stats) = (node.tally(), node.session().stats());
            sum.offered += node.app().offered();
            sum.accepted += tally.accepted().len() as u64;
            sum.committed += tally.committed() as u64;
            sum.retransmitted += u64::from(stats.tx_retransmitted);
            sum.reconnects += u64::from(stats.reconnects);
            sum.wire_bytes += node.wire_bytes();
            sum.payload_bytes += tally.payload_bytes();
            sum.latencies.extend_from_slice(tally.latencies());
            for link in node.links() {
                let injected = [link.lost, link.reordered, link.duplicated, link.corrupted];
                sum.injected.iter_mut().zip(injected).for_each(|(sum, more)| *sum += more);
            }
            sum.caught.add(node.device().caught());
            let dropped = &stats.rx_dropped;
            let repeats = dropped.replayed.wrapping_add(dropped.too_old).wrapping_add(dropped.no_room);
            sum.spoilt += u64::from(dropped.total().wrapping_sub(repeats));
            sum.overrun += node.device().overrun();
        }
        if let FarEnd::Routers(routers) = far {
            for router in routers {
                sum.caught.add(router.caught());
                sum.overrun += router.unreachable();
            }
        }
        sum.latencies.sort_unstable();
        sum
    }
}

/// Percentiles of the latency, in milliseconds; `null` when nothing was committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the readings were committed within this time.
    pub p50: Option<f64>,
    /// 95 % of them.
    pub p95: Option<f64>,
    /// 99 % of them.
    pub p99: Option<f64>,
    /// All of them.
    pub max: Option<f64>,
}

impl Latency {
    /// From latencies in ascending order; nearest rank.
    fn of(sorted: &[Duration]) -> Self {
        let percentile = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            let latency = sorted.get(rank.checked_sub(1)?)?;
            Some(latency.as_micros() as f64 / 1_000.0)
        };
        Self { p50: percentile(50), p95: percentile(95), p99: percentile(99), max: percentile(100) }
    }
}

/// The result of a run. As JSON: its first fields, in this order.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Devices.
    pub devices: usize,
    /// Readings that the sources gave.
    pub offered: u64,
    /// Readings that the devices took responsibility for.
    pub accepted: u64,
    /// Accepted readings in the database; with a gateway elsewhere and no database to look into: committed ones.
    pub stored: u64,
    /// Accepted readings that are not stored.
    pub lost: u64,
    /// Rows too many; `null` when there was no database to look into.
    pub duplicated: Option<u64>,
    /// Readings stored before one that precedes them; `null` when there was no database to look into.
    pub out_of_order: Option<u64>,
    /// Readings that the devices put into a packet once more.
    pub retransmitted: u64,
    /// Bytes of IP packets that both sides put on the links, before any loss.
    pub wire_bytes: u64,
    /// Bytes of the accepted payloads.
    pub payload_bytes: u64,
    /// From acceptance by the device to the arrival of the commit at the device.
    pub latency_ms: Latency,
    /// From which the links drew.
    pub seed: u64,
    /// How the run ended.
    #[serde(skip)]
    pub outcome: Outcome,
    #[serde(skip)]
    total: u64,
    #[serde(skip)]
    period: Duration,
    #[serde(skip)]
    faults: Faults,
    #[serde(skip)]
    totals: Totals,
    /// What the gateway of this process said when it could not end well.
    #[serde(skip)]
    gateway_error: Option<String>,
}

impl Report {
    /// Puts the results together. `total`: readings that the run was to send.
    pub fn new(
        options: &Options,
        devices: usize,
        total: u64,
        outcome: Outcome,
        totals: &Totals,
        verified: Option<Verified>,
        gateway_error: Option<String>,
    ) -> Self {
        let totals = totals.clone();
        let stored = verified.map_or(totals.committed, |verified| verified.stored);
        Self {
            devices,
            offered: totals.offered,
            accepted: totals.accepted,
            stored,
            lost: totals.accepted.saturating_sub(stored),
            duplicated: verified.map(|verified| verified.duplicated),
            out_of_order: verified.map(|verified| verified.out_of_order),
            retransmitted: totals.retransmitted,
            wire_bytes: totals.wire_bytes,
            payload_bytes: totals.payload_bytes,
            latency_ms: Latency::of(&totals.latencies),
            seed: options.seed,
            outcome,
            total,
            period: options.period,
            faults: options.faults,
            totals,
            gateway_error,
        }
    }

    /// The one line that says why the run is not a success; `None` when it is one.
    ///
    /// A success is: every reading was accepted, committed, and, as far as there was a database to
    /// look into, is there exactly once and in order.
    pub fn failure(&self) -> Option<String> {
        let so_far = format!("{} of {} readings are stored", self.stored, self.total);
        match self.outcome {
            Outcome::Interrupted => return Some(format!("interrupted: {so_far}")),
            Outcome::Stuck(idle) => {
                return Some(format!("cannot go on: nothing was committed for {} s: {so_far}", idle.as_secs()));
            }
            Outcome::Closed(reason) => {
                return Some(format!("cannot go on: a session was closed ({reason:?}): {so_far}"));
            }
            Outcome::Fault(error) => return Some(format!("cannot go on: {error}: {so_far}")),
            Outcome::Done => {}
        }
        if let Some(error) = &self.gateway_error {
            return Some(error.clone());
        }
        let faults = self.lost + self.duplicated.unwrap_or(0) + self.out_of_order.unwrap_or(0);
        let complete = self.accepted == self.total && self.offered == self.total && self.totals.committed == self.total;
        if faults == 0 && complete {
            return None;
        }
        Some(format!(
            "cannot confirm the run: lost {}, duplicated {}, out of order {}; {so_far}",
            self.lost,
            Count(self.duplicated),
            Count(self.out_of_order)
        ))
    }
}

impl fmt::Display for Report {
    /// The table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: fmt::Arguments<'_>| writeln!(f, "{name:<28}{value}");
        let (faults, totals) = (&self.faults, &self.totals);
        let rate = 1.0 / self.period.as_secs_f64();
        row("devices", format_args!("{}, {rate:.4} readings a second each, seed {}", self.devices, self.seed))?;
        row(
            "link, each way",
            format_args!(
                "loss {}, reorder {}, duplicate {}, corrupt {}, delay {} ms",
                Percent(faults.loss),
                Percent(faults.reorder),
                Percent(faults.duplicate),
                Percent(faults.corrupt),
                faults.delay.as_millis()
            ),
        )?;
        row("offered", format_args!("{}", self.offered))?;
        row("sent (accepted)", format_args!("{}", self.accepted))?;
        let how = if self.duplicated.is_some() { "" } else { " (committed by the gateway)" };
        row("stored", format_args!("{}{how}", self.stored))?;
        row("lost", format_args!("{}", self.lost))?;
        row("duplicated", format_args!("{}", Count(self.duplicated)))?;
        row("out of order", format_args!("{}", Count(self.out_of_order)))?;
        row("retransmitted", format_args!("{} (sessions opened again: {})", self.retransmitted, totals.reconnects))?;
        let ratio = if self.payload_bytes == 0 { 0.0 } else { self.wire_bytes as f64 / self.payload_bytes as f64 };
        row(
            "bytes on the wire",
            format_args!("{ratio:.2} per payload byte ({} IP, both ways, for {})", self.wire_bytes, self.payload_bytes),
        )?;
        let Latency { p50, p95, p99, max } = self.latency_ms;
        row(
            "latency, accepted to commit",
            format_args!("p50 {}  p95 {}  p99 {}  max {}", Millis(p50), Millis(p95), Millis(p99), Millis(max)),
        )?;
        let [lost, reordered, duplicated, corrupted] = totals.injected;
        row(
            "frames spoilt by the links",
            format_args!("lost {lost}, reordered {reordered}, duplicated {duplicated}, corrupted {corrupted}"),
        )?;
        let Caught { frame_check, ip_checksum, udp_checksum, other } = totals.caught;
        row(
            "caught by",
            format_args!(
                "frame check {frame_check}, IP checksum {ip_checksum}, UDP checksum {udp_checksum}, \
                 stack {other}, Whimbrel {}; full queues or no gateway {}",
                totals.spoilt, totals.overrun
            ),
        )
    }
}

/// A count that may not have been taken.
struct Count(Option<u64>);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => write!(f, "{count}"),
            None => f.write_str("not measured (give --database to look into the gateway's)"),
        }
    }
}

/// A probability as a percentage.
struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two digits are enough, and hide what binary fractions add.
        write!(f, "{} %", (self.0 * 10_000.0).round() / 100.0)
    }
}

/// A latency in milliseconds, if there is one.
struct Millis(Option<f64>);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(millis) => write!(f, "{millis:.1} ms"),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let latencies: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let expected = Latency { p50: Some(100.0), p95: Some(190.0), p99: Some(198.0), max: Some(200.0) };
        assert_eq!(Latency::of(&latencies), expected);
        let one = Latency::of(&[Duration::from_micros(1500)]);
        assert_eq!((one.p50, one.max), (Some(1.5), Some(1.5)));
        assert_eq!(Latency::of(&[]), Latency::default());
    }
}
