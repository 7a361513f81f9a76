//! Which packets of the peer arrived: for acknowledgements, and to take none of them twice.

use crate::PacketNumber;

/// Packets below the largest that are remembered; what is older counts as a replay (RFC 4303 section 3.4.3).
pub(crate) const WINDOW: u64 = 256;
const WORD: u64 = u64::BITS as u64;
const WORDS: usize = (WINDOW / WORD) as usize;

/// What the window knows of a packet number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    Replayed,
    TooOld,
}

/// A ring of bits: bit `pn % WINDOW` tells of packet `pn`, for the packets in `(largest - WINDOW, largest]`.
#[derive(Clone, Copy, Debug, Default)]
struct Bits([u64; WORDS]);

impl Bits {
    fn place(pn: u64) -> (usize, u64) {
        (((pn / WORD) % WORDS as u64) as usize, 1 << (pn % WORD))
    }

    fn get(&self, pn: u64) -> bool {
        let (word, bit) = Self::place(pn);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, pn: u64, value: bool) {
        let (word, bit) = Self::place(pn);
        if let Some(word) = self.0.get_mut(word) {
            *word = if value { *word | bit } else { *word & !bit };
        }
    }

    /// Forgets what the numbers in `(from, to]` meant one turn of the ring ago.
    fn clear(&mut self, from: u64, to: u64) {
        if to - from >= WINDOW {
            self.0 = [0; WORDS];
        } else {
            (from + 1..=to).for_each(|pn| self.set(pn, false));
        }
    }
}

/// The receive window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReceivedPackets {
    largest: Option<PacketNumber>,
    /// Opened and looked at: never again.
    seen: Bits,
    /// All that was in them is ours: to be acknowledged. A subset of `seen`.
    accepted: Bits,
    largest_accepted: Option<PacketNumber>,
}

impl ReceivedPackets {
    /// The largest packet number seen.
    pub(crate) fn largest(&self) -> Option<PacketNumber> {
        self.largest
    }

    /// The largest packet number to acknowledge.
    pub(crate) fn largest_accepted(&self) -> Option<PacketNumber> {
        self.largest_accepted
    }

    /// Goes on after sleep: whatever lies up to `largest` counts as seen, and is not spoken of.
    #[cfg(feature = "seal")]
    pub(crate) fn resume(&mut self, largest: PacketNumber) {
        *self = Self { largest: Some(largest), seen: Bits([u64::MAX; WORDS]), ..Self::default() };
    }

    pub(crate) fn check(&self, pn: PacketNumber) -> Seen {
        match self.largest {
            Some(largest) if pn.value().saturating_add(WINDOW) <= largest.value() => Seen::TooOld,
            Some(largest) if pn <= largest && self.seen.get(pn.value()) => Seen::Replayed,
            _ => Seen::New,
        }
    }

    /// Notes a new packet; `check` said `New`.
    pub(crate) fn see(&mut self, pn: PacketNumber) {
        match self.largest {
            Some(largest) if pn <= largest => {}
            largest => {
                let from = largest.map_or(pn.value().saturating_sub(WINDOW), PacketNumber::value);
                self.seen.clear(from, pn.value());
                self.accepted.clear(from, pn.value());
                self.largest = Some(pn);
            }
        }
        self.seen.set(pn.value(), true);
    }

    /// Notes that everything in a packet seen was taken. It stays so: no reneging.
    pub(crate) fn accept(&mut self, pn: PacketNumber) {
        if self.check(pn) != Seen::TooOld {
            self.accepted.set(pn.value(), true);
            self.largest_accepted = self.largest_accepted.max(Some(pn));
        }
    }

    /// Whether to acknowledge the packet.
    pub(crate) fn is_accepted(&self, pn: u64) -> bool {
        self.largest.is_some_and(|largest| pn <= largest.value() && largest.value() - pn < WINDOW)
            && self.accepted.get(pn)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn outside_the_window_nothing_is_accepted() {
        let mut window = ReceivedPackets::default();
        assert!(!window.is_accepted(0));
        for pn in [1, 2, 600] {
            window.see(PacketNumber::new(pn));
            window.accept(PacketNumber::new(pn));
        }
        // What has the same place as 600 one turn of the ring before and after.
        for pn in [1, 2, 600 - WINDOW, 600 + WINDOW] {
            assert!(!window.is_accepted(pn), "{pn}");
        }
        assert!(window.is_accepted(600));
        assert_eq!(window.check(PacketNumber::new(600 - WINDOW)), Seen::TooOld);
        assert_eq!(window.check(PacketNumber::new(601 - WINDOW)), Seen::New);
    }

    proptest! {
        // A naive model: a set of all numbers ever seen.
        #[test]
        #[cfg_attr(miri, ignore = "asks for the whole window after each of hundreds of steps")]
        fn knows_what_a_set_would_know(steps in prop::collection::vec((0u64..3000, any::<bool>()), 1..300)) {
            let mut window = ReceivedPackets::default();
            let (mut seen, mut accepted) = (BTreeSet::new(), BTreeSet::new());
            for (pn, accept) in steps {
                let largest = seen.last().copied();
                let expected = match largest {
                    Some(largest) if pn + WINDOW <= largest => Seen::TooOld,
                    _ if seen.contains(&pn) => Seen::Replayed,
                    _ => Seen::New,
                };
                prop_assert_eq!(window.check(PacketNumber::new(pn)), expected);
                if expected == Seen::New {
                    window.see(PacketNumber::new(pn));
                    seen.insert(pn);
                    if accept {
                        window.accept(PacketNumber::new(pn));
                        accepted.insert(pn);
                    }
                }
                let largest = *seen.last().unwrap();
                for pn in largest.saturating_sub(WINDOW - 1)..=largest {
                    prop_assert_eq!(window.is_accepted(pn), accepted.contains(&pn), "{}", pn);
                }
            }
        }
    }
}
