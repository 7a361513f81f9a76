//! The steps of a program.

use super::super::source::Source;
use super::forge;
use super::world::{Datagram, PRIORITIES, Wire, World};
use whimbrel_core::{CloseReason, Duration, Instant, PathId, SendOptions};

impl World {
    /// One step.
    pub(super) fn step(&mut self, source: &mut Source<'_>) {
        match source.u8() % 32 {
            0..=5 => self.send_up(source),
            6 | 7 => self.send_down(source),
            8..=12 => self.deliver(source, true),
            13..=17 => self.deliver(source, false),
            18 | 19 => self.exchange_all(),
            20 => _ = self.exchange(),
            21 => _ = take(self.wire(source), source),
            22 => {
                let wire = self.wire(source);
                if let Some(datagram) = source.index(wire.queue.len()).and_then(|at| wire.queue.get(at)).cloned() {
                    wire.put(datagram);
                }
            }
            23 => damage(self.wire(source), source),
            24 => self.advance(Duration::from_millis(u64::from(source.u8()))),
            25 => self.advance(Duration::from_micros(u64::from(source.u16()) << (source.u8() % 12))),
            26 => self.jump(),
            27 => match source.u8() {
                at @ 0..128 => self.commit_up(usize::from(at % 4)),
                at => self.commit_down(usize::from(at % 4)),
            },
            28 => {
                let wire = self.wire(source);
                let (at, kept) = (source.u8(), wire.history.len());
                if let Some(datagram) = usize::from(at).checked_rem(kept).and_then(|at| wire.history.get(at)).cloned() {
                    wire.put(datagram);
                }
            }
            29 => {
                let wire = self.wire(source);
                let len = usize::from(source.u8());
                wire.put(Datagram { bytes: source.bytes(len).to_vec(), tainted: true });
            }
            30 => self.forge(source),
            _ => self.disturb(source),
        }
    }

    fn wire(&mut self, source: &mut Source<'_>) -> &mut Wire {
        if source.bool() { &mut self.up } else { &mut self.down }
    }

    fn send_up(&mut self, source: &mut Source<'_>) {
        let Some(at) = source.index(self.channels.len()) else { return };
        let (id, now) = (self.channels[at].id, self.device_now());
        let (payload, options) = message(source, self.device.max_message());
        // What the gateway turns out to be too small for is dropped, and said so.
        let excused = options.lifetime.is_some() || payload.len() > self.longest;
        if let Ok(message) = self.device.send_with(now, id, options, &payload) {
            self.accepted += 1;
            self.uplink.accepted(self.boot, message, &payload, excused);
        }
    }

    fn send_down(&mut self, source: &mut Source<'_>) {
        let (member, channel) = (source.index(self.gateway.members.len()), source.index(self.gateway.channels.len()));
        let (Some(member), Some(channel)) = (member, channel) else { return };
        let (member, id) = (&mut self.gateway.members[member], self.gateway.channels[channel].id);
        let (payload, options) = message(source, member.session.max_message());
        if let Ok(message) = member.session.send_with(self.now, id, options, &payload) {
            self.downlink.accepted(member.serial, message, &payload, options.lifetime.is_some());
        }
    }

    fn deliver(&mut self, source: &mut Source<'_>, up: bool) {
        let how = source.u8();
        // Most often the application takes everything, sometimes some, sometimes nothing.
        let most = match how & 7 {
            0 => 0,
            1 => 1,
            2 => 2,
            _ => usize::MAX,
        };
        let wire = if up { &mut self.up } else { &mut self.down };
        let at = usize::from(how >> 3);
        let Some(datagram) = at.checked_rem(wire.queue.len()).and_then(|at| wire.queue.remove(at)) else { return };
        if up {
            self.reach_gateway(datagram, most);
        } else {
            self.reach_device(datagram, most);
        }
    }

    fn advance(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// To the next deadline.
    fn jump(&mut self) {
        let members = self.gateway.members.iter().filter_map(|member| member.session.poll_timeout());
        let device = self.device.poll_timeout().map(|time| time + self.lag);
        if let Some(next) = members.chain(device).min() {
            self.now = self.now.max(next);
        }
    }

    fn forge(&mut self, source: &mut Source<'_>) {
        let to_device = source.bool();
        let Some(at) = source.index(self.gateway.members.len()) else { return };
        let datagram = forge::packet(&self.gateway.members[at], to_device, source);
        self.forged = true;
        if to_device {
            self.reach_device(datagram, usize::MAX);
        } else {
            self.reach_gateway(datagram, usize::MAX);
        }
    }

    /// What happens once in a while.
    fn disturb(&mut self, source: &mut Source<'_>) {
        let reasons = [CloseReason::Done, CloseReason::GoingAway, CloseReason::Refused, CloseReason::Superseded];
        let now = self.device_now();
        match source.u8() % 12 {
            0 => self.restart_device(),
            1 => self.gateway.restart(),
            2 => self.device.close(now, CloseReason::Done),
            3 => {
                let reason = reasons[usize::from(source.u8()) % reasons.len()];
                if let Some(member) = source.index(self.gateway.members.len()) {
                    self.gateway.members[member].session.close(self.now, reason);
                }
            }
            4 => self.device.wake(now),
            5 => self.path = PathId(u32::from(source.u8())),
            6 => self.collect(usize::from(source.u8() % 4)),
            7 => self.device.handle_timeout(now),
            8 => {
                let now = self.now;
                self.gateway.members.iter_mut().for_each(|member| member.session.handle_timeout(now));
            }
            9 => self.lag = Duration::from_millis(u64::from(source.u8())),
            10 => {
                let reasons = [CloseReason::Refused, CloseReason::Version, CloseReason::GoingAway];
                self.gateway.refusal = Some(reasons[usize::from(source.u8()) % reasons.len()]);
            }
            _ => self.now = Instant::from_micros(self.now.as_micros().saturating_add(source.u64() >> 16)),
        }
    }
}

/// A message and its terms. Length and first byte come from the program, the other bytes follow from those.
fn message(source: &mut Source<'_>, max: usize) -> (Vec<u8>, SendOptions) {
    let (len, seed) = (usize::from(source.u8()), source.u8());
    // Short ones are usual; one value in sixteen stands for long ones, up to the longest.
    let len = if len >= 240 { max >> (len & 7) } else { len.min(max) };
    let mut options = SendOptions::default();
    if seed & 3 == 3 {
        let terms = source.u8();
        options.lifetime = (terms & 1 != 0).then(|| Duration::from_millis(1 + u64::from(source.u8()) * 4));
        options.priority = (terms & 2 != 0).then(|| PRIORITIES[usize::from(terms >> 2 & 3)]);
    }
    ((0..len).map(|at| seed.wrapping_add(at as u8)).collect(), options)
}

fn take(wire: &mut Wire, source: &mut Source<'_>) -> Option<Datagram> {
    source.index(wire.queue.len()).and_then(|at| wire.queue.remove(at))
}

/// A flipped bit, or the end cut off.
fn damage(wire: &mut Wire, source: &mut Source<'_>) {
    let Some(datagram) = source.index(wire.queue.len()).and_then(|at| wire.queue.get_mut(at)) else { return };
    let (bit, at) = (source.u8(), usize::from(source.u16()));
    let Some(at) = at.checked_rem(datagram.bytes.len()) else { return };
    if bit & 8 != 0 {
        datagram.bytes.truncate(at);
    } else if let Some(byte) = datagram.bytes.get_mut(at) {
        *byte ^= 1 << (bit & 7);
    }
    datagram.tainted = true;
}
