//! How many sessions the devices behind one network have.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::prefix::Prefix;

/// Counts the sessions and handshakes of each network, for all shards. Its memory is bounded by theirs: a
/// network without any is forgotten.
#[derive(Debug)]
pub(crate) struct Seats {
    max: u32,
    taken: Mutex<HashMap<Prefix, u32>>,
}

/// One of them; it is free when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    prefix: Prefix,
}

impl Seats {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: u32::try_from(max).unwrap_or(u32::MAX), taken: Mutex::default() })
    }

    /// A seat, `None` when the network has all that it may have. `beyond`: a few more than that are fine,
    /// for a device that is about to replace a session of its own.
    pub(crate) fn take(self: &Arc<Self>, prefix: Prefix, beyond: bool) -> Option<Seat> {
        let mut taken = self.lock();
        let entry = taken.entry(prefix);
        let now = match &entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(_) => 0,
        };
        if now >= self.max && !beyond {
            return None;
        }
        *entry.or_default() += 1;
        drop(taken);
        Some(Seat { seats: Arc::clone(self), prefix })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Prefix, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Entry::Occupied(mut entry) = taken.entry(self.prefix) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PrefixLengths;
    use super::*;

    #[test]
    fn a_network_has_so_many_seats_and_gets_them_back() {
        let prefix = |address: &str| PrefixLengths { v4: 24, v6: 56 }.of(address.parse().unwrap());
        let seats = Seats::new(2);
        let first = seats.take(prefix("192.0.2.1"), false).unwrap();
        let second = seats.take(prefix("192.0.2.2"), false).unwrap();
        assert!(seats.take(prefix("192.0.2.3"), false).is_none());
        let other = seats.take(prefix("192.0.3.1"), false);
        assert!(other.is_some(), "another network has its own");
        let more = seats.take(prefix("192.0.2.1"), true);
        assert!(more.is_some());
        drop((first, second));
        assert!(seats.take(prefix("192.0.2.3"), false).is_some());
        drop((more, other));
        assert!(seats.lock().is_empty());
    }
}
