//! When a packet is lost (RFC 9002 section 6.1).

use super::rtt::Rtt;
use crate::{Duration, Instant, PacketNumber};

/// Packets sent after one, of which one was acknowledged, before it counts as lost: RFC 9002 section 6.1.1.
pub(crate) const PACKET_THRESHOLD: u64 = 3;

/// What to think of a packet that is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Lost,
    /// Lost if nothing is heard of it by then.
    Wait {
        until: Instant,
    },
    /// Nothing sent later was acknowledged: only the probe timeout judges it.
    Open,
}

/// How long a packet may be overtaken: 9/8 of the larger of smoothed and latest round-trip time,
/// at least 1 ms (RFC 9002 section 6.1.2).
pub(crate) fn delay(rtt: &Rtt) -> Duration {
    let longer = rtt.smoothed.max(rtt.latest).as_micros();
    Duration::from_micros(longer.saturating_add(longer >> 3)).max(Duration::from_millis(1))
}

/// Judges one packet.
pub(crate) fn judge(
    pn: PacketNumber,
    sent: Instant,
    largest_acked: Option<PacketNumber>,
    now: Instant,
    delay: Duration,
) -> Verdict {
    match largest_acked {
        Some(largest) if largest > pn => {
            let until = sent + delay;
            if largest.value() - pn.value() >= PACKET_THRESHOLD || until <= now {
                Verdict::Lost
            } else {
                Verdict::Wait { until }
            }
        }
        _ => Verdict::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9002 §6.1.1: packet threshold SHOULD NOT be below 3.
    #[test]
    fn three_later_packets_mean_loss_two_do_not() {
        let (sent, now) = (Instant::from_millis(10), Instant::from_millis(11));
        let wait = Duration::from_millis(50);
        let judge = |largest| judge(PacketNumber::new(7), sent, largest, now, wait);
        assert_eq!(judge(None), Verdict::Open);
        assert_eq!(judge(Some(PacketNumber::new(6))), Verdict::Open);
        assert_eq!(judge(Some(PacketNumber::new(9))), Verdict::Wait { until: sent + wait });
        assert_eq!(judge(Some(PacketNumber::new(10))), Verdict::Lost);
    }

    // RFC 9002 §6.1.2: a packet sent a threshold of time before one that was acknowledged is lost.
    #[test]
    fn time_alone_means_loss_once_something_later_arrived() {
        let sent = Instant::from_millis(10);
        let verdict = judge(
            PacketNumber::new(7),
            sent,
            Some(PacketNumber::new(8)),
            Instant::from_millis(60),
            Duration::from_millis(50),
        );
        assert_eq!(verdict, Verdict::Lost);
    }
}
