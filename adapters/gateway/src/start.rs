//! How a gateway starts: the database and what it holds, then its address, then its threads.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;
use whimbrel_core::{GatewayKeys, GatewayPublic};
use whimbrel_tokio::{Events, Handle, Protection};

use crate::command::{self, ControlSocket, Running, Service};
use crate::control::Control;
use crate::counters::Counters;
use crate::database::Database;
use crate::inbox::Left;
use crate::registry::{Directory, KeyChange, Registry, RegistryError};
use crate::sink::sqlite::Sqlite;
use crate::worker::Worker;
use crate::{DatabaseError, GatewayConfig, GatewayError};

/// How long to wait for a command that has the database at the moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// What works with the database.
pub(crate) struct Opened {
    sink: Sqlite,
    registry: Registry,
    socket: ControlSocket,
    /// Those that the endpoint takes, and the one that devices are told; `None` in plain mode.
    keys: Option<(GatewayKeys, GatewayPublic)>,
    directory: Arc<Directory>,
    database: Arc<Database>,
}

/// What was started.
pub(crate) struct Started {
    /// Tells how the sink's thread ended.
    pub(crate) done: oneshot::Receiver<Left>,
    pub(crate) commands: Running,
}

impl Opened {
    /// Opens the database, or makes it; nothing is left behind after an error.
    pub(crate) async fn open(config: &GatewayConfig) -> Result<Self, GatewayError> {
        let (path, is_sealed) = (config.database.clone(), !config.insecure_plain);
        let opened = tokio::task::spawn_blocking(move || open(&path, is_sealed));
        opened.await.unwrap_or_else(|_| Err(GatewayError::Stuck { path: config.database.clone() }))
    }

    /// How the endpoint is to protect its sessions.
    pub(crate) fn protection(&self) -> Protection {
        match &self.keys {
            Some((keys, _)) => Protection::sealed(Arc::clone(&self.directory) as _, keys.clone()),
            None => Protection::InsecurePlain,
        }
    }

    /// Closes everything, and removes the database if it was made here: nothing came of it.
    pub(crate) fn discard(self) {
        let Self { sink, registry, socket, database, .. } = self;
        drop((sink, registry, socket));
        database.discard();
    }

    /// Starts the sink's thread, and takes commands.
    pub(crate) fn run(
        self,
        config: &GatewayConfig,
        (events, endpoint): (Events, Handle),
        control: Arc<Control>,
        counters: Arc<Counters>,
    ) -> Result<Started, GatewayError> {
        let Self { sink, registry, socket, keys, directory, .. } = self;
        if let Some((_, public)) = keys {
            endpoint.announce_key(public);
        }
        let worker = Worker::new(config, events, endpoint.clone(), control, counters, directory);
        let (tell_done, done) = oneshot::channel();
        let work = move || {
            // Nobody listens any more when the gateway was dropped; then the end was asked for, too.
            let _heard = tell_done.send(worker.run(Box::new(sink)));
        };
        thread::Builder::new().name("whimbrel-sink".into()).spawn(work).map_err(GatewayError::Thread)?;
        let commands = command::start(socket, Service::running(registry, endpoint))
            .map_err(|reason| GatewayError::Control { path: config.database.clone(), reason })?;
        Ok(Started { done, commands })
    }
}

fn open(path: &Path, is_sealed: bool) -> Result<Opened, GatewayError> {
    let failed = |reason| GatewayError::Database { path: path.into(), reason };
    let (database, connection) = Database::open_within(path, PATIENCE).map_err(failed)?;
    let directory = Arc::new(Directory::default());
    let opened = || {
        let registry = Registry::serving(Arc::clone(&database), Arc::clone(&directory))
            .map_err(|reason| failed(DatabaseError::Sqlite(reason)))?;
        let keys = is_sealed.then(|| registry.change_keys(KeyChange::None)).transpose();
        let keys = keys.map_err(|reason| match reason {
            RegistryError::Sqlite(reason) => failed(DatabaseError::Sqlite(reason)),
            reason => GatewayError::Keys { path: path.into(), reason },
        })?;
        let socket = ControlSocket::bind(Arc::clone(&database))
            .map_err(|reason| GatewayError::Control { path: ControlSocket::path(&database), reason })?;
        Ok((registry, keys.map(|(info, keys)| (keys, info.public)), socket))
    };
    match opened() {
        Ok((registry, keys, socket)) => {
            let sink = Sqlite::new(Arc::clone(&database), connection);
            Ok(Opened { sink, registry, socket, keys, directory, database })
        }
        Err(reason) => {
            drop(connection);
            database.discard();
            Err(reason)
        }
    }
}
