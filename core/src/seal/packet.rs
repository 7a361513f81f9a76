//! Packet protection: ChaCha20-Poly1305 under the session's keys, and the change of these keys.
//!
//! Each direction has a key of its own, which only its sender uses. A sender goes on to its next key (REKEY, Noise
//! section 4.2) and shows it by the key phase bit; the receiver tries that key, and once a packet opened with it,
//! goes on to it, and follows with its own (RFC 9001 section 6).
//!
//! ```text
//!           sends     tries on receipt
//! A  begins   1         0, next 1         phases differ: begun, not yet followed
//! B  follows  1         1, before it 0
//! A           1         1, before it 0
//! ```

use super::Direction;
use super::aead;
use super::key::Secret;
use super::symmetric::TransportKeys;
use crate::PacketNumber;
use crate::recovery::received::WINDOW;

pub(crate) use super::aead::TAG;

/// Packets sent under one key before the next is due. Not a limit of the cipher, which has none that packet numbers
/// can reach (RFC 9001 section 6.6): it bounds how much of the past a stolen key opens.
pub(crate) const UPDATE_EVERY: u64 = 1 << 20;

/// Packets that may fail to open in a session, under all its keys together (RFC 9001 section 6.6: the integrity limit).
pub(crate) const FAILURES_MAX: u64 = 1 << 36;

/// After so many failures the keys are changed ahead of time.
const FAILURES_DUE: u64 = FAILURES_MAX / 2;

/// How coarsely a snapshot counts failures.
const FAILURES_STEP: u64 = 32;

/// The keys of one end of a session.
#[derive(Debug)]
pub(crate) struct SealedKeys {
    send: Secret,
    receive: Secret,
    /// The receive key before the present one, while packets of it can pass the replay window.
    previous: Option<Secret>,
    /// The key phase bit of what is sent, and of what opens with `receive`. They differ while the peer has
    /// not followed.
    send_phase: bool,
    receive_phase: bool,
    /// Whether the keys were changed because of failures.
    changed_for_failures: bool,
    /// No packet of the present send key has a lower number.
    send_from: u64,
    /// No packet from here on was sealed.
    send_next: u64,
    /// The lowest number that opened with the present receive key; 0 with the first.
    receive_from: u64,
    /// Packets that did not open.
    failures: u64,
}

/// What opened a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// The key before the present one: the packet was long on its way.
    Previous,
    /// The present key.
    Current,
    /// The next key, which is now the present one.
    Next,
}

/// Why a packet does not open. It is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// Not long enough for its header and tag.
    TooShort,
    /// The tag is wrong.
    NotAuthentic,
    /// Of a key that is gone.
    NoKey,
    /// Too many did not open: the session opens nothing any more.
    Exhausted,
}

impl SealedKeys {
    /// Bytes of a snapshot.
    pub(crate) const SNAPSHOT: usize = 32 + 32 + 1 + 8 + 4 + 4;

    /// The keys of the end whose packets go this way.
    pub(crate) fn new(keys: TransportKeys, outgoing: Direction) -> Self {
        let TransportKeys { to_gateway, to_device } = keys;
        match outgoing {
            Direction::ToGateway => Self::first(to_gateway, to_device),
            Direction::ToDevice => Self::first(to_device, to_gateway),
        }
    }

    const fn first(send: Secret, receive: Secret) -> Self {
        Self {
            send,
            receive,
            previous: None,
            send_phase: false,
            receive_phase: false,
            changed_for_failures: false,
            send_from: 0,
            send_next: 0,
            receive_from: 0,
            failures: 0,
        }
    }

    /// The key phase bit of the next packet to send.
    pub(crate) const fn phase(&self) -> bool {
        self.send_phase
    }

    /// The number of the next packet: above all that were sealed.
    pub(crate) const fn next(&self) -> PacketNumber {
        PacketNumber::new(self.send_next)
    }

    /// Seals a packet in place: header, frames, and [`TAG`] bytes of room. All of the header is authentic with it.
    ///
    /// `None` when it is shorter than that, or when its number is not above all that were sealed: a key and a
    /// number never serve two packets.
    #[inline(never)]
    pub(crate) fn seal(&mut self, pn: PacketNumber, header_len: usize, packet: &mut [u8]) -> Option<()> {
        let pn = pn.value();
        let (packet, tag) = packet.split_last_chunk_mut::<TAG>()?;
        let (header, frames) = packet.split_at_mut_checked(header_len)?;
        if pn < self.send_next {
            return None;
        }
        *tag = aead::seal(&self.send, pn, header, frames)?;
        self.send_next = pn.saturating_add(1);
        Some(())
    }

    /// Opens a packet in place: its frames become readable. What does not open stays as it was.
    ///
    /// # Errors
    /// See [`Unopened`].
    #[inline(never)]
    pub(crate) fn open(
        &mut self,
        pn: PacketNumber,
        key_phase: bool,
        header_len: usize,
        packet: &mut [u8],
    ) -> Result<Generation, Unopened> {
        if self.is_exhausted() {
            return Err(Unopened::Exhausted);
        }
        let pn = pn.value();
        let next;
        // RFC 9001 section 6.5: another phase is the former one below the first packet of this, the next one above it.
        let (generation, key) = if key_phase == self.receive_phase {
            (Generation::Current, &self.receive)
        } else if pn < self.receive_from {
            (Generation::Previous, self.previous.as_ref().ok_or(Unopened::NoKey)?)
        } else {
            next = aead::rekey(&self.receive).ok_or(Unopened::NoKey)?;
            (Generation::Next, &next)
        };
        let (packet, tag) = packet.split_last_chunk_mut::<TAG>().ok_or(Unopened::TooShort)?;
        let (header, frames) = packet.split_at_mut_checked(header_len).ok_or(Unopened::TooShort)?;
        if !aead::open(key, pn, header, frames, tag) {
            self.failures = self.failures.saturating_add(1);
            return Err(Unopened::NotAuthentic);
        }
        match generation {
            Generation::Previous => {}
            Generation::Current => self.on_current(pn),
            Generation::Next => self.on_next(pn),
        }
        Ok(generation)
    }

    fn on_current(&mut self, pn: u64) {
        self.receive_from = self.receive_from.min(pn);
        // What is older than the window is a replay: its key has no use.
        if pn >= self.receive_from.saturating_add(WINDOW) {
            self.previous = None;
        }
    }

    /// The peer changed its key: so does this end, if it has not begun to (RFC 9001 section 6.2).
    #[inline(never)]
    fn on_next(&mut self, pn: u64) {
        // The key exists: a packet opened with it.
        let Some(next) = aead::rekey(&self.receive) else { return };
        self.previous = Some(core::mem::replace(&mut self.receive, next));
        self.receive_phase = !self.receive_phase;
        self.receive_from = pn;
        if self.send_phase != self.receive_phase {
            self.change_send_key();
        }
    }

    fn change_send_key(&mut self) {
        let Some(next) = aead::rekey(&self.send) else { return };
        self.send = next;
        self.send_phase = !self.send_phase;
        self.send_from = self.send_next;
        self.changed_for_failures = self.failures >= FAILURES_DUE;
    }

    /// Whether the next key is due: after [`UPDATE_EVERY`] packets, or ahead of time after many failures.
    pub(crate) const fn is_update_due(&self) -> bool {
        let many = self.failures >= FAILURES_DUE && !self.changed_for_failures;
        many || self.send_next.saturating_sub(self.send_from) >= UPDATE_EVERY
    }

    /// Whether this end may change its key: the peer has the present one (RFC 9001 section 6.1), and neither end
    /// has packets before that on its way that could still pass a replay window (section 6.5, where it is time
    /// that tells).
    pub(crate) fn may_update(&self, largest_acked: Option<PacketNumber>) -> bool {
        let followed = self.send_phase == self.receive_phase && self.previous.is_none();
        followed && largest_acked.is_some_and(|acked| acked.value() >= self.send_from.saturating_add(WINDOW))
    }

    /// Changes this end's key, from the next packet on. Only when it [may](Self::may_update).
    #[inline(never)]
    pub(crate) fn update(&mut self) {
        self.change_send_key();
    }

    /// Whether so many packets failed to open that none is opened any more: the session is over, and a device
    /// opens another (RFC 9001 section 6.6).
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.failures >= FAILURES_MAX
    }

    /// What a sleeping device keeps. Not the key before the present one: what comes after the sleep is new.
    pub(crate) fn to_bytes(&self) -> [u8; Self::SNAPSHOT] {
        let mut bytes = [0; Self::SNAPSHOT];
        let flags =
            u8::from(self.send_phase) | u8::from(self.receive_phase) << 1 | u8::from(self.changed_for_failures) << 2;
        let sent = u32::try_from(self.send_next.saturating_sub(self.send_from)).unwrap_or(u32::MAX);
        let failures = u32::try_from(self.failures.div_ceil(FAILURES_STEP)).unwrap_or(u32::MAX);
        let fields: [&[u8]; 6] = [
            self.send.expose(),
            self.receive.expose(),
            &[flags],
            &self.send_next.to_le_bytes(),
            &sent.to_le_bytes(),
            &failures.to_le_bytes(),
        ];
        let mut rest = bytes.iter_mut();
        for byte in fields.into_iter().flatten() {
            if let Some(place) = rest.next() {
                *place = *byte;
            }
        }
        bytes
    }

    /// From what was kept.
    pub(crate) fn from_bytes(bytes: &[u8; Self::SNAPSHOT]) -> Option<Self> {
        let (send, rest) = bytes.split_first_chunk()?;
        let (receive, rest) = rest.split_first_chunk()?;
        let (&flags, rest) = rest.split_first()?;
        let (send_next, rest) = rest.split_first_chunk()?;
        let (sent, rest) = rest.split_first_chunk()?;
        let (failures, _) = rest.split_first_chunk()?;
        let send_next = u64::from_le_bytes(*send_next);
        Some(Self {
            send_phase: flags & 1 != 0,
            receive_phase: flags & 2 != 0,
            changed_for_failures: flags & 4 != 0,
            send_from: send_next.saturating_sub(u32::from_le_bytes(*sent).into()),
            send_next,
            failures: u64::from(u32::from_le_bytes(*failures)) * FAILURES_STEP,
            ..Self::first(Secret::new(*send), Secret::new(*receive))
        })
    }
}

// Thousands of packets: too long for Miri.
#[cfg(all(test, not(miri)))]
#[path = "packet_tests.rs"]
mod tests;
