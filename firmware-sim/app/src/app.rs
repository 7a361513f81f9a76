//! The application's loop step.

use crate::{CHANNEL, CHANNELS, Reading, Source};
use whimbrel_core::{Config, ConfigError, Duration, Event, Identity, Instant, Memory, MessageId, SendError, Session};

/// Learns what the application did; `()` does not care.
pub trait Observer {
    /// The session accepted `reading` under this name; the device answers for it from here on.
    fn on_accepted(&mut self, now: Instant, id: MessageId, reading: &Reading);
    /// What the session reported.
    fn on_event(&mut self, now: Instant, event: Event);
}

impl Observer for () {
    fn on_accepted(&mut self, _: Instant, _: MessageId, _: &Reading) {}
    fn on_event(&mut self, _: Instant, _: Event) {}
}

/// The sensor application and its session. `M` is the session's memory, by preset.
pub struct App<S, M: Memory> {
    session: Session<M>,
    source: S,
    period: Duration,
    /// When the next reading is due; `None` before the first step.
    due: Option<Instant>,
    /// A reading that was taken and not yet accepted.
    pending: Option<Reading>,
    /// The queue was full; wait for [`Event::QueueFreed`].
    full: bool,
    offered: u64,
    fault: Option<SendError>,
}

impl<S: Source, M: Memory> App<S, M> {
    /// Readings sent in one step; more wait for the next.
    pub const SEND_MAX: usize = 16;

    /// An application that takes a reading every `period`, the first at its first step.
    /// `random`: 32 fresh random bytes.
    ///
    /// # Errors
    /// See [`Session::connect`].
    pub fn new(
        config: &Config,
        identity: Identity,
        random: [u8; 32],
        memory: M,
        source: S,
        period: Duration,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            session: Session::connect(config, identity, &CHANNELS, random, memory)?,
            source,
            period,
            due: None,
            pending: None,
            full: false,
            offered: 0,
            fault: None,
        })
    }

    /// Takes the readings that are due and sends them. A reading that finds the queue full waits for room
    /// and later ones wait behind it in the source: the queue refuses, nothing is dropped.
    pub fn step(&mut self, now: Instant, observer: &mut impl Observer) {
        while let Some(event) = self.session.poll_event() {
            if matches!(event, Event::QueueFreed) {
                self.full = false;
            }
            observer.on_event(now, event);
        }
        for _ in 0..Self::SEND_MAX {
            if self.full || self.fault.is_some() {
                return;
            }
            let Some(reading) = self.pending.take().or_else(|| self.sample(now)) else {
                return;
            };
            let mut scratch = [0; Reading::ENCODED_MAX];
            match self.session.send_value(now, CHANNEL, &reading, &mut scratch) {
                Ok(id) => observer.on_accepted(now, id, &reading),
                Err(error) => {
                    self.pending = Some(reading);
                    self.full = matches!(error, SendError::Full);
                    self.fault = if self.full { None } else { Some(error) };
                }
            }
        }
    }

    /// When the next step has something to do; `None`: not before the session reports something.
    pub fn poll_at(&self) -> Option<Instant> {
        if self.full || self.fault.is_some() {
            return None;
        }
        if self.pending.is_none() && self.source.is_exhausted() {
            return None;
        }
        self.due
    }

    /// The session, for whoever moves its datagrams.
    pub const fn session(&self) -> &Session<M> {
        &self.session
    }

    /// The session, for whoever moves its datagrams.
    pub const fn session_mut(&mut self) -> &mut Session<M> {
        &mut self.session
    }

    /// Readings taken from the source, accepted or waiting.
    pub const fn offered(&self) -> u64 {
        self.offered
    }

    /// Why readings cannot be sent any more, if so: no waiting helps against this.
    pub const fn fault(&self) -> Option<SendError> {
        self.fault
    }

    /// Whether the source is at its end and every reading was accepted and committed.
    pub fn is_done(&self) -> bool {
        self.source.is_exhausted() && self.pending.is_none() && self.session.queued() == 0
    }

    fn sample(&mut self, now: Instant) -> Option<Reading> {
        let due = *self.due.get_or_insert(now);
        if now < due || self.source.is_exhausted() {
            return None;
        }
        // On the grid, not from now: a late step does not slow the sensor down.
        self.due = Some(due + self.period);
        let reading = self.source.next()?;
        self.offered = self.offered.wrapping_add(1);
        Some(reading)
    }
}
