//! What can go wrong with a gateway, each in one clear line.

use std::io;
use std::path::PathBuf;

use whimbrel_tokio::EndpointError;

use crate::registry::RegistryError;

/// Why a gateway did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The UDP endpoint could not be made: the port is in use, the address is not ours.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A number in the configuration is out of its range.
    #[error("cannot start: {what} must be in {least} to {most}")]
    Limit {
        /// Which one.
        what: &'static str,
        /// The least it may be.
        least: &'static str,
        /// The most it may be.
        most: &'static str,
    },
    /// The database could not be opened or made. What did not exist before does not exist now.
    #[error("cannot open the database: {}: {reason}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: DatabaseError,
    },
    /// The gateway's own keys could not be made.
    #[error("cannot make the gateway's keys: {}: {reason}", path.display())]
    Keys {
        /// The database.
        path: PathBuf,
        /// Why.
        reason: RegistryError,
    },
    /// Commands cannot be taken: no socket can be made beside the database.
    #[error("cannot take commands at {}: {reason}", path.display())]
    Control {
        /// The socket.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The thread of the sink could not be started.
    #[error("cannot start the sink's thread: {0}")]
    Thread(io::Error),
    /// The gateway ended with readings in hand that the sink would not take by the deadline. None
    /// of them was acknowledged as stored.
    #[error(
        "cannot store the last readings: {}: {reason}: {kept} stay with their devices, \
         {lost} of channels that are not durable are lost",
        path.display()
    )]
    NotStored {
        /// The file.
        path: PathBuf,
        /// What the sink said last.
        reason: String,
        /// Readings of durable channels: their devices still have them.
        kept: u64,
        /// Readings of other channels.
        lost: u64,
    },
    /// The sink's thread ended by a panic, or not by the deadline. What it had not committed stays
    /// with the devices.
    #[error("cannot close the database: {}: the sink's thread did not end", path.display())]
    Stuck {
        /// The file.
        path: PathBuf,
    },
}

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path names a directory.
    #[error("it is a directory")]
    Directory,
    /// The path has no file name.
    #[error("it names no file")]
    NoName,
    /// Another gateway holds the lock.
    #[error("another gateway uses it")]
    InUse,
    /// A database, but not one of ours.
    #[error("it is a database of another program")]
    Foreign,
    /// Made by a later version of this program.
    #[error("its version {found} is newer than {known}, the newest that this program knows")]
    Newer {
        /// The version in the file.
        found: i64,
        /// The newest we know.
        known: i64,
    },
    /// It holds keys, and others than its owner may read or write it.
    #[error("others than its owner may use {} (mode {mode:04o}), and it holds keys: chmod 600 it, and rotate them", path.display())]
    Exposed {
        /// Which file: the database, or its log.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// SQLite keeps another journal than a write-ahead log there.
    #[error("no write-ahead log is possible there (journal mode `{0}`)")]
    NoWal(String),
    /// What SQLite said.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}
