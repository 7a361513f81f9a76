//! The gateway's part of a round: what it and its sinks took, what its application sends, and what leaves it.

use super::World;
use crate::device::Device;
use crate::gateway::Taken;
use crate::network::Way;
use crate::oracle::Handed;
use crate::sink::Outcome;
use whimbrel_core::{Event, Instant, PathId};

impl World {
    /// What the gateway's application and its sinks got since the last look.
    pub(super) fn look_at_gateway(&mut self) {
        let now = self.now;
        for at in 0..self.gateway.peers.len() {
            while let Some(taken) = self.gateway.peers[at].taken.pop_front() {
                let doubt = self.doubt(at);
                if let (Taken::Stored(row, Outcome::Stored), Some(delays)) = (&taken, &mut self.delays) {
                    delays.on_stored(at, row.stream, row.seq, now);
                }
                // Deadlines are by the clock of the sender.
                let sender = self.devices[at].time(now);
                let oracle = &mut self.devices[at].oracle;
                let checked = match &taken {
                    Taken::Handed(session, row) => oracle.received(row.stream, row.epoch).and_then(|flow| {
                        let (session, seq, payload) = (*session, row.seq.value(), &row.payload);
                        flow.hand(Handed { session, seq, payload, now: sender, doubt })
                    }),
                    Taken::Stored(row, Outcome::Stored) => {
                        oracle.stored(row.stream, row.epoch, row.seq, sender + doubt.early)
                    }
                    Taken::Stored(_, Outcome::Duplicate) => Ok(()),
                };
                self.trace.note(now, || match &taken {
                    Taken::Handed(_, row) => format!("gateway takes {}:{}", row.stream.to_wire(), row.seq.value()),
                    Taken::Stored(row, outcome) => {
                        format!("gateway {outcome:?} {}:{}", row.stream.to_wire(), row.seq.value())
                    }
                });
                self.must(at, checked);
            }
        }
    }

    /// The gateway's application: events, and what it sends to the device.
    pub(super) fn gateway_application(&mut self, at: usize) -> bool {
        let (now, doubt, mut moved) = (self.now, self.doubt(at), false);
        let peer = &mut self.gateway.peers[at];
        let Some(session) = &mut peer.live else { return false };
        let early = now + doubt.early;
        let (nonce, oracle) = (session.hello_id(), &mut self.devices[at].oracle);
        let mut checked = Ok(());
        while let Some(event) = session.poll_event() {
            moved = true;
            match event {
                Event::QueueFreed => peer.load.unblock(),
                Event::Acknowledged { stream, next } => {
                    let flow = oracle.down(nonce, stream);
                    checked = checked.and(flow.and_then(|flow| flow.acknowledged(next.value(), early, true)));
                }
                _ => {}
            }
        }
        while checked.is_ok() {
            match peer.load.send(session, now, now, &mut self.devices[at].rng) {
                Ok(Some(sent)) => {
                    moved = true;
                    let (stream, seq) = (sent.id.stream, sent.id.seq.value());
                    let flow = self.devices[at].oracle.down(nonce, stream);
                    checked = flow.and_then(|flow| flow.accept(seq, &sent.payload, sent.deadline));
                    self.trace.note(now, || format!("gateway sends {}:{seq} to {at}", stream.to_wire()));
                }
                Ok(None) => break,
                Err(error) => checked = Err(error),
            }
        }
        self.must(at, checked);
        moved
    }

    pub(super) fn gateway_transmit(&mut self) -> bool {
        let (now, mut moved) = (self.now, false);
        loop {
            let answer = self.gateway.answer();
            let Some(out) = self.must(0, answer) else { break };
            moved = true;
            self.enter_link(now, out.path, &out.datagram);
        }
        for at in 0..self.devices.len() {
            loop {
                let sent = self.gateway.transmit(now, at, &mut self.devices[at].packets);
                let Some(out) = self.must(at, sent) else { break };
                moved = true;
                self.enter_link(now, out.path, &out.datagram);
            }
        }
        moved
    }

    pub(super) fn enter_link(&mut self, now: Instant, path: PathId, datagram: &[u8]) {
        let at = Device::of_path(path);
        self.note_sent(true, at, datagram);
        let device = self.devices.get_mut(at);
        let link = device.map_or(0, |device| {
            device.path_at_gateway = Some(path);
            device.link
        });
        self.network.send(Way::Down, link, now, path, datagram);
    }
}
