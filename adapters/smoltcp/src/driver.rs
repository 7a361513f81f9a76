//! One session over one UDP socket.

use crate::{DriverError, Wire, to_smoltcp};
use smoltcp::iface::{PollIngressSingleResult, PollResult};
use smoltcp::phy::Device;
use smoltcp::socket::udp;
use smoltcp::wire::IpEndpoint;
use whimbrel_core::{Duration, Instant, Memory, Message, PathId, Session};

/// What the driver itself dropped or discarded; the session counts the rest. The counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverStats {
    /// Datagrams from an address other than the peer's.
    pub rx_strangers: u32,
    /// Datagrams longer than the largest that the session takes.
    pub rx_oversized: u32,
    /// Times that a transmit queue which did not move was emptied.
    pub tx_queue_resets: u32,
    /// Datagrams that the socket refused although it had room for them; zero unless smoltcp changes.
    pub tx_refused: u32,
}

/// Moves datagrams between one [`Session`] and one smoltcp UDP socket.
#[derive(Debug)]
pub struct Driver {
    peer: IpEndpoint,
    max_datagram: usize,
    /// Datagrams put into the socket since its queue was last seen empty: never fewer than it holds.
    queued: usize,
    /// Bytes in the socket's queue at the last look, and since when they did not become fewer.
    queue_len: usize,
    stuck_since: Option<Instant>,
    /// A bound ended the last call before the work did.
    more: bool,
    /// The socket had no room when the session was last to be asked.
    blocked: bool,
    stats: DriverStats,
}

impl Driver {
    /// Datagrams taken from the socket in one call, and frames taken from the device.
    pub const RECEIVE_MAX: usize = 16;
    /// Datagrams asked of the session in one call, and frames given to the device.
    pub const TRANSMIT_MAX: usize = 16;
    /// How long a full transmit queue may stand still before it is emptied: three of smoltcp's
    /// neighbour discoveries, which are a second apart.
    pub const STUCK_AFTER: Duration = Duration::from_millis(3_500);
    /// Packet descriptors that the socket's transmit buffer must have: a datagram, and the gap
    /// that smoltcp puts before it where its ring buffer wraps.
    pub const PACKETS_MIN: usize = 2;

    /// A driver towards `peer`. `max_datagram` is the session's [`whimbrel_core::Config::max_datagram`], in bytes.
    ///
    /// # Errors
    /// [`DriverError::PeerUnspecified`]: smoltcp would refuse every packet to such an address.
    pub fn new(peer: IpEndpoint, max_datagram: u16) -> Result<Self, DriverError> {
        if peer.addr.is_unspecified() || peer.port == 0 {
            return Err(DriverError::PeerUnspecified);
        }
        Ok(Self {
            peer,
            max_datagram: usize::from(max_datagram),
            queued: 0,
            queue_len: 0,
            stuck_since: None,
            more: false,
            blocked: false,
            stats: DriverStats::default(),
        })
    }

    /// What was dropped here.
    pub const fn stats(&self) -> &DriverStats {
        &self.stats
    }

    /// Takes frames from the device, at most [`Self::RECEIVE_MAX`], and hands each datagram to the session
    /// before the next frame: a socket buffer of a few packets then survives a burst of any length.
    /// `scratch` holds at least `max_datagram` bytes.
    ///
    /// # Errors
    /// See [`DriverError`]; nothing was done.
    pub fn poll_ingress<M: Memory, D: Device + ?Sized>(
        &mut self,
        now: Instant,
        wire: &mut Wire<'_, '_, D>,
        session: &mut Session<M>,
        scratch: &mut [u8],
        mut on_message: impl FnMut(&Message<'_>),
    ) -> Result<(), DriverError> {
        self.check(wire.udp(), scratch)?;
        self.more = false;
        let at = to_smoltcp(now);
        wire.iface.poll_maintenance(at);
        // What a poll of the interface elsewhere may have left in the socket.
        self.receive(now, wire.udp(), session, scratch, &mut on_message)?;
        for _ in 0..Self::RECEIVE_MAX {
            let polled = wire.iface.poll_ingress_single(at, wire.device, wire.sockets);
            if matches!(polled, PollIngressSingleResult::None) {
                return Ok(());
            }
            self.receive(now, wire.udp(), session, scratch, &mut on_message)?;
        }
        self.more = true;
        Ok(())
    }

    /// Lets the session act on time, takes what it wants to send and gives it to the device, at most
    /// [`Self::TRANSMIT_MAX`] datagrams and frames.
    ///
    /// # Errors
    /// See [`DriverError`]; nothing was taken from the session.
    pub fn poll_egress<M: Memory, D: Device + ?Sized>(
        &mut self,
        now: Instant,
        wire: &mut Wire<'_, '_, D>,
        session: &mut Session<M>,
        scratch: &mut [u8],
    ) -> Result<(), DriverError> {
        if session.poll_timeout().is_some_and(|due| due <= now) {
            session.handle_timeout(now);
        }
        let at = to_smoltcp(now);
        let mut left = Self::TRANSMIT_MAX;
        while left > 0 {
            let sent = self.transmit(now, wire.udp(), session, scratch, left)?;
            for _ in 0..Self::TRANSMIT_MAX {
                if matches!(wire.iface.poll_egress(at, wire.device, wire.sockets), PollResult::None) {
                    break;
                }
            }
            if sent == 0 {
                return Ok(());
            }
            left = left.saturating_sub(sent);
        }
        self.more = true;
        Ok(())
    }

    /// When to poll next, from the session and the interface; `None`: only a frame or the application can change anything.
    pub fn poll_at<M: Memory, D: Device + ?Sized>(
        &self,
        now: Instant,
        wire: &mut Wire<'_, '_, D>,
        session: &Session<M>,
    ) -> Option<Instant> {
        if self.more {
            return Some(now);
        }
        let delay = wire.iface.poll_delay(to_smoltcp(now), wire.sockets);
        let iface = delay.map(|delay| now + Duration::from_micros(delay.total_micros()));
        let stuck = self.stuck_since.map(|since| since + Self::STUCK_AFTER);
        // What is overdue then is a packet that waits for room: the queue has to move first.
        let session = session.poll_timeout().filter(|due| !(self.blocked && *due <= now));
        [session, iface, stuck].into_iter().flatten().min()
    }

    /// Hands what the socket received to the session, at most [`Self::RECEIVE_MAX`] datagrams; returns how many it took.
    ///
    /// # Errors
    /// See [`DriverError`]; nothing was taken from the socket.
    pub fn receive<M: Memory>(
        &mut self,
        now: Instant,
        socket: &mut udp::Socket<'_>,
        session: &mut Session<M>,
        scratch: &mut [u8],
        mut on_message: impl FnMut(&Message<'_>),
    ) -> Result<usize, DriverError> {
        self.check(socket, scratch)?;
        for taken in 0..Self::RECEIVE_MAX {
            let Ok((bytes, meta)) = socket.recv() else {
                return Ok(taken);
            };
            if meta.endpoint != self.peer {
                self.stats.rx_strangers = self.stats.rx_strangers.wrapping_add(1);
                continue;
            }
            // The session opens a packet in place, and smoltcp lends its buffer read-only: one copy.
            let Some(datagram) = scratch.get_mut(..bytes.len()) else {
                self.stats.rx_oversized = self.stats.rx_oversized.wrapping_add(1);
                continue;
            };
            datagram.copy_from_slice(bytes);
            let mut received = session.handle_datagram(now, PathId(0), datagram);
            while let Some(message) = received.next() {
                on_message(&message);
            }
        }
        Ok(Self::RECEIVE_MAX)
    }

    /// Puts what the session wants to send into the socket, at most `max` datagrams; returns how many.
    ///
    /// The session is asked only while the socket surely has room for the longest datagram, so that
    /// no packet is taken from it and then refused.
    ///
    /// # Errors
    /// See [`DriverError`]; nothing was taken from the session.
    pub fn transmit<M: Memory>(
        &mut self,
        now: Instant,
        socket: &mut udp::Socket<'_>,
        session: &mut Session<M>,
        scratch: &mut [u8],
        max: usize,
    ) -> Result<usize, DriverError> {
        self.check(socket, scratch)?;
        self.watch_queue(now, socket)?;
        let mut sent = 0;
        while sent < max && self.has_room(socket) {
            let Some(tx) = session.poll_transmit(now, scratch) else {
                break;
            };
            let queued = scratch.get(..tx.len).is_some_and(|datagram| socket.send_slice(datagram, self.peer).is_ok());
            if !queued {
                self.stats.tx_refused = self.stats.tx_refused.wrapping_add(1);
            }
            self.queued = self.queued.saturating_add(1);
            sent += 1;
        }
        self.queue_len = socket.send_queue();
        self.blocked = !self.has_room(socket);
        Ok(sent)
    }

    fn check(&self, socket: &udp::Socket<'_>, scratch: &[u8]) -> Result<(), DriverError> {
        if !socket.is_open() {
            return Err(DriverError::SocketClosed);
        }
        if socket.payload_send_capacity() < self.max_datagram || socket.packet_send_capacity() < Self::PACKETS_MIN {
            return Err(DriverError::SocketTooSmall { payload: self.max_datagram, packets: Self::PACKETS_MIN });
        }
        if scratch.len() < self.max_datagram {
            return Err(DriverError::ScratchTooSmall { min: self.max_datagram });
        }
        Ok(())
    }

    /// Whether the longest datagram fits, wherever smoltcp's ring buffer stands.
    ///
    /// Bytes: with `2n - 1` free, `n` of them are contiguous on one side of the wrap. Descriptors:
    /// one for the datagram, and one for the gap before the wrap, of which there is at most one.
    fn has_room(&self, socket: &udp::Socket<'_>) -> bool {
        let queue_len = socket.send_queue();
        if queue_len == 0 {
            return true;
        }
        let free = socket.payload_send_capacity().saturating_sub(queue_len);
        free >= (2 * self.max_datagram).saturating_sub(1)
            && self.queued.saturating_add(Self::PACKETS_MIN) <= socket.packet_send_capacity()
    }

    /// Empties a full queue that has not moved for [`Self::STUCK_AFTER`]. smoltcp keeps a packet whose
    /// next hop does not answer for ever (smoltcp#594): without this, old packets would hold
    /// back every newer one, and be sent first when the way is open again. The session
    /// sees a loss on the way, which it repairs.
    fn watch_queue(&mut self, now: Instant, socket: &mut udp::Socket<'_>) -> Result<(), DriverError> {
        let queue_len = socket.send_queue();
        if queue_len == 0 {
            self.queued = 0;
        }
        if queue_len < self.queue_len || self.has_room(socket) {
            self.stuck_since = None;
            self.queue_len = queue_len;
            return Ok(());
        }
        let since = *self.stuck_since.get_or_insert(now);
        // Closing empties the receive buffer too, so that is drained first.
        if now < since + Self::STUCK_AFTER || socket.can_recv() {
            return Ok(());
        }
        let endpoint = socket.endpoint();
        socket.close();
        socket.bind(endpoint).map_err(|_| DriverError::SocketClosed)?;
        self.stats.tx_queue_resets = self.stats.tx_queue_resets.wrapping_add(1);
        self.queued = 0;
        self.queue_len = 0;
        self.stuck_since = None;
        Ok(())
    }
}
