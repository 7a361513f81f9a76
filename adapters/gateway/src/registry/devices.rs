//! Devices and their keys in the database.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use whimbrel_core::{DeviceId, DeviceKey, GatewaySecret, Pattern};

use whimbrel_tokio::DeviceRecord;

use super::directory::Entry;
use super::forms::{pattern_name, pattern_named};
use super::{Counter, DeviceInfo, DeviceName, DeviceState, Provisioned, RegistryError, random};
use crate::sink::{device_name, device_named};
use crate::utc;

/// Bytes of a new device's id: enough that nobody guesses one, and that no two are the same.
const ID_LEN: usize = 8;

/// A new device.
pub(super) fn add(
    transaction: &Transaction<'_>,
    name: &DeviceName,
    pattern: Pattern,
    gateway: &GatewaySecret,
) -> Result<Provisioned, RegistryError> {
    if find(transaction, name)?.is_some() {
        return Err(RegistryError::Taken);
    }
    let (id, key, public) = (new_id(transaction)?, random()?, gateway.public());
    let is_told = pattern == Pattern::NkPsk0;
    transaction
        .prepare_cached(
            "INSERT INTO devices(device, name, pattern, key, gateway_key, created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            device_name(&id),
            name.as_str(),
            pattern_name(pattern),
            *key,
            is_told.then(|| public.id()),
            utc::now(),
        ])?;
    let (name, key) = (name.clone(), DeviceKey::new(*key));
    Ok(Provisioned { name, id, pattern, key, gateway_public: is_told.then_some(public) })
}

/// Random, new, and not by chance a text: it always reads as `x'..'` in the tables.
fn new_id(transaction: &Transaction<'_>) -> Result<DeviceId, RegistryError> {
    loop {
        let random = random()?;
        let id = random.first_chunk::<ID_LEN>().and_then(|id| DeviceId::new(id));
        let Some(id) = id.filter(|id| !id.as_bytes().iter().all(u8::is_ascii_graphic)) else { continue };
        // Those too that were never provisioned, but have readings.
        let is_known: bool = transaction
            .prepare_cached(
                "SELECT EXISTS(SELECT 1 FROM devices WHERE device = ?1)
                     OR EXISTS(SELECT 1 FROM streams WHERE device = ?1)",
            )?
            .query_row([device_name(&id)], |row| row.get(0))?;
        if !is_known {
            return Ok(id);
        }
    }
}

/// A new key. The old one is good until the device first uses the new one, or no more.
pub(super) fn rotate(
    transaction: &Transaction<'_>,
    name: &DeviceName,
    is_now: bool,
    gateway: &GatewaySecret,
) -> Result<Provisioned, RegistryError> {
    let (id, pattern) = named(transaction, name)?;
    let key = random()?;
    let sql = if is_now {
        // No handshake was ever made with this key: none can be replayed.
        "UPDATE devices SET key = ?2, next_key = NULL, counter = NULL WHERE device = ?1"
    } else {
        "UPDATE devices SET next_key = ?2 WHERE device = ?1"
    };
    transaction.prepare_cached(sql)?.execute(params![device_name(&id), *key])?;
    let gateway_public = (pattern == Pattern::NkPsk0).then(|| gateway.public());
    Ok(Provisioned { name: name.clone(), id, pattern, key: DeviceKey::new(*key), gateway_public })
}

/// Ends a device: its keys are forgotten, its name is free again, its readings stay.
pub(super) fn revoke(transaction: &Transaction<'_>, name: &DeviceName) -> Result<DeviceId, RegistryError> {
    let (id, _) = named(transaction, name)?;
    transaction
        .prepare_cached("UPDATE devices SET key = NULL, next_key = NULL, revoked_at = ?2 WHERE device = ?1")?
        .execute(params![device_name(&id), utc::now()])?;
    Ok(id)
}

/// The device of this name that is not revoked.
pub(super) fn find(transaction: &Transaction<'_>, name: &DeviceName) -> rusqlite::Result<Option<(DeviceId, Pattern)>> {
    transaction
        .prepare_cached("SELECT device, pattern FROM devices WHERE name = ?1 AND revoked_at IS NULL")?
        .query_row([name.as_str()], |row| Ok((id(row, 0)?, pattern(row, 1)?)))
        .optional()
}

fn named(transaction: &Transaction<'_>, name: &DeviceName) -> Result<(DeviceId, Pattern), RegistryError> {
    if let Some(found) = find(transaction, name)? {
        return Ok(found);
    }
    let was_there: bool = transaction
        .prepare_cached("SELECT EXISTS(SELECT 1 FROM devices WHERE name = ?1)")?
        .query_row([name.as_str()], |row| row.get(0))?;
    Err(if was_there { RegistryError::Revoked } else { RegistryError::Unknown })
}

/// Up to `limit` devices, by id, from behind `after`.
pub(super) fn list(
    transaction: &Transaction<'_>,
    after: Option<&DeviceId>,
    limit: u32,
) -> rusqlite::Result<Vec<DeviceInfo>> {
    transaction
        .prepare_cached(
            "SELECT device, name, pattern, next_key IS NOT NULL, counter, created_at, revoked_at, last_seen
             FROM devices WHERE device > ?1 ORDER BY device LIMIT ?2",
        )?
        .query_map(params![after.map(device_name).unwrap_or_default(), limit], info)?
        .collect()
}

fn info(row: &Row<'_>) -> rusqlite::Result<DeviceInfo> {
    let (is_rotating, revoked_at): (bool, Option<i64>) = (row.get(3)?, row.get(6)?);
    Ok(DeviceInfo {
        id: id(row, 0)?,
        name: name(row, 1)?,
        pattern: pattern(row, 2)?,
        state: match (revoked_at, is_rotating) {
            (Some(_), _) => DeviceState::Revoked,
            (None, true) => DeviceState::Rotating,
            (None, false) => DeviceState::Active,
        },
        counter: row.get::<_, Option<i64>>(4)?.map(|counter| Counter::from_u64(counter.cast_unsigned())),
        created_at: utc::civil(row.get(5)?),
        revoked_at: revoked_at.map(utc::civil),
        last_seen: row.get::<_, Option<i64>>(7)?.map(utc::civil),
    })
}

const ENTRY: &str = "SELECT device, name, pattern, key, next_key, counter FROM devices WHERE revoked_at IS NULL";

/// What a running gateway has to know of this device; `None` when it is revoked.
pub(super) fn entry(transaction: &Transaction<'_>, device: &DeviceId) -> rusqlite::Result<Option<Entry>> {
    transaction
        .prepare_cached(&format!("{ENTRY} AND device = ?1"))?
        .query_row([device_name(device)], in_entry)
        .optional()
        .map(|found| found.map(|(_, entry)| entry))
}

/// The same of all devices.
pub(super) fn entries(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<(DeviceId, Entry)>> {
    transaction.prepare(ENTRY)?.query_map([], in_entry)?.collect()
}

fn in_entry(row: &Row<'_>) -> rusqlite::Result<(DeviceId, Entry)> {
    let record = DeviceRecord {
        pattern: pattern(row, 2)?,
        key: DeviceKey::new(row.get(3)?),
        next_key: row.get::<_, Option<[u8; 32]>>(4)?.map(DeviceKey::new),
        counter: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
    };
    Ok((id(row, 0)?, Entry { name: name(row, 1)?, record }))
}

fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceName> {
    row.get::<_, String>(column)?.parse().map_err(|error| wrong(column, error))
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceId> {
    let text: String = row.get(column)?;
    device_named(&text).ok_or_else(|| wrong(column, "not a device"))
}

fn pattern(row: &Row<'_>, column: usize) -> rusqlite::Result<Pattern> {
    let text: String = row.get(column)?;
    pattern_named(&text).ok_or_else(|| wrong(column, "not a pattern"))
}

/// Somebody else wrote it.
fn wrong(column: usize, error: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
