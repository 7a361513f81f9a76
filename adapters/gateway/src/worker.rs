//! The sink's thread: takes what is waiting, stores it in one go, and only then has it confirmed.

use core::time::Duration;
use std::sync::Arc;

use tracing::{debug, warn};
use whimbrel_core::CloseReason;
use whimbrel_tokio::{Committed, Events, GatewayEvent, Handle, HelloRequest};

use crate::control::Control;
use crate::counters::Counters;
use crate::inbox::{Inbox, Left};
use crate::persist::{Persist, Quiet};
use crate::registry::Directory;
use crate::sink::{AdmitError, Proof, SessionRequest, Sink, SinkError, Watermark};
use crate::{GatewayConfig, Stored};

/// How long a closed queue is watched for what a shard had in its hands when it was closed.
const LAST_LOOK: Duration = Duration::from_millis(100);

/// What the thread works with. One thread does all of the database's work, in the order in which
/// things happened: what a device's old session delivered is stored before a new one is admitted.
pub(crate) struct Worker {
    events: Events,
    endpoint: Handle,
    runtime: tokio::runtime::Handle,
    control: Arc<Control>,
    counters: Arc<Counters>,
    directory: Arc<Directory>,
    batch_max: usize,
    batch_delay: Duration,
    failing: Quiet,
    refusing: Quiet,
    stopping: bool,
}

impl Worker {
    pub(crate) fn new(
        config: &GatewayConfig,
        events: Events,
        endpoint: Handle,
        control: Arc<Control>,
        counters: Arc<Counters>,
        directory: Arc<Directory>,
    ) -> Self {
        Self {
            events,
            endpoint,
            runtime: tokio::runtime::Handle::current(),
            control,
            counters,
            directory,
            batch_max: config.batch_max,
            batch_delay: config.batch_delay,
            failing: Quiet::new(),
            refusing: Quiet::new(),
            stopping: false,
        }
    }

    /// Works until the end is asked for and everything is stored, or its deadline comes; closes
    /// the sink.
    pub(crate) fn run(mut self, mut sink: Box<dyn Sink>) -> Left {
        let mut left = Left::default();
        while let Some(mut inbox) = self.gather() {
            if let Err((reason, stored)) = self.store(sink.as_mut(), &inbox) {
                left.reason = Some(reason);
                inbox.count(stored, &mut left);
                break;
            }
            for hello in inbox.hellos.drain(..) {
                self.admit(sink.as_mut(), hello);
            }
        }
        self.events.close();
        let mut inbox = Inbox::default();
        while let Some(event) = self.events.try_recv() {
            inbox.take(event);
        }
        inbox.count(0, &mut left);
        if let Err(reason) = sink.close() {
            // What was stored is durable; the log is read at the next start.
            warn!(%reason, "the database was not closed in order");
        }
        left
    }

    /// Waits for something to do, then takes what is there, up to a batch. `None`: no more will
    /// come, or the time is up.
    fn gather(&mut self) -> Option<Inbox> {
        let mut inbox = Inbox::default();
        inbox.take(self.next()?);
        self.drain(&mut inbox);
        let has_room = inbox.readings.len() < self.batch_max;
        if has_room && !inbox.readings.is_empty() && !self.batch_delay.is_zero() && !self.stopping {
            self.control.pause(self.batch_delay);
            self.drain(&mut inbox);
        }
        Some(inbox)
    }

    /// An event carries a bounded number of readings, so that the inbox is bounded too.
    fn drain(&mut self, inbox: &mut Inbox) {
        while inbox.readings.len() < self.batch_max
            && inbox.hellos.len() < self.batch_max
            && let Some(event) = self.events.try_recv()
        {
            inbox.take(event);
        }
    }

    fn next(&mut self) -> Option<GatewayEvent> {
        let Self { events, control, runtime, .. } = self;
        if !self.stopping {
            let event = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = control.asked() => None,
                    event = events.recv() => Some(event),
                }
            });
            match event {
                Some(event) => return event,
                None => {
                    self.stopping = true;
                    self.events.close();
                }
            }
        }
        if self.control.is_over() {
            return None;
        }
        let Self { events, runtime, .. } = self;
        // A shard may still hold a place in the queue that it never fills: so no longer than this.
        runtime.block_on(async { tokio::time::timeout(LAST_LOOK, events.recv()).await.ok().flatten() })
    }

    /// Stores the readings and has them confirmed; after an error, with how many were.
    fn store(&self, sink: &mut dyn Sink, inbox: &Inbox) -> Result<(), (SinkError, usize)> {
        let Self { control, counters, failing, refusing, .. } = self;
        let persist = Persist { control, counters, failing, refusing };
        let mut stored = 0;
        for batch in inbox.readings.chunks(self.batch_max) {
            let result = persist.store(sink, batch).map_err(|reason| (reason, stored))?;
            stored += batch.len();
            self.confirm(inbox, &result.watermarks);
        }
        Ok(())
    }

    fn confirm(&self, inbox: &Inbox, watermarks: &[Watermark]) {
        let commits: Vec<_> = watermarks
            .iter()
            .filter_map(|watermark| {
                let Watermark { device, stream, epoch, next } = *watermark;
                let session = *inbox.sessions.get(&(device, stream, epoch))?;
                Some(Committed { session, stream, next })
            })
            .collect();
        if !commits.is_empty() {
            self.endpoint.commit(commits);
        }
    }

    /// Lets a device in. When the sink fails it hears nothing and asks again; when we go away, too.
    fn admit(&self, sink: &mut dyn Sink, hello: HelloRequest) {
        if self.stopping {
            return;
        }
        // Whoever revokes it does so before or after all of this: then its session is found, and ended.
        let _order = self.directory.change();
        let device = hello.device;
        let proof = hello.proof.as_ref().map(|proof| {
            let whimbrel_tokio::Proof { counter, key, gateway_key_id } = proof;
            Proof { counter: *counter, key, gateway_key: *gateway_key_id }
        });
        let request = SessionRequest { device, boot_epoch: hello.boot_epoch, streams: &hello.streams, proof };
        match sink.admit(&request) {
            Ok(streams) => {
                if let Some(proof) = &hello.proof {
                    self.directory.admitted(&device, proof);
                }
                self.counters.add(&Stored { admitted: 1, ..Stored::default() });
                hello.accept(streams);
            }
            Err(reason) => self.turn_away(&reason, hello),
        }
    }

    fn turn_away(&self, reason: &AdmitError, hello: HelloRequest) {
        let (device, name) = (hello.device, self.directory.name(&hello.device).map(String::from));
        match reason {
            AdmitError::Sink(reason) => {
                self.counters.add(&Stored { failures: 1, ..Stored::default() });
                if self.failing.is_due() {
                    warn!(name, %device, %reason, "cannot admit a device; it will ask again");
                }
            }
            // It was overtaken. What holds now it hears when it asks again; or nothing, if that is what holds.
            AdmitError::Revoked | AdmitError::Counter => {
                self.counters.add(&Stored { refused: 1, ..Stored::default() });
                debug!(name, %device, %reason, "a handshake comes too late");
            }
            AdmitError::Number { .. } | AdmitError::NoEpoch { .. } => {
                self.counters.add(&Stored { refused: 1, ..Stored::default() });
                if self.refusing.is_due() {
                    warn!(name, %device, %reason, "a device is refused");
                }
                hello.refuse(CloseReason::Refused);
            }
        }
    }
}
