//! Where files have no modes, the folder's own rules say who may read a database.

use std::io;
use std::path::PathBuf;

use super::DatabaseFile;

impl DatabaseFile {
    /// Nothing is known.
    pub(super) fn exposed(&self) -> io::Result<Option<(PathBuf, u32)>> {
        Ok(None)
    }

    /// Nothing can be done.
    pub(crate) fn make_private(&self) -> io::Result<()> {
        Ok(())
    }
}
