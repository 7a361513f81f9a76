//! The command's side: asks the gateway that has the database, or takes the database for itself.

use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use zeroize::Zeroizing;

use super::{Answer, CommandError, Page, Request, Service};
use crate::registry::{DeviceInfo, Registry};
use crate::{DatabaseError, GatewayError};

#[cfg(unix)]
use super::{Outcome, socket};
#[cfg(unix)]
use std::io::{BufRead, BufReader, Read, Write};
#[cfg(unix)]
use std::os::unix::net::UnixStream;

/// How long a command waits for others that have the database at the moment.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a gateway may take to answer.
#[cfg(unix)]
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer, in bytes.
#[cfg(unix)]
const ANSWER_MAX: u64 = 1 << 20;

/// Has a command done, by the gateway that has the database, or on the database itself. Waits for it.
///
/// # Errors
/// See [`CommandError`]. Nothing is changed then; but a gateway that ended before it answered may have done it.
pub fn run(database: &Path, request: &Request) -> Result<Answer, CommandError> {
    let mut way = Way::open(database, request.makes_database())?;
    let answer = way.ask(request);
    if let (Way::Direct(service), Err(_)) = (way, &answer) {
        // No database where there was none.
        service.registry.discard();
    }
    answer
}

/// All devices, in the order of their names.
///
/// # Errors
/// As those of [`run`].
pub fn list(database: &Path) -> Result<Vec<DeviceInfo>, CommandError> {
    let mut way = Way::open(database, false)?;
    let mut all: Vec<DeviceInfo> = Vec::new();
    loop {
        let after = all.last().map(|device| device.id);
        match way.ask(&Request::DeviceList { after })? {
            Answer::Devices(Page { devices, more }) => {
                let more = more && !devices.is_empty();
                all.extend(devices);
                if !more {
                    break;
                }
            }
            _ => return Err(CommandError::Refused("the gateway answered something else".into())),
        }
    }
    all.sort_by(|a, b| (&a.name, a.created_at).cmp(&(&b.name, b.created_at)));
    Ok(all)
}

/// Who does it.
enum Way {
    #[cfg(unix)]
    Server {
        path: PathBuf,
        stream: BufReader<UnixStream>,
    },
    Direct(Service),
}

impl Way {
    fn open(database: &Path, makes_database: bool) -> Result<Self, CommandError> {
        let failed = |reason| CommandError::Database(GatewayError::Database { path: database.into(), reason });
        // By the path that the gateway uses, too.
        let path = crate::database::real_path(database).map_err(failed)?;
        if !makes_database {
            std::fs::metadata(&path).map_err(|error| failed(error.into()))?;
        }
        let start = Instant::now();
        loop {
            #[cfg(unix)]
            if let Some(server) = Self::server(&path)? {
                return Ok(server);
            }
            match Registry::open(&path) {
                Ok(registry) => return Ok(Self::Direct(Service::direct(registry))),
                // Another command, or a gateway that starts or ends.
                Err(DatabaseError::InUse) if start.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                Err(reason) => return Err(failed(reason)),
            }
        }
    }

    /// `None`: no gateway listens.
    #[cfg(unix)]
    fn server(database: &Path) -> Result<Option<Self>, CommandError> {
        let path = socket::path_for(database);
        let connected = socket::connect(&path).and_then(|stream| {
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Some(Self::Server { path, stream: BufReader::new(stream) })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(reason) => Err(CommandError::Socket { path, reason }),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, CommandError> {
        match self {
            #[cfg(unix)]
            Self::Server { path, stream } => match exchange(stream, request) {
                Ok(Outcome::Done(answer)) => Ok(answer),
                Ok(Outcome::Refused(why)) => Err(CommandError::Refused(why)),
                Err(reason) => Err(CommandError::Socket { path: path.clone(), reason }),
            },
            Self::Direct(service) => Ok(service.execute(request.clone())?),
        }
    }
}

#[cfg(unix)]
fn exchange(stream: &mut BufReader<UnixStream>, request: &Request) -> io::Result<Outcome> {
    stream.get_mut().write_all(&to_line(request)?)?;
    // It may hold a key. Room for one from the start, so that it is not copied as it grows.
    let mut line = Zeroizing::new(Vec::with_capacity(1024));
    stream.take(ANSWER_MAX).read_until(b'\n', &mut line).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "it does not answer"),
        _ => error,
    })?;
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before it answered"));
    }
    // Not the parser's reason, which may repeat what it read.
    serde_json::from_slice(&line).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "its answer makes no sense; it may be of another version")
    })
}

/// One line, which may hold a key.
pub(super) fn to_line(value: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(1024));
    serde_json::to_writer(&mut *line, value)?;
    line.push(b'\n');
    Ok(line)
}
