//! KCP in the mode that its documentation calls the fastest.

use crate::flow::{End, Flow};
use ::kcp::Kcp as Control;
use core::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::rc::Rc;
use whimbrel_core::{Duration, Instant};

const CONVERSATION: u32 = 1;
/// `ikcp_nodelay(1, 10, 2, 1)`: no delay, a tick of 10 ms, resent at the second acknowledgement that skips it, no
/// congestion control.
const TICK_MS: u32 = 10;
const RESEND: i32 = 2;
/// Segments, in both windows.
const WINDOW: u16 = 128;
const MESSAGE_MAX: usize = 1_400;

/// Where packets go out.
#[derive(Clone, Debug, Default)]
struct Wire(Rc<RefCell<VecDeque<Vec<u8>>>>);

impl Write for Wire {
    fn write(&mut self, packet: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().push_back(packet.to_vec());
        Ok(packet.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Half {
    control: Control<Wire>,
    wire: Wire,
}

impl Half {
    fn new() -> Self {
        let wire = Wire::default();
        let mut control = Control::new(CONVERSATION, wire.clone());
        control.set_nodelay(true, TICK_MS as i32, RESEND, true);
        control.set_wndsize(WINDOW, WINDOW);
        Self { control, wire }
    }
}

/// Both ends.
pub(crate) struct Kcp {
    device: Half,
    gateway: Half,
    tick: Instant,
    /// Messages were given since the last flush.
    given: bool,
}

impl Kcp {
    /// Ready at once: KCP has no handshake.
    pub(crate) fn new() -> Self {
        Self { device: Half::new(), gateway: Half::new(), tick: Instant::ZERO, given: false }
    }
}

impl Flow for Kcp {
    fn is_ready(&self) -> bool {
        true
    }

    fn offer(&mut self, _now: Instant, _lane: usize, message: &[u8]) -> bool {
        // KCP's own queue has no end; its users stop at a multiple of the window.
        if self.device.control.wait_snd() >= 2 * usize::from(WINDOW) {
            return false;
        }
        self.device.control.send(message).expect("the message fits a segment");
        self.given = true;
        true
    }

    fn handle(&mut self, _now: Instant, at: End, frame: &mut [u8]) {
        let half = if at == End::Device { &mut self.device } else { &mut self.gateway };
        half.control.input(frame).expect("the link spoils nothing");
    }

    fn handle_timeout(&mut self, now: Instant) {
        let millis = now.as_micros() / 1_000;
        for half in [&mut self.device, &mut self.gateway] {
            half.control.update(millis as u32).expect("writing to memory succeeds");
        }
        self.tick = Instant::from_millis(millis) + Duration::from_millis(TICK_MS.into());
    }

    fn transmit(&mut self, now: Instant, from: End) -> Option<Vec<u8>> {
        if core::mem::take(&mut self.given) {
            // What is given leaves at once.
            self.device.control.update((now.as_micros() / 1_000) as u32).expect("writing to memory succeeds");
            self.device.control.flush().expect("writing to memory succeeds");
        }
        let half = if from == End::Device { &self.device } else { &self.gateway };
        half.wire.0.borrow_mut().pop_front()
    }

    fn deliver(&mut self, _now: Instant) -> Option<(usize, Vec<u8>)> {
        let mut message = vec![0; MESSAGE_MAX];
        let len = self.gateway.control.recv(&mut message).ok()?;
        message.truncate(len);
        Some((0, message))
    }

    fn next_deadline(&mut self, _now: Instant) -> Option<Instant> {
        Some(self.tick)
    }
}
