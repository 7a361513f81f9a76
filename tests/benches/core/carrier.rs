//! What lies between two sessions: nothing, or smoltcp's UDP.

use crate::udp::Udp;
use std::collections::VecDeque;
use whimbrel_core::Instant;

/// Where datagrams go.
pub(crate) enum Carrier {
    /// By hand: what waits at each end, and buffers to use again.
    Direct([VecDeque<Vec<u8>>; 2], Vec<Vec<u8>>),
    /// Through two stacks.
    Udp(Box<Udp>),
}

impl Carrier {
    pub(crate) fn new(udp: Option<Udp>) -> Self {
        match udp {
            Some(udp) => Self::Udp(Box::new(udp)),
            None => Self::Direct(Default::default(), Vec::new()),
        }
    }

    /// A datagram leaves an end: 0 the device's, 1 the gateway's.
    pub(crate) fn send(&mut self, from: usize, datagram: &[u8]) {
        match self {
            Self::Direct(queues, spare) => {
                let mut buffer = spare.pop().unwrap_or_default();
                buffer.clear();
                buffer.extend_from_slice(datagram);
                queues[1 - from].push_back(buffer);
            }
            Self::Udp(udp) => udp.send(from, datagram),
        }
    }

    /// Moves what both ends sent.
    pub(crate) fn carry(&mut self, now: Instant) {
        if let Self::Udp(udp) = self {
            udp.carry(now);
        }
    }

    /// The length of a datagram that arrived at an end; `None` when there is none.
    pub(crate) fn receive(&mut self, at: usize, buf: &mut [u8]) -> Option<usize> {
        match self {
            Self::Direct(queues, spare) => {
                let datagram = queues[at].pop_front()?;
                buf[..datagram.len()].copy_from_slice(&datagram);
                let len = datagram.len();
                spare.push(datagram);
                Some(len)
            }
            Self::Udp(udp) => {
                let mut len = 0;
                let arrived = udp.receive(at, |datagram| {
                    len = datagram.len();
                    buf[..len].copy_from_slice(datagram);
                });
                arrived.then_some(len)
            }
        }
    }
}
