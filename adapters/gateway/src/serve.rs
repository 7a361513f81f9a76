//! A running gateway: the endpoint, the sink's thread, and how both end.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::{info, warn};
use whimbrel_tokio::{Endpoint, EndpointStats};

use crate::command::Running;
use crate::control::{Control, StopOnDrop};
use crate::counters::Counters;
use crate::inbox::Left;
use crate::start::{Opened, Started};
use crate::{GatewayConfig, GatewayError, Stored};

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
    commands: Option<Running>,
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
    /// Opens or makes the database, binds the socket, and starts to serve devices and commands.
    ///
    /// # Errors
    /// The address cannot be listened on, or the database cannot be opened. Nothing is left behind.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub async fn start(config: GatewayConfig) -> Result<Self, GatewayError> {
        config.check()?;
        if config.insecure_plain {
            warn!("sessions are not protected: anybody can be any device, and read, forge and replay readings");
        }
        let opened = Opened::open(&config).await?;
        let bound = Endpoint::bind(config.listen, opened.protection(), config.endpoint.clone()).await;
        let (endpoint, events) = match bound {
            Ok(bound) => bound,
            Err(reason) => {
                opened.discard();
                return Err(reason.into());
            }
        };
        let control = Arc::new(Control::default());
        let stop = StopOnDrop(Arc::clone(&control));
        let counters = Arc::new(Counters::default());
        let started = opened.run(&config, (events, endpoint.handle()), Arc::clone(&control), Arc::clone(&counters));
        let Started { done, commands } = started?;
        let local_addr = endpoint.local_addr();
        info!(%local_addr, database = %config.database.display(), "the gateway serves");
        Ok(Self {
            endpoint,
            local_addr,
            database: config.database,
            shutdown_deadline: config.shutdown_deadline,
            counters,
            control,
            commands: Some(commands),
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

    /// Takes no more commands, readings and devices, stores what is in hand, has it confirmed, says
    /// goodbye to the devices and closes the database, all within the configured deadline.
    ///
    /// # Errors
    /// The sink would not take the last readings by the deadline, or its thread did not end. What
    /// was not confirmed stays with the devices.
    pub async fn shutdown(mut self) -> Result<Stored, GatewayError> {
        let end = Instant::now() + self.shutdown_deadline;
        if let Some(commands) = self.commands.take() {
            commands.stop().await;
        }
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
