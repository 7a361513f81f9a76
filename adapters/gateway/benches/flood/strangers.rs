//! One who sends as fast as a thread can, and writes any address on a datagram.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::Instant;

use quinn_udp::{Transmit, UdpSocketState};

use crate::process;

/// Source ports.
const PORTS: usize = 16;
/// Every other datagram is from one of few sources, which are blocked soon, the honest devices' among them; the others from so many that no table holds
/// them.
const FEW: u64 = 254;
const MANY: u64 = 1 << 18;
/// On Linux every address of 127.0.0.0/8 is there.
const FIRST_OF_FEW: u32 = 0x7f00_0001;
const FIRST_OF_MANY: u32 = 0x7f10_0000;
/// A flood ends after this, whatever is left of it.
const LONGEST: Duration = Duration::from_secs(20);

/// What was sent.
#[derive(Default)]
pub(crate) struct Flood {
    pub(crate) datagrams: u64,
    /// Processor time of the thread over time passed.
    pub(crate) share: f64,
}

/// Sends `count` datagrams, or as many as there is time for. `make` writes the one of a number.
pub(crate) fn flood(to: SocketAddr, count: u64, mut make: impl FnMut(u64, &mut Vec<u8>)) -> Flood {
    let sockets: Vec<_> = (0..PORTS).map(|_| Stranger::new()).collect();
    let (begin, busy) = (Instant::now(), process::thread_time());
    let mut datagram = Vec::with_capacity(2048);
    let mut number = 0;
    while number < count && (number % 64 != 0 || begin.elapsed() < LONGEST) {
        make(number, &mut datagram);
        sockets[(number / 2) as usize % PORTS].send(to, source(number), &datagram);
        number += 1;
    }
    let busy = process::thread_time().saturating_sub(busy);
    Flood { datagrams: number, share: busy.as_secs_f64() / begin.elapsed().as_secs_f64() }
}

fn source(number: u64) -> Ipv4Addr {
    let turn = number / 2;
    Ipv4Addr::from_bits(match number % 2 {
        0 => FIRST_OF_FEW + (turn % FEW) as u32,
        _ => FIRST_OF_MANY + (turn % MANY) as u32,
    })
}

struct Stranger {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Stranger {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let state = UdpSocketState::new((&socket).into()).unwrap();
        Self { socket, state }
    }

    fn send(&self, destination: SocketAddr, source: Ipv4Addr, contents: &[u8]) {
        let src_ip = Some(IpAddr::V4(source));
        let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip };
        loop {
            match self.state.try_send((&self.socket).into(), &transmit) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
                sent => return sent.unwrap(),
            }
        }
    }
}
