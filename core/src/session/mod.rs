//! One session: puts the parts together and routes between them. Knows no socket and no clock.
//!
//! ```text
//! handle_datagram -> receive.rs -> frames -> recovery (ACK), outbox (COMMIT, CREDIT), Received (DATA)
//! poll_transmit   -> transmit.rs <- outbox, reorder, recovery
//! handle_timeout  -> timers.rs
//! ```

mod accept;
mod answers;
mod events;
#[cfg(feature = "nk")]
mod gateway_key;
mod hello;
mod path;
#[cfg(feature = "plain")]
mod plain;
mod receive;
mod received;
mod recover;
#[cfg(feature = "seal")]
mod sealed_accept;
#[cfg(feature = "seal")]
mod sealed_answers;
#[cfg(feature = "seal")]
mod sealed_hello;
#[cfg(feature = "seal")]
mod sleep;
mod state;
mod timers;
mod transmit;

pub use accept::{Admission, StreamAdmission};
pub use received::{Message, Received};
#[cfg(feature = "seal")]
pub use sleep::{Dormant, ResumeError, Snapshot, SuspendError};
pub use transmit::Transmit;

use crate::memory::Memory;
use crate::wire::Offer;
use crate::{
    ChannelConfig, ChannelId, CloseReason, Config, ConfigError, ConnectionId, Event, Identity, Instant, Ledger, PathId,
    ReceivedLedger, SendError, SendOptions, SeqNo, Stats, StreamEpoch, StreamId,
};
use state::{Engine, Phase, State};

/// Names an accepted message within this session's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId {
    /// The stream.
    pub stream: StreamId,
    /// Its number in the stream.
    pub seq: SeqNo,
}

/// One peer. The same code at the device and at the gateway.
///
/// After every input (`handle_datagram`, `handle_timeout`, `send`, `commit`, ..): `poll_transmit`
/// until `None`, `poll_event` until `None`, then arm `poll_timeout`. Extra calls are no-ops.
#[derive(Debug)]
pub struct Session<M> {
    state: State,
    memory: M,
}

impl<M: Memory> Session<M> {
    /// A device's session. It opens itself, and again whenever the gateway lost it. `random`: 32
    /// fresh random bytes, for keys, nonces and jitter.
    ///
    /// # Errors
    /// When the configuration does not fit the memory or the datagram.
    pub fn connect(
        config: &Config,
        identity: Identity,
        channels: &[ChannelConfig],
        random: [u8; 32],
        mut memory: M,
    ) -> Result<Self, ConfigError> {
        let state = State::device(config, identity, channels, random, memory.parts())?;
        Ok(Self { state, memory })
    }

    /// A gateway's session, in answer to a HELLO that was plain or passed the [`crate::gate`]. `local_cid` is what the
    /// device puts into its packets; `channels` are those that the gateway sends on.
    ///
    /// # Errors
    /// When the streams do not fit the memory, the admission does not name them all, or the handshake fails.
    #[allow(clippy::too_many_arguments)]
    pub fn accept(
        config: &Config,
        offer: &Offer<'_>,
        admission: &Admission<'_>,
        local_cid: ConnectionId,
        channels: &[ChannelConfig],
        random: [u8; 32],
        mut memory: M,
        now: Instant,
        path: PathId,
    ) -> Result<Self, ConfigError> {
        let mut state = State::gateway(config, offer, admission, local_cid, channels, random, memory.parts())?;
        state.now = now;
        state.paths.begin(path);
        Ok(Self { state, memory })
    }

    fn engine(&mut self) -> Engine<'_> {
        Engine { st: &mut self.state, mem: self.memory.parts() }
    }

    /// Takes a datagram in. Never fails on what a peer sent: bad bytes are counted by reason. What
    /// is not taken from the answer waits in the reorder buffer, or its packet is not acknowledged.
    pub fn handle_datagram<'a>(&'a mut self, now: Instant, path: PathId, datagram: &'a mut [u8]) -> Received<'a> {
        let engine = self.engine();
        engine.st.advance_clock(now);
        engine.handle_datagram(path, datagram)
    }

    /// Messages that waited in the reorder buffer because nobody took them.
    pub fn poll_received(&mut self, now: Instant) -> Received<'_> {
        let engine = self.engine();
        engine.st.advance_clock(now);
        Received::waiting(engine)
    }

    /// Something that `poll_timeout` named came due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut engine = self.engine();
        engine.st.advance_clock(now);
        engine.handle_timeout();
    }

    /// The next datagram to send, written to the front of `buf`, which holds `max_datagram` bytes
    /// or more; a shorter one limits the datagrams.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let mut engine = self.engine();
        engine.st.advance_clock(now);
        engine.poll_transmit(buf)
    }

    /// When to call `handle_timeout`; `None` means that only input can wake the session.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.state.poll_timeout()
    }

    /// What the application may want to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.engine().poll_event()
    }

    /// Accepts a message for sending, on the channel's terms.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was accepted then.
    pub fn send(&mut self, now: Instant, channel: ChannelId, payload: &[u8]) -> Result<MessageId, SendError> {
        self.send_with(now, channel, SendOptions::default(), payload)
    }

    /// Accepts a message for sending, on terms of its own.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was accepted then.
    pub fn send_with(
        &mut self,
        now: Instant,
        channel: ChannelId,
        options: SendOptions,
        payload: &[u8],
    ) -> Result<MessageId, SendError> {
        let mut engine = self.engine();
        engine.st.advance_clock(now);
        engine.send(channel, options, payload)
    }

    /// Everything of the peer's stream below `next` that was handed on is stored: tells the peer.
    pub fn commit(&mut self, now: Instant, stream: StreamId, next: SeqNo) {
        let mut engine = self.engine();
        engine.st.advance_clock(now);
        engine.commit(stream, next);
    }

    /// Ends the session. `poll_transmit` gives one more packet that says so to the peer.
    pub fn close(&mut self, now: Instant, reason: CloseReason) {
        self.state.advance_clock(now);
        self.state.close(reason);
    }

    /// The network is back, or the application thinks that now is a good time: forgets all backoff.
    pub fn wake(&mut self, now: Instant) {
        let mut engine = self.engine();
        engine.st.advance_clock(now);
        engine.wake();
    }

    /// The gateway got the same HELLO once more: answers again.
    pub fn repeat_accept(&mut self, now: Instant, path: PathId) {
        self.state.advance_clock(now);
        self.state.repeat_accept(path);
    }

    /// Changes the session's keys, so that what was said until now cannot be read with what is left; it happens by
    /// itself after 2^20 packets (RFC 9001 section 6). Says whether it was possible: the peer must have answered under
    /// the present keys, and be sealed.
    #[cfg(feature = "seal")]
    pub fn update_keys(&mut self, now: Instant) -> bool {
        self.state.advance_clock(now);
        self.state.keys.update(true, self.state.recovery.largest_acked)
    }

    /// A gateway's: tells the device of another of its public keys, which the device stores, and uses from its next
    /// handshake on ([`Event::GatewayKey`] there). Until it was heard to, the gateway must go on taking the former one.
    #[cfg(feature = "nk")]
    pub fn announce_key(&mut self, now: Instant, key: crate::GatewayPublic) {
        self.state.advance_clock(now);
        self.state.announce_key(key);
    }

    /// Whether data can flow: at a gateway, whether the device was heard under this session.
    pub fn is_established(&self) -> bool {
        self.state.phase == Phase::Established
    }

    /// Whether the session ended for good and has nothing left to send.
    pub fn is_closed(&self) -> bool {
        self.state.phase == Phase::Closed && self.state.close_due.is_none()
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.state.stats
    }

    /// What became of the messages accepted here, since the session was made.
    pub fn ledger(&mut self) -> Ledger {
        self.engine().ledger()
    }

    /// What became of the messages that arrived here, since the session was made.
    pub fn received_ledger(&self) -> &ReceivedLedger {
        &self.state.received_ledger
    }

    /// The epoch of an outgoing channel's live stream; `None` before the first contact.
    pub fn epoch(&mut self, channel: ChannelId) -> Option<StreamEpoch> {
        self.engine().mem.send.iter().find(|stream| stream.id == channel.live())?.epoch
    }

    /// Messages accepted whose fate is open: not yet acknowledged, on durable streams not committed.
    pub fn queued(&self) -> usize {
        usize::from(self.state.outbox.pending)
    }

    /// The longest message that can be sent now, in bytes, on a reliable or ordered channel; on others it must
    /// fit into a datagram too.
    pub fn max_message(&self) -> usize {
        self.state.max_message()
    }

    /// The connection id in packets to us.
    pub fn local_cid(&self) -> ConnectionId {
        self.state.local_cid
    }

    /// Names the HELLO that opened this session ([`crate::wire::Claim::id`]); 0 after a deep sleep.
    pub fn hello_id(&self) -> u64 {
        self.state.id
    }

    /// The application stored the boot epoch that [`Event::BootEpochRaised`] named: the device may go on.
    #[cfg(feature = "seal")]
    pub fn boot_epoch_stored(&mut self, now: Instant) {
        self.state.advance_clock(now);
        self.state.boot_epoch_stored();
    }
}

#[cfg(all(test, feature = "nk"))]
mod attack_tests;
#[cfg(all(test, feature = "seal"))]
mod sealed_tests;
#[cfg(all(test, feature = "nk", not(miri)))]
mod sealed_vectors;
#[cfg(all(test, feature = "plain"))]
mod tests;
