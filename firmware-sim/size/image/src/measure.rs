//! A device under measurement: its gateway is outside, on the host, so that all that is spent here is the device's.

use crate::board::{self, Link};
use crate::device::{CHANNEL, connect};
use crate::probe::{self, Cost, measured};
use crate::provisioned::{DATAGRAM, FIRST_COMMAND, MESSAGE, ROUNDS};
use semihosting::{eprintln, process};
use whimbrel_core::{Duration, Instant, PathId, Session, Small};

const PERIOD: Duration = Duration::from_secs(1);
const ROUND_TRIP: Duration = Duration::from_millis(20);
const CALIBRATION: u32 = 200_000;

struct Device {
    session: Session<Small>,
    link: Link,
    buf: [u8; DATAGRAM as usize],
    now: Instant,
}

/// Opens a session, sends readings until all are committed, takes commands, and says what each call cost.
pub fn run() -> ! {
    board::start_timer();
    probe::check_room();
    eprintln!("calibration {} {}", CALIBRATION, probe::calibrate(CALIBRATION));
    eprintln!("session {}", size_of::<Session<Small>>());
    let mut made = None;
    let ((), cost) = measured(|| made = connect().ok());
    report("connect", cost);
    let session = made.expect("the channel fits");
    let mut device = Device { session, link: Link::new(), buf: [0; DATAGRAM as usize], now: Instant::ZERO };
    device.open();
    for round in 0..ROUNDS {
        device.exchange(round);
    }
    process::exit(0)
}

impl Device {
    fn open(&mut self) {
        assert!(self.transmit("hello"), "a session begins with a HELLO");
        self.take("accept", "accept");
        assert!(self.session.is_established());
        while self.transmit("first") {}
    }

    /// A reading, until it is committed, and the command that answers it.
    fn exchange(&mut self, round: usize) {
        self.now = self.now + PERIOD;
        self.session.handle_timeout(self.now);
        let (sent, cost) = measured(|| self.session.send(self.now, CHANNEL, &[round as u8; MESSAGE]));
        report("send", cost);
        assert!(sent.is_ok(), "the outbox has room");
        while self.transmit("transmit") {}
        let mut commanded = round < FIRST_COMMAND;
        while self.session.queued() > 0 || !commanded {
            commanded |= self.take("answer", "command");
            while self.transmit("acknowledge") {}
        }
    }

    /// Sends a datagram, if there is one.
    fn transmit(&mut self, name: &str) -> bool {
        let (sent, cost) = measured(|| self.session.poll_transmit(self.now, &mut self.buf));
        let Some(sent) = sent else { return false };
        report(name, cost);
        self.link.send(&self.buf[..sent.len]);
        true
    }

    /// Waits for a datagram and takes it in: one without a message, or with. Says whether there was one.
    fn take(&mut self, without: &str, with: &str) -> bool {
        let len = self.link.receive(&mut self.buf);
        self.now = self.now + ROUND_TRIP;
        let dropped = self.session.stats().rx_dropped;
        let (messages, cost) = measured(|| {
            let mut messages = self.session.handle_datagram(self.now, PathId(0), &mut self.buf[..len]);
            let mut count = 0;
            while messages.next().is_some() {
                count += 1;
            }
            count
        });
        assert!(self.session.stats().rx_dropped == dropped, "the gateway's datagrams are good");
        report(if messages > 0 { with } else { without }, cost);
        while self.session.poll_event().is_some() {}
        messages > 0
    }
}

fn report(name: &str, cost: Cost) {
    eprintln!("cost {} {} {}", name, cost.stack, cost.ticks);
}
