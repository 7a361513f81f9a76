//! Readings in one SQLite file: a write-ahead log synced at every commit, one transaction a batch.
//!
//! Tables: `readings`, one row a reading, whose `rowid` follows the order in which they were
//! stored; `streams`, the watermarks, written in the same transaction; `ledger`, what is missing
//! and why; `devices` and `gateway`, who may connect (see [`crate::registry`]). Other programs may read
//! while a gateway runs. The view `named_readings` shows devices by name.
//!
//! A channel's live and backlog streams share the channel's number in `readings`. Their rows stay
//! apart because an epoch is allocated per device and channel: no two streams of a channel ever
//! have the same one.

mod admit;
mod proof;
mod store;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use whimbrel_core::StreamAdmission;

use super::{AdmitError, Batch, Reading, SessionRequest, Sink, SinkError};
use crate::DatabaseError;
use crate::database::Database;

/// The sink that keeps readings in an SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    // Before the claim, so that the file is closed when others may have it.
    pub(crate) connection: Connection,
    _database: Arc<Database>,
}

impl Sqlite {
    /// Opens the database, or makes it. When that fails, a file that did not exist before does not
    /// exist afterwards.
    ///
    /// # Errors
    /// It is in use by another gateway, is no database, is one of another program or of a later
    /// version, cannot be written, or holds keys that others may read.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let (database, connection) = Database::open(path)?;
        Ok(Self::new(database, connection))
    }

    /// With a connection to a database that is open already.
    pub(crate) fn new(database: Arc<Database>, connection: Connection) -> Self {
        Self { connection, _database: database }
    }
}

impl Sink for Sqlite {
    fn admit(&mut self, request: &SessionRequest<'_>) -> Result<Vec<StreamAdmission>, AdmitError> {
        admit::admit(&mut self.connection, request)
    }

    fn store(&mut self, batch: &[Reading]) -> Result<Batch, SinkError> {
        Ok(store::store(&mut self.connection, batch)?)
    }

    fn close(self: Box<Self>) -> Result<(), SinkError> {
        // The answer says whether a reader held it up: then the log stays beside the database, and
        // is as durable there.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let Self { connection, _database } = *self;
        connection.close().map_err(|(_, error)| error.into())
    }
}

#[cfg(test)]
mod model_tests;

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;
    use crate::sink::Reading;
    use whimbrel_core::{ChannelId, Delivery, DeviceId, OfferedStream, SchemaId, SeqNo, StreamEpoch, StreamId};

    /// An empty database in a folder of its own.
    pub(crate) struct Fixture {
        pub(crate) folder: tempfile::TempDir,
        pub(crate) sink: Sqlite,
    }

    impl Fixture {
        pub(crate) fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let sink = Sqlite::open(&folder.path().join("a.db")).unwrap();
            Self { folder, sink }
        }

        /// The one number that a query answers.
        pub(crate) fn number(&self, sql: &str) -> i64 {
            self.sink.connection.query_row(sql, [], |row| row.get(0)).unwrap()
        }

        pub(crate) fn admit(&mut self, streams: &[OfferedStream]) -> Vec<StreamAdmission> {
            self.sink.admit(&request(streams)).unwrap()
        }

        /// Admits one stream without an epoch, from 0.
        pub(crate) fn open_stream(&mut self) -> StreamEpoch {
            self.admit(&[offer(None, 0, 0)])[0].epoch
        }
    }

    pub(crate) fn device() -> DeviceId {
        DeviceId::new(b"sim-0").unwrap()
    }

    /// The device asks for a session with these streams, in plain mode.
    pub(crate) fn request(streams: &[OfferedStream]) -> SessionRequest<'_> {
        SessionRequest { device: device(), boot_epoch: 0, streams, proof: None }
    }

    pub(crate) fn stream() -> StreamId {
        ChannelId::new(1).unwrap().live()
    }

    /// A durable ordered stream of channel 1.
    pub(crate) fn offer(epoch: Option<StreamEpoch>, base: u64, next: u64) -> OfferedStream {
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

    pub(crate) fn reading(epoch: StreamEpoch, seq: u64) -> Reading {
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
