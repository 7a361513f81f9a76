//! Why the registry did not do as it was told.

use std::io;

/// Why a change of devices or keys was not made. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A device that is not revoked has the name.
    #[error("there is one of that name already")]
    Taken,
    /// No device ever had the name.
    #[error("there is none of that name")]
    Unknown,
    /// The name is that of revoked devices only.
    #[error("it is revoked")]
    Revoked,
    /// Two keys of the gateway are good at a time, no more.
    #[error("the former key is still good: retire it first")]
    FormerThere,
    /// There is one key only.
    #[error("there is no former key")]
    NoFormer,
    /// Devices would be locked out.
    #[error("devices that have not used the new key yet: {devices}; --force locks them out")]
    FormerUsed {
        /// How many.
        devices: u64,
    },
    /// The database is others' too, and stays so.
    #[error("the database cannot be made its owner's alone: {0}")]
    Mode(io::Error),
    /// The system has no random bytes.
    #[error("cannot get random bytes: {0}")]
    Random(getrandom::Error),
    /// What SQLite said.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}
