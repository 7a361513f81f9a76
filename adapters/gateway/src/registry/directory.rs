//! The devices that may connect, in memory: what handshakes need to know.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use whimbrel_core::DeviceId;
use whimbrel_tokio::{DeviceRecord, Proof};

use super::DeviceName;

/// The devices by id, as the database has them. One entry a device, in a gateway of any size.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    devices: RwLock<HashMap<DeviceId, Entry>>,
    changes: Mutex<()>,
}

/// A device that may connect.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(super) name: DeviceName,
    pub(super) record: DeviceRecord,
}

/// Held from before a change's transaction until the change is in the directory, and in what follows
/// from it: so the directory sees changes in the database's order.
pub(crate) type Change<'a> = MutexGuard<'a, ()>;

impl Directory {
    /// Waits for its turn to change something. Not for a task: the one whose turn it is waits for a disk.
    pub(crate) fn change(&self) -> Change<'_> {
        // There is nothing in it that a panic could have spoilt.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What people call a device that may connect.
    pub(crate) fn name(&self, device: &DeviceId) -> Option<DeviceName> {
        self.devices.read().unwrap_or_else(PoisonError::into_inner).get(device).map(|entry| entry.name.clone())
    }

    /// Everything anew.
    pub(super) fn fill(&self, devices: Vec<(DeviceId, Entry)>) {
        *self.devices.write().unwrap_or_else(PoisonError::into_inner) = devices.into_iter().collect();
    }

    /// A device as it is now; `None`: it is revoked.
    pub(super) fn put(&self, device: DeviceId, entry: Option<Entry>) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        match entry {
            Some(entry) => devices.insert(device, entry),
            None => devices.remove(&device),
        };
    }

    /// A handshake of `device` was stored: its counter is used up, and a new key that was used is the only one.
    pub(crate) fn admitted(&self, device: &DeviceId, proof: &Proof) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        let Some(Entry { record, .. }) = devices.get_mut(device) else { return };
        record.counter = record.counter.max(Some(proof.counter));
        if record.next_key.as_ref() == Some(&proof.key)
            && let Some(key) = record.next_key.take()
        {
            record.key = key;
        }
    }
}

impl whimbrel_tokio::Directory for Directory {
    fn find(&self, device: DeviceId) -> Option<DeviceRecord> {
        self.devices.read().unwrap_or_else(PoisonError::into_inner).get(&device).map(|entry| entry.record.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::{DeviceKey, Pattern};
    use whimbrel_tokio::Directory as _;

    #[test]
    fn a_new_key_takes_the_place_of_the_old_one_when_it_is_used() {
        let (directory, device) = (Directory::default(), DeviceId::new(b"sim-0").unwrap());
        let [old, new, other] = [1, 2, 3].map(|byte| DeviceKey::new([byte; 32]));
        let record =
            DeviceRecord { pattern: Pattern::NkPsk0, key: old.clone(), next_key: Some(new.clone()), counter: Some(7) };
        directory.fill(vec![(device, Entry { name: "one".parse().unwrap(), record })]);
        let found = || directory.find(device).unwrap();
        let admit = |counter, key: &DeviceKey| {
            directory.admitted(&device, &Proof { counter, key: key.clone(), gateway_key_id: None });
        };
        admit(9, &old);
        assert_eq!((found().key, found().next_key, found().counter), (old.clone(), Some(new.clone()), Some(9)));
        admit(8, &other);
        assert_eq!((found().key, found().next_key, found().counter), (old, Some(new.clone()), Some(9)));
        admit(10, &new);
        assert_eq!((found().key, found().next_key, found().counter), (new.clone(), None, Some(10)));
        directory.put(device, None);
        admit(11, &new);
        assert!(directory.find(device).is_none());
    }
}
