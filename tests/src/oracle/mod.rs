//! What must be true of one device and its gateway. Knows what went in and what came out, and nothing of
//! how: it fails at once when the two disagree.

pub mod fates;
pub mod flow;
pub mod law;
pub mod mode;
pub mod packets;
pub mod sources;
#[cfg(test)]
mod tests;

pub use fates::Fates;
pub use flow::{Doubt, Flow, Handed};
pub use law::Law;
pub use mode::{Kind, Mode};
pub use packets::{Packets, Sender};
pub use sources::Sources;

use std::collections::BTreeMap;
use whimbrel_core::{ChannelConfig, Instant, Ledger, MessageId, SeqNo, StreamEpoch, StreamId};

/// The flows of one sender's life, by the stream's byte on the wire.
type Flows = BTreeMap<u8, Flow>;

/// Follows both directions between a device and its gateway.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    up_modes: BTreeMap<u8, Mode>,
    down_modes: BTreeMap<u8, Mode>,
    /// By boot of the device.
    up: Vec<Flows>,
    /// Which boot an epoch of a stream belongs to.
    owners: BTreeMap<(u8, u32), usize>,
    /// By the nonce of the HELLO that opened the gateway's session: its streams live as long as it does.
    down: BTreeMap<u64, Flows>,
    /// The device's ledger in its present boot, and that of each of the gateway's sessions.
    law: Law,
    /// Messages accepted, and left out, in this boot before the device's last deep sleep: its ledger begins anew then.
    before: (usize, u64),
    laws: BTreeMap<u64, Law>,
}

fn modes(channels: &[ChannelConfig]) -> BTreeMap<u8, Mode> {
    channels.iter().map(|channel| (channel.id.live().to_wire(), Mode::of(channel))).collect()
}

impl Oracle {
    /// A device in its first boot. `up`: what it sends on; `down`: what its gateway sends on.
    pub fn new(up: &[ChannelConfig], down: &[ChannelConfig]) -> Self {
        Self { up_modes: modes(up), down_modes: modes(down), up: vec![Flows::new()], ..Self::default() }
    }

    fn boot(&self) -> usize {
        self.up.len().saturating_sub(1)
    }

    /// The device lost its memory; what it accepts from here on is another history.
    pub fn device_rebooted(&mut self) {
        self.up.push(Flows::new());
        (self.law, self.before) = (Law::default(), (0, 0));
    }

    /// The device woke from deep sleep: its streams go on, its ledger begins anew.
    pub fn device_resumed(&mut self) {
        (self.law, self.before) = (Law::default(), self.counts());
    }

    /// Messages accepted in this boot, and left out.
    fn counts(&self) -> (usize, u64) {
        (self.accepted_count(), self.present().map(Flow::left_out).sum())
    }

    /// The device's ledger is this.
    ///
    /// # Errors
    /// See [`Law::check`].
    pub fn device_ledger(&mut self, ledger: Ledger) -> Result<(), String> {
        let (accepted, left_out) = self.counts();
        self.law.check(ledger, accepted - self.before.0, left_out.saturating_sub(self.before.1))
    }

    /// The ledger of one of the gateway's sessions is this.
    ///
    /// # Errors
    /// See [`Law::check`].
    pub fn gateway_ledger(&mut self, nonce: u64, ledger: Ledger) -> Result<(), String> {
        let accepted = self.session(nonce).map(Flow::accepted_count).sum();
        let left_out = self.session(nonce).map(Flow::left_out).sum();
        self.laws.entry(nonce).or_default().check(ledger, accepted, left_out)
    }

    /// A flow that the device sends, in its present boot.
    ///
    /// # Errors
    /// When it has no such channel.
    pub fn up(&mut self, stream: StreamId) -> Result<&mut Flow, String> {
        let boot = self.boot();
        self.up_of(boot, stream)
    }

    fn up_of(&mut self, boot: usize, stream: StreamId) -> Result<&mut Flow, String> {
        let wire = stream.to_wire();
        let mode = *self.up_modes.get(&wire).ok_or(format!("{stream:?} is none of the device's"))?;
        let flows = self.up.get_mut(boot).ok_or("no such boot")?;
        Ok(flows.entry(wire).or_insert(Flow::new(mode)))
    }

    /// The device's session accepted a message.
    ///
    /// # Errors
    /// See [`Flow::accept`].
    pub fn accepted(&mut self, id: MessageId, payload: &[u8], deadline: Option<Instant>) -> Result<(), String> {
        self.up(id.stream)?.accept(id.seq.value(), payload, deadline)
    }

    /// A flow that the gateway's session of that nonce sends.
    ///
    /// # Errors
    /// When it has no such channel.
    pub fn down(&mut self, nonce: u64, stream: StreamId) -> Result<&mut Flow, String> {
        let wire = stream.to_wire();
        let mode = *self.down_modes.get(&wire).ok_or(format!("{stream:?} is none of the gateway's"))?;
        Ok(self.down.entry(nonce).or_default().entry(wire).or_insert(Flow::new(mode)))
    }

    /// The device was given an epoch.
    ///
    /// # Errors
    /// When another boot of the device had the same one.
    pub fn opened(&mut self, stream: StreamId, epoch: StreamEpoch) -> Result<(), String> {
        let boot = self.boot();
        let owner = *self.owners.entry((stream.to_wire(), epoch.number())).or_insert(boot);
        if owner == boot { Ok(()) } else { Err(format!("{epoch:?} of {stream:?} belongs to boot {owner} already")) }
    }

    /// The flow of a message that the gateway received: it is named by its stream's epoch.
    ///
    /// # Errors
    /// When no boot of the device was given that epoch.
    pub fn received(&mut self, stream: StreamId, epoch: StreamEpoch) -> Result<&mut Flow, String> {
        let owner = self.owners.get(&(stream.to_wire(), epoch.number()));
        let owner = *owner.ok_or(format!("{epoch:?} of {stream:?}: the device does not know it"))?;
        self.up_of(owner, stream)
    }

    /// The sink stored a message for the first time.
    ///
    /// # Errors
    /// See [`Flow::store`].
    pub fn stored(&mut self, stream: StreamId, epoch: StreamEpoch, seq: SeqNo, now: Instant) -> Result<(), String> {
        self.received(stream, epoch)?.store(seq.value(), now)
    }

    /// The flows of the device's present boot.
    pub fn present(&self) -> impl Iterator<Item = &Flow> {
        self.up.last().into_iter().flat_map(BTreeMap::values)
    }

    /// The flows of one of the gateway's sessions.
    pub fn session(&self, nonce: u64) -> impl Iterator<Item = &Flow> {
        self.down.get(&nonce).into_iter().flat_map(BTreeMap::values)
    }

    /// Every flow there ever was.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.up.iter().chain(self.down.values()).flat_map(BTreeMap::values)
    }

    /// Messages that this boot of the device accepted, on all streams.
    pub fn accepted_count(&self) -> usize {
        self.present().map(Flow::accepted_count).sum()
    }

    /// Messages of this boot that the sink stored, on all streams.
    pub fn stored_count(&self) -> usize {
        self.present().map(Flow::stored_count).sum()
    }

    /// Messages of all boots that the sink stored.
    pub fn stored_ever(&self) -> usize {
        self.up.iter().flat_map(BTreeMap::values).map(Flow::stored_count).sum()
    }
}
