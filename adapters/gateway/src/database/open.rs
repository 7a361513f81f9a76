//! Opening a database: is it ours, is it of our time, is it safe to write.

use core::time::Duration;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::DatabaseFile;
use super::migrations::MIGRATIONS;
use crate::DatabaseError;

/// "WHMB": marks the file as a database of this program (<https://sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION_ID: i64 = 0x5748_4d42;

/// The version from which on there are tables for keys.
const WITH_KEYS: i64 = 2;

/// How long SQLite waits for another program's lock before a batch fails and is tried again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to the database, which exists but may be empty, after it was brought to the present version.
pub(super) fn open(file: &DatabaseFile) -> Result<Connection, DatabaseError> {
    let mut connection = connect(file.path())?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    migrate(&transaction, file)?;
    transaction.commit()?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(DatabaseError::NoWal(mode));
    }
    Ok(connection)
}

/// A connection whose commits are durable.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // A COMMIT frame promises that a reading survives the loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What sync means on macOS; nothing elsewhere.
    connection.pragma_update(None, "fullfsync", true)?;
    // A key that was replaced or revoked is overwritten.
    connection.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
    Ok(connection)
}

fn migrate(transaction: &Transaction<'_>, file: &DatabaseFile) -> Result<(), DatabaseError> {
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
    if found >= WITH_KEYS && has_keys(transaction)? {
        // As ssh does with a key of its own: who could read it may have read it.
        if let Some((path, mode)) = file.exposed()? {
            return Err(DatabaseError::Exposed { path, mode });
        }
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

fn has_keys(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    transaction.query_row(
        "SELECT EXISTS(SELECT 1 FROM gateway) OR EXISTS(SELECT 1 FROM devices WHERE key IS NOT NULL)",
        [],
        |row| row.get(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Sink;
    use crate::sink::sqlite::Sqlite;
    use crate::sink::sqlite::fixture::{Fixture, offer, reading};
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
        assert!(matches!(Sqlite::open(&path), Err(DatabaseError::Newer { found: 99, known: 2 })));
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
