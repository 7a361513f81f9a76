//! A sealed device and a gate in virtual time. The bytes are a program: it hands either of them anything, changes what
//! the other end said, repeats it, and says anything at all under the right keys.
//!
//! Checked: no panic; what is not authentic is dropped, counted once, and changes nothing; no answer is longer than three
//! times what it answers; no counter is taken twice; and, unless somebody with the keys lied, once the link is good the
//! device gets its session.

mod gate;
mod peer;

use super::source::{Source, program};
use gate::Gate;
use peer::{FRONT, Keys, MACS};
use whimbrel_core::wire::Protection;
use whimbrel_core::{
    BootEpoch, ChannelConfig, ChannelId, CloseReason, Config, Credentials, DeviceId, DeviceKey, Duration, Event,
    GatewaySecret, Identity, Instant, Medium, PathId, SchemaId, Session,
};

/// A longer program says nothing that shorter ones do not; a handshake takes time.
const STEPS_MAX: usize = 60;
const CHANNEL: ChannelId = ChannelId::new(1).expect("below 64");
const COMMANDS: ChannelId = ChannelId::new(2).expect("below 64");

struct World {
    now: Instant,
    keys: Keys,
    device: Session<Medium>,
    boot: u32,
    gate: Gate,
    /// The last HELLO.
    hello: Vec<u8>,
    /// What either end sent that was not delivered.
    up: Vec<Vec<u8>>,
    down: Vec<Vec<u8>>,
    /// Somebody who has the keys said something of his own.
    lied: bool,
}

/// Runs a program.
pub fn run(bytes: &[u8]) {
    program(bytes, STEPS_MAX, World::new, (World::step, World::settle, World::heal));
}

fn connect(keys: &Keys, boot: u32) -> Session<Medium> {
    let credentials = match keys.protection {
        Protection::NkPsk0 => Credentials::nk(keys.device.clone(), keys.gateway.public()),
        _ => Credentials::nn(keys.device.clone()),
    };
    let name = DeviceId::new(&[peer::NAME]).expect("a byte is an id");
    let identity = Identity::sealed(name, BootEpoch::unstored(boot), credentials);
    let channels = [ChannelConfig::ordered(CHANNEL, SchemaId(1))];
    let session = Session::connect(&Config::default(), identity, &channels, [boot as u8; 32], Medium::new());
    session.expect("one channel fits")
}

impl World {
    fn new(source: &mut Source<'_>) -> Self {
        let protection = if source.bool() { Protection::NnPsk0 } else { Protection::NkPsk0 };
        let (device, gateway) = (DeviceKey::new([7; 32]), GatewaySecret::new([9; 32]));
        let keys = Keys { device, gateway, protection };
        Self {
            now: Instant::from_millis(1_000),
            device: connect(&keys, 1),
            boot: 1,
            gate: Gate::new(&keys),
            keys,
            hello: Vec::new(),
            up: Vec::new(),
            down: Vec::new(),
            lied: false,
        }
    }

    /// Timers, events, and what is sent.
    fn settle(&mut self) {
        if self.device.poll_timeout().is_some_and(|time| time <= self.now) {
            self.device.handle_timeout(self.now);
        }
        while let Some(event) = self.device.poll_event() {
            if let Event::BootEpochRaised { epoch } = event {
                self.boot = self.boot.max(epoch);
            }
        }
        let mut buf = [0; Config::MAX_DATAGRAM as usize];
        for count in 0.. {
            assert!(count < 500, "the device never falls silent");
            let Some(sent) = self.device.poll_transmit(self.now, &mut buf) else { break };
            if buf[0] & 0xf0 == 0x80 {
                self.hello = buf[..sent.len].to_vec();
            }
            self.up.push(buf[..sent.len].to_vec());
        }
        let ledger = self.device.ledger();
        assert!(ledger.is_balanced(), "{ledger:?}");
        self.up.drain(..self.up.len().saturating_sub(32));
        self.down.drain(..self.down.len().saturating_sub(32));
    }

    fn step(&mut self, source: &mut Source<'_>) {
        match source.u8() % 16 {
            0 => {
                let len = usize::from(source.u8());
                self.reject(source.bytes(len).to_vec());
            }
            1 => {
                let (kind, len) = (source.u8(), usize::from(source.u8()));
                let body = source.bytes(len);
                self.reject([&[0x80 | kind << 4, 1], self.echo(), body].concat());
            }
            2 => self.distort(source),
            3 => {
                if let Some(at) = source.index(self.down.len()) {
                    let datagram = self.down.remove(at);
                    self.hand_device(datagram);
                }
            }
            4 | 5 => self.hostile_accept(source),
            6 => self.hostile_answer(source),
            7 => {
                let len = usize::from(source.u8());
                let junk = source.bytes(len).to_vec();
                self.hand_gate(junk);
            }
            8 => self.distort_hello(source),
            9 => self.hostile_hello(source),
            10 => {
                if let Some(at) = source.index(self.up.len()) {
                    let datagram = self.up.remove(at);
                    self.hand_gate(datagram);
                }
            }
            11 => self.hand_gate(self.hello.clone()),
            12 => self.now = self.now + Duration::from_millis(u64::from(source.u8()) * 20),
            13 => {
                let len = usize::from(source.u8() % 128);
                let payload = source.bytes(len).to_vec();
                let _full = self.device.send(self.now, CHANNEL, &payload);
            }
            14 => self.device.boot_epoch_stored(self.now),
            _ => self.disturb(source),
        }
    }

    fn disturb(&mut self, source: &mut Source<'_>) {
        match source.u8() % 6 {
            0 => {
                // Kept by its storage, and counted up.
                self.boot = self.boot.saturating_add(1);
                self.device = connect(&self.keys, self.boot);
            }
            1 => self.gate.sessions.clear(),
            2 => self.gate.loaded = !self.gate.loaded,
            3 => {
                let reasons = [CloseReason::Refused, CloseReason::Version, CloseReason::GoingAway];
                self.gate.refusal = source.index(4).and_then(|at| reasons.get(at).copied());
            }
            4 => self.device.wake(self.now),
            _ => self.gate.lowest = self.gate.lowest.max(source.u64() >> 1),
        }
    }

    /// What names the last HELLO in answers to it.
    fn echo(&self) -> &[u8] {
        self.hello.get(self.hello.len().saturating_sub(MACS)..).and_then(|macs| macs.get(..8)).unwrap_or(&[])
    }

    /// To the device, which must not take it.
    fn reject(&mut self, mut datagram: Vec<u8>) {
        let state = |device: &Session<Medium>| (device.is_established(), device.is_closed(), device.hello_id());
        let (before, dropped) = (state(&self.device), self.device.stats().rx_dropped.total());
        assert!(
            self.device.handle_datagram(self.now, PathId(1), &mut datagram).next().is_none(),
            "a message of nobody"
        );
        assert_eq!(self.device.stats().rx_dropped.total(), dropped + 1, "not dropped, or twice");
        assert_eq!(state(&self.device), before);
        assert_eq!(self.device.poll_event(), None);
    }

    fn hand_device(&mut self, mut datagram: Vec<u8>) {
        let mut received = self.device.handle_datagram(self.now, PathId(1), &mut datagram);
        while received.next().is_some() {}
    }

    fn hand_gate(&mut self, mut datagram: Vec<u8>) {
        let answers = self.gate.handle(self.now, &self.keys, &mut datagram);
        self.down.extend(answers);
    }

    /// What the gateway said, with some bits changed or the end cut off.
    fn distort(&mut self, source: &mut Source<'_>) {
        let Some(mut datagram) = source.index(self.down.len()).map(|at| self.down[at].clone()) else { return };
        if change(&mut datagram, source) {
            self.reject(datagram);
        }
    }

    /// The device's HELLO, changed: nobody's, unless the change is in the proof of its address.
    fn distort_hello(&mut self, source: &mut Source<'_>) {
        let mut hello = self.hello.clone();
        let proof = hello.len().saturating_sub(8);
        if change(&mut hello, source) && hello.get(..proof) != self.hello.get(..proof) {
            let answers = self.gate.handle(self.now, &self.keys, &mut hello);
            // What looks like a packet is of no session, and is told so.
            assert!(answers.is_empty() || hello[0] & 0x80 == 0, "an answer to a HELLO of nobody");
        }
    }

    fn hostile_accept(&mut self, source: &mut Source<'_>) {
        if self.hello.len() <= FRONT + MACS {
            return;
        }
        let len = usize::from(source.u8());
        // A reset key, and a cid of 4 bytes and the limits of a gateway as often as not: what follows is parsed then.
        let front: &[u8] = match source.u8() % 4 {
            0 => &[],
            1 => &[1; 16],
            _ => &[
                1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 9, 9, 9, 9, 0xb0, 0x09, 0x80, 0x01, 0x80, 0x01,
                0xff, 0x01, 0xa8, 0xc3, 0x01,
            ],
        };
        let payload = [front, source.bytes(len)].concat();
        let accept = self.keys.accept(&self.hello, &payload);
        let before = (self.device.stats().rx_dropped.total(), self.device.hello_id());
        self.hand_device(accept);
        let after = (self.device.stats().rx_dropped.total(), self.device.hello_id());
        assert!(after.0 == before.0 || after.0 == before.0 + 1);
        self.lied |= after.0 == before.0;
    }

    fn hostile_answer(&mut self, source: &mut Source<'_>) {
        if self.hello.len() <= FRONT + MACS {
            return;
        }
        let (kind, len) = (source.u8(), usize::from(source.u8() % 40));
        let body = source.bytes(len).to_vec();
        let answer = self.keys.answer(&self.hello, kind, &body);
        let before = self.device.stats().rx_dropped.total();
        self.hand_device(answer);
        self.lied |= self.device.stats().rx_dropped.total() == before;
    }

    fn hostile_hello(&mut self, source: &mut Source<'_>) {
        let (counter, len) = (self.gate.lowest.saturating_add(source.u64()), usize::from(source.u8()));
        // No cid, and the limits of a device.
        let front: &[u8] = if source.bool() { &[] } else { &[0, 0xb0, 0x09, 0x80, 0x01, 0x80, 0x01, 0xff, 0x01, 0] };
        let terms = [front, source.bytes(len)].concat();
        let hello = self.keys.hello(counter, &terms);
        self.lied = true;
        self.hand_gate(hello);
    }

    /// Everything arrives from now on.
    fn heal(&mut self) {
        (self.gate.refusal, self.gate.loaded) = (None, false);
        for _ in 0..60 {
            if self.lied || self.device.is_closed() {
                return;
            }
            if self.device.is_established() && self.up.is_empty() && self.down.is_empty() {
                return;
            }
            self.device.boot_epoch_stored(self.now);
            for datagram in core::mem::take(&mut self.up) {
                self.hand_gate(datagram);
            }
            let sent = self.gate.transmit(self.now);
            self.down.extend(sent);
            for datagram in core::mem::take(&mut self.down) {
                self.hand_device(datagram);
            }
            if let Some(next) = self.device.poll_timeout() {
                self.now = self.now.max(next);
            }
            self.settle();
        }
        assert!(self.device.is_established(), "no session on a good link");
    }
}

/// Whether anything changed.
fn change(datagram: &mut Vec<u8>, source: &mut Source<'_>) -> bool {
    let before = datagram.clone();
    for _ in 0..=source.u8() % 3 {
        let (at, bits) = (usize::from(source.u16()), source.u8());
        let Some(at) = at.checked_rem(datagram.len()) else { break };
        match bits {
            0 => datagram.truncate(at),
            1 => datagram.push(at as u8),
            bits => datagram[at] ^= bits,
        }
    }
    *datagram != before
}
