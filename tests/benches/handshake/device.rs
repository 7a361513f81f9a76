//! A device that opens a session; none of it counts.

use whimbrel_core::{
    BootEpoch, ChannelConfig, ChannelId, Config, DeviceId, Identity, Instant, PathId, Protection, SchemaId, Session,
    Small,
};
use whimbrel_tests::keys;

/// Whose keys these are.
pub(crate) const SEED: u64 = 1;
/// The moment in which everything happens.
pub(crate) const NOW: Instant = Instant::ZERO;
/// Where everything happens.
pub(crate) const PATH: PathId = PathId(0);

/// The name of the device of this number.
pub(crate) fn id(number: u32) -> DeviceId {
    DeviceId::new(&number.to_le_bytes()).expect("4 bytes are a device id")
}

/// One device, since it booted.
pub(crate) struct Device {
    session: Session<Small>,
}

impl Device {
    /// Boots; `boot` is larger each time.
    pub(crate) fn new(number: u32, boot: u32, protection: Protection) -> Self {
        let credentials = keys::credentials(SEED, number, protection).expect("the handshake is a sealed one");
        let identity = Identity::sealed(id(number), BootEpoch::unstored(boot), credentials);
        let channels = [ChannelConfig::durable(ChannelId::new(1).expect("1 is a channel"), SchemaId::named("bench/1"))];
        let mut random = [0; 32];
        getrandom::fill(&mut random).expect("the system has random bytes");
        let session = Session::connect(&Config::new(), identity, &channels, random, Small::new());
        Self { session: session.expect("one channel fits") }
    }

    /// What it sends next.
    pub(crate) fn transmit(&mut self) -> Vec<u8> {
        let mut buf = [0; Config::MAX_DATAGRAM as usize];
        let sent = self.session.poll_transmit(NOW, &mut buf).expect("there is something to say");
        buf[..sent.len].to_vec()
    }

    /// Its first packet under the session that it was given.
    pub(crate) fn on_accept(&mut self, accept: &mut [u8]) -> Vec<u8> {
        drop(self.session.handle_datagram(NOW, PATH, accept));
        assert!(self.session.is_established(), "the gateway's answer is good");
        self.transmit()
    }
}
