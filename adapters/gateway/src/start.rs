//! How a gateway starts: the database, its devices, the control socket, and the thread of the sink.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;
use whimbrel_tokio::{Events, Handle};

use crate::command::{self, ControlSocket, Running, Service};
use crate::control::Control;
use crate::counters::Counters;
use crate::database::Database;
use crate::inbox::Left;
use crate::registry::{Directory, Registry};
use crate::sink::sqlite::Sqlite;
use crate::worker::Worker;
use crate::{DatabaseError, GatewayConfig, GatewayError};

/// How long to wait for a command that has the database at the moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the parts of a gateway share.
pub(crate) struct Shared {
    pub(crate) control: Arc<Control>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) directory: Arc<Directory>,
}

/// What was started.
pub(crate) struct Started {
    /// Tells how the sink's thread ended.
    pub(crate) done: oneshot::Receiver<Left>,
    pub(crate) commands: Running,
}

/// What works with the database.
struct Opened {
    sink: Sqlite,
    registry: Registry,
    socket: ControlSocket,
}

/// Starts the sink's thread, which opens the database first, and takes commands from then on. After an error
/// nothing is left behind.
pub(crate) async fn start(
    config: &GatewayConfig,
    events: Events,
    endpoint: Handle,
    shared: Shared,
) -> Result<Started, GatewayError> {
    let (path, directory) = (config.database.clone(), Arc::clone(&shared.directory));
    let worker = Worker::new(config, events, endpoint.clone(), shared);
    let (tell_opened, opened) = oneshot::channel();
    let work = move || match open(&path, directory) {
        Ok(Opened { sink, registry, socket }) => {
            let (tell_done, done) = oneshot::channel();
            // Nobody listens any more when the gateway was dropped; then the end was asked for, too.
            let _heard = tell_opened.send(Ok((registry, socket, done)));
            let _heard = tell_done.send(worker.run(Box::new(sink)));
        }
        Err(reason) => {
            let _heard = tell_opened.send(Err(reason));
        }
    };
    thread::Builder::new().name("whimbrel-sink".into()).spawn(work).map_err(GatewayError::Thread)?;
    let (registry, socket, done) =
        opened.await.unwrap_or_else(|_| Err(GatewayError::Stuck { path: config.database.clone() }))?;
    let commands = command::start(socket, Service::running(registry, endpoint))
        .map_err(|reason| GatewayError::Control { path: config.database.clone(), reason })?;
    Ok(Started { done, commands })
}

/// Opens the database and all that it holds.
fn open(path: &Path, directory: Arc<Directory>) -> Result<Opened, GatewayError> {
    let failed = |reason| GatewayError::Database { path: path.into(), reason };
    let (database, connection) = Database::open_within(path, PATIENCE).map_err(failed)?;
    let bound = || {
        let registry = Registry::serving(Arc::clone(&database), directory)
            .map_err(|reason| failed(DatabaseError::Sqlite(reason)))?;
        let socket = ControlSocket::bind(Arc::clone(&database))
            .map_err(|reason| GatewayError::Control { path: ControlSocket::path(&database), reason })?;
        Ok((registry, socket))
    };
    match bound() {
        Ok((registry, socket)) => Ok(Opened { sink: Sqlite::new(database, connection), registry, socket }),
        Err(reason) => {
            drop(connection);
            database.discard();
            Err(reason)
        }
    }
}
