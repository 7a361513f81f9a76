//! Readings in one SQLite file: a write-ahead log synced at every commit, one transaction a batch.
//!
//! Tables: `readings`, one row a reading, whose `rowid` follows the order in which they were
//! stored; `streams`, the watermarks, written in the same transaction; `ledger`, what is missing
//! and why. Other programs may read while a gateway runs.
//!
//! A channel's live and backlog streams share the channel's number in `readings`. Their rows stay
//! apart because an epoch is allocated per device and channel: no two streams of a channel ever
//! have the same one.

mod admit;
mod open;
mod store;

use std::path::Path;

use rusqlite::{Connection, ErrorCode};
use whimbrel_core::{DeviceId, OfferedStream, StreamAdmission};

use super::file::DatabaseFile;
use super::{AdmitError, Batch, Reading, Sink, SinkError};
use crate::DatabaseError;

/// The sink that keeps readings in an SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    // Before the claim, so that the file is closed when others may have it.
    connection: Connection,
    _file: DatabaseFile,
}

impl Sqlite {
    /// Opens the database, or makes it. When that fails, a file that did not exist before does not
    /// exist afterwards.
    ///
    /// # Errors
    /// It is in use by another gateway, is no database, is one of another program or of a later
    /// version, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let file = DatabaseFile::claim(path)?;
        match open::connect(file.path()) {
            Ok(connection) => Ok(Self { connection, _file: file }),
            Err(reason) => {
                let reason = if is_io(&reason) { file.probe().err().map_or(reason, DatabaseError::Io) } else { reason };
                file.discard();
                Err(reason)
            }
        }
    }
}

fn is_io(reason: &DatabaseError) -> bool {
    let DatabaseError::Sqlite(error) = reason else { return false };
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

impl Sink for Sqlite {
    fn admit(
        &mut self,
        device: DeviceId,
        boot_epoch: u32,
        streams: &[OfferedStream],
    ) -> Result<Vec<StreamAdmission>, AdmitError> {
        admit::admit(&mut self.connection, device, boot_epoch, streams)
    }

    fn store(&mut self, batch: &[Reading]) -> Result<Batch, SinkError> {
        Ok(store::store(&mut self.connection, batch)?)
    }

    fn close(self: Box<Self>) -> Result<(), SinkError> {
        // The answer says whether a reader held it up: then the log stays beside the database, and
        // is as durable there.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let Self { connection, _file } = *self;
        connection.close().map_err(|(_, error)| error.into())
    }
}

#[cfg(test)]
mod model_tests;

#[cfg(test)]
mod fixture {
    use super::*;
    use crate::sink::Reading;
    use whimbrel_core::{ChannelId, Delivery, SchemaId, SeqNo, StreamEpoch, StreamId};

    /// An empty database in a folder of its own.
    pub(super) struct Fixture {
        pub(super) folder: tempfile::TempDir,
        pub(super) sink: Sqlite,
    }

    impl Fixture {
        pub(super) fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let sink = Sqlite::open(&folder.path().join("a.db")).unwrap();
            Self { folder, sink }
        }

        /// The one number that a query answers.
        pub(super) fn number(&self, sql: &str) -> i64 {
            self.sink.connection.query_row(sql, [], |row| row.get(0)).unwrap()
        }

        pub(super) fn admit(&mut self, streams: &[OfferedStream]) -> Vec<StreamAdmission> {
            self.sink.admit(device(), 0, streams).unwrap()
        }

        /// Admits one stream without an epoch, from 0.
        pub(super) fn open_stream(&mut self) -> StreamEpoch {
            self.admit(&[offer(None, 0, 0)])[0].epoch
        }
    }

    pub(super) fn device() -> DeviceId {
        DeviceId::new(b"sim-0").unwrap()
    }

    pub(super) fn stream() -> StreamId {
        ChannelId::new(1).unwrap().live()
    }

    /// A durable ordered stream of channel 1.
    pub(super) fn offer(epoch: Option<StreamEpoch>, base: u64, next: u64) -> OfferedStream {
        OfferedStream {
            id: stream(),
            delivery: Delivery::Ordered,
            durable: true,
            schema: SchemaId::named("nobody/1"),
            epoch,
            base: SeqNo::new(base),
            next: SeqNo::new(next),
        }
    }

    pub(super) fn reading(epoch: StreamEpoch, seq: u64) -> Reading {
        Reading {
            device: device(),
            stream: stream(),
            epoch,
            seq: SeqNo::new(seq),
            after: SeqNo::new(seq),
            schema: SchemaId::named("nobody/1"),
            received_at: 1_700_000_000_000_000 + seq as i64,
            payload: seq.to_le_bytes().to_vec(),
        }
    }
}
