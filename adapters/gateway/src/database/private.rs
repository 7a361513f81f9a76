//! Who may read a database: it holds keys.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::DatabaseFile;

/// The files with content of the database, by suffix: keys may be in each
/// (<https://sqlite.org/tempfiles.html>).
const WITH_CONTENT: [&str; 3] = ["", "-wal", "-journal"];
/// The permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

impl DatabaseFile {
    /// Whether nobody but its owner may read or write the database and what SQLite has beside it; else
    /// the first file that others may, and its mode.
    pub(super) fn exposed(&self) -> io::Result<Option<(PathBuf, u32)>> {
        for suffix in WITH_CONTENT {
            let path = self.beside(suffix);
            match fs::metadata(&path) {
                Ok(metadata) if metadata.permissions().mode() & OTHERS != 0 => {
                    return Ok(Some((path, metadata.permissions().mode() & 0o7777)));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes the database from everybody but its owner. SQLite gives what it makes beside it the same mode.
    pub(crate) fn make_private(&self) -> io::Result<()> {
        // Once for each file: where modes do not stick, the next look says so.
        for _ in WITH_CONTENT {
            let Some((path, mode)) = self.exposed()? else { return Ok(()) };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & !OTHERS))?;
            tracing::info!(path = %path.display(), "only its owner may use it from now on: it holds keys");
        }
        match self.exposed()? {
            None => Ok(()),
            Some((path, _)) => {
                let reason = format!("{} cannot be taken from others than its owner", path.display());
                Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use std::path::Path;

    #[test]
    fn what_is_made_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let file = DatabaseFile::claim(&path, Duration::ZERO).unwrap();
        assert_eq!((mode(&path), mode(&file.beside(".lock"))), (0o600, 0o600));
        assert!(file.exposed().unwrap().is_none());
        for (suffix, exposed) in [("", 0o644), ("", 0o620), ("-wal", 0o604), ("-journal", 0o660)] {
            let path = file.beside(suffix);
            fs::write(&path, b"x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
            assert_eq!(file.exposed().unwrap(), Some((path.clone(), exposed)));
            file.make_private().unwrap();
            assert_eq!(mode(&path), exposed & 0o700, "{suffix}");
        }
    }
}
