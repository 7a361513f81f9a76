//! All of a session but its queues, and how it begins.

use super::accept::{Admission, Answering};
use super::hello::HelloState;
use super::path::Paths;
#[cfg(feature = "seal")]
use super::sealed_accept::Accepting;
use crate::channel::assembly::{Assembly, AssemblyState};
use crate::channel::outbox::{FRAGMENTS_MAX, Outbox, OutboxState};
use crate::channel::reorder::{Reorder, ReorderState};
use crate::channel::streams::{ReceiveStream, SendStream};
use crate::journal::{RamJournal, RamState};
use crate::memory::Parts;
use crate::recovery::Congestion;
use crate::recovery::ack_policy::AckPolicy;
use crate::recovery::loss::Thresholds;
use crate::recovery::loss_rate::LossRate;
use crate::recovery::pacing::Pacer;
use crate::recovery::received::{ReceivedPackets, WINDOW};
use crate::recovery::reordering::Reordering;
use crate::recovery::rtt::Rtt;
use crate::recovery::sent_packets::{SentPackets, SentState};
use crate::seal::{Direction, Handshake, Keys};
use crate::wire::{DataHead, Limits, Offer, STREAMS_MAX, ShortHeader};
use crate::{
    ChannelConfig, CloseReason, Config, ConfigError, ConnectionId, Delivery, Duration, Identity, Instant, PacketNumber,
    PathId, Priority, ReceivedLedger, SeqNo, Stats, StreamEpoch,
};

/// The longest message accepted before the gateway has said what it takes, in bytes: a slot of the
/// presets for gateways. A longer one could turn out to fit nowhere, and be given up.
const FIRST_CONTACT_MESSAGE: u16 = 256;

/// Where the session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A device that waits for ACCEPT; a gateway that waits for the first packet of the device.
    Opening,
    Established,
    Closed,
}

/// How a gateway answers. A pointer, so that firmware in which nothing takes sessions does not hold the code.
type TransmitAccept = fn(&mut Engine<'_>, &mut [u8]) -> Option<usize>;
pub(super) const TRANSMIT_ACCEPT: TransmitAccept = |engine, buf| engine.transmit_accept(buf);

/// What the application has not been told yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    pub(super) established: bool,
    pub(super) peer_restarted: bool,
    pub(super) queue_freed: bool,
    pub(super) closed: Option<CloseReason>,
}

/// Recovery of one session's packets: begun anew with every handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    pub(super) received: ReceivedPackets,
    pub(super) ack: AckPolicy,
    pub(super) rtt: Rtt,
    pub(super) congestion: Congestion,
    pub(super) pacer: Pacer,
    pub(super) thresholds: Thresholds,
    /// Of what we send.
    pub(super) loss_rate: LossRate,
    /// Of what the peer sends.
    pub(super) reordering: Reordering,
    pub(super) sent: SentState,
    pub(super) next_pn: PacketNumber,
    pub(super) largest_acked: Option<PacketNumber>,
    /// Ack-eliciting packets in flight.
    pub(super) in_flight: u16,
    pub(super) last_eliciting: Instant,
    pub(super) loss_time: Option<Instant>,
    pub(super) pto_count: u8,
    pub(super) jitter: u8,
    /// A probe may be sent whatever the congestion window says.
    pub(super) probe_due: bool,
    /// The stream whose lowest missing messages the probe carries, and no others; `None`: whatever fits.
    pub(super) probe_stream: Option<u8>,
    /// Best-effort messages in packets in flight.
    pub(super) best_effort: u16,
}

impl Recovery {
    pub(super) fn new(config: &Config, gentle: bool) -> Self {
        Self {
            received: ReceivedPackets::default(),
            ack: AckPolicy::default(),
            rtt: Rtt::new(config.initial_rtt),
            congestion: Congestion::new(config.max_datagram).gentle(gentle),
            pacer: Pacer::new(gentle),
            thresholds: Thresholds::new(),
            loss_rate: LossRate::default(),
            reordering: Reordering::default(),
            sent: SentState::default(),
            next_pn: PacketNumber::new(0),
            largest_acked: None,
            in_flight: 0,
            last_eliciting: Instant::ZERO,
            loss_time: None,
            pto_count: 0,
            jitter: 0,
            probe_due: false,
            probe_stream: None,
            best_effort: 0,
        }
    }
}

/// Waiting for a peer that has said nothing although something is owed: COMMIT, or credit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Something is owed.
    pub(super) waiting: bool,
    pub(super) since: Instant,
    pub(super) tries: u8,
    pub(super) jitter: u8,
}

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) identity: Option<Identity>,
    pub(super) outgoing: Direction,
    pub(super) phase: Phase,
    pub(super) hello: HelloState,
    pub(super) keys: Keys,
    /// Names the HELLO that opened the session.
    pub(super) id: u64,
    pub(super) answering: Answering,
    /// Bytes of the HELLO that the gateway answers.
    pub(super) hello_len: u16,
    /// The source of ephemeral keys.
    #[cfg(feature = "seal")]
    pub(super) secrets: crate::seal::random::Random,
    /// A key of the gateway's that is to be told.
    #[cfg(feature = "nk")]
    pub(super) key_news: Option<super::gateway_key::KeyNews>,
    /// What RESETs of this session are authentic by.
    #[cfg(feature = "seal")]
    pub(super) reset_key: crate::seal::ResetKey,
    pub(super) local_cid: ConnectionId,
    pub(super) remote_cid: ConnectionId,
    pub(super) peer: Limits,
    pub(super) paths: Paths,
    pub(super) now: Instant,
    random: u64,
    pub(super) recovery: Recovery,
    pub(super) outbox: OutboxState,
    ram: RamState,
    pub(super) reorder: ReorderState,
    pub(super) assembly: AssemblyState,
    pub(super) send_len: u8,
    pub(super) receive_len: u8,
    pub(super) slot_len: u16,
    assembly_len: u16,
    /// Places in the index of each received stream.
    reorder_window: u16,
    pub(super) pending: Pending,
    pub(super) patience: Patience,
    /// A gateway's ACCEPT is to be sent, by this.
    pub(super) accept_due: Option<TransmitAccept>,
    pub(super) ping_due: bool,
    /// A channel's messages are above [`Priority::Normal`].
    pub(super) urgent: bool,
    /// `send` said `Full` since the last `QueueFreed`.
    pub(super) was_full: bool,
    pub(super) close_due: Option<CloseReason>,
    /// The ends of the session's last packets: a RESET must quote one.
    pub(super) trailers: [[u8; 4]; 8],
    pub(super) stats: Stats,
    pub(super) received_ledger: ReceivedLedger,
}

impl State {
    fn new(
        config: &Config,
        outgoing: Direction,
        channels: &[ChannelConfig],
        random: [u8; 32],
        mem: &mut Parts<'_>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let max = mem.send.len().min(STREAMS_MAX);
        if channels.len() > max {
            return Err(ConfigError::TooManyChannels { max });
        }
        for (at, channel) in channels.iter().enumerate() {
            if channels.iter().take(at).any(|earlier| earlier.id == channel.id) {
                return Err(ConfigError::DuplicateChannel);
            }
            if channel.durable && channel.delivery != Delivery::Ordered {
                return Err(ConfigError::DurableUnordered);
            }
        }
        for (stream, channel) in mem.send.iter_mut().zip(channels) {
            *stream = SendStream::new(channel);
        }
        let urgent = channels.iter().any(|channel| channel.priority > Priority::Normal);
        let window = mem.index.len().checked_div(mem.receive.len()).unwrap_or(0);
        let slot_len = mem.slot_bytes.len().checked_div(mem.slots.len()).unwrap_or(0);
        let peer = Limits {
            max_datagram: config.max_datagram,
            max_message: FIRST_CONTACT_MESSAGE,
            max_slot: FIRST_CONTACT_MESSAGE,
            ack_reach: 1,
            max_ack_delay: config.max_ack_delay,
        };
        Ok(Self {
            config: *config,
            identity: None,
            outgoing,
            phase: Phase::Opening,
            hello: HelloState::new(0),
            keys: Keys::None,
            id: 0,
            answering: Answering::None,
            hello_len: 0,
            #[cfg(feature = "seal")]
            secrets: crate::seal::random::Random::new(random),
            #[cfg(feature = "nk")]
            key_news: None,
            #[cfg(feature = "seal")]
            reset_key: crate::seal::ResetKey::default(),
            local_cid: ConnectionId::EMPTY,
            remote_cid: ConnectionId::EMPTY,
            peer,
            paths: Paths::new(PathId::default()),
            now: Instant::ZERO,
            random: fold(random),
            recovery: Recovery::new(config, urgent),
            urgent,
            outbox: OutboxState::new(mem.messages, mem.block_links.len(), urgent),
            ram: RamState::new(mem.block_links, mem.block_bytes),
            reorder: ReorderState::new(mem.slots, mem.index),
            assembly: AssemblyState::EMPTY,
            send_len: channels.len() as u8,
            receive_len: 0,
            slot_len: slot_len.min(usize::from(u16::MAX)) as u16,
            assembly_len: mem.assembly.len().min(usize::from(u16::MAX)) as u16,
            reorder_window: window.min(usize::from(u16::MAX)) as u16,
            pending: Pending::default(),
            patience: Patience { waiting: false, since: Instant::ZERO, tries: 0, jitter: 0 },
            accept_due: None,
            ping_due: false,
            was_full: false,
            close_due: None,
            trailers: [[0; 4]; 8],
            stats: Stats::default(),
            received_ledger: ReceivedLedger::default(),
        })
    }

    pub(super) fn device(
        config: &Config,
        identity: Identity,
        channels: &[ChannelConfig],
        random: [u8; 32],
        mut mem: Parts<'_>,
    ) -> Result<Self, ConfigError> {
        let mut state = Self::new(config, Direction::ToGateway, channels, random, &mut mem)?;
        let len = state.hello_len_max(&identity);
        if len > usize::from(config.max_datagram) {
            return Err(ConfigError::HandshakeTooLong);
        }
        state.hello = HelloState::new(identity.boot_epoch);
        state.identity = Some(identity);
        state.begin_hello();
        Ok(state)
    }

    pub(super) fn gateway(
        config: &Config,
        offer: &Offer<'_>,
        admission: &Admission<'_>,
        local_cid: ConnectionId,
        channels: &[ChannelConfig],
        random: [u8; 32],
        mut mem: Parts<'_>,
    ) -> Result<Self, ConfigError> {
        let mut state = Self::new(config, Direction::ToDevice, channels, random, &mut mem)?;
        state.local_cid = local_cid;
        state.remote_cid = offer.reply_cid();
        state.peer = offer.limits();
        state.outbox.peer_slot = state.peer.max_slot;
        (state.id, state.hello_len) = (offer.id(), offer.opened().len);
        (state.answering, state.keys) = match &offer.opened().handshake {
            #[cfg(feature = "plain")]
            Handshake::Plain => {
                let keys = crate::seal::PlainKeys { device: offer.id(), gateway: state.draw() };
                (Answering::Plain, Keys::Plain(keys))
            }
            #[cfg(not(feature = "plain"))]
            Handshake::Plain => return Err(ConfigError::Handshake),
            #[cfg(feature = "seal")]
            Handshake::Sealed(hello) => {
                let (accepting, keys) = Accepting::new(hello, local_cid, state.secrets.draw())?;
                (Answering::Sealed(accepting), keys)
            }
        };
        let streams = offer.streams();
        let max = mem.receive.len();
        if streams.clone().count() > max {
            return Err(ConfigError::TooManyChannels { max });
        }
        let window = usize::from(state.reorder_window);
        for (place, offered) in mem.receive.iter_mut().zip(streams) {
            let admitted = admission.streams.iter().find(|admitted| admitted.id == offered.id);
            let admitted = admitted.ok_or(ConfigError::Admission)?;
            *place = ReceiveStream::begin(&offered, admitted.epoch, admitted.next);
            place.credit = place.credit_now(config.receive_window, window);
            state.receive_len += 1;
        }
        // A gateway's own streams live as long as the session.
        for stream in mem.send.iter_mut().take(channels.len()) {
            stream.epoch = StreamEpoch::new(1);
            if !stream.delivery.is_reliable() {
                stream.credit = SeqNo::new(u64::MAX);
            }
        }
        state.accept_due = Some(TRANSMIT_ACCEPT);
        Ok(state)
    }

    /// The longest HELLO that this device will send, with message numbers below 2^35 and epochs below 2^21.
    fn hello_len_max(&self, identity: &Identity) -> usize {
        // Header, protection, device, nonce; a reply cid of no bytes, a count.
        let front = 2 + 1 + 1 + identity.device.as_bytes().len() + 8;
        let limits = self.limits().wire_len();
        // Id, mode, schema, epoch, base, next.
        let streams = usize::from(self.send_len) * (2 + 8 + 3 + 5 + 5);
        front + identity.handshake_len() + 1 + limits + 1 + streams
    }

    /// The header of our next packet.
    pub(super) fn short_header(&self, pn: PacketNumber) -> ShortHeader {
        let header = ShortHeader::new(self.remote_cid, pn, self.recovery.largest_acked);
        ShortHeader { key_phase: self.keys.phase(), ..header }
    }

    /// Time does not go back: a step back is held, and counted.
    pub(super) fn advance_clock(&mut self, now: Instant) {
        if now < self.now {
            self.stats.clock_steps_back = self.stats.clock_steps_back.wrapping_add(1);
        } else {
            self.now = now;
        }
    }

    /// The next of a sequence of numbers that only our random bytes determine (SplitMix64:
    /// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    pub(super) fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random)
    }

    /// The longest message that a reliable channel takes now, in bytes.
    pub(super) fn max_message(&self) -> usize {
        let longest = if self.has_fragments() { self.fragment_len() * FRAGMENTS_MAX } else { self.whole_len(false) };
        longest.min(usize::from(self.peer.max_message))
    }

    /// Whether the peer puts fragments together: it takes longer messages than it has slots for.
    pub(super) fn has_fragments(&self) -> bool {
        self.peer.max_message > self.peer.max_slot
    }

    /// The length up to which messages share a datagram: half of the longest where urgent ones could come to
    /// wait behind it.
    pub(super) fn usual_datagram(&self) -> usize {
        usize::from(self.config.max_datagram.min(self.peer.max_datagram)) >> u32::from(self.urgent)
    }

    /// The longest message that goes into a packet whole.
    pub(super) fn whole_len(&self, expires: bool) -> usize {
        // Short header with the longest ids, the DATA head, the trailer.
        let lifetime_ms = if expires { Some(u32::MAX) } else { None };
        let head = DataHead { lifetime_ms, ..DataHead::new(crate::ChannelId::default().live(), 0) };
        let overhead = 1 + 8 + 4 + head.len(false, None) + self.trailer_len();
        usize::from(self.config.max_datagram.min(self.peer.max_datagram)).saturating_sub(overhead)
    }

    /// Bytes that protect a packet. A device that seals knows them before it has keys: what it accepts then must
    /// still fit when it has.
    fn trailer_len(&self) -> usize {
        #[cfg(feature = "seal")]
        if self.is_sealed_device() {
            return crate::seal::packet::TAG;
        }
        self.keys.trailer_len()
    }

    /// The payload of a fragment, whatever else its DATA frame says: its index and count take two bytes.
    pub(super) fn fragment_len(&self) -> usize {
        self.whole_len(true).saturating_sub(2)
    }

    /// How long a message may stay away before it counts as missing, not as late.
    pub(super) fn reorder_tolerance(&self) -> Duration {
        self.recovery.reordering.tolerance()
    }

    /// What we can take, for HELLO and ACCEPT.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            max_datagram: self.config.max_datagram,
            max_message: self.slot_len.max(self.assembly_len),
            max_slot: self.slot_len,
            ack_reach: (WINDOW - 1) as u16,
            max_ack_delay: self.config.max_ack_delay,
        }
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn fold(random: [u8; 32]) -> u64 {
    let (words, _) = random.as_chunks::<8>();
    words.iter().fold(0, |folded, word| mix(folded ^ u64::from_le_bytes(*word)))
}

/// The state together with its memory: what every operation works on.
#[derive(Debug)]
pub(super) struct Engine<'a> {
    pub(super) st: &'a mut State,
    pub(super) mem: Parts<'a>,
}

impl Engine<'_> {
    pub(super) fn outbox(&mut self) -> Outbox<'_> {
        let streams = usize::from(self.st.send_len);
        Outbox {
            state: &mut self.st.outbox,
            messages: self.mem.messages,
            streams: self.mem.send.get_mut(..streams).unwrap_or(&mut []),
            journal: RamJournal { state: &mut self.st.ram, links: self.mem.block_links, bytes: self.mem.block_bytes },
        }
    }

    pub(super) fn reorder(&mut self) -> Reorder<'_> {
        let window = self.reorder_window();
        let streams = usize::from(self.st.receive_len);
        Reorder {
            state: &mut self.st.reorder,
            streams: self.mem.receive.get_mut(..streams).unwrap_or(&mut []),
            index: self.mem.index,
            slots: self.mem.slots,
            bytes: self.mem.slot_bytes,
            assembly: Assembly { state: &mut self.st.assembly, bytes: self.mem.assembly },
            window,
        }
    }

    pub(super) fn reorder_window(&self) -> usize {
        usize::from(self.st.reorder_window)
    }

    pub(super) fn sent(&mut self) -> SentPackets<'_> {
        SentPackets { state: &mut self.st.recovery.sent, packets: self.mem.packets, carried: self.mem.carried }
    }

    pub(super) fn receive_streams(&mut self) -> &mut [ReceiveStream] {
        let streams = usize::from(self.st.receive_len);
        self.mem.receive.get_mut(..streams).unwrap_or(&mut [])
    }
}
