//! One round of the world: whatever is due now happens once, and the oracles look at it.

use super::World;
use crate::device::Device;
use crate::network::Way;
use crate::oracle::{Doubt, Handed, Sender};
use crate::trace::describe;
use whimbrel_core::{Duration, Event, PathId, Protection};

/// Two clocks a thousandth apart in either direction disagree by so much about the longest lifetime, a minute.
const DRIFT: Duration = Duration::from_millis(120);
/// A lifetime is told in milliseconds, and both ends keep deadlines in units of about that.
const ROUNDING: Duration = Duration::from_millis(3);

impl World {
    #[track_caller]
    pub(super) fn must<T>(&self, device: usize, result: Result<T, String>) -> T {
        result.unwrap_or_else(|error| panic!("{}, device {device}: {error}", self.place()))
    }

    /// Whether anything happened.
    pub(super) fn round(&mut self) -> bool {
        self.has_stalled |= self.gateway.stalled;
        let mut moved = self.sleep_and_wake();
        moved |= self.arrive();
        for at in 0..self.devices.len() {
            moved |= self.device_timeout(at);
        }
        self.gateway.advance(self.now);
        self.look_at_gateway();
        for at in 0..self.devices.len() {
            if self.devices[at].is_awake() {
                moved |= self.listen(at);
                moved |= self.pump(at);
            }
        }
        for at in 0..self.gateway.peers.len() {
            moved |= self.gateway_application(at);
        }
        for at in 0..self.devices.len() {
            self.update_keys(at);
        }
        for at in 0..self.devices.len() {
            moved |= self.device_transmit(at);
        }
        moved | self.gateway_transmit()
    }

    fn sleep_and_wake(&mut self) -> bool {
        let now = self.now;
        let mut moved = false;
        for device in &mut self.devices {
            if device.asleep_until.is_some_and(|until| until <= now) {
                device.asleep_until = None;
                device.awake();
                device.next_nap = device.naps.map(|naps| now + naps.awake);
                if device.naps.is_some_and(|naps| naps.tells) {
                    device.session.wake(device.clock.at(now));
                }
                moved = true;
            } else if device.is_awake()
                && let Some(naps) = device.naps
                && device.next_nap.is_some_and(|nap| nap <= now)
            {
                (device.next_nap, device.asleep_until) = (None, Some(now + naps.asleep));
                self.tally.sleeps += 1;
                self.tally.hibernations += u64::from(naps.deep && device.hibernate().is_ok());
            }
        }
        moved
    }

    fn arrive(&mut self) -> bool {
        let mut moved = false;
        while let Some(mut arrival) = self.network.poll_up(self.now) {
            let path = arrival.path;
            self.trace.note(self.now, || format!("        > gateway  {path:?}"));
            self.gateway.receive(self.now, path, &mut arrival.datagram);
            self.look_at_gateway();
            moved = true;
        }
        while let Some(mut arrival) = self.network.poll_down(self.now) {
            moved = true;
            let at = Device::of_path(arrival.path);
            let Some(device) = self.devices.get(at) else { continue };
            let (awake, reached) = (device.is_awake(), device.path == arrival.path);
            self.trace.note(self.now, || format!("device {at} < {}", if awake && reached { "" } else { "nobody" }));
            match (awake, reached) {
                (true, true) => {
                    self.gateway.sources.on_reached(arrival.path);
                    self.hand_to_device(at, arrival.path, &mut arrival.datagram);
                }
                (false, true) => self.tally.lost_asleep += 1,
                (_, false) => self.tally.lost_path += 1,
            }
        }
        moved
    }

    /// Hands a datagram to a device, past the link.
    pub fn to_device(&mut self, at: usize, path: PathId, datagram: &[u8]) {
        self.hand_to_device(at, path, &mut datagram.to_vec());
    }

    fn hand_to_device(&mut self, at: usize, path: PathId, datagram: &mut [u8]) {
        let (now, doubt) = (self.now, self.doubt(at));
        let device = &mut self.devices[at];
        let known = device.received.len();
        let before = device.session.stats().rx_dropped;
        device.handle_datagram(now, path, datagram);
        let after = device.session.stats().rx_dropped;
        if after != before {
            self.trace.note(now, || format!("device {at} drops it: {after:?}"));
        }
        let mut checked = Ok(());
        for command in device.received.get(known..).unwrap_or(&[]) {
            let (session, seq, payload) = (command.session, command.seq.value(), &command.payload);
            let flow = device.oracle.down(session, command.channel.live());
            checked = flow.and_then(|flow| flow.hand(Handed { session, seq, payload, now, doubt }));
            self.trace.note(now, || format!("device {at} takes {:?}:{seq}", command.channel));
            if checked.is_err() {
                break;
            }
        }
        self.must(at, checked);
    }

    /// How far the ends may be wrong about each other's deadlines.
    pub fn doubt(&self, at: usize) -> Doubt {
        let device = &self.devices[at];
        let drift = if device.clock.ppm() == 0 { Duration::ZERO } else { DRIFT };
        let early = ROUNDING.saturating_add(device.disturbed).saturating_add(drift);
        Doubt { late: self.network.slowest.saturating_add(early), early }
    }

    fn device_timeout(&mut self, at: usize) -> bool {
        let device = &mut self.devices[at];
        let local = device.clock.at(self.now);
        let due = device.is_awake() && device.session.poll_timeout().is_some_and(|time| time <= local);
        if due {
            device.session.handle_timeout(local);
        }
        due
    }

    /// Somebody wants other keys, and it is possible now.
    fn update_keys(&mut self, at: usize) {
        let (device, now) = (&mut self.devices[at], self.now);
        let updated = match (device.rekey, &mut self.gateway.peers[at].live) {
            (Some(true), _) if device.is_awake() => device.session.update_keys(device.clock.at(now)),
            (Some(false), Some(session)) => session.update_keys(now),
            _ => return,
        };
        if updated {
            device.rekey = None;
            self.tally.key_updates += 1;
            self.trace.note(now, || format!("keys of device {at} change"));
        }
    }

    /// The device's events.
    fn listen(&mut self, at: usize) -> bool {
        let (now, stalled, doubt) = (self.now, self.has_stalled, self.doubt(at));
        let mut heard = false;
        while let Some(event) = self.devices[at].session.poll_event() {
            heard = true;
            self.trace.note(now, || format!("device {at} {event:?}"));
            let device = &mut self.devices[at];
            let handed = !stalled && device.unknown() == 0;
            let time = device.time(now) + doubt.early;
            if let (Event::Established, Some(delays)) = (event, &mut self.delays) {
                delays.on_session(at, now);
            }
            let checked = match event {
                Event::StreamOpened { stream, epoch } => device.oracle.opened(stream, epoch),
                Event::Committed { stream, next } => {
                    device.oracle.up(stream).and_then(|flow| flow.committed(next.value(), time))
                }
                Event::Acknowledged { stream, next } => {
                    device.oracle.up(stream).and_then(|flow| flow.acknowledged(next.value(), time, handed))
                }
                Event::BootEpochRaised { epoch } => {
                    device.raise_boot_epoch(now, epoch);
                    Ok(())
                }
                Event::GatewayKey { key } => {
                    device.learn_gateway(key);
                    Ok(())
                }
                Event::QueueFreed => {
                    device.load.unblock();
                    Ok(())
                }
                _ => Ok(()),
            };
            device.events.push(event);
            self.must(at, checked);
        }
        heard
    }

    /// The device's application sends what the session takes.
    fn pump(&mut self, at: usize) -> bool {
        let (now, mut moved) = (self.now, false);
        loop {
            let device = &mut self.devices[at];
            let local = device.time(now);
            let sent = device.load.send(&mut device.session, now, local, &mut device.rng);
            let Some(sent) = self.must(at, sent) else { return moved };
            moved = true;
            let device = &mut self.devices[at];
            let (stream, seq) = (sent.id.stream, sent.id.seq.value());
            let checked = device.oracle.accepted(sent.id, &sent.payload, sent.deadline);
            if let Some(delays) = &mut self.delays {
                delays.on_accepted(at, sent.id.stream, sent.id.seq, now);
            }
            self.trace.note(now, || format!("device {at} sends {}:{seq} +{}", stream.to_wire(), sent.payload.len()));
            self.must(at, checked);
        }
    }

    fn device_transmit(&mut self, at: usize) -> bool {
        let (now, mut moved) = (self.now, false);
        let mut buf = [0; whimbrel_core::Config::MAX_DATAGRAM as usize];
        while self.devices[at].is_awake() {
            let device = &mut self.devices[at];
            let Some(sent) = device.session.poll_transmit(device.clock.at(now), &mut buf) else { break };
            moved = true;
            let datagram = &buf[..sent.len];
            let sender = Sender { hello: device.session_id(), gateway: None };
            let checked = device.packets.on_sent(sender, datagram);
            self.network.send(Way::Up, device.link, now, device.path, datagram);
            self.note_sent(false, at, datagram);
            self.must(at, checked);
        }
        moved
    }

    pub(super) fn note_sent(&mut self, by_gateway: bool, at: usize, datagram: &[u8]) {
        if self.recording {
            self.history.push((by_gateway, datagram.to_vec()));
        }
        self.trace.on_sent(self.now, by_gateway, datagram);
        self.trace.note(self.now, || {
            let arrow = if by_gateway { "<-- gateway" } else { "-->" };
            let sealed = self.setup.devices.get(at).is_some_and(|device| device.protection != Protection::Plain);
            format!("device {at} {arrow} {} bytes {}", datagram.len(), describe(datagram, sealed))
        });
    }
}
