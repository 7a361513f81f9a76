//! Deep sleep: a session in at most 192 bytes, that goes on with one datagram and no handshake.
//!
//! Packet numbers must never come twice under one key, so a snapshot is good for one awakening: nothing is sent before
//! the application has put [`Dormant::REPLACEMENT`] in its place. A device that loses power while it is awake finds that,
//! counts its boot epoch up, and opens a session. A replacement that could be resumed again would have to skip numbers
//! and would let old packets of the gateway pass for new ones.

use core::fmt;

use super::state::{Engine, Phase, State};
use super::{Identity, Session};
use crate::channel::streams::{ReceiveStream, SendStream};
use crate::memory::Memory;
use crate::seal::packet::SealedKeys;
use crate::seal::{BootEpoch, Credentials, DeviceKey, Keys, ResetKey, mac};
use crate::wire::{Limits, OfferedStream, Reader, Writer};
use crate::{
    BufferTooSmall, ChannelConfig, Config, ConfigError, DecodeError, DeviceId, PacketNumber, PathId, SeqNo, StreamEpoch,
};

/// What a snapshot begins with; another layout has another number.
const LAYOUT: u8 = 1;

/// What stands in the place of a snapshot that was used.
const SPENT: u8 = 0;

const MAC: usize = 16;

/// A session asleep. It holds keys: keep it where only the device's firmware can read it.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl Snapshot {
    /// The longest snapshot, in bytes.
    pub const MAX: usize = 192;

    /// The bytes to keep.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.bytes);
    }
}

/// Why a session cannot sleep now. It goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SuspendError {
    /// It is not sealed, not a device's, or not established.
    NotEstablished,
    /// Something is queued, in flight, or owed to the peer, or an event says what is to be stored first.
    Busy,
    /// It has too many streams for a snapshot.
    TooLong,
}

/// Why a snapshot cannot be resumed: the device opens a session instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeError {
    /// It was used.
    Spent,
    /// It is damaged, of another version, or another device's.
    Invalid,
    /// The channels are not those of the session that went to sleep.
    Channels,
    /// The configuration is of no use.
    Config(ConfigError),
}

impl fmt::Display for SuspendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEstablished => "only an established, sealed session of a device can sleep",
            Self::Busy => "something is queued, in flight or owed; try again when it is gone",
            Self::TooLong => "the session has too many streams for a snapshot",
        })
    }
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spent => f.write_str("the snapshot was used before"),
            Self::Invalid => f.write_str("the snapshot is damaged or not this device's"),
            Self::Channels => f.write_str("the channels are not those of the session that went to sleep"),
            Self::Config(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for SuspendError {}
impl core::error::Error for ResumeError {}

/// A session that woke up and may not send yet.
#[derive(Debug)]
pub struct Dormant<M>(Session<M>);

impl<M: Memory> Dormant<M> {
    /// What to store in the place of the snapshot, durably.
    pub const REPLACEMENT: [u8; 1] = [SPENT];

    /// The replacement is stored: the session goes on. The gateway learns that the device is awake, and where, from
    /// its first packet; one that has nothing to send but waits for messages says so ([`Session::wake`]).
    pub fn stored(self) -> Session<M> {
        self.0
    }
}

impl<M: Memory> Session<M> {
    /// Goes to sleep: everything that the session needs later, in at most [`Snapshot::MAX`] bytes. The session here is
    /// over, without a word to the gateway, which keeps its half as long as it keeps silent ones.
    ///
    /// # Errors
    /// See [`SuspendError`]; the session goes on.
    pub fn suspend(&mut self) -> Result<Snapshot, SuspendError> {
        let mut engine = self.engine();
        let snapshot = engine.snapshot()?;
        engine.st.phase = Phase::Closed;
        engine.st.keys = Keys::None;
        Ok(snapshot)
    }

    /// Wakes up. `channels`, `device` and `credentials` are those of the session that went to sleep; `random`: 32
    /// fresh random bytes. Ledger, counters and measurements begin anew.
    ///
    /// # Errors
    /// See [`ResumeError`]; then the device counts its boot epoch up and opens a session.
    pub fn resume(
        config: &Config,
        device: DeviceId,
        credentials: Credentials,
        channels: &[ChannelConfig],
        snapshot: &[u8],
        random: [u8; 32],
        mut memory: M,
    ) -> Result<Dormant<M>, ResumeError> {
        let body = check(snapshot, device, &credentials.key)?;
        let identity = Identity::sealed(device, BootEpoch::unstored(0), credentials);
        let state = State::device(config, identity, channels, random, memory.parts()).map_err(ResumeError::Config)?;
        let mut session = Session { state, memory };
        session.engine().restore(&mut Reader::new(body))?;
        Ok(Dormant(session))
    }
}

/// What stands before the MAC, when that is right.
fn check<'a>(snapshot: &'a [u8], device: DeviceId, key: &DeviceKey) -> Result<&'a [u8], ResumeError> {
    let (body, shown) = match snapshot.first() {
        Some(&SPENT) => return Err(ResumeError::Spent),
        Some(&LAYOUT) => snapshot.split_last_chunk::<MAC>().ok_or(ResumeError::Invalid)?,
        _ => return Err(ResumeError::Invalid),
    };
    let expected = mac::sleep_mac(key, &[device.as_bytes(), body]);
    if mac::same(shown, &expected) { body.get(1..).ok_or(ResumeError::Invalid) } else { Err(ResumeError::Invalid) }
}

impl Engine<'_> {
    fn snapshot(&mut self) -> Result<Snapshot, SuspendError> {
        let established = self.st.phase == Phase::Established && self.st.is_sealed_device();
        if !established || self.st.hello.is_open() {
            return Err(SuspendError::NotEstablished);
        }
        if self.is_busy() {
            return Err(SuspendError::Busy);
        }
        let mut snapshot = Snapshot { len: 0, bytes: [0; Snapshot::MAX] };
        let mut w = Writer::new(&mut snapshot.bytes);
        self.save(&mut w).map_err(|_| SuspendError::TooLong)?;
        let Some(identity) = self.st.identity.as_ref() else { return Err(SuspendError::NotEstablished) };
        let Some(credentials) = self.st.credentials() else { return Err(SuspendError::NotEstablished) };
        let mac = mac::sleep_mac(&credentials.key, &[identity.device.as_bytes(), w.written()]);
        w.put(&mac).map_err(|_| SuspendError::TooLong)?;
        snapshot.len = w.len() as u8;
        Ok(snapshot)
    }

    /// Whether anything here would be lost, or is owed to the peer.
    fn is_busy(&mut self) -> bool {
        let st = &self.st;
        let sending = st.outbox.pending > 0 || st.recovery.in_flight > 0 || st.ping_due || st.close_due.is_some();
        let owed = st.recovery.ack.deadline().is_some() || !st.assembly.is_empty();
        // What the application has not stored yet.
        let untold = st.hello.raised.is_some();
        #[cfg(feature = "nk")]
        let untold = untold || st.key_news.is_some();
        let owes = self.receive_streams().iter().any(|stream| {
            stream.commit_due
                || stream.credit_due
                || stream.forwarded_due
                || stream.highest.since(crate::seq::Position::of(stream.next)) > 0
        });
        sending || owed || untold || owes || self.outbox().has_gaps()
    }

    fn save(&mut self, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
        let Keys::Sealed(keys) = &self.st.keys else { return Err(BufferTooSmall) };
        w.u8(LAYOUT)?;
        w.put(&keys.to_bytes())?;
        w.put(self.st.reset_key.expose())?;
        w.u64(self.st.hello.counter)?;
        w.connection_id(&self.st.remote_cid)?;
        w.connection_id(&self.st.local_cid)?;
        let next = keys.next().value();
        // How far below it the peer is known to have got: packet numbers stay short.
        w.varint(self.st.recovery.largest_acked.map_or(0, |acked| next.saturating_sub(acked.value())))?;
        w.varint(self.st.recovery.received.largest().map_or(0, |largest| largest.value() + 1))?;
        self.st.peer.emit(w)?;
        for stream in self.mem.send.iter().take(usize::from(self.st.send_len)) {
            save_sent(stream, w)?;
        }
        w.u8(self.st.receive_len)?;
        self.receive_streams().iter().try_for_each(|stream| save_received(stream, w))
    }

    fn restore(&mut self, r: &mut Reader<'_>) -> Result<(), ResumeError> {
        self.st.hello.end();
        self.restore_session(r).map_err(|_| ResumeError::Invalid)?;
        let sent = usize::from(self.st.send_len);
        for stream in self.mem.send.iter_mut().take(sent) {
            restore_sent(stream, r).map_err(|_| ResumeError::Channels)?;
        }
        self.st.receive_len = r.u8().map_err(|_| ResumeError::Channels)?;
        if usize::from(self.st.receive_len) > self.mem.receive.len() {
            return Err(ResumeError::Channels);
        }
        for at in 0..usize::from(self.st.receive_len) {
            let stream = restore_received(r).map_err(|_| ResumeError::Channels)?;
            if let Some(place) = self.mem.receive.get_mut(at) {
                *place = stream;
            }
        }
        r.finish().map_err(|_| ResumeError::Channels)?;
        self.st.phase = Phase::Established;
        self.st.paths.set(PathId::default());
        Ok(())
    }

    fn restore_session(&mut self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        let keys = SealedKeys::from_bytes(&r.array()?).ok_or(DecodeError::Invalid)?;
        let next = keys.next();
        self.st.keys = Keys::Sealed(keys);
        self.st.reset_key = ResetKey::new(r.array()?);
        self.st.hello.counter = r.u64()?;
        if let Some(identity) = self.st.identity.as_mut() {
            identity.boot_epoch = (self.st.hello.counter >> 32) as u32;
        }
        self.st.remote_cid = r.connection_id()?;
        self.st.local_cid = r.connection_id()?;
        self.st.recovery.next_pn = next;
        let unacked = r.varint()?;
        self.st.recovery.largest_acked =
            next.value().checked_sub(unacked).filter(|_| unacked > 0).map(PacketNumber::new);
        if let Some(largest) = r.varint()?.checked_sub(1) {
            self.st.recovery.received.resume(PacketNumber::new(largest));
        }
        self.st.peer = Limits::parse(r)?;
        self.st.outbox.peer_slot = self.st.peer.max_slot;
        Ok(())
    }
}

fn save_sent(stream: &SendStream, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    w.u8(stream.id.to_wire())?;
    w.varint(stream.epoch.map_or(0, |epoch| u64::from(epoch.number())))?;
    w.varint(stream.next.value())?;
    let unlimited = !stream.delivery.is_reliable();
    w.varint(if unlimited { 0 } else { stream.credit.value().saturating_sub(stream.next.value()) })?;
    w.varint(u64::from(stream.lacked))
}

fn restore_sent(stream: &mut SendStream, r: &mut Reader<'_>) -> Result<(), DecodeError> {
    if r.stream()? != stream.id {
        return Err(DecodeError::Invalid);
    }
    stream.epoch = StreamEpoch::new(r.varint_u32()?);
    stream.next = SeqNo::new(r.varint()?);
    let credit = stream.next.saturating_add(r.varint()?);
    stream.credit = if stream.delivery.is_reliable() { credit } else { SeqNo::new(u64::MAX) };
    stream.reported = stream.next;
    stream.forget_session(stream.next);
    stream.lacked = r.varint_u32()?;
    Ok(())
}

fn save_received(stream: &ReceiveStream, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    let ReceiveStream { id, delivery, durable, schema, epoch, next, committed, .. } = *stream;
    OfferedStream { id, delivery, durable, schema, epoch: Some(epoch), base: committed, next }.emit(w)?;
    w.varint(if delivery.is_reliable() { stream.credit.value().saturating_sub(next.value()) } else { 0 })?;
    w.varint(u64::from(stream.lacked))
}

fn restore_received(r: &mut Reader<'_>) -> Result<ReceiveStream, DecodeError> {
    let offered = OfferedStream::parse(r)?;
    let begun = ReceiveStream::begin(&offered, offered.epoch.ok_or(DecodeError::Invalid)?, offered.next);
    let credit = offered.next.saturating_add(r.varint()?);
    let credit = if offered.delivery.is_reliable() { credit } else { SeqNo::new(u64::MAX) };
    Ok(ReceiveStream { committed: offered.base, credit, lacked: r.varint_u32()?, ..begun })
}
