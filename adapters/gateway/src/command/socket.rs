//! The control socket: beside the database, for the gateway's own user.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::database::Database;

/// What the database's name is followed by.
const SUFFIX: &str = ".sock";
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

/// The socket's file. Dropped, it is gone, before others may have the database.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// For its lock: whoever finds a socket here while it has the lock may remove it.
    _database: Arc<Database>,
}

impl ControlSocket {
    /// Where it is for this database.
    pub(crate) fn path(database: &Database) -> PathBuf {
        path_for(database.file().path())
    }

    /// Listens beside the database. A socket that is there was left by a gateway that was killed: it would hold
    /// the lock otherwise.
    pub(crate) fn bind(database: Arc<Database>) -> io::Result<Self> {
        let path = Self::path(&database);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(&path)?,
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there and no socket")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        with_address(&path, |address| socket.bind(address))?;
        let file = SocketFile { path, _database: database };
        // Nobody can connect yet: it does not listen.
        fs::set_permissions(&file.path, Permissions::from_mode(0o600))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self { listener: socket.into(), file })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
    }
}

/// Where the gateway that has this database listens.
pub(super) fn path_for(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(SUFFIX);
    path.into()
}

/// Connects to the socket at `path`.
pub(super) fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    with_address(path, |address| socket.connect(address))?;
    Ok(socket.into())
}

/// A socket's address has room for 107 bytes (unix(7)); a longer path goes by way of its folder.
fn with_address<T>(path: &Path, work: impl FnOnce(&SockAddr) -> io::Result<T>) -> io::Result<T> {
    match SockAddr::unix(path) {
        Ok(address) => work(&address),
        Err(error) if cfg!(target_os = "linux") => {
            use std::os::fd::AsRawFd;
            let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
            let name = path.file_name().unwrap_or(OsStr::new(""));
            let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
            SockAddr::unix(short).map_err(|_| error).and_then(|address| work(&address))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(folder: &Path) -> Arc<Database> {
        Database::open(&folder.join("a.db")).unwrap().0
    }

    #[test]
    fn it_is_its_owners_alone_and_goes_with_the_gateway() {
        let folder = tempfile::tempdir().unwrap();
        let socket = ControlSocket::bind(database(folder.path())).unwrap();
        let path = folder.path().join("a.db.sock");
        assert_eq!(path_for(&folder.path().join("a.db")), path);
        let metadata = fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
        assert_eq!(connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn one_that_was_left_is_replaced_and_anything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db.sock");
        // Dropping a listener leaves its file.
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(connect(&path).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        drop(ControlSocket::bind(database(folder.path())).unwrap());
        fs::write(&path, "mine").unwrap();
        ControlSocket::bind(database(folder.path())).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_long_path_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(200));
        fs::create_dir(&deep).unwrap();
        let _socket = ControlSocket::bind(database(&deep)).unwrap();
        connect(&deep.join("a.db.sock")).unwrap();
    }
}
