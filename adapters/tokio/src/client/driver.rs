//! The client's task: moves bytes, time and wake-ups between one session, its socket and the application.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use whimbrel_core::{ChannelId, CloseReason, Large, MessageId, PathId, Received, SendError, Session, Stats};

use super::config::ClientEvent;
use crate::clock::Clock;

/// Datagrams taken from the socket in one turn.
const DATAGRAMS: usize = 64;
/// Datagrams given to the socket in one turn.
const TRANSMITS: usize = 64;
/// A connected socket has one path.
const PATH: PathId = PathId(0);

/// What the application wants.
#[derive(Debug)]
pub(super) enum Order {
    Send { channel: ChannelId, payload: Vec<u8>, reply: oneshot::Sender<Result<MessageId, SendError>> },
    Wake,
    BootEpochStored,
}

/// Say goodbye when nothing is queued, or at the latest `at`; answered with what was queued then.
#[derive(Debug)]
pub(super) struct Farewell {
    pub(super) at: tokio::time::Instant,
    pub(super) reply: oneshot::Sender<usize>,
}

/// What the task waits for besides the socket.
pub(super) struct Inputs {
    pub(super) orders: mpsc::Receiver<Order>,
    /// Not an order: it must not wait behind a message that finds the session full.
    pub(super) leave: oneshot::Receiver<Farewell>,
}

/// The task's state.
pub(super) struct Driver {
    session: Box<Session<Large>>,
    socket: UdpSocket,
    clock: Clock,
    events: mpsc::Sender<ClientEvent>,
    stats: Arc<Mutex<Stats>>,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// Bytes of `outgoing` that the socket did not take yet.
    staged: usize,
    /// The order that found the session full; the others wait behind it.
    stalled: Option<Order>,
    farewell: Option<Farewell>,
    /// The session holds messages or events that the application had no room for.
    owes: bool,
    /// The application does not listen any more.
    deaf: bool,
}

impl Driver {
    pub(super) fn new(
        session: Box<Session<Large>>,
        socket: UdpSocket,
        events: mpsc::Sender<ClientEvent>,
        stats: Arc<Mutex<Stats>>,
        max_datagram: u16,
    ) -> Self {
        let len = usize::from(max_datagram);
        Self {
            session,
            socket,
            clock: Clock::new(),
            events,
            stats,
            // One byte more than allowed, so that a longer datagram is seen to be too long.
            incoming: vec![0; len + 1],
            outgoing: vec![0; len],
            staged: 0,
            stalled: None,
            farewell: None,
            owes: false,
            deaf: false,
        }
    }

    /// Ends when the session is over, or the client was dropped.
    pub(super) async fn run(mut self, mut inputs: Inputs) {
        let mut timer = pin!(tokio::time::sleep(core::time::Duration::ZERO));
        let (mut more, mut leaving) = (true, false);
        loop {
            let core_deadline = self.session.poll_timeout().map(|at| self.clock.runtime(at));
            let close_deadline = self.farewell.as_ref().map(|farewell| farewell.at);
            let deadline = core_deadline.into_iter().chain(close_deadline).min();
            if let Some(at) = deadline {
                timer.as_mut().reset(at);
            }
            let mut order = None;
            tokio::select! {
                () = tokio::task::yield_now(), if more => {}
                _ = self.socket.readable() => {}
                _ = self.socket.writable(), if self.staged > 0 => {}
                taken = inputs.orders.recv(), if self.stalled.is_none() => match taken {
                    Some(taken) => order = Some(taken),
                    None => return,
                },
                farewell = &mut inputs.leave, if !leaving => match farewell {
                    Ok(farewell) => {
                        leaving = true;
                        self.farewell = Some(farewell);
                    }
                    Err(_) => return,
                },
                room = self.events.reserve(), if self.owes && !self.deaf => self.deaf = room.is_err(),
                () = &mut timer, if deadline.is_some() => {}
            }
            more = self.turn(order, &mut inputs.orders);
            *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = *self.session.stats();
            if self.session.is_closed() && self.staged == 0 {
                return self.finish();
            }
        }
    }

    /// One round over everything that may have happened. Returns whether it stopped at a bound.
    fn turn(&mut self, order: Option<Order>, orders: &mut mpsc::Receiver<Order>) -> bool {
        let more = self.receive();
        let now = self.clock.now();
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        if let Some(order) = self.stalled.take().or(order) {
            self.obey(order);
        }
        while self.stalled.is_none() {
            let Ok(order) = orders.try_recv() else { break };
            self.obey(order);
        }
        self.tell();
        self.say_goodbye();
        let more = self.transmit() || more;
        self.tell();
        more
    }

    /// Takes datagrams from the socket. Returns whether there may be more.
    fn receive(&mut self) -> bool {
        for _ in 0..DATAGRAMS {
            let len = match self.socket.try_recv(&mut self.incoming) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // The network's complaint about an earlier datagram (nobody listens there): the
                // session finds out by itself, and goes on trying.
                Err(_) => continue,
            };
            let now = self.clock.now();
            let bytes = self.incoming.get_mut(..len).unwrap_or_default();
            let mut received = self.session.handle_datagram(now, PATH, bytes);
            self.owes |= !take(&mut received, &self.events);
        }
        true
    }

    fn obey(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Send { channel, payload, reply } => {
                // The caller gave up while it waited: nothing was accepted.
                if reply.is_closed() {
                    return;
                }
                match self.session.send(now, channel, &payload) {
                    Err(SendError::Full) => self.stalled = Some(Order::Send { channel, payload, reply }),
                    result => {
                        let _ = reply.send(result);
                    }
                }
            }
            Order::Wake => self.session.wake(now),
            Order::BootEpochStored => self.session.boot_epoch_stored(now),
        }
    }

    /// Closes the session once nothing is queued, or at the deadline.
    fn say_goodbye(&mut self) {
        let Some(farewell) = self.farewell.take() else {
            return;
        };
        let queued = self.session.queued();
        let waiting = queued > 0 || self.stalled.is_some();
        if waiting && tokio::time::Instant::now() < farewell.at {
            self.farewell = Some(farewell);
            return;
        }
        self.session.close(self.clock.now(), CloseReason::Done);
        let _ = farewell.reply.send(queued);
    }

    /// Gives datagrams to the socket. Returns whether there may be more.
    fn transmit(&mut self) -> bool {
        for _ in 0..TRANSMITS {
            if self.staged == 0 {
                let now = self.clock.now();
                let Some(transmit) = self.session.poll_transmit(now, &mut self.outgoing) else {
                    return false;
                };
                self.staged = transmit.len;
            }
            match self.socket.try_send(self.outgoing.get(..self.staged).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Sent, or lost like a datagram on the way.
                _ => self.staged = 0,
            }
        }
        true
    }

    /// Messages and events, as far as the application has room. What it has no room for stays in
    /// the session: messages hold back the gateway's credit, events are states that merge.
    fn tell(&mut self) {
        if self.owes {
            let now = self.clock.now();
            self.owes = !take(&mut self.session.poll_received(now), &self.events);
        }
        loop {
            let Ok(permit) = self.events.try_reserve() else {
                self.owes = true;
                return;
            };
            let Some(event) = self.session.poll_event() else {
                return;
            };
            permit.send(ClientEvent::Session(event));
        }
    }

    fn finish(mut self) {
        if let Some(Order::Send { reply, .. }) = self.stalled.take() {
            let _ = reply.send(Err(SendError::Closed));
        }
        if let Some(farewell) = self.farewell.take() {
            let _ = farewell.reply.send(self.session.queued());
        }
    }
}

/// Returns whether everything was taken.
fn take(received: &mut Received<'_>, events: &mpsc::Sender<ClientEvent>) -> bool {
    loop {
        let Ok(permit) = events.try_reserve() else {
            return false;
        };
        let Some(message) = received.next() else {
            return true;
        };
        permit.send(ClientEvent::Message {
            stream: message.stream,
            epoch: message.epoch,
            seq: message.seq,
            schema: message.schema,
            payload: message.payload.to_vec(),
        });
    }
}
