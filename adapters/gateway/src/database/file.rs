//! A database file of our own: named without doubt, locked against a second gateway, and removed
//! again when it did not exist before and could not be made good use of.

use core::time::Duration;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::DatabaseError;

/// Bytes of a write that shows whether there is room: what SQLite needs for the index of its log
/// (<https://sqlite.org/walformat.html>, section 2), and as much again.
const PROBE: usize = 64 * 1024;

/// Between two looks whether another is done with a database.
const PAUSE: Duration = Duration::from_millis(10);

/// The claim on a database file. Dropped after the database is closed, it lets others have it.
///
/// The lock is advisory, on a file of its own beside the database: a lock on the database itself
/// would get in the way of SQLite's, and so of readers, on some systems.
#[derive(Debug)]
pub(crate) struct DatabaseFile {
    path: PathBuf,
    lock_path: PathBuf,
    /// Held for its lock.
    _lock: File,
    created: bool,
}

impl DatabaseFile {
    /// Locks the database at `path` and makes it, empty, when it does not exist. Waits up to `patience` for
    /// another that has it.
    pub(super) fn claim(path: &Path, patience: Duration) -> Result<Self, DatabaseError> {
        let path = real_path(path)?;
        let lock_path = beside(&path, ".lock");
        let start = Instant::now();
        let lock = loop {
            match lock(&lock_path) {
                Err(DatabaseError::InUse) if start.elapsed() < patience => std::thread::sleep(PAUSE),
                outcome => break outcome?,
            }
        };
        let mut claim = Self { path, lock_path, _lock: lock, created: false };
        // With a write: a file that may only be read is refused by name, here and now.
        let options = private_options();
        match options.clone().create_new(true).open(&claim.path) {
            Ok(_) => claim.created = true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                options.open(&claim.path)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(claim)
    }

    /// The absolute path; no name in it is special to SQLite.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of what stands beside the database under its name and this suffix.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.path, suffix)
    }

    /// What the system says to a write beside the database: SQLite keeps that to itself when it
    /// fails, and calls many things an I/O error.
    pub(super) fn probe(&self) -> io::Result<()> {
        let path = beside(&self.path, ".probe");
        let written = fs::write(&path, [0; PROBE]);
        let removed = fs::remove_file(&path);
        written.and(removed)
    }

    /// Removes what this claim made; a database that existed before stays. For use after the
    /// database was closed.
    pub(super) fn discard(self) {
        if self.created {
            for suffix in ["-wal", "-shm", "-journal", ""] {
                // What cannot be removed is empty or without content of ours.
                let _gone = fs::remove_file(beside(&self.path, suffix));
            }
        }
    }
}

impl Drop for DatabaseFile {
    fn drop(&mut self) {
        // Still locked: see `lock` for why that makes removing it safe.
        if cfg!(unix) {
            let _gone = fs::remove_file(&self.lock_path);
        }
    }
}

/// The one path of a database, by whatever name it is called; it may not exist yet.
pub(crate) fn real_path(path: &Path) -> Result<PathBuf, DatabaseError> {
    if path.is_dir() {
        return Err(DatabaseError::Directory);
    }
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    let name = path.file_name().ok_or(DatabaseError::NoName)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(fs::canonicalize(folder)?.join(name))
}

/// To open, for its owner alone when it is made.
fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the lock file. Its holder removes it at the end, so a lock that was taken may be on a
/// file that nobody else can find any more: then it is taken again.
fn lock(path: &Path) -> Result<File, DatabaseError> {
    loop {
        let file = private_options().create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DatabaseError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(found)) => (ours.dev(), ours.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

/// Elsewhere the lock file stays for ever.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_has_one_gateway_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let first = DatabaseFile::claim(&path, Duration::ZERO).unwrap();
        assert!(matches!(DatabaseFile::claim(&path, Duration::ZERO), Err(DatabaseError::InUse)));
        #[cfg(unix)]
        {
            let link = folder.path().join("link.db");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert!(matches!(DatabaseFile::claim(&link, Duration::ZERO), Err(DatabaseError::InUse)));
        }
        drop(first);
        DatabaseFile::claim(&path, Duration::ZERO).unwrap();
    }

    #[test]
    fn only_what_was_made_here_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        DatabaseFile::claim(&path, Duration::ZERO).unwrap().discard();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(&path, b"somebody's").unwrap();
        DatabaseFile::claim(&path, Duration::ZERO).unwrap().discard();
        assert_eq!(fs::read(&path).unwrap(), b"somebody's");
    }

    #[test]
    fn what_cannot_be_a_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(DatabaseFile::claim(folder.path(), Duration::ZERO), Err(DatabaseError::Directory)));
        assert!(matches!(DatabaseFile::claim(Path::new(""), Duration::ZERO), Err(DatabaseError::NoName)));
        let missing = folder.path().join("no/such/a.db");
        assert!(matches!(DatabaseFile::claim(&missing, Duration::ZERO), Err(DatabaseError::Io(_))));
    }
}
