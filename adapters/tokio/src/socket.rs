//! One UDP socket with batches: many datagrams a system call, in and out.

use core::array;
use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Where a datagram came from, and to which of our addresses: the answer leaves from that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) peer: SocketAddr,
    pub(crate) local: Option<IpAddr>,
}

/// The longest UDP payload, and the longest run of coalesced datagrams.
const BUFFER_LEN: usize = 65_535;
/// Asked of the kernel in each direction; it may give less.
const KERNEL_BUFFER: usize = 4 << 20;
/// Bytes that may wait for the socket.
const OUTGOING_LEN: usize = 256 << 10;
/// Most bytes in one coalesced send: a UDP payload over IPv4.
const COALESCED_MAX: usize = 65_507;

/// Binds a socket; `shared` with others on the same address.
pub(crate) fn bind(address: SocketAddr, shared: bool) -> io::Result<std::net::UdpSocket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if shared {
        #[cfg(unix)]
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    // Best effort: the kernel's limit may be lower, and a small buffer only means more loss.
    let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
    let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The socket of one shard.
pub(crate) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<u8>,
}

impl Socket {
    /// Must be called within the runtime.
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let io = UdpSocket::from_std(socket)?;
        let state = UdpSocketState::new((&io).into())?;
        Ok(Self { io, state, buffers: vec![0; BUFFER_LEN * BATCH_SIZE] })
    }

    pub(crate) fn outgoing(&self) -> Outgoing {
        Outgoing::new(OUTGOING_LEN, self.state.max_gso_segments())
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// One batch, each datagram to `each`. `WouldBlock` when there is none.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(Path, &mut [u8])) -> io::Result<()> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut chunks = self.buffers.chunks_exact_mut(BUFFER_LEN);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let (io, state) = (&self.io, &self.state);
        let count = io.try_io(Interest::READABLE, || state.recv(io.into(), &mut slices, &mut metas))?;
        for (meta, buffer) in metas.iter().take(count).zip(self.buffers.chunks_exact_mut(BUFFER_LEN)) {
            let path = Path { peer: meta.addr, local: meta.dst_ip };
            let Some(filled) = buffer.get_mut(..meta.len) else {
                continue;
            };
            if filled.is_empty() {
                each(path, filled);
                continue;
            }
            for datagram in filled.chunks_mut(meta.stride.max(1)) {
                each(path, datagram);
            }
        }
        Ok(())
    }

    /// Sends what waits until the socket would block. What it refuses is dropped and counted: to
    /// the sessions that is a loss like another.
    pub(crate) fn flush(&self, outgoing: &mut Outgoing) -> Sent {
        let mut sent = Sent::default();
        while let Some(run) = outgoing.runs.front() {
            let contents = outgoing.bytes.get(run.start..run.start + run.len).unwrap_or_default();
            match self.send(run.path, contents, run.segment) {
                Ok(()) => sent.count(contents, run.segment),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return sent,
                // A coalesced send can fail where plain ones do not, on a device without the offload.
                Err(_) if contents.len() > run.segment => {
                    outgoing.segments_max = self.state.max_gso_segments();
                    for datagram in contents.chunks(run.segment) {
                        match self.send(run.path, datagram, run.segment) {
                            Ok(()) => sent.count(datagram, run.segment),
                            Err(_) => sent.failed += 1,
                        }
                    }
                }
                Err(error) => {
                    tracing::trace!(peer = %run.path.peer, %error, "a datagram was not sent");
                    sent.failed += 1;
                }
            }
            outgoing.runs.pop_front();
        }
        sent
    }

    fn send(&self, path: Path, contents: &[u8], segment: usize) -> io::Result<()> {
        let transmit = Transmit {
            destination: path.peer,
            ecn: None,
            contents,
            segment_size: (contents.len() > segment).then_some(segment),
            src_ip: path.local,
        };
        self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit))
    }
}

/// What a flush did.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
    pub(crate) failed: u64,
}

impl Sent {
    fn count(&mut self, contents: &[u8], segment: usize) {
        self.datagrams += contents.len().div_ceil(segment.max(1)) as u64;
        self.bytes += contents.len() as u64;
    }
}

/// Datagrams that wait for the socket. Neighbours to one address are kept as one run while all
/// but the last are of one size, so that one system call sends them.
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    used: usize,
    runs: VecDeque<Run>,
    segments_max: usize,
}

struct Run {
    path: Path,
    start: usize,
    len: usize,
    segment: usize,
}

impl Outgoing {
    pub(crate) fn new(len: usize, segments_max: usize) -> Self {
        Self { bytes: vec![0; len], used: 0, runs: VecDeque::new(), segments_max }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Everything that waits, as datagrams.
    #[cfg(test)]
    pub(crate) fn take(&mut self) -> Vec<(Path, Vec<u8>)> {
        let mut all = Vec::new();
        for run in self.runs.drain(..) {
            let contents = &self.bytes[run.start..run.start + run.len];
            all.extend(contents.chunks(run.segment).map(|datagram| (run.path, datagram.to_vec())));
        }
        all
    }

    /// Room for a datagram of up to `len` bytes; `None` until a flush.
    pub(crate) fn room(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.runs.is_empty() {
            self.used = 0;
        }
        self.bytes.get_mut(self.used..self.used.checked_add(len)?)
    }

    /// The first `len` bytes of the room are a datagram.
    pub(crate) fn push(&mut self, path: Path, len: usize) {
        if len == 0 {
            return;
        }
        let start = self.used;
        self.used += len;
        if let Some(last) = self.runs.back_mut() {
            let open = last.len % last.segment == 0 && last.len / last.segment < self.segments_max;
            let fits = len <= last.segment && last.len + len <= COALESCED_MAX;
            if open && fits && last.path == path {
                last.len += len;
                return;
            }
        }
        self.runs.push_back(Run { path, start, len, segment: len });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path { peer: SocketAddr::from(([127, 0, 0, 1], port)), local: None }
    }

    fn runs(lens: &[(u16, usize)], segments_max: usize) -> Vec<(usize, usize)> {
        let mut outgoing = Outgoing::new(OUTGOING_LEN, segments_max);
        for (port, len) in lens {
            assert!(outgoing.room(*len).is_some());
            outgoing.push(path(*port), *len);
        }
        outgoing.runs.iter().map(|run| (run.len, run.segment)).collect()
    }

    #[test]
    fn neighbours_of_one_size_and_address_make_a_run_that_a_shorter_one_ends() {
        assert_eq!(runs(&[(1, 100), (1, 100), (1, 40), (1, 40)], 64), [(240, 100), (40, 40)]);
        assert_eq!(runs(&[(1, 100), (2, 100), (1, 100)], 64), [(100, 100), (100, 100), (100, 100)]);
        assert_eq!(runs(&[(1, 100), (1, 101)], 64), [(100, 100), (101, 101)]);
        assert_eq!(runs(&[(1, 100), (1, 100), (1, 100)], 2), [(200, 100), (100, 100)]);
        assert_eq!(runs(&[(1, 100), (1, 100)], 1), [(100, 100), (100, 100)]);
    }

    #[test]
    fn a_full_queue_has_no_room() {
        let mut outgoing = Outgoing::new(1000, 64);
        assert!(outgoing.room(600).is_some());
        outgoing.push(path(1), 600);
        assert!(outgoing.room(401).is_none());
        assert!(outgoing.room(400).is_some());
    }

    #[tokio::test]
    async fn runs_arrive_as_the_datagrams_that_they_were() {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut to = Socket::new(bind(here, false).unwrap()).unwrap();
        let from = Socket::new(bind(here, false).unwrap()).unwrap();
        let path = Path { peer: to.io.local_addr().unwrap(), local: None };
        let mut outgoing = from.outgoing();
        for len in [300usize, 300, 300, 7, 1200] {
            outgoing.room(len).unwrap().get_mut(..len).unwrap().fill(len as u8);
            outgoing.push(path, len);
        }
        from.writable().await.unwrap();
        let sent = from.flush(&mut outgoing);
        assert_eq!((sent.datagrams, sent.bytes, sent.failed), (5, 2107, 0));
        assert!(outgoing.is_empty());
        let mut lens = Vec::new();
        while lens.len() < 5 {
            to.readable().await.unwrap();
            let result = to.receive(|_, bytes| {
                assert!(bytes.iter().all(|b| *b == bytes.len() as u8));
                lens.push(bytes.len());
            });
            assert!(result.is_ok() || result.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock));
        }
        assert_eq!(lens, [300, 300, 300, 7, 1200]);
    }
}
