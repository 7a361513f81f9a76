//! A shard: one socket, one task, its own sessions, its own deadlines.
//!
//! The task waits in one place ([`run`]) and then takes one turn: everything that came in goes to its session, then
//! each session that was touched is pumped, then what came out goes to the socket and to the application. The state
//! ([`Shard`]) does no I/O itself. The work of a turn is bounded; it never waits for the application.

mod admission;
mod cid;
mod delivery;
mod gate;
mod guard;
mod intake;
mod mail;
mod paths;
mod pump;
mod request;
mod strangers;
mod table;
mod timers;
mod turn;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};

use hashlink::LruCache;
use tokio::sync::{mpsc, oneshot};
use whimbrel_core::{ChannelId, DeviceId, GatewayPublic, Instant, MessageId};

use self::cid::Open;
use self::delivery::Inbox;
pub(crate) use self::guard::Guard;
use self::table::Table;
use self::timers::Timers;
pub(crate) use self::turn::run;
use crate::clock::Clock;
use crate::config::EndpointConfig;
use crate::error::DownlinkError;
use crate::event::{GatewayEvent, SessionKey};
use crate::limits::{Access, Limiter, Progress, Rate, Reports, Shared, limiter};
use crate::mailbox::Mailbox;
use crate::socket::{Outgoing, Path, Socket};
use crate::stats::EndpointStats;

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

/// The connections of each shard, none of which is open yet.
pub(crate) fn none_open(config: &EndpointConfig) -> Arc<[Open]> {
    let entries = Table::entries(config.shards, config.sessions_max, config.pending_max);
    (0..config.shards).map(|_| Open::new(entries)).collect()
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
    /// Of each shard.
    pub(crate) open: Arc<[Open]>,
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
    /// Of packets from blocked sources.
    blocked_resets: Option<Limiter>,
    /// When devices were last told that their counter is low.
    counted_low: LruCache<DeviceId, Instant>,
    reports: Reports,
    /// The key of ours that devices are told.
    announced: Option<GatewayPublic>,
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
        let resets = |rate| (rate > 0).then(|| limiter(Rate::per_second(rate), &links.shared.time));
        let per_second = config.resets_per_second;
        Self {
            number,
            table: Table::new(number, config.shards, config.sessions_max, config.pending_max),
            timers: Timers::default(),
            counted_low: LruCache::new(gate::COUNTED_LOW_MAX),
            outgoing,
            dirty: Vec::new(),
            deferred: Vec::new(),
            waiting: Vec::new(),
            caught_up: 0,
            batches: 0,
            ended: VecDeque::new(),
            resets: resets(per_second),
            blocked_resets: resets(per_second.div_ceil(10)),
            reports: Reports::default(),
            announced: None,
            stats: EndpointStats::default(),
            now,
            closing: false,
            config,
            links,
        }
    }

    /// A turn begins. `room`: the application has room for readings.
    fn begin(&mut self, now: Instant, room: bool) -> Inbox {
        self.now = now;
        self.links.shared.time.advance(now);
        let mut inbox = Inbox::new(room, self.batches + 1, self.links.progress.taken());
        self.read_mail();
        self.retry_deferred(&mut inbox);
        self.retry_waiting(&mut inbox);
        inbox
    }

    /// A turn ends: the application gets what is new. Returns whether there is more to do at once.
    fn finish(
        &mut self,
        inbox: Inbox,
        permit: Option<mpsc::Permit<'_, GatewayEvent>>,
        events: &mpsc::Sender<GatewayEvent>,
    ) -> bool {
        let more = self.may_go_on(&inbox);
        if let Some(permit) = permit
            && !inbox.readings.is_empty()
        {
            self.stats.readings += inbox.readings.len() as u64;
            self.batches += 1;
            permit.send(GatewayEvent::Readings(inbox.readings));
        }
        self.tell_ended(events);
        self.publish();
        more
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
