//! Opening a database: is it ours, is it of our time, is it safe to write.

use core::time::Duration;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::DatabaseError;

/// "WHMB": marks the file as a database of this program (<https://sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION_ID: i64 = 0x5748_4d42;

/// How long SQLite waits for another program's lock before a batch fails and is tried again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Version n of the tables is what the first n of these make. Released ones never change.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE readings(
        device TEXT NOT NULL,
        channel INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        received_at INTEGER NOT NULL, -- microseconds since 1970 UTC
        payload BLOB NOT NULL,
        json TEXT,                    -- NULL: schema unknown, or the payload does not fit it
        PRIMARY KEY(device, channel, epoch, seq)
    );
    CREATE TABLE streams(
        device TEXT NOT NULL,
        stream INTEGER NOT NULL,      -- the channel's number; + 64 for its backlog stream
        epoch INTEGER NOT NULL,
        next INTEGER NOT NULL CHECK(next >= 0), -- the watermark: the first number that is not stored
        schema INTEGER NOT NULL,      -- 64 bits, as two's complement
        ordered INTEGER NOT NULL,
        durable INTEGER NOT NULL,
        boot INTEGER NOT NULL,        -- the device's boot epoch when it last opened the stream
        PRIMARY KEY(device, stream, epoch)
    ) WITHOUT ROWID;
    CREATE TABLE ledger(
        device TEXT NOT NULL,
        stream INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        reason TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY(device, stream, epoch, reason)
    ) WITHOUT ROWID;
"];

/// The database at `path`, which exists but may be empty, ready for readings.
pub(super) fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // A COMMIT frame promises that a reading survives the loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What sync means on macOS; nothing elsewhere.
    connection.pragma_update(None, "fullfsync", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    migrate(&transaction)?;
    transaction.commit()?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(DatabaseError::NoWal(mode));
    }
    Ok(connection)
}

fn migrate(transaction: &Transaction<'_>) -> Result<(), DatabaseError> {
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (owner, found) = (pragma("application_id")?, pragma("user_version")?);
    let known = MIGRATIONS.len() as i64;
    let is_empty = transaction.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    let fresh = owner == 0 && found == 0 && is_empty;
    if owner != APPLICATION_ID && !fresh {
        return Err(DatabaseError::Foreign);
    }
    if found > known {
        return Err(DatabaseError::Newer { found, known });
    }
    let done = usize::try_from(found).map_err(|_| DatabaseError::Foreign)?;
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    // Written even when it does not change: what cannot be written is found out at the start.
    transaction.pragma_update(None, "user_version", known)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Sqlite;
    use super::super::fixture::{Fixture, offer, reading};
    use super::*;
    use crate::sink::Sink;
    use std::fs;

    #[test]
    fn a_database_goes_on_where_it_was() {
        let mut fixture = Fixture::new();
        let epoch = fixture.open_stream();
        fixture.sink.store(&[reading(epoch, 0)]).unwrap();
        let Fixture { folder, sink } = fixture;
        Box::new(sink).close().unwrap();
        // The log went into the database, the lock is gone.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let mut fixture = Fixture { sink: Sqlite::open(&folder.path().join("a.db")).unwrap(), folder };
        assert_eq!(fixture.admit(&[offer(Some(epoch), 0, 5)])[0].next.value(), 1);
    }

    #[test]
    fn commits_are_synced_to_a_write_ahead_log() {
        let fixture = Fixture::new();
        assert_eq!(fixture.number("PRAGMA synchronous"), 2);
        assert_eq!(fixture.number("PRAGMA application_id"), APPLICATION_ID);
        let mode: String = fixture.sink.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_reader_reads_while_a_gateway_writes() {
        let mut fixture = Fixture::new();
        let epoch = fixture.open_stream();
        fixture.sink.store(&[reading(epoch, 0)]).unwrap();
        let path = fixture.folder.path().join("a.db");
        let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let rows = |reader: &Connection| reader.query_row("SELECT count(*) FROM readings", [], |r| r.get(0));
        assert_eq!(rows(&reader), Ok(1));
        fixture.sink.store(&[reading(epoch, 1)]).unwrap();
        assert_eq!(rows(&reader), Ok(2));
    }

    #[test]
    fn a_newer_version_is_left_alone() {
        let fixture = Fixture::new();
        fixture.sink.connection.pragma_update(None, "user_version", 99).unwrap();
        let Fixture { folder, sink } = fixture;
        Box::new(sink).close().unwrap();
        let path = folder.path().join("a.db");
        let before = fs::read(&path).unwrap();
        assert!(matches!(Sqlite::open(&path), Err(DatabaseError::Newer { found: 99, known: 1 })));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_no_database_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        for content in ["x".repeat(10), "not a database, ".repeat(1000)] {
            fs::write(&path, &content).unwrap();
            let error = Sqlite::open(&path).unwrap_err();
            assert_eq!(error.to_string(), "file is not a database");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_database_of_another_program_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        for foreign in ["PRAGMA application_id = 7", "PRAGMA user_version = 3", "CREATE TABLE birds(name)"] {
            Connection::open(&path).unwrap().execute_batch(foreign).unwrap();
            let before = fs::read(&path).unwrap();
            assert!(matches!(Sqlite::open(&path), Err(DatabaseError::Foreign)), "{foreign}");
            assert_eq!(fs::read(&path).unwrap(), before);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn an_empty_file_becomes_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        fs::write(&path, b"").unwrap();
        Box::new(Sqlite::open(&path).unwrap()).close().unwrap();
        assert!(Sqlite::open(&path).is_ok());
    }
}
