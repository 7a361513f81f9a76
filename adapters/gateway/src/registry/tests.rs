use super::*;
use std::collections::HashSet;
use whimbrel_core::DeviceKey;
use whimbrel_tokio::Directory as _;

fn name(text: &str) -> DeviceName {
    text.parse().unwrap()
}

/// A registry in a folder of its own.
fn registry() -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("a.db")).unwrap();
    (folder, registry)
}

/// One of a running gateway, and its directory.
fn serving() -> (tempfile::TempDir, Registry, Arc<Directory>) {
    let (folder, registry) = registry();
    let directory = Arc::new(Directory::default());
    let registry = Registry::serving(registry.database, Arc::clone(&directory)).unwrap();
    (folder, registry, directory)
}

fn listed(registry: &Registry) -> Vec<(String, DeviceState)> {
    let mut devices: Vec<_> =
        registry.list(None, 100).unwrap().into_iter().map(|device| (device.name.to_string(), device.state)).collect();
    devices.sort_by(|a, b| a.0.cmp(&b.0));
    devices
}

#[test]
fn every_device_has_an_id_and_a_key_of_its_own() {
    let (_folder, registry) = registry();
    let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
    for number in 0..50 {
        let device = registry.add(&name(&format!("sim-{number}")), Pattern::NkPsk0).unwrap();
        assert_eq!(device.id.as_bytes().len(), 8);
        assert_eq!(device.gateway_public, Some(registry.gateway().unwrap().public));
        assert!(ids.insert(device.id) && keys.insert(*device.key.expose()));
    }
    let small = registry.add(&name("small"), Pattern::NnPsk0).unwrap();
    assert_eq!(small.gateway_public, None);
    assert!(matches!(registry.add(&name("sim-7"), Pattern::NkPsk0), Err(RegistryError::Taken)));
}

#[test]
fn devices_are_listed_in_pages() {
    let (_folder, registry) = registry();
    for number in 0..25 {
        registry.add(&name(&format!("sim-{number}")), Pattern::NkPsk0).unwrap();
    }
    let (mut after, mut names) = (None, HashSet::new());
    loop {
        let page = registry.list(after.as_ref(), 10).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for device in page {
            assert_eq!((device.state, device.counter, device.last_seen), (DeviceState::Active, None, None));
            assert!(names.insert(device.name));
        }
    }
    assert_eq!(names.len(), 25);
}

#[test]
fn a_revoked_device_stays_listed_and_its_name_is_free() {
    let (_folder, registry, directory) = serving();
    let first = registry.add(&name("one"), Pattern::NkPsk0).unwrap();
    assert!(directory.find(first.id).is_some());
    assert_eq!(registry.revoke(&name("one")).unwrap(), first.id);
    assert!(directory.find(first.id).is_none());
    assert!(matches!(registry.revoke(&name("one")), Err(RegistryError::Revoked)));
    assert!(matches!(registry.rotate(&name("one"), false), Err(RegistryError::Revoked)));
    assert!(matches!(registry.revoke(&name("two")), Err(RegistryError::Unknown)));
    let second = registry.add(&name("one"), Pattern::NkPsk0).unwrap();
    assert_ne!(first.id, second.id);
    let mut states: Vec<_> =
        registry.list(None, 9).unwrap().into_iter().map(|device| (device.id, device.state)).collect();
    states.sort_by_key(|(id, _)| *id != first.id);
    assert_eq!(states, [(first.id, DeviceState::Revoked), (second.id, DeviceState::Active)]);
    assert_eq!(registry.revoke(&name("one")).unwrap(), second.id);
}

#[test]
fn a_revoked_key_is_not_in_the_file_any_more() {
    let (folder, registry) = registry();
    let device = registry.add(&name("one"), Pattern::NkPsk0).unwrap();
    let rotated = registry.rotate(&name("one"), false).unwrap();
    let holds = |key: &DeviceKey| {
        std::fs::read(folder.path().join("a.db")).unwrap().windows(32).any(|bytes| bytes == key.expose())
    };
    assert!(holds(&device.key) && holds(&rotated.key));
    registry.revoke(&name("one")).unwrap();
    assert!(!holds(&device.key) && !holds(&rotated.key));
}

#[test]
fn the_directory_follows_a_rotation() {
    let (_folder, registry, directory) = serving();
    let old = registry.add(&name("one"), Pattern::NkPsk0).unwrap();
    let found = || directory.find(old.id).unwrap();
    let new = registry.rotate(&name("one"), false).unwrap();
    assert_eq!((found().key, found().next_key), (old.key.clone(), Some(new.key)));
    assert_eq!(listed(&registry), [("one".to_owned(), DeviceState::Rotating)]);
    let newer = registry.rotate(&name("one"), false).unwrap();
    assert_eq!((found().key, found().next_key), (old.key.clone(), Some(newer.key)));
    let last = registry.rotate(&name("one"), true).unwrap();
    assert_eq!((found().key, found().next_key), (last.key, None));
    assert_eq!(listed(&registry), [("one".to_owned(), DeviceState::Active)]);
}

#[test]
fn the_gateways_key_is_changed_in_two_steps() {
    let (_folder, registry) = registry();
    let first = registry.gateway().unwrap();
    assert_eq!((registry.gateway().unwrap(), &first.former), (first.clone(), &None));
    assert!(matches!(registry.retire_gateway(true), Err(RegistryError::NoFormer)));
    registry.add(&name("one"), Pattern::NkPsk0).unwrap();
    registry.add(&name("small"), Pattern::NnPsk0).unwrap();
    let second = registry.rotate_gateway().unwrap();
    assert_ne!(second.public.id(), first.public.id());
    assert_eq!(second.former, Some(FormerKey { public: first.public, devices: 1 }));
    assert!(matches!(registry.rotate_gateway(), Err(RegistryError::FormerThere)));
    // Who comes now is told the new one.
    assert_eq!(registry.add(&name("two"), Pattern::NkPsk0).unwrap().gateway_public, Some(second.public));
    assert!(matches!(registry.retire_gateway(false), Err(RegistryError::FormerUsed { devices: 1 })));
    registry.revoke(&name("one")).unwrap();
    assert_eq!(registry.retire_gateway(false).unwrap().former, None);
    registry.rotate_gateway().unwrap();
    assert_eq!(registry.retire_gateway(true).unwrap().former, None);
}

#[test]
fn firmware_that_is_built_anew_keeps_its_identity() {
    let (_folder, registry) = registry();
    let names = [name("sim-0"), name("sim-1")];
    let first = registry.provision(&names, Pattern::NkPsk0).unwrap();
    let second = registry.provision(&names, Pattern::NkPsk0).unwrap();
    for (first, second) in first.iter().zip(&second) {
        assert_eq!((&first.name, first.id), (&second.name, second.id));
        assert_ne!(first.key, second.key);
    }
    // Another pattern is another device.
    let third = registry.provision(&names[..1], Pattern::NnPsk0).unwrap();
    assert_ne!(third[0].id, first[0].id);
    assert_eq!(registry.list(None, 9).unwrap().len(), 3);
}

#[test]
fn a_started_gateway_knows_all_that_may_connect() {
    let (folder, registry) = registry();
    let [one, two] = ["one", "two"].map(|text| registry.add(&name(text), Pattern::NkPsk0).unwrap());
    registry.revoke(&name("two")).unwrap();
    drop(registry);
    let directory = Arc::new(Directory::default());
    let database = Registry::open(&folder.path().join("a.db")).unwrap().database;
    let registry = Registry::serving(database, Arc::clone(&directory)).unwrap();
    assert_eq!(directory.find(one.id).unwrap().key, one.key);
    assert!(directory.find(two.id).is_none());
    assert_eq!(directory.name(&one.id), Some(one.name));
    drop(registry);
}

#[test]
fn nothing_shows_a_key() {
    let (_folder, registry, directory) = serving();
    let device = registry.add(&name("one"), Pattern::NkPsk0).unwrap();
    registry.rotate(&name("one"), false).unwrap();
    let text = format!("{device:?} {registry:?} {directory:?} {:?}", registry.list(None, 9).unwrap());
    let record = directory.find(device.id).unwrap();
    for secret in [record.key.expose(), record.next_key.unwrap().expose()] {
        assert!(!text.contains(&hex::encode(secret)) && !text.contains(&format!("{secret:?}")), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_with_keys_is_its_owners_alone() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    let (folder, registry) = registry();
    let path = folder.path().join("a.db");
    let set = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    drop(registry);
    // Without keys others may read it.
    set(0o644);
    let registry = Registry::open(&path).unwrap();
    assert_eq!(mode(), 0o644);
    registry.add(&name("one"), Pattern::NkPsk0).unwrap();
    assert_eq!(mode(), 0o600);
    drop(registry);
    for exposed in [0o640, 0o604, 0o660, 0o601] {
        set(exposed);
        let error = Registry::open(&path).unwrap_err();
        assert!(matches!(error, DatabaseError::Exposed { mode, .. } if mode == exposed), "{error}");
        assert_eq!(mode(), exposed);
    }
    set(0o600);
    Registry::open(&path).unwrap();
}
