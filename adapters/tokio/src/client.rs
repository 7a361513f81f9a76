//! A device's side on a host: one session over one connected UDP socket, driven by one task.

mod config;
mod driver;

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use whimbrel_core::{ChannelConfig, ChannelId, Identity, Large, MessageId, SendError, Session, Stats};

pub use self::config::{ClientConfig, ClientEvent};
use self::driver::{Driver, Farewell, Inputs, Order};
use crate::answer::answered;
use crate::error::ClientError;
use crate::socket;

/// Orders that may wait for the driver.
const ORDERS: usize = 64;
/// The longest wait for the last datagram to leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// A device. It opens its session by itself, again and again, for as long as it lives; messages
/// are accepted before the first contact. Dropping it ends the session without a word.
#[derive(Debug)]
pub struct Client {
    local_addr: SocketAddr,
    orders: mpsc::Sender<Order>,
    farewell: oneshot::Sender<Farewell>,
    events: mpsc::Receiver<ClientEvent>,
    stats: Arc<Mutex<Stats>>,
    tasks: JoinSet<()>,
}

/// A way to send, for any number of tasks.
#[derive(Clone, Debug)]
pub struct ClientSender {
    orders: mpsc::Sender<Order>,
}

impl Client {
    /// Starts a session with the gateway at `server` on the current runtime. Does not wait for
    /// the gateway: [`ClientEvent::Session`] tells when it is established.
    pub async fn connect(
        server: SocketAddr,
        identity: Identity,
        channels: &[ChannelConfig],
        config: ClientConfig,
    ) -> Result<Self, ClientError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(ClientError::Random)?;
        let memory = Large::new();
        let session = Box::new(Session::connect(&config.core, identity, channels, random, memory)?);
        let (socket, local_addr) =
            open(server, &config).await.map_err(|source| ClientError::Connect { address: server, source })?;
        let (orders, taken) = mpsc::channel(ORDERS);
        let (farewell, leave) = oneshot::channel();
        let (told, events) = mpsc::channel(config.event_capacity.max(1));
        let stats = Arc::default();
        let driver = Driver::new(session, socket, told, Arc::clone(&stats), config.core.max_datagram);
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.run(Inputs { orders: taken, leave }));
        Ok(Self { local_addr, orders, farewell, events, stats, tasks })
    }

    /// The address on this host.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A way to send for another task.
    pub fn sender(&self) -> ClientSender {
        ClientSender { orders: self.orders.clone() }
    }

    /// Accepts a message; see [`ClientSender::send`].
    pub async fn send(&self, channel: ChannelId, payload: impl Into<Vec<u8>>) -> Result<MessageId, ClientError> {
        send(&self.orders, channel, payload.into()).await
    }

    /// The next event, in order; `None` when the session is over. Cancel safe.
    ///
    /// A client whose events nobody takes goes on sending, but takes no more messages from the
    /// gateway once [`ClientConfig::event_capacity`] of them wait.
    pub async fn next_event(&mut self) -> Option<ClientEvent> {
        self.events.recv().await
    }

    /// What the session counted.
    pub fn stats(&self) -> Stats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network is back, or something else suggests to try at once.
    pub async fn wake(&self) {
        // A client that is over has nothing to wake.
        let _ = self.orders.send(Order::Wake).await;
    }

    /// The boot epoch of [`Event::BootEpochRaised`](whimbrel_core::Event::BootEpochRaised) is stored: the client may go on
    /// and use it.
    pub async fn boot_epoch_stored(&self) {
        // As for `wake`.
        let _ = self.orders.send(Order::BootEpochStored).await;
    }

    /// Waits until the gateway has everything that was accepted, at most for `deadline`, and says
    /// goodbye. After an error the messages may or may not be at the gateway.
    pub async fn close(mut self, deadline: Duration) -> Result<(), ClientError> {
        let at = tokio::time::Instant::now() + deadline;
        let (reply, answer) = oneshot::channel();
        self.farewell.send(Farewell { at, reply }).map_err(|_| ClientError::Closed)?;
        // Nobody listens any more.
        self.events.close();
        let queued = answer.await.map_err(|_| ClientError::Closed)?;
        // The goodbye itself is one datagram; a socket that does not take it in time is not waited for.
        let _ = tokio::time::timeout(GOODBYE, self.tasks.join_next()).await;
        if queued == 0 { Ok(()) } else { Err(ClientError::Unfinished { queued }) }
    }
}

impl ClientSender {
    /// Accepts a message, waiting while the session is full. Messages of one caller keep their order.
    /// Cancelled, the message may or may not have been accepted.
    pub async fn send(&self, channel: ChannelId, payload: impl Into<Vec<u8>>) -> Result<MessageId, ClientError> {
        send(&self.orders, channel, payload.into()).await
    }
}

async fn send(orders: &mpsc::Sender<Order>, channel: ChannelId, payload: Vec<u8>) -> Result<MessageId, ClientError> {
    let (reply, answer) = oneshot::channel();
    orders.send(Order::Send { channel, payload, reply }).await.map_err(|_| ClientError::Closed)?;
    match answered(orders, answer).await {
        Some(Ok(id)) => Ok(id),
        Some(Err(SendError::Closed)) | None => Err(ClientError::Closed),
        Some(Err(error)) => Err(ClientError::Refused(error)),
    }
}

async fn open(server: SocketAddr, config: &ClientConfig) -> std::io::Result<(UdpSocket, SocketAddr)> {
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0u16; 8], 0)),
    };
    let socket = UdpSocket::from_std(socket::bind(config.bind.unwrap_or(any), false)?)?;
    socket.connect(server).await?;
    let local_addr = socket.local_addr()?;
    Ok((socket, local_addr))
}
