//! The devices that may connect, in memory: what handshakes need to know.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use whimbrel_core::{DeviceId, GatewayPublic};
use whimbrel_tokio::{DeviceRecord, Proof, SessionKey};

use super::DeviceName;

/// The devices by id, as the database has them. One entry a device, in a gateway of any size.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    devices: RwLock<HashMap<DeviceId, Entry>>,
    /// The gateway's key that devices are told.
    gateway: RwLock<Option<GatewayPublic>>,
    changes: Mutex<()>,
}

/// A device that may connect.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(super) name: DeviceName,
    pub(super) record: DeviceRecord,
    /// The session that it was let in for last, if it knows the gateway by a key; and that key's short id.
    pub(super) session: Option<(SessionKey, u8)>,
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
        let former = devices.remove(&device);
        if let Some(entry) = entry {
            devices.insert(device, Entry { session: former.and_then(|former| former.session), ..entry });
        }
    }

    /// Devices are told this key from here on.
    pub(super) fn put_gateway(&self, key: GatewayPublic) {
        *self.gateway.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// The key that devices are told; `None` in plain mode.
    pub(crate) fn gateway(&self) -> Option<GatewayPublic> {
        *self.gateway.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions of devices that know the gateway by another key than this.
    pub(crate) fn sessions_by_another(&self, key: &GatewayPublic) -> Vec<SessionKey> {
        let (devices, id) = (self.devices.read().unwrap_or_else(PoisonError::into_inner), key.id());
        devices.values().filter_map(|entry| entry.session).filter(|(_, used)| *used != id).map(|(key, _)| key).collect()
    }

    /// A handshake of `device` was stored, and opens `session`: its counter is used up, and a new key that was
    /// used is the only one.
    pub(crate) fn admitted(&self, device: &DeviceId, session: SessionKey, proof: &Proof) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = devices.get_mut(device) else { return };
        entry.session = proof.gateway_key.map(|key| (session, key));
        let record = &mut entry.record;
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
