//! How many earlier messages a new packet repeats: as many as the measured loss calls for, none when the
//! path's queue grows, since what fills it then is our own doing.

use super::loss_rate::LossRate;
use super::rtt::Rtt;
use crate::{Duration, Redundancy};

/// Chance that a message is lost with all its repeats that is small enough, as a fraction of 2^16: 1 in 512.
const RESIDUAL: u32 = (1 << 16) / 512;
/// The most repeats that are ever called for by loss.
const MAX: u8 = 4;
/// Queueing delay from which on nothing is repeated, beside a quarter of the path's own.
const QUEUEING: Duration = Duration::from_millis(25);

/// Loss from which on what was lost once is sent twice, as a fraction of 2^16: a seventh. Every second loss of
/// the same message costs another round trip, and the share of messages that pay it is the square of the loss.
const TWICE: u16 = u16::MAX / 7;

/// Whether messages that had been lost go into two packets.
pub(crate) fn sends_twice(loss: &LossRate) -> bool {
    loss.fraction() > TWICE
}

/// Packets are taken to be lost independently, so that k repeats leave `p^(k + 1)`.
pub(crate) fn repeats(redundancy: Redundancy, loss: &LossRate, rtt: &Rtt) -> u8 {
    let wanted = match redundancy {
        Redundancy::None => return 0,
        Redundancy::Fixed(count) => count,
        Redundancy::Adaptive => called_for(u32::from(loss.fraction())),
    };
    let queueing = rtt.smoothed().saturating_sub(rtt.minimum());
    let target = QUEUEING.saturating_add(Duration::from_micros(rtt.minimum().as_micros() >> 2));
    if rtt.has_sample() && queueing > target { 0 } else { wanted }
}

fn called_for(loss: u32) -> u8 {
    let (mut left, mut count) = (loss, 0);
    while left > RESIDUAL && count < MAX {
        left = (left * loss) >> 16;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    fn of_per_cent(loss: u32) -> u8 {
        called_for((loss << 16) / 100)
    }

    #[test]
    fn loss_calls_for_repeats_and_none_for_none() {
        assert_eq!([0, 1, 4, 10, 20, 30, 90].map(of_per_cent), [0, 1, 1, 2, 3, 4, 4]);
    }

    #[test]
    fn nothing_is_repeated_into_a_growing_queue() {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        let loss = LossRate::default();
        let at = Instant::from_millis;
        assert_eq!(repeats(Redundancy::Fixed(2), &loss, &rtt), 2);
        rtt.sample(at(50), Duration::from_millis(50), Duration::ZERO);
        assert_eq!(repeats(Redundancy::Fixed(2), &loss, &rtt), 2);
        (1..30).for_each(|turn| rtt.sample(at(50 + turn), Duration::from_millis(120), Duration::ZERO));
        assert_eq!(repeats(Redundancy::Fixed(2), &loss, &rtt), 0);
        assert_eq!(repeats(Redundancy::None, &loss, &rtt), 0);
    }
}
