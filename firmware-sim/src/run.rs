//! Drives the devices in real time, in one thread: it sleeps until the earliest deadline or until the
//! network has something.

use crate::SimError;
use crate::capture::Capture;
use crate::node::Node;
use crate::router::Router;
use crate::tap::{Port, Tap};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::os::fd::AsRawFd;
use whimbrel_core::{CloseReason, Instant, SendError};

/// Frames taken from one socket before the others get their turn.
const FRAMES_MAX: usize = 64;
/// The longest sleep: how late an interrupt may be noticed, and how often progress is told.
const NAP: Duration = Duration::from_millis(100);
/// How long the goodbyes may take, beyond the links' delay.
const GOODBYE: Duration = Duration::from_millis(300);
/// The TAP device among the sockets.
const TAP_TOKEN: Token = Token(usize::MAX >> 1);

/// What the devices' Ethernets lead to.
#[derive(Debug)]
pub enum FarEnd {
    /// A router for each device.
    Routers(Vec<Router>),
    /// A TAP device for all.
    Tap(Tap),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every reading was offered, accepted and committed.
    Done,
    /// The user stopped it.
    Interrupted,
    /// Nothing was accepted or committed for so long, although something is waiting.
    Stuck(Duration),
    /// A session was closed for good before its readings were committed.
    Closed(CloseReason),
    /// A device cannot send its readings.
    Fault(SendError),
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Readings accepted by the devices.
    pub accepted: u64,
    /// Readings committed by the gateway.
    pub committed: u64,
}

/// The devices and what they are connected to.
pub struct Network {
    nodes: Vec<Node>,
    far: FarEnd,
    capture: Capture,
    poll: Poll,
    /// Whether a device's socket may hold replies.
    ready: Vec<bool>,
    tap_ready: bool,
    /// When each device is due; `None` sleeps until something arrives.
    due: Vec<Option<Instant>>,
    start: std::time::Instant,
}

impl Network {
    /// Connects `nodes` to `far`, one router each where there are routers.
    ///
    /// # Errors
    /// [`SimError::Wait`] when the system cannot watch the sockets.
    pub fn new(nodes: Vec<Node>, mut far: FarEnd, capture: Capture) -> Result<Self, SimError> {
        let poll = Poll::new().map_err(SimError::Wait)?;
        let registry = poll.registry();
        match &mut far {
            FarEnd::Routers(routers) => routers.iter_mut().zip(0..).try_for_each(|(router, index)| {
                registry.register(router.socket_mut(), Token(index), Interest::READABLE)
            }),
            FarEnd::Tap(tap) => registry.register(&mut SourceFd(&tap.as_raw_fd()), TAP_TOKEN, Interest::READABLE),
        }
        .map_err(SimError::Wait)?;
        let count = nodes.len();
        Ok(Self {
            nodes,
            far,
            capture,
            poll,
            ready: vec![false; count],
            tap_ready: false,
            due: vec![Some(Instant::ZERO); count],
            start: std::time::Instant::now(),
        })
    }

    /// Runs until every accepted reading is committed, `stop` is set, or nothing moves for `idle`.
    ///
    /// # Errors
    /// [`SimError::Wait`], [`SimError::Device`].
    pub fn run(
        &mut self,
        stop: &AtomicBool,
        idle: Duration,
        mut on_progress: impl FnMut(Progress),
    ) -> Result<Outcome, SimError> {
        let mut last = (self.progress(), std::time::Instant::now());
        let mut told = last.1;
        loop {
            self.turn(NAP)?;
            let (progress, now) = (self.progress(), std::time::Instant::now());
            if now.duration_since(told) >= NAP {
                told = now;
                on_progress(progress);
            }
            if let Some(outcome) = self.outcome() {
                on_progress(progress);
                return Ok(outcome);
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(Outcome::Interrupted);
            }
            // A device that has nothing to wait for makes no progress, and need not.
            let waiting = self.nodes.iter().any(|node| node.session().queued() > 0);
            if progress != last.0 || !waiting {
                last = (progress, now);
            } else if now.duration_since(last.1) >= idle {
                return Ok(Outcome::Stuck(idle));
            }
        }
    }

    /// Closes the sessions and lets the goodbyes out. They may be lost on the way, like any packet.
    ///
    /// # Errors
    /// See [`Self::run`].
    pub fn close(&mut self, link_delay: Duration) -> Result<(), SimError> {
        let now = self.now();
        self.nodes.iter_mut().for_each(|node| node.close(now));
        self.due.fill(Some(now));
        let until = std::time::Instant::now() + GOODBYE + link_delay;
        while !self.nodes.iter().all(Node::is_gone) && std::time::Instant::now() < until {
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// Takes the network apart.
    pub fn into_parts(self) -> (Vec<Node>, FarEnd, Capture) {
        (self.nodes, self.far, self.capture)
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn progress(&self) -> Progress {
        self.nodes.iter().fold(Progress::default(), |sum, node| Progress {
            accepted: sum.accepted + node.tally().accepted().len() as u64,
            committed: sum.committed + node.tally().committed() as u64,
        })
    }

    fn outcome(&self) -> Option<Outcome> {
        if let Some(fault) = self.nodes.iter().find_map(|node| node.app().fault()) {
            return Some(Outcome::Fault(fault));
        }
        if let Some(reason) = self.nodes.iter().find_map(|node| node.tally().closed()) {
            return Some(Outcome::Closed(reason));
        }
        self.nodes.iter().all(|node| node.app().is_done()).then_some(Outcome::Done)
    }

    /// Serves who is due, then sleeps until somebody is, at most `nap`.
    fn turn(&mut self, nap: Duration) -> Result<(), SimError> {
        let now = self.now();
        self.take_from_tap(now);
        for index in 0..self.nodes.len() {
            let due = self.due.get(index).copied().flatten().is_some_and(|due| due <= now);
            if due || self.ready.get(index) == Some(&true) {
                self.serve(index, now)?;
            }
        }
        self.sleep(nap)
    }

    fn serve(&mut self, index: usize, now: Instant) -> Result<(), SimError> {
        let (Some(node), Some(due), Some(ready)) =
            (self.nodes.get_mut(index), self.due.get_mut(index), self.ready.get_mut(index))
        else {
            return Ok(());
        };
        let router = match &mut self.far {
            FarEnd::Routers(routers) => routers.get_mut(index),
            FarEnd::Tap(_) => None,
        };
        if let Some(router) = router.filter(|_| *ready) {
            // Readiness is told once: it holds until the socket had nothing more.
            *ready = false;
            for taken in 1.. {
                let Some(frame) = router.poll_reply() else { break };
                node.arrive(now, &frame);
                if taken == FRAMES_MAX {
                    *ready = true;
                    break;
                }
            }
        }
        *ready = *ready && matches!(self.far, FarEnd::Routers(_));
        node.step(now, &mut self.capture)?;
        while let Some(frame) = node.depart(now, &mut self.capture) {
            match &mut self.far {
                FarEnd::Routers(routers) => {
                    if let Some(answer) = routers.get_mut(index).and_then(|router| router.handle_frame(&frame)) {
                        node.arrive(now, &answer);
                    }
                }
                FarEnd::Tap(tap) => tap.send(&frame),
            }
        }
        *due = node.poll_at(now);
        Ok(())
    }

    fn take_from_tap(&mut self, now: Instant) {
        let FarEnd::Tap(tap) = &mut self.far else { return };
        if !core::mem::take(&mut self.tap_ready) {
            return;
        }
        for taken in 1.. {
            let Some((port, frame)) = tap.poll_frame() else { return };
            for (index, (node, due)) in self.nodes.iter_mut().zip(&mut self.due).enumerate() {
                if port == Port::All || port == Port::One(index) {
                    node.arrive(now, &frame);
                    *due = Some(now);
                }
            }
            if taken == FRAMES_MAX {
                self.tap_ready = true;
                return;
            }
        }
    }

    fn sleep(&mut self, nap: Duration) -> Result<(), SimError> {
        let now = self.now();
        let busy = self.tap_ready || self.ready.contains(&true);
        let until_due =
            self.due.iter().flatten().min().map(|due| Duration::from_micros(due.saturating_since(now).as_micros()));
        let timeout = if busy { Duration::ZERO } else { until_due.unwrap_or(nap).min(nap) };
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Some(timeout)) {
            Ok(()) => {}
            // A signal: the caller looks at its flag.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(SimError::Wait(error)),
        }
        for event in &events {
            match event.token() {
                TAP_TOKEN => self.tap_ready = true,
                Token(index) => {
                    if let Some(ready) = self.ready.get_mut(index) {
                        *ready = true;
                    }
                }
            }
        }
        Ok(())
    }
}
