//! The gateway's own keys in the database.

use core::fmt;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use whimbrel_core::{GatewaySecret, Pattern};
use zeroize::Zeroizing;

use super::forms::pattern_name;
use super::{FormerKey, GatewayInfo, RegistryError, random};
use crate::database::DatabaseFile;
use crate::utc;

/// The gateway's secrets.
pub(super) struct Keys {
    /// Of the key that devices are told.
    pub(super) current: GatewaySecret,
    /// Of the key before, while it is still good.
    pub(super) former: Option<GatewaySecret>,
    /// What RESETs are made with.
    reset: Zeroizing<[u8; 32]>,
    created_at: i64,
}

impl Keys {
    /// As an endpoint takes them.
    pub(super) fn for_endpoint(&self) -> whimbrel_core::GatewayKeys {
        let keys = whimbrel_core::GatewayKeys::new(self.current.clone(), *self.reset);
        match &self.former {
            Some(former) => keys.with_second(former.clone()),
            None => keys,
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let former = self.former.as_ref().map(GatewaySecret::public);
        f.debug_struct("Keys").field("current", &self.current.public()).field("former", &former).finish_non_exhaustive()
    }
}

/// The keys, if there are any.
pub(super) fn load(transaction: &Transaction<'_>) -> rusqlite::Result<Option<Keys>> {
    let keys = |row: &Row<'_>| {
        Ok(Keys {
            current: GatewaySecret::new(row.get(0)?),
            former: row.get::<_, Option<[u8; 32]>>(1)?.map(GatewaySecret::new),
            reset: Zeroizing::new(row.get(2)?),
            created_at: row.get(3)?,
        })
    };
    transaction
        .prepare_cached("SELECT secret, former_secret, reset_secret, created_at FROM gateway")?
        .query_row([], keys)
        .optional()
}

/// The keys, made when there are none yet. From then on nobody but its owner may use the file.
pub(super) fn load_or_make(transaction: &Transaction<'_>, file: &DatabaseFile) -> Result<Keys, RegistryError> {
    if let Some(keys) = load(transaction)? {
        return Ok(keys);
    }
    file.make_private().map_err(RegistryError::Mode)?;
    let (secret, reset) = (random()?, random()?);
    let created_at = utc::now();
    transaction
        .prepare_cached("INSERT INTO gateway(one, secret, reset_secret, created_at) VALUES(1, ?1, ?2, ?3)")?
        .execute(params![*secret, *reset, created_at])?;
    Ok(Keys { current: GatewaySecret::new(*secret), former: None, reset, created_at })
}

/// A new key pair becomes the one that devices are told; the one before stays good.
pub(super) fn rotate(transaction: &Transaction<'_>, keys: Keys) -> Result<Keys, RegistryError> {
    if keys.former.is_some() {
        return Err(RegistryError::FormerThere);
    }
    let (secret, created_at) = (other_than(&keys.current)?, utc::now());
    transaction
        .prepare_cached("UPDATE gateway SET former_secret = secret, secret = ?1, created_at = ?2")?
        .execute(params![secret.expose(), created_at])?;
    Ok(Keys { current: secret, former: Some(keys.current), created_at, ..keys })
}

/// A new secret whose public key has another short id than this one's: devices say by that id which they mean.
fn other_than(secret: &GatewaySecret) -> Result<GatewaySecret, RegistryError> {
    loop {
        let other = GatewaySecret::new(*random()?);
        if other.public().id() != secret.public().id() {
            return Ok(other);
        }
    }
}

/// Ends the former key: not while devices depend on it, unless it is forced.
pub(super) fn retire(transaction: &Transaction<'_>, keys: Keys, is_forced: bool) -> Result<Keys, RegistryError> {
    if keys.former.is_none() {
        return Err(RegistryError::NoFormer);
    }
    let devices = dependent(transaction, &keys)?;
    if devices > 0 && !is_forced {
        return Err(RegistryError::FormerUsed { devices });
    }
    transaction.prepare_cached("UPDATE gateway SET former_secret = NULL")?.execute([])?;
    Ok(Keys { former: None, ..keys })
}

/// What may be shown.
pub(super) fn info(transaction: &Transaction<'_>, keys: &Keys) -> rusqlite::Result<GatewayInfo> {
    let former = match &keys.former {
        Some(former) => Some(FormerKey { public: former.public(), devices: dependent(transaction, keys)? }),
        None => None,
    };
    Ok(GatewayInfo { public: keys.current.public(), created_at: utc::civil(keys.created_at), former })
}

/// How many devices have not used the current key yet.
fn dependent(transaction: &Transaction<'_>, keys: &Keys) -> rusqlite::Result<u64> {
    transaction
        .prepare_cached(
            "SELECT count(*) FROM devices WHERE revoked_at IS NULL AND pattern = ?1 AND gateway_key IS NOT ?2",
        )?
        .query_row(params![pattern_name(Pattern::NkPsk0), keys.current.public().id()], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}
