//! A bad network between processes: a UDP relay that loses and reorders.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use firmware_sim::faults::Faults;
use firmware_sim::link::{Link, LinkStats};
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// The relay's faults, in each direction.
const FAULTS: Faults = Faults { loss: 0.2, reorder: 0.1, ..Faults::NONE };

/// One client's way through the relay: a socket of its own towards the gateway, and a bad link each way.
struct Flow {
    client: SocketAddr,
    socket: UdpSocket,
    up: Link,
    down: Link,
}

/// What the relay did to a flow, up and down.
pub(crate) type FlowStats = [LinkStats; 2];

/// A bad network between the devices and one address.
pub(crate) struct Relay {
    /// Where the devices find the gateway.
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<FlowStats>>>,
}

impl Relay {
    pub(crate) fn start(gateway: SocketAddr, seed: u64) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        front.set_nonblocking(true).unwrap();
        let address = front.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (start, mut flows) = (Instant::now(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                let now = whimbrel_core::Instant::from_micros(start.elapsed().as_micros() as u64);
                relay(now, &front, gateway, seed, &mut flows);
                thread::sleep(Duration::from_millis(1));
            }
            flows.iter().map(|flow| [*flow.up.stats(), *flow.down.stats()]).collect()
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// What it did, flow by flow.
    pub(crate) fn stop(mut self) -> Vec<FlowStats> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Moves everything that has come, or is due after it was held back.
fn relay(now: whimbrel_core::Instant, front: &UdpSocket, gateway: SocketAddr, seed: u64, flows: &mut Vec<Flow>) {
    let mut buffer = [0; 2048];
    // The sockets are not connected: that nobody listens at the other end shows as silence, never as an error.
    while let Ok((len, client)) = front.recv_from(&mut buffer) {
        let place = flows.iter().position(|flow| flow.client == client).unwrap_or_else(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let seed = seed.wrapping_mul(1000) + 2 * flows.len() as u64;
            flows.push(Flow { client, socket, up: Link::new(FAULTS, seed), down: Link::new(FAULTS, seed + 1) });
            flows.len() - 1
        });
        flows[place].up.send(now, &buffer[..len]);
    }
    for Flow { client, socket, up, down } in flows {
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            if from == gateway {
                down.send(now, &buffer[..len]);
            }
        }
        while let Some(datagram) = up.poll(now) {
            socket.send_to(&datagram, gateway).unwrap();
        }
        while let Some(datagram) = down.poll(now) {
            front.send_to(&datagram, *client).unwrap();
        }
    }
}
