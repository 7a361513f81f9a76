//! Who may connect: the devices, their keys and the gateway's own, in the database and, of a running
//! gateway, in memory.
//!
//! A key leaves in one place, [`Provisioned`], when it is made. Nothing else shows one, and nothing logs one.

mod devices;
mod directory;
mod error;
pub(crate) mod forms;
mod gateway;
mod name;
mod types;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Transaction, TransactionBehavior};
use whimbrel_core::{DeviceId, GatewayKeys, Pattern};
use zeroize::Zeroizing;

use crate::DatabaseError;
use crate::database::Database;

pub(crate) use directory::Directory;
pub use error::RegistryError;
pub use name::{DeviceName, NameError};
pub use types::{Counter, DeviceInfo, DeviceState, FormerKey, GatewayInfo, Provisioned};

/// The devices and keys in a database. Every method is one durable transaction, and waits for the disk.
#[derive(Debug)]
pub struct Registry {
    database: Arc<Database>,
    /// Of a running gateway.
    directory: Option<Arc<Directory>>,
}

/// What to do to the gateway's keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyChange {
    None,
    Rotate,
    Retire { is_forced: bool },
}

impl Registry {
    /// The registry in the database at `path`, which is made when it does not exist. As long as this
    /// lives no gateway can use the database.
    ///
    /// # Errors
    /// As those of [`crate::sink::sqlite::Sqlite::open`].
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { database: Database::open(path)?.0, directory: None })
    }

    /// The registry of a running gateway, whose directory is filled from it.
    pub(crate) fn serving(database: Arc<Database>, directory: Arc<Directory>) -> rusqlite::Result<Self> {
        let order = directory.change();
        let mut connection = database.connect()?;
        let transaction = connection.transaction()?;
        directory.fill(devices::entries(&transaction)?);
        drop(order);
        drop(transaction);
        drop(connection);
        Ok(Self { database, directory: Some(directory) })
    }

    /// Removes the database if it was made here: for use when nothing came of it.
    pub(crate) fn discard(self) {
        self.database.discard();
    }

    /// Adds a device, with an id and a key of its own.
    ///
    /// # Errors
    /// [`RegistryError::Taken`], or the database said no.
    pub fn add(&self, name: &DeviceName, pattern: Pattern) -> Result<Provisioned, RegistryError> {
        self.change(|transaction, changed| {
            let keys = gateway::load_or_make(transaction, self.database.file())?;
            let device = devices::add(transaction, name, pattern, &keys.current)?;
            changed.push(device.id);
            Ok(device)
        })
    }

    /// Adds those of the devices that are not there, and gives the others a new key at once: for
    /// firmware that is built anew each time.
    ///
    /// # Errors
    /// The database said no; then none of them is added.
    pub fn provision(&self, names: &[DeviceName], pattern: Pattern) -> Result<Vec<Provisioned>, RegistryError> {
        self.change(|transaction, changed| {
            let keys = gateway::load_or_make(transaction, self.database.file())?;
            let provision = |name| match devices::find(transaction, name)? {
                Some((_, found)) if found == pattern => devices::rotate(transaction, name, true, &keys.current),
                Some(_) => {
                    changed.push(devices::revoke(transaction, name)?);
                    devices::add(transaction, name, pattern, &keys.current)
                }
                None => devices::add(transaction, name, pattern, &keys.current),
            };
            let provisioned = names.iter().map(provision).collect::<Result<Vec<_>, RegistryError>>()?;
            changed.extend(provisioned.iter().map(|device| device.id));
            Ok(provisioned)
        })
    }

    /// Up to `limit` devices, revoked ones too, in the order of their ids, from behind `after`.
    ///
    /// # Errors
    /// The database said no.
    pub fn list(&self, after: Option<&DeviceId>, limit: u32) -> Result<Vec<DeviceInfo>, RegistryError> {
        let mut connection = self.database.connect()?;
        let transaction = connection.transaction()?;
        Ok(devices::list(&transaction, after, limit)?)
    }

    /// Ends a device; which one. Its keys are forgotten, its name is free again, its readings stay.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], [`RegistryError::Revoked`], or the database said no.
    pub fn revoke(&self, name: &DeviceName) -> Result<DeviceId, RegistryError> {
        self.change(|transaction, changed| {
            let device = devices::revoke(transaction, name)?;
            changed.push(device);
            Ok(device)
        })
    }

    /// Gives a device a new key. The old one is good until the device first uses the new one; with
    /// `is_now` it is not good any more. A new key that was not used yet is forgotten.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], [`RegistryError::Revoked`], or the database said no.
    pub fn rotate(&self, name: &DeviceName, is_now: bool) -> Result<Provisioned, RegistryError> {
        self.change(|transaction, changed| {
            let keys = gateway::load_or_make(transaction, self.database.file())?;
            let device = devices::rotate(transaction, name, is_now, &keys.current)?;
            changed.push(device.id);
            Ok(device)
        })
    }

    /// The gateway's public keys, made when there are none yet.
    ///
    /// # Errors
    /// The database said no.
    pub fn gateway(&self) -> Result<GatewayInfo, RegistryError> {
        self.change_keys(KeyChange::None).map(|(info, _)| info)
    }

    /// A new key pair of the gateway becomes the one that devices are told. The former stays good.
    ///
    /// # Errors
    /// [`RegistryError::FormerThere`], or the database said no.
    pub fn rotate_gateway(&self) -> Result<GatewayInfo, RegistryError> {
        self.change_keys(KeyChange::Rotate).map(|(info, _)| info)
    }

    /// Ends the gateway's former key. Devices that know no other cannot connect any more: with any such
    /// device it must be forced.
    ///
    /// # Errors
    /// [`RegistryError::NoFormer`], [`RegistryError::FormerUsed`], or the database said no.
    pub fn retire_gateway(&self, is_forced: bool) -> Result<GatewayInfo, RegistryError> {
        self.change_keys(KeyChange::Retire { is_forced }).map(|(info, _)| info)
    }

    /// Makes the gateway's keys when there are none yet, and changes them. What they are then, for people and for an
    /// endpoint.
    pub(crate) fn change_keys(&self, change: KeyChange) -> Result<(GatewayInfo, GatewayKeys), RegistryError> {
        self.change(|transaction, _| {
            let keys = gateway::load_or_make(transaction, self.database.file())?;
            let keys = match change {
                KeyChange::None => keys,
                KeyChange::Rotate => gateway::rotate(transaction, keys)?,
                KeyChange::Retire { is_forced } => gateway::retire(transaction, keys, is_forced)?,
            };
            Ok((gateway::info(transaction, &keys)?, keys.for_endpoint()))
        })
    }

    /// One transaction, which says which devices it changed; when it is stored, the directory of a running
    /// gateway follows.
    fn change<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &mut Vec<DeviceId>) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let order = self.directory.as_ref().map(|directory| (directory, directory.change()));
        let mut connection = self.database.connect()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut changed = Vec::new();
        let done = work(&transaction, &mut changed)?;
        let Some((directory, _order)) = order else {
            transaction.commit()?;
            return Ok(done);
        };
        let entries = changed.into_iter().map(|device| Ok((device, devices::entry(&transaction, &device)?)));
        let entries = entries.collect::<rusqlite::Result<Vec<_>>>()?;
        transaction.commit()?;
        entries.into_iter().for_each(|(device, entry)| directory.put(device, entry));
        Ok(done)
    }
}

/// 32 bytes that nobody can foresee.
fn random() -> Result<Zeroizing<[u8; 32]>, RegistryError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(RegistryError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
