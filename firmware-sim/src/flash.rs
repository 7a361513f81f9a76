//! What simulated devices keep over power cuts: their boot epochs, and the gateway's new key when they were told one.
//!
//! All devices of a device file share one file beside it, `FILE.flash`. It is replaced as a whole, so that a power
//! cut leaves the old one or the new one.

use crate::SimError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use whimbrel_core::{BootEpoch, DeviceId, GatewayPublic};

/// The store of the devices of one device file. No other simulation can use that while this lives.
#[derive(Debug)]
pub struct Flash {
    path: PathBuf,
    words: BTreeMap<String, Words>,
    /// The device file, for its lock.
    _file: File,
}

/// What one device keeps.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Words {
    boot_epoch: u32,
    /// In hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_public: Option<String>,
}

impl Flash {
    /// The store beside the device file `file`, which is at `path`.
    ///
    /// # Errors
    /// [`SimError::DeviceFile`].
    pub fn open(path: &Path, file: File) -> Result<Self, SimError> {
        let failed = |reason: String| SimError::DeviceFile { path: path.into(), reason };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(failed("another simulation uses it".into())),
            Err(TryLockError::Error(error)) => return Err(failed(error.to_string())),
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".flash");
        let beside = PathBuf::from(beside);
        let damaged = |reason: String| SimError::DeviceFile { path: beside.clone(), reason };
        let words = match fs::read(&beside) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(damaged(error.to_string())),
        };
        Ok(Self { path: beside, words, _file: file })
    }

    /// These devices are switched on: each has a boot epoch that it never had before.
    ///
    /// # Errors
    /// [`SimError::DeviceFile`]: the epochs are not stored; no device may use one. Or a device has none left.
    pub fn boot(&mut self, devices: impl Iterator<Item = DeviceId>) -> Result<Vec<BootEpoch>, SimError> {
        let mut epochs = Vec::new();
        for device in devices {
            let words = self.words.entry(hex::encode(device.as_bytes())).or_default();
            let next = words.boot_epoch.checked_add(1);
            let failed = || SimError::DeviceFile {
                path: self.path.clone(),
                reason: format!("the boot epochs of device {device} are used up"),
            };
            words.boot_epoch = next.ok_or_else(failed)?;
            // Stored below, all at once, before any is used.
            epochs.push(BootEpoch::unstored(words.boot_epoch));
        }
        self.store()?;
        Ok(epochs)
    }

    /// The gateway has seen a higher boot epoch of the device than is stored here.
    ///
    /// # Errors
    /// [`SimError::DeviceFile`]: it is not stored, and the device may not go on.
    pub fn raise(&mut self, device: &DeviceId, epoch: u32) -> Result<(), SimError> {
        let words = self.words.entry(hex::encode(device.as_bytes())).or_default();
        words.boot_epoch = words.boot_epoch.max(epoch);
        self.store()
    }

    /// The gateway has a new key.
    ///
    /// # Errors
    /// [`SimError::DeviceFile`]: it is not stored.
    pub fn learn(&mut self, device: &DeviceId, key: GatewayPublic) -> Result<(), SimError> {
        let words = self.words.entry(hex::encode(device.as_bytes())).or_default();
        words.gateway_public = Some(hex::encode(key.as_bytes()));
        self.store()
    }

    /// The gateway's key that the device was told last, over the network.
    pub fn gateway_key(&self, device: &DeviceId) -> Option<GatewayPublic> {
        let text = self.words.get(&hex::encode(device.as_bytes()))?.gateway_public.as_ref()?;
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).ok()?;
        Some(GatewayPublic::new(key))
    }

    /// Durably: written aside, synced, put in place, and the folder synced.
    fn store(&self) -> Result<(), SimError> {
        let mut aside = self.path.as_os_str().to_owned();
        aside.push(".new");
        let written = || -> io::Result<()> {
            let mut file = File::create(&aside)?;
            file.write_all(&serde_json::to_vec_pretty(&self.words)?)?;
            file.sync_all()?;
            fs::rename(&aside, &self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        written().map_err(|error| SimError::DeviceFile { path: self.path.clone(), reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn open(folder: &TempDir) -> Flash {
        let path = folder.path().join("devices.json");
        if !path.exists() {
            fs::write(&path, "").unwrap();
        }
        Flash::open(&path, File::open(&path).unwrap()).unwrap()
    }

    fn boot(folder: &TempDir, devices: &[DeviceId]) -> Vec<u32> {
        open(folder).boot(devices.iter().copied()).unwrap().into_iter().map(BootEpoch::number).collect()
    }

    #[test]
    fn no_boot_epoch_comes_twice() {
        let folder = TempDir::new().unwrap();
        let [a, b] = [b"a", b"b"].map(|id| DeviceId::new(id).unwrap());
        assert_eq!(boot(&folder, &[a]), [1]);
        assert_eq!(boot(&folder, &[a, b]), [2, 1]);
        open(&folder).raise(&b, 7).unwrap();
        open(&folder).raise(&b, 3).unwrap();
        assert_eq!(boot(&folder, &[a, b]), [3, 8]);
    }

    #[test]
    fn the_gateways_new_key_is_kept() {
        let folder = TempDir::new().unwrap();
        let device = DeviceId::new(b"a").unwrap();
        assert_eq!(open(&folder).gateway_key(&device), None);
        open(&folder).learn(&device, GatewayPublic::new([7; 32])).unwrap();
        assert_eq!(boot(&folder, &[device]), [1]);
        assert_eq!(open(&folder).gateway_key(&device), Some(GatewayPublic::new([7; 32])));
    }

    #[test]
    fn damaged_words_are_no_boot_epoch() {
        let folder = TempDir::new().unwrap();
        let device = DeviceId::new(b"a").unwrap();
        boot(&folder, &[device]);
        let path = folder.path().join("devices.json");
        fs::write(folder.path().join("devices.json.flash"), "{").unwrap();
        let error = Flash::open(&path, File::open(&path).unwrap()).unwrap_err().to_string();
        assert!(error.contains("devices.json.flash"), "{error}");
        fs::write(folder.path().join("devices.json.flash"), r#"{"61":{"boot_epoch":4294967295}}"#).unwrap();
        open(&folder).boot([device].into_iter()).unwrap_err();
    }
}
