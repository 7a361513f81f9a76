//! A running gateway: the endpoint, the sink's thread, and how both end.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::info;
use whimbrel_tokio::{Endpoint, EndpointStats, Events, Protection};

use crate::control::{Control, StopOnDrop};
use crate::counters::Counters;
use crate::inbox::Left;
use crate::sink::sqlite::Sqlite;
use crate::worker::Worker;
use crate::{DatabaseError, GatewayConfig, GatewayError, Stored};

/// Most of a shutdown's time that is kept back for the last commits and the goodbyes.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long beyond the deadline a call into the database that has begun may take.
const LAST_CALL: Duration = Duration::from_secs(5);

/// A gateway that listens and stores. Dropped without [`Gateway::shutdown`], it stops as a crash
/// would stop it: what is stored is stored, the rest stays with the devices.
pub struct Gateway {
    endpoint: Endpoint,
    local_addr: SocketAddr,
    database: PathBuf,
    shutdown_deadline: Duration,
    counters: Arc<Counters>,
    control: Arc<Control>,
    done: oneshot::Receiver<Left>,
    /// What came of `done`; an error when the thread ended by a panic.
    outcome: Option<Result<Left, oneshot::error::RecvError>>,
    _stop: StopOnDrop,
}

impl core::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Gateway")
            .field("local_addr", &self.local_addr)
            .field("database", &self.database)
            .field("stored", &self.stored())
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// Binds the socket, opens or makes the database, and starts to serve. The socket comes first:
    /// where the port is taken, no database is made.
    ///
    /// # Errors
    /// The address cannot be listened on, or the database cannot be opened. Nothing is left behind.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub async fn start(config: GatewayConfig) -> Result<Self, GatewayError> {
        config.check()?;
        let (endpoint, events) =
            Endpoint::bind(config.listen, Protection::InsecurePlain, config.endpoint.clone()).await?;
        let control = Arc::new(Control::default());
        let stop = StopOnDrop(Arc::clone(&control));
        let counters = Arc::new(Counters::default());
        let opened = spawn(&config, events, &endpoint, &control, &counters);
        let done = match open(&config, opened).await {
            Ok(done) => done,
            Err(error) => {
                // No session yet: it ends at once, and the port is free when the caller hears of it.
                endpoint.shutdown(GOODBYE).await;
                return Err(error);
            }
        };
        let local_addr = endpoint.local_addr();
        info!(%local_addr, database = %config.database.display(), "the gateway serves");
        Ok(Self {
            endpoint,
            local_addr,
            database: config.database,
            shutdown_deadline: config.shutdown_deadline,
            counters,
            control,
            done,
            outcome: None,
            _stop: stop,
        })
    }

    /// The address that it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What was stored so far.
    pub fn stored(&self) -> Stored {
        self.counters.snapshot()
    }

    /// What the endpoint has counted.
    pub fn stats(&self) -> EndpointStats {
        self.endpoint.stats()
    }

    /// Returns when the gateway has ended by itself: its endpoint or its sink's thread is gone.
    /// [`Gateway::shutdown`] then says more. Cancel safe.
    pub async fn ended(&mut self) {
        if self.outcome.is_none() {
            self.outcome = Some((&mut self.done).await);
        }
    }

    /// Takes no more readings and no more devices, stores what is in hand, has it confirmed, says
    /// goodbye to the devices and closes the database, all within the configured deadline.
    ///
    /// # Errors
    /// The sink would not take the last readings by the deadline, or its thread did not end. What
    /// was not confirmed stays with the devices.
    pub async fn shutdown(mut self) -> Result<Stored, GatewayError> {
        let end = Instant::now() + self.shutdown_deadline;
        let goodbye = GOODBYE.min(self.shutdown_deadline / 4);
        self.control.stop(end.checked_sub(goodbye).unwrap_or(end));
        let patience = self.shutdown_deadline + LAST_CALL;
        let is_in_time = tokio::time::timeout(patience, self.ended()).await.is_ok();
        let left = end.saturating_duration_since(Instant::now());
        self.endpoint.shutdown(left.max(goodbye)).await;
        let stored = self.counters.snapshot();
        info!(rows = stored.rows, duplicates = stored.duplicates, "the gateway has ended");
        match self.outcome.take() {
            Some(Ok(Left { kept: 0, lost: 0, .. })) if is_in_time => Ok(stored),
            Some(Ok(Left { reason, kept, lost })) if is_in_time => {
                let reason = reason.map_or_else(|| "there was no time left".into(), |reason| reason.to_string());
                Err(GatewayError::NotStored { path: self.database, reason, kept, lost })
            }
            _ => Err(GatewayError::Stuck { path: self.database }),
        }
    }
}

/// Tells that the sink is open, and where its thread will tell how it ended.
type Opened = oneshot::Receiver<Result<oneshot::Receiver<Left>, DatabaseError>>;

/// Starts the sink's thread, which opens the database first.
fn spawn(
    config: &GatewayConfig,
    events: Events,
    endpoint: &Endpoint,
    control: &Arc<Control>,
    counters: &Arc<Counters>,
) -> Result<Opened, GatewayError> {
    let worker = Worker::new(config, events, endpoint.handle(), Arc::clone(control), Arc::clone(counters));
    let path = config.database.clone();
    let (tell_opened, opened) = oneshot::channel();
    let work = move || match Sqlite::open(&path) {
        Ok(sink) => {
            let (tell_done, done) = oneshot::channel();
            // Nobody listens any more when the gateway was dropped; then the end was asked for, too.
            let _heard = tell_opened.send(Ok(done));
            let _heard = tell_done.send(worker.run(Box::new(sink)));
        }
        Err(reason) => {
            let _heard = tell_opened.send(Err(reason));
        }
    };
    thread::Builder::new().name("whimbrel-sink".into()).spawn(work).map_err(GatewayError::Thread)?;
    Ok(opened)
}

async fn open(
    config: &GatewayConfig,
    opened: Result<Opened, GatewayError>,
) -> Result<oneshot::Receiver<Left>, GatewayError> {
    let path = || config.database.clone();
    match opened?.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(reason)) => Err(GatewayError::Database { path: path(), reason }),
        Err(_) => Err(GatewayError::Stuck { path: path() }),
    }
}
