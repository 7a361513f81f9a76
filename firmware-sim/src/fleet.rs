//! The devices of a run: what each was provisioned with, and where it keeps what must outlast a power cut.

use crate::SimError;
use crate::flash::Flash;
use core::cell::RefCell;
use serde_json::Deserializer;
use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::rc::Rc;
use whimbrel_core::{BootEpoch, Credentials, DeviceId, Identity, Pattern};
use whimbrel_gateway::GatewayError;
use whimbrel_gateway::registry::{DeviceName, Provisioned, Registry};

/// The first boot of a device whose key is new.
const FIRST_BOOT: BootEpoch = BootEpoch::unstored(1);

/// One device before it is switched on.
#[derive(Debug)]
pub struct Member {
    /// What people call it.
    pub name: String,
    /// Who it is, and how it proves that.
    pub identity: Identity,
    /// Where it keeps its boot epoch; `None`: it is switched on once.
    pub flash: Option<Rc<RefCell<Flash>>>,
}

/// The names of so many devices: `sim-0` and on.
fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|index| format!("sim-{index}"))
}

/// So many devices that prove nothing.
///
/// # Errors
/// [`SimError::Device`]; not with names made here.
pub fn insecure_plain(count: usize) -> Result<Vec<Member>, SimError> {
    let member = |name: String| match DeviceId::new(name.as_bytes()) {
        Some(id) => Ok(Member { name, identity: Identity::insecure_plain(id, 0), flash: None }),
        None => Err(SimError::Device { device: name, reason: "its name is too long".into() }),
    };
    names(count).map(member).collect()
}

/// Adds so many devices to the gateway's database at `path`, as `whimbrel device add` does. Those that an earlier
/// run added get a new key each: their firmware is built anew.
///
/// # Errors
/// [`SimError::Gateway`] when the database cannot be used, [`SimError::Provision`].
pub fn provision(path: &Path, count: usize) -> Result<Vec<Member>, SimError> {
    let registry = Registry::open(path).map_err(|reason| GatewayError::Database { path: path.into(), reason })?;
    let names: Vec<DeviceName> = names(count).filter_map(|name| name.parse().ok()).collect();
    let devices = registry
        .provision(&names, Pattern::NkPsk0)
        .map_err(|source| SimError::Provision { path: path.into(), source })?;
    let member = |device| member(device, FIRST_BOOT, None);
    devices.into_iter().map(member).collect()
}

/// The devices that are described in the file at `path`, one JSON object after the other, as `whimbrel device add
/// --json` prints them; the first `count`, or all. Each of them boots: see [`Flash`].
///
/// # Errors
/// [`SimError::DeviceFile`]: not as it should be, too few, or in use by another simulation; or the file beside it
/// cannot be written.
pub fn read(path: &Path, count: Option<usize>) -> Result<Vec<Member>, SimError> {
    let failed = |reason: String| SimError::DeviceFile { path: path.into(), reason };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut ids = HashSet::new();
    let mut devices = Vec::new();
    for device in Deserializer::from_reader(BufReader::new(&file)).into_iter::<Provisioned>() {
        // The parser's words name a field, a line and a column, and repeat no key.
        let device = device.map_err(|error| failed(error.to_string()))?;
        if !ids.insert(device.id) {
            return Err(failed(format!("device {} is there twice", device.name)));
        }
        devices.push(device);
    }
    let wanted = count.unwrap_or(devices.len());
    if wanted == 0 || wanted > devices.len() {
        return Err(failed(format!("it describes {} devices, and {} are wanted", devices.len(), wanted.max(1))));
    }
    devices.truncate(wanted);
    let mut flash = Flash::open(path, file)?;
    let boots = flash.boot(devices.iter().map(|device| device.id))?;
    let flash = Rc::new(RefCell::new(flash));
    let member = |(device, boot)| member(device, boot, Some(Rc::clone(&flash)));
    devices.into_iter().zip(boots).map(member).collect()
}

fn member(device: Provisioned, boot: BootEpoch, flash: Option<Rc<RefCell<Flash>>>) -> Result<Member, SimError> {
    let Provisioned { name, id, pattern, key, gateway_public } = device;
    let newer = flash.as_ref().and_then(|flash| flash.borrow().gateway_key(&id));
    let credentials = match (pattern, gateway_public, newer) {
        (Pattern::NnPsk0, ..) => Credentials::nn(key),
        (Pattern::NkPsk0, Some(public), None) => Credentials::nk(key, public),
        (Pattern::NkPsk0, Some(public), Some(newer)) => Credentials::nk(key, newer).with_second(public),
        (Pattern::NkPsk0, None, _) => {
            let reason = "its pattern needs the gateway's public key".into();
            return Err(SimError::Device { device: name.into(), reason });
        }
    };
    Ok(Member { name: name.into(), identity: Identity::sealed(id, boot, credentials), flash })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn add(folder: &TempDir, names: &[&str], pattern: Pattern) -> String {
        let registry = Registry::open(&folder.path().join("a.db")).unwrap();
        let add = |name: &&str| registry.add(&name.parse().unwrap(), pattern).unwrap();
        names.iter().map(|name| serde_json::to_string(&add(name)).unwrap() + "\n").collect()
    }

    #[test]
    fn a_run_of_its_own_provisions_its_devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.db");
        let ids = || -> Vec<_> { provision(&path, 3).unwrap().iter().map(|member| member.identity.device()).collect() };
        let first = ids();
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 3);
        assert_eq!(ids(), first);
    }

    #[test]
    fn a_device_file_is_what_device_add_prints() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("devices.json");
        let mut text = add(&folder, &["one", "two"], Pattern::NkPsk0);
        text += &add(&folder, &["three"], Pattern::NnPsk0);
        fs::write(&path, text).unwrap();
        let names = |count| -> Vec<_> { read(&path, count).unwrap().into_iter().map(|member| member.name).collect() };
        assert_eq!(names(None), ["one", "two", "three"]);
        assert_eq!(names(Some(1)), ["one"]);
        let held = read(&path, None).unwrap();
        let busy = read(&path, None).unwrap_err().to_string();
        assert!(busy.ends_with("another simulation uses it"), "{busy}");
        drop(held);
        let few = read(&path, Some(4)).unwrap_err().to_string();
        assert!(few.ends_with("it describes 3 devices, and 4 are wanted"), "{few}");
    }

    #[test]
    fn a_wrong_device_file_is_named_and_no_key_is_repeated() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("devices.json");
        let good = add(&folder, &["one"], Pattern::NkPsk0);
        let key = serde_json::from_str::<serde_json::Value>(&good).unwrap()["key"].as_str().unwrap().to_owned();
        let without_public = {
            let mut value: serde_json::Value = serde_json::from_str(&good).unwrap();
            value["gateway_public"] = serde_json::Value::Null;
            value.to_string()
        };
        let wrong = [
            String::new(),
            good.replace('}', ""),
            good.replace("nkpsk0", "nopsk"),
            good.replace(&key, &key[1..]),
            good.repeat(2),
            without_public,
        ];
        for text in wrong {
            fs::write(&path, &text).unwrap();
            let error = read(&path, None).unwrap_err().to_string();
            assert!(!error.contains(&key[1..]) && !error.contains('\n'), "{error}");
        }
    }
}
