//! One ordered queue of deadlines for all sessions of a shard.

use std::collections::BTreeSet;

use whimbrel_core::Instant;

/// At most one deadline per session, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Instant, usize)>,
}

impl Timers {
    /// Moves the deadline of session `index` from `armed`, which the session keeps, to `at`.
    pub(crate) fn arm(&mut self, index: usize, armed: &mut Option<Instant>, at: Option<Instant>) {
        if *armed == at {
            return;
        }
        if let Some(before) = *armed {
            self.queue.remove(&(before, index));
        }
        if let Some(at) = at {
            self.queue.insert((at, index));
        }
        *armed = at;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out one session that is due. Its `armed` must become `None`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        if self.next()? > now {
            return None;
        }
        self.queue.pop_first().map(|(_, index)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_moved_ones_come_once() {
        let at = Instant::from_millis;
        let mut timers = Timers::default();
        let (mut a, mut b) = (None, None);
        timers.arm(0, &mut a, Some(at(5)));
        timers.arm(1, &mut b, Some(at(3)));
        timers.arm(1, &mut b, Some(at(9)));
        assert_eq!(timers.next(), Some(at(5)));
        assert_eq!(timers.pop_due(at(4)), None);
        assert_eq!(timers.pop_due(at(10)), Some(0));
        assert_eq!(timers.pop_due(at(10)), Some(1));
        assert_eq!(timers.pop_due(at(10)), None);
        b = None;
        timers.arm(1, &mut b, Some(at(1)));
        timers.arm(1, &mut b, None);
        assert_eq!(timers.next(), None);
    }
}
