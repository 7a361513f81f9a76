//! The gateway's side: many sessions on a few sockets.

use core::net::SocketAddr;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use whimbrel_core::{ChannelId, DeviceId, GatewayKeys, GatewayPublic, MessageId};

use crate::answer::answered;
use crate::clock::Clock;
use crate::config::EndpointConfig;
use crate::error::{DownlinkError, EndpointError};
use crate::event::{Committed, Events, SessionKey};
use crate::limits::{Access, AccessLists, Progress, Shared};
use crate::mailbox::Mailbox;
use crate::protection::Protection;
use crate::shard::{self, Downlink, Guard, Links, Shard};
use crate::socket::{self, Socket};
use crate::stats::EndpointStats;

/// Datagrams that may wait for another shard.
const FORWARD_CAPACITY: usize = 1024;
/// Downlink messages that may wait for a shard.
const DOWNLINK_CAPACITY: usize = 256;

/// A bound UDP address and the sessions behind it. Dropping it ends everything at once and says
/// nothing to the devices, like a crash; [`Endpoint::shutdown`] takes leave.
#[derive(Debug)]
pub struct Endpoint {
    local_addr: SocketAddr,
    handle: Handle,
    tasks: JoinSet<()>,
}

/// A way to the endpoint's sessions, for any number of tasks.
#[derive(Clone, Debug)]
pub struct Handle {
    shards: Arc<[ShardHandle]>,
}

#[derive(Debug)]
struct ShardHandle {
    mailbox: Arc<Mailbox>,
    downlink: mpsc::Sender<Downlink>,
    stats: Arc<Mutex<EndpointStats>>,
}

impl Endpoint {
    /// Binds `listen` (port 0: any free one) and starts the shards on the current runtime.
    pub async fn bind(
        listen: SocketAddr,
        protection: Protection,
        config: EndpointConfig,
    ) -> Result<(Self, Events), EndpointError> {
        check(&config)?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(EndpointError::Random)?;
        let kind = format!("{protection:?}");
        let guard = Guard::new(protection, secret);
        let bind_error = |source| EndpointError::Bind { address: listen, source };
        let sockets = bind_all(listen, config.shards).map_err(bind_error)?;
        let local_addr = match sockets.first() {
            Some(socket) => socket.local_addr().map_err(bind_error)?,
            None => listen,
        };
        let sockets: Vec<Socket> =
            sockets.into_iter().map(Socket::new).collect::<Result<_, _>>().map_err(bind_error)?;

        let (events, receiver) = mpsc::channel(config.event_capacity);
        let (forward, forwarded): (Vec<_>, Vec<_>) =
            (0..config.shards).map(|_| mpsc::channel(FORWARD_CAPACITY)).unzip();
        let (clock, hasher, config) = (Clock::new(), RandomState::new(), Arc::new(config));
        let shared = Arc::new(Shared::new(&config.limits, config.shards));
        let access = Arc::new(Access::new(&config.limits.access));
        let open = shard::none_open(&config);
        let mut tasks = JoinSet::new();
        let (mut shards, mut progress) = (Vec::new(), Vec::new());
        for (number, (socket, forwarded)) in sockets.into_iter().zip(forwarded).enumerate() {
            let (downlink, downlinks) = mpsc::channel(DOWNLINK_CAPACITY);
            let handle = ShardHandle { mailbox: Arc::default(), downlink, stats: Arc::default() };
            let links = Links {
                mailbox: Arc::clone(&handle.mailbox),
                stats: Arc::clone(&handle.stats),
                forward: forward.clone(),
                hasher: hasher.clone(),
                shared: Arc::clone(&shared),
                access: Arc::clone(&access),
                guard: guard.clone(),
                open: Arc::clone(&open),
                progress: Progress::new(Arc::clone(&handle.mailbox)),
            };
            progress.push(Arc::clone(&links.progress));
            let shard = Shard::new(number, Arc::clone(&config), clock.now(), socket.outgoing(), links);
            let inputs = shard::Inputs { socket, clock, events: events.clone(), forwarded, downlinks };
            tasks.spawn(shard::run(shard, inputs));
            shards.push(handle);
        }
        tracing::info!(address = %local_addr, shards = shards.len(), protection = kind, "endpoint bound");
        Ok((Self { local_addr, handle: Handle { shards: shards.into() }, tasks }, Events { receiver, progress }))
    }

    /// The address, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A way to the sessions.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Counters, summed over all shards and sessions, also those that ended.
    pub fn stats(&self) -> EndpointStats {
        self.handle.stats()
    }

    /// Takes leave: no new sessions; the commits made before this call are sent, then every device
    /// is told that the gateway goes away (it comes back by itself). Returns when all is sent, or
    /// at the deadline. To store what has arrived already, call [`Events::close`] and take the rest first.
    pub async fn shutdown(mut self, deadline: core::time::Duration) {
        for shard in self.handle.shards.iter() {
            shard.mailbox.shut_down();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline, all).await.is_err() {
            tracing::warn!("the deadline came before every session was closed");
        }
        // Dropping the set ends what is left.
    }
}

impl Handle {
    /// Tells devices what is stored. Never waits: only the highest number of a stream is kept.
    /// Sessions that are gone are ignored; their device learns it when it comes back.
    pub fn commit(&self, committed: Vec<Committed>) {
        for (number, shard) in self.shards.iter().enumerate() {
            let mut mine = committed.iter().filter(|c| usize::from(c.session.shard) == number).peekable();
            if mine.peek().is_some() {
                shard.mailbox.commit(mine);
            }
        }
    }

    /// Sends to a device on one of [`EndpointConfig::downlink`]'s channels. Waits for a place in
    /// the shard's queue, not for the session: a full session answers
    /// [`SendError::Full`](whimbrel_core::SendError::Full).
    pub async fn send(
        &self,
        session: SessionKey,
        channel: ChannelId,
        payload: Vec<u8>,
    ) -> Result<MessageId, DownlinkError> {
        let shard = self.shards.get(usize::from(session.shard)).ok_or(DownlinkError::UnknownSession)?;
        let (reply, answer) = oneshot::channel();
        let downlink = Downlink { session, channel, payload, reply };
        shard.downlink.send(downlink).await.map_err(|_| DownlinkError::Closed)?;
        answered(&shard.downlink, answer).await.unwrap_or(Err(DownlinkError::Closed))
    }

    /// Replaces the lists of who is heard. Holds from each shard's next turn on; sessions that are shut out stay
    /// until they are idle for too long.
    pub fn set_access(&self, lists: &AccessLists) {
        let access = Arc::new(Access::new(lists));
        for shard in self.shards.iter() {
            shard.mailbox.set_access(Arc::clone(&access));
        }
    }

    /// Replaces the gateway's keys. Holds from each shard's next turn on; sessions that are open go on. A plain endpoint has
    /// no use for them.
    pub fn set_keys(&self, keys: GatewayKeys) {
        let keys = Arc::new(keys);
        for shard in self.shards.iter() {
            shard.mailbox.set_keys(Arc::clone(&keys));
        }
    }

    /// Tells devices, under seal, of a key of the gateway: those whose session is open now, and those that come later,
    /// except who used it already. A device takes it from its next handshake on; until all did
    /// ([`crate::Proof::gateway_key_id`]), the former key must stay among the endpoint's keys.
    pub fn announce_key(&self, key: GatewayPublic) {
        for shard in self.shards.iter() {
            shard.mailbox.announce_key(key);
        }
    }

    /// Ends the device's session and its handshakes, if it has any, at each shard's next turn. The device is told
    /// that it is refused; what it sent before and nobody took is not handed on, and stays with the device if it is durable.
    /// To keep it out, take it out of the directory before, or refuse its next request too.
    pub fn disconnect(&self, device: DeviceId) {
        for shard in self.shards.iter() {
            shard.mailbox.disconnect(device);
        }
    }

    /// Counters, summed over all shards and sessions, also those that ended.
    pub fn stats(&self) -> EndpointStats {
        let mut sum = EndpointStats::default();
        for shard in self.shards.iter() {
            sum.add(&shard.stats.lock().unwrap_or_else(PoisonError::into_inner));
        }
        sum
    }
}

fn check(config: &EndpointConfig) -> Result<(), EndpointError> {
    let within = |what, value: usize, min, max| {
        if (min..=max).contains(&value) { Ok(()) } else { Err(EndpointError::Limit { what, min, max }) }
    };
    within("shards", config.shards, 1, EndpointConfig::SHARDS_MAX)?;
    within("sessions_max", config.sessions_max, 1, 1 << 20)?;
    within("pending_max", config.pending_max, 1, 1 << 16)?;
    // Each shard may hold one place while a handshake needs another.
    within("event_capacity", config.event_capacity, config.shards + 1, 1 << 20)?;
    let (min, max) = (whimbrel_core::Config::MIN_DATAGRAM, whimbrel_core::Config::MAX_DATAGRAM);
    within("max_datagram", config.core.max_datagram.into(), min.into(), max.into())?;
    config.limits.check()?;
    if config.downlink.iter().any(|channel| channel.durable) {
        return Err(EndpointError::DurableDownlink);
    }
    Ok(())
}

/// One socket, or several on one address.
fn bind_all(listen: SocketAddr, shards: usize) -> std::io::Result<Vec<std::net::UdpSocket>> {
    let first = socket::bind(listen, false)?;
    if shards == 1 {
        return Ok(vec![first]);
    }
    // A shared bind would not notice that somebody else shares the port already: the plain one
    // above did, and gave a free port if any would do.
    let listen = first.local_addr()?;
    drop(first);
    (0..shards).map(|_| socket::bind(listen, true)).collect()
}
