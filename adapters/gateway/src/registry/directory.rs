//! What handshakes need to know, in memory: all devices that may connect, and the gateway's keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use whimbrel_core::{DeviceId, DeviceKey};

use super::devices::Record;
use super::gateway::GatewayKeys;

/// The devices by id, as the database has them. One entry a device, in a gateway of any size.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    devices: RwLock<HashMap<DeviceId, Record>>,
    gateway: RwLock<Option<Arc<GatewayKeys>>>,
    changes: Mutex<()>,
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

    /// What there is to know of a device; `None`: it may not connect.
    pub(crate) fn find(&self, device: &DeviceId) -> Option<Record> {
        self.devices.read().unwrap_or_else(PoisonError::into_inner).get(device).cloned()
    }

    /// The gateway's keys, once there are any.
    pub(crate) fn gateway(&self) -> Option<Arc<GatewayKeys>> {
        self.gateway.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything anew.
    pub(super) fn fill(&self, devices: Vec<(DeviceId, Record)>) {
        *self.devices.write().unwrap_or_else(PoisonError::into_inner) = devices.into_iter().collect();
    }

    /// A device as it is now; `None`: it is revoked.
    pub(super) fn put(&self, device: DeviceId, record: Option<Record>) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        match record {
            Some(record) => devices.insert(device, record),
            None => devices.remove(&device),
        };
    }

    /// The gateway's keys as they are now.
    pub(super) fn put_gateway(&self, keys: Option<GatewayKeys>) {
        *self.gateway.write().unwrap_or_else(PoisonError::into_inner) = keys.map(Arc::new);
    }

    /// A handshake of `device` under `key` was stored: its counter is used up, and a new key that was
    /// used is the only one.
    pub(crate) fn admitted(&self, device: &DeviceId, counter: u64, key: &DeviceKey) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = devices.get_mut(device) else { return };
        record.counter = record.counter.max(Some(counter));
        if record.next_key.as_ref() == Some(key)
            && let Some(key) = record.next_key.take()
        {
            record.key = key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::Pattern;

    #[test]
    fn a_new_key_takes_the_place_of_the_old_one_when_it_is_used() {
        let (directory, device) = (Directory::default(), DeviceId::new(b"sim-0").unwrap());
        let [old, new, other] = [1, 2, 3].map(|byte| DeviceKey::new([byte; 32]));
        let record =
            Record { pattern: Pattern::NkPsk0, key: old.clone(), next_key: Some(new.clone()), counter: Some(7) };
        directory.fill(vec![(device, record)]);
        let found = || directory.find(&device).unwrap();
        directory.admitted(&device, 9, &old);
        assert_eq!((found().key, found().next_key, found().counter), (old.clone(), Some(new.clone()), Some(9)));
        directory.admitted(&device, 8, &other);
        assert_eq!((found().key, found().next_key, found().counter), (old, Some(new.clone()), Some(9)));
        directory.admitted(&device, 10, &new);
        assert_eq!((found().key, found().next_key, found().counter), (new.clone(), None, Some(10)));
        directory.put(device, None);
        directory.admitted(&device, 11, &new);
        assert!(directory.find(&device).is_none());
    }
}
