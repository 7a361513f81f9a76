//! What the bench asks of a protocol.

use whimbrel_core::Instant;

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Where messages are given.
    Device,
    /// Where they come out.
    Gateway,
}

/// What a flow's frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// UDP payloads: 28 bytes of IPv4 and UDP headers come with each.
    Udp,
    /// Whole IPv4 packets.
    Ip,
}

/// A protocol, both ends of it, without a clock: messages in at the device, and out at the gateway in order.
///
/// After every input, `transmit` and `deliver` until `None`, then `next_deadline`.
pub(crate) trait Flow {
    /// What its frames are.
    fn carrier(&self) -> Carrier {
        Carrier::Udp
    }

    /// Whether messages can flow: the handshake is over.
    fn is_ready(&self) -> bool;

    /// The device's application gives a message on one of the flow's lanes; flows with one lane ignore it. `false`
    /// when there is no room now.
    fn offer(&mut self, now: Instant, lane: usize, message: &[u8]) -> bool;

    /// A frame arrives.
    fn handle(&mut self, now: Instant, at: End, frame: &mut [u8]);

    /// What `next_deadline` named came due.
    fn handle_timeout(&mut self, now: Instant);

    /// The next frame that an end sends.
    fn transmit(&mut self, now: Instant, from: End) -> Option<Vec<u8>>;

    /// The next message that comes out at the gateway, and its lane.
    fn deliver(&mut self, now: Instant) -> Option<(usize, Vec<u8>)>;

    /// The application hears that the network is back.
    fn wake(&mut self, _now: Instant) {}

    /// When `handle_timeout` is due; `None` when only input can change anything.
    fn next_deadline(&mut self, now: Instant) -> Option<Instant>;
}
