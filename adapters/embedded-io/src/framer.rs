//! Between a session's packets and a stream's bytes; no I/O.

use crate::End;
use whimbrel_core::stream::{self, Deframer, FramesDropped};
use whimbrel_core::{BufferTooSmall, Hello, Instant, Message, PathId, Route};

/// Ends a frame on the line, and is in none.
const DELIMITER: u8 = 0;
/// Bytes of the check that the receiver of a frame holds besides the packet.
const CHECK_LEN: usize = 4;

/// The framing of one session over one byte stream.
#[derive(Debug)]
pub struct Framer<'b> {
    pub(crate) inbound: Inbound<'b>,
    pub(crate) outbound: Outbound<'b>,
}

impl<'b> Framer<'b> {
    /// Bytes that a framer needs for packets of up to `max_datagram` bytes: some three times as many.
    pub const fn buffer_len(max_datagram: u16) -> usize {
        let packet = max_datagram as usize;
        (packet + CHECK_LEN) + packet + Outbound::frame_len_max(packet)
    }

    /// A framer in `buffer`, of [`Self::buffer_len`] bytes or more. `max_datagram` is the session's
    /// [`whimbrel_core::Config::max_datagram`], in bytes; `path` is what the session shall call this stream.
    ///
    /// # Errors
    /// When `buffer` is too short.
    pub fn new(max_datagram: u16, path: PathId, buffer: &'b mut [u8]) -> Result<Self, BufferTooSmall> {
        let packet = usize::from(max_datagram);
        let (rx, rest) = buffer.split_at_mut_checked(packet + CHECK_LEN).ok_or(BufferTooSmall)?;
        let (packet, rest) = rest.split_at_mut_checked(packet).ok_or(BufferTooSmall)?;
        let frame = rest.get_mut(..Outbound::frame_len_max(packet.len())).ok_or(BufferTooSmall)?;
        Ok(Self {
            inbound: Inbound { path, deframer: Deframer::new(rx) },
            outbound: Outbound { packet, frame, start: 0, end: 0, in_step: false },
        })
    }

    /// Takes bytes of the stream, and hands each packet that they complete to the session, and each message that is
    /// deliverable then to `on_message`.
    pub fn receive<E: End>(&mut self, now: Instant, end: &mut E, bytes: &[u8], on_message: impl FnMut(&Message<'_>)) {
        self.inbound.receive(now, end, bytes, on_message);
    }

    /// The bytes to write next; none when the session has nothing to send. Lets the session act on time first.
    ///
    /// The same bytes come again until [`Self::written`] says that they are gone: a frame is never torn.
    pub fn transmit<E: End>(&mut self, now: Instant, end: &mut E) -> &[u8] {
        self.outbound.fill(now, end);
        self.outbound.pending()
    }

    /// The stream took the first `count` of the bytes to write.
    pub fn written(&mut self, count: usize) {
        self.outbound.written(count);
    }

    /// When to poll next, as far as time is concerned; `None`: only bytes or the application can change anything.
    pub fn poll_at<E: End>(&self, now: Instant, end: &mut E) -> Option<Instant> {
        if self.outbound.pending().is_empty() { end.session()?.poll_timeout() } else { Some(now) }
    }

    /// Forgets what was half received and half written, for a new stream in the place of the old one.
    /// The session sees the loss of those packets.
    pub fn reset(&mut self) {
        self.inbound.reset();
        self.outbound.reset();
    }

    /// Frames that gave no packet, by reason.
    pub const fn dropped(&self) -> FramesDropped {
        self.inbound.deframer.dropped()
    }
}

/// From bytes to messages.
#[derive(Debug)]
pub(crate) struct Inbound<'b> {
    path: PathId,
    deframer: Deframer<&'b mut [u8]>,
}

impl Inbound<'_> {
    pub(crate) fn receive<E: End>(
        &mut self,
        now: Instant,
        end: &mut E,
        mut bytes: &[u8],
        mut on_message: impl FnMut(&Message<'_>),
    ) {
        while !bytes.is_empty() {
            let (taken, packet) = self.deframer.push(bytes);
            if let Some(packet) = packet {
                handle_packet(now, self.path, end, packet, &mut on_message);
            }
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    fn reset(&mut self) {
        // A delimiter ends whatever was under way; what that was does not matter any more.
        let _ = self.deframer.push(&[DELIMITER]);
    }
}

fn handle_packet<E: End>(
    now: Instant,
    path: PathId,
    end: &mut E,
    packet: &mut [u8],
    mut on_message: impl FnMut(&Message<'_>),
) {
    if whimbrel_core::route(packet) == Ok(Route::Hello)
        && let Ok(hello) = Hello::parse(packet)
        && end.on_hello(now, path, &hello)
    {
        return;
    }
    let Some(session) = end.session() else { return };
    let mut received = session.handle_datagram(now, path, packet);
    while let Some(message) = received.next() {
        on_message(&message);
    }
}

/// From packets to bytes.
#[derive(Debug)]
pub(crate) struct Outbound<'b> {
    packet: &'b mut [u8],
    frame: &'b mut [u8],
    /// What is still to be written of the frame.
    start: usize,
    end: usize,
    /// The frame before this one went right before it.
    in_step: bool,
}

impl Outbound<'_> {
    /// A delimiter, and the frame.
    const fn frame_len_max(packet: usize) -> usize {
        1 + stream::encoded_len_max(packet)
    }

    /// Takes the next packet from the session, if none is under way.
    pub(crate) fn fill<E: End>(&mut self, now: Instant, end: &mut E) {
        let Some(session) = end.session() else { return };
        if session.poll_timeout().is_some_and(|due| due <= now) {
            session.handle_timeout(now);
        }
        if !self.pending().is_empty() {
            return;
        }
        let Some(transmit) = session.poll_transmit(now, self.packet) else {
            self.in_step = false;
            return;
        };
        let (Some(packet), Some((delimiter, frame))) = (self.packet.get(..transmit.len), self.frame.split_first_mut())
        else {
            return;
        };
        *delimiter = DELIMITER;
        // The buffer has room for any packet.
        let Ok(len) = stream::encode(packet, frame) else { return };
        // After a pause the line may have made up bytes: the delimiter ends them.
        self.start = usize::from(self.in_step);
        self.end = 1 + len;
        self.in_step = true;
    }

    pub(crate) fn pending(&self) -> &[u8] {
        self.frame.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn written(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    fn reset(&mut self) {
        (self.start, self.end, self.in_step) = (0, 0, false);
    }
}
