//! A shard: one socket, one task, its own sessions, its own deadlines.
//!
//! The task waits in one place ([`run`]) and then takes one turn ([`turn`]): everything that came
//! in goes to its session, then each session that was touched is pumped, then what came out goes
//! to the socket and to the application. The state ([`Shard`]) does no I/O itself. The work of a
//! turn is bounded; it never waits for the application.

mod admission;
mod cid;
mod delivery;
mod gate;
mod guard;
mod intake;
mod paths;
mod pump;
mod strangers;
mod table;
mod timers;

use std::collections::VecDeque;
use std::hash::RandomState;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use whimbrel_core::{ChannelId, DeviceId, Instant, MessageId};

use self::delivery::Inbox;
pub(crate) use self::guard::Guard;
use self::table::Table;
use self::timers::Timers;
use crate::clock::Clock;
use crate::config::EndpointConfig;
use crate::error::DownlinkError;
use crate::event::{GatewayEvent, SessionKey};
use crate::limits::{Access, Limiter, Progress, Rate, Refusal, Reports, Shared, limiter};
use crate::mailbox::Mailbox;
use crate::socket::{Outgoing, Path, Socket};
use crate::stats::EndpointStats;

/// Batches taken from the socket in one turn.
const BATCHES: usize = 4;
/// Datagrams from other shards, and downlink messages, taken in one turn.
const INPUTS: usize = 256;
/// Times that the sessions are pumped and the socket is filled in one turn.
const ROUNDS: usize = 8;

/// A message to a device, and the way back for its fate.
#[derive(Debug)]
pub(crate) struct Downlink {
    pub(crate) session: SessionKey,
    pub(crate) channel: ChannelId,
    pub(crate) payload: Vec<u8>,
    pub(crate) reply: oneshot::Sender<Result<MessageId, DownlinkError>>,
}

/// A datagram that reached another shard's socket.
pub(crate) struct Forwarded {
    path: Path,
    bytes: Vec<u8>,
}

/// What a shard shares with the handles and the other shards.
pub(crate) struct Links {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) stats: Arc<Mutex<EndpointStats>>,
    /// One way to each shard, this one's own included.
    pub(crate) forward: Vec<mpsc::Sender<Forwarded>>,
    /// The same for all shards: a device belongs to one of them.
    pub(crate) hasher: RandomState,
    pub(crate) shared: Arc<Shared>,
    pub(crate) access: Arc<Access>,
    pub(crate) guard: Guard,
    pub(crate) progress: Arc<Progress>,
}

/// What a shard's task waits for.
pub(crate) struct Inputs {
    pub(crate) socket: Socket,
    pub(crate) clock: Clock,
    pub(crate) events: mpsc::Sender<GatewayEvent>,
    pub(crate) forwarded: mpsc::Receiver<Forwarded>,
    pub(crate) downlinks: mpsc::Receiver<Downlink>,
}

/// The state of a shard.
pub(crate) struct Shard {
    number: usize,
    config: Arc<EndpointConfig>,
    links: Links,
    table: Table,
    timers: Timers,
    outgoing: Outgoing,
    /// Sessions that were touched since they were pumped.
    dirty: Vec<usize>,
    /// Sessions that may hold messages which the application had no room for.
    deferred: Vec<usize>,
    /// Sessions of which too much waits for the application.
    waiting: Vec<usize>,
    /// How many batches the application had taken when those were last tried.
    caught_up: u64,
    /// Batches given to the application.
    batches: u64,
    /// Ends of sessions that the application was not told yet. Bounded: a session needs the
    /// application's word to begin.
    ended: VecDeque<(SessionKey, DeviceId)>,
    resets: Option<Limiter>,
    reports: Reports,
    stats: EndpointStats,
    now: Instant,
    closing: bool,
}

impl Shard {
    pub(crate) fn new(
        number: usize,
        config: Arc<EndpointConfig>,
        now: Instant,
        outgoing: Outgoing,
        links: Links,
    ) -> Self {
        links.shared.time.advance(now);
        let resets = (config.resets_per_second > 0)
            .then(|| limiter(Rate::per_second(config.resets_per_second), &links.shared.time));
        Self {
            number,
            table: Table::new(number, config.shards, config.sessions_max, config.pending_max),
            timers: Timers::default(),
            outgoing,
            dirty: Vec::new(),
            deferred: Vec::new(),
            waiting: Vec::new(),
            caught_up: 0,
            batches: 0,
            ended: VecDeque::new(),
            resets,
            reports: Reports::default(),
            stats: EndpointStats::default(),
            now,
            closing: false,
            config,
            links,
        }
    }

    fn publish(&mut self) {
        self.stats.sessions = self.table.established() as u64;
        self.stats.handshakes = self.table.pending() as u64;
        if self.number == 0 {
            self.stats.sources_watched = self.links.shared.strikes.watched() as u64;
        }
        *self.links.stats.lock().unwrap_or_else(PoisonError::into_inner) = self.stats;
    }
}

/// A shard's life: ends when it was told to shut down and nothing is left to say.
pub(crate) async fn run(mut shard: Shard, mut inputs: Inputs) {
    let events = inputs.events.clone();
    let mailbox = Arc::clone(&shard.links.mailbox);
    let mut timer = pin!(tokio::time::sleep(core::time::Duration::ZERO));
    // Nobody listens any more: messages stay with the devices.
    let mut deaf = false;
    let mut more = false;
    loop {
        let (mut permit, mut forwarded, mut downlink) = (None, None, None);
        let deadline = shard.timers.next();
        if let Some(at) = deadline {
            timer.as_mut().reset(inputs.clock.runtime(at));
        }
        let owes = !shard.deferred.is_empty() || !shard.ended.is_empty();
        tokio::select! {
            // There is more to do; the others get their turn on this core all the same.
            () = tokio::task::yield_now(), if more => {}
            _ = inputs.socket.readable() => {}
            _ = inputs.socket.writable(), if !shard.outgoing.is_empty() => {}
            () = mailbox.posted() => {}
            datagram = inputs.forwarded.recv() => forwarded = datagram,
            message = inputs.downlinks.recv() => downlink = message,
            room = events.reserve(), if owes && !deaf => match room {
                Ok(room) => permit = Some(room),
                Err(_) => deaf = true,
            },
            () = &mut timer, if deadline.is_some() => {}
        }
        more = turn(&mut shard, &mut inputs, &events, permit, forwarded, downlink);
        if shard.closing && shard.table.is_empty() && shard.outgoing.is_empty() {
            return;
        }
    }
}

/// One round over everything that may have happened. Returns whether it stopped at a bound.
fn turn(
    shard: &mut Shard,
    inputs: &mut Inputs,
    events: &mpsc::Sender<GatewayEvent>,
    permit: Option<mpsc::Permit<'_, GatewayEvent>>,
    forwarded: Option<Forwarded>,
    downlink: Option<Downlink>,
) -> bool {
    shard.now = inputs.clock.now();
    shard.links.shared.time.advance(shard.now);
    // Room is taken before the messages are: what is taken from a session must not be dropped.
    let permit = permit.or_else(|| events.try_reserve().ok());
    let mut inbox = Inbox::new(permit.is_some(), shard.batches + 1, shard.links.progress.taken());

    shard.read_mail();
    shard.retry_deferred(&mut inbox);
    shard.retry_waiting(&mut inbox);
    let queued = core::iter::from_fn(|| inputs.forwarded.try_recv().ok());
    for mut datagram in forwarded.into_iter().chain(queued).take(INPUTS) {
        shard.on_forwarded(datagram.path, &mut datagram.bytes, &mut inbox, events);
    }
    let queued = core::iter::from_fn(|| inputs.downlinks.try_recv().ok());
    for message in downlink.into_iter().chain(queued).take(INPUTS) {
        shard.on_downlink(message);
    }
    let more = receive(shard, &mut inputs.socket, &mut inbox, events);
    shard.on_timers(&mut inbox);

    let blocked = pump(shard, &inputs.socket, &mut inbox);
    let more = more || shard.may_go_on(&inbox);
    if let Some(permit) = permit
        && !inbox.readings.is_empty()
    {
        shard.stats.readings += inbox.readings.len() as u64;
        shard.batches += 1;
        permit.send(GatewayEvent::Readings(inbox.readings));
    }
    shard.tell_ended(events);
    shard.publish();
    more || (!blocked && !shard.dirty.is_empty())
}

/// Takes a few batches from the socket. Returns whether there may be more.
fn receive(shard: &mut Shard, socket: &mut Socket, inbox: &mut Inbox, events: &mpsc::Sender<GatewayEvent>) -> bool {
    for _ in 0..BATCHES {
        match socket.receive(|path, bytes| shard.on_datagram(path, bytes, inbox, events)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => {
                if let Some(count) = shard.reports.note(Refusal::Socket, shard.now) {
                    tracing::warn!(%error, count, "{}", Refusal::Socket.reason());
                }
                return false;
            }
        }
    }
    true
}

/// Pumps the touched sessions and sends, until nothing is left, the socket is full or the turn is
/// long enough. Returns whether the socket is full.
fn pump(shard: &mut Shard, socket: &Socket, inbox: &mut Inbox) -> bool {
    for _ in 0..ROUNDS {
        shard.pump_dirty(inbox);
        if shard.closing {
            shard.take_leave(inbox);
        }
        let sent = socket.flush(&mut shard.outgoing);
        shard.stats.tx_datagrams += sent.datagrams;
        shard.stats.tx_bytes += sent.bytes;
        shard.stats.tx_failed += sent.failed;
        if !shard.outgoing.is_empty() {
            return true;
        }
        if shard.dirty.is_empty() {
            return false;
        }
    }
    false
}
