//! The gateway's one SQLite file: readings, their streams, and the keys of gateway and devices.
//!
//! One process at a time has it, by a lock beside it: the server, or a command that changes something
//! while no server runs. Other programs may read.

mod file;
mod migrations;
mod open;
#[cfg(unix)]
mod private;
#[cfg(not(unix))]
mod shared;

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode};

use crate::DatabaseError;

pub(crate) use file::{DatabaseFile, real_path};

/// A claimed database of the present version. What works with it shares this; the last one gives it up.
#[derive(Debug)]
pub(crate) struct Database {
    file: DatabaseFile,
}

impl Database {
    /// Claims the database, makes it when it does not exist, and brings it to the present version. When
    /// that fails, a file that did not exist before does not exist afterwards.
    pub(crate) fn open(path: &Path) -> Result<(Arc<Self>, Connection), DatabaseError> {
        Self::open_within(path, Duration::ZERO)
    }

    /// The same; waits up to `patience` for another that has it.
    pub(crate) fn open_within(path: &Path, patience: Duration) -> Result<(Arc<Self>, Connection), DatabaseError> {
        let file = DatabaseFile::claim(path, patience)?;
        match open::open(&file) {
            Ok(connection) => Ok((Arc::new(Self { file }), connection)),
            Err(reason) => {
                let reason = if is_io(&reason) { file.probe().err().map_or(reason, DatabaseError::Io) } else { reason };
                file.discard();
                Err(reason)
            }
        }
    }

    /// Another connection to it.
    pub(crate) fn connect(&self) -> rusqlite::Result<Connection> {
        open::connect(self.file.path())
    }

    /// The file.
    pub(crate) fn file(&self) -> &DatabaseFile {
        &self.file
    }

    /// Removes the database if this process made it. For use after every connection was closed.
    pub(crate) fn discard(self: Arc<Self>) {
        if let Some(database) = Arc::into_inner(self) {
            database.file.discard();
        }
    }
}

fn is_io(reason: &DatabaseError) -> bool {
    let DatabaseError::Sqlite(error) = reason else { return false };
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}
