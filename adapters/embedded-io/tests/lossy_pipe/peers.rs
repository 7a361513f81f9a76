//! The device and the gateway of the tests, and what they have to keep.

use whimbrel_core::{
    Admission, ChannelConfig, ChannelId, Config, ConnectionId, DeviceId, Duration, Hello, Identity, Instant, Medium,
    Message, PathId, SchemaId, SendError, SeqNo, Session, StreamAdmission, StreamEpoch,
};
use whimbrel_embedded_io::{Framer, Gateway};

pub(crate) const MESSAGES: u64 = 500;
/// Milliseconds: several times what the worst of 100 seeds needs. Probes that do not carry what the gateway waits
/// for take much longer.
pub(crate) const TIME_MAX: u64 = 60_000;
pub(crate) const DATAGRAM: u16 = 200;
pub(crate) const BUFFER: usize = Framer::buffer_len(DATAGRAM);
/// A line that is there is worth asking more often than once a minute.
pub(crate) const CONFIG: Config =
    Config { max_datagram: DATAGRAM, max_backoff: Duration::from_secs(1), ..Config::new() };
const CHANNEL: ChannelId = ChannelId::new(1).unwrap();

pub(crate) type Admit = fn(Instant, PathId, &Hello<'_>) -> Option<Session<Medium>>;

pub(crate) fn framer(buffer: &mut [u8]) -> Framer<'_> {
    Framer::new(DATAGRAM, PathId(7), buffer).unwrap()
}

pub(crate) fn device() -> Session<Medium> {
    let identity = Identity::insecure_plain(DeviceId::new(b"uart").unwrap(), 1);
    let channels = [ChannelConfig::durable(CHANNEL, SchemaId::named("test/1"))];
    Session::connect(&CONFIG, identity, &channels, [1; 32], Medium::new()).unwrap()
}

pub(crate) fn gateway() -> Gateway<Medium, Admit> {
    Gateway::new(|now, path, hello| {
        let offer = hello.plain()?;
        let streams: Vec<_> = offer
            .streams()
            .map(|stream| {
                let epoch = stream.epoch.unwrap_or(StreamEpoch::new(1).unwrap());
                StreamAdmission { id: stream.id, epoch, next: stream.base }
            })
            .collect();
        let (admission, cid) = (Admission { streams: &streams }, ConnectionId::new(&[7; 4]).unwrap());
        Session::accept(&CONFIG, &offer, &admission, cid, &[], [2; 32], Medium::new(), now, path).ok()
    })
}

/// Message number `number`: of a length of its own, zero bytes included.
fn payload(number: u64) -> Vec<u8> {
    let mut payload = number.to_le_bytes().to_vec();
    payload.extend((0..number % 53).map(|at| (at * number) as u8));
    payload
}

/// Sends as much as the session takes. Returns whether it took anything.
pub(crate) fn offer(now: Instant, session: &mut Session<Medium>, next: &mut u64) -> bool {
    let before = *next;
    while *next < MESSAGES {
        match session.send(now, CHANNEL, &payload(*next)) {
            Ok(id) => assert_eq!(id.seq, SeqNo::new(*next)),
            Err(SendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
        *next += 1;
    }
    *next > before
}

/// The gateway's storage: takes each message once and in order.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) next: u64,
    committed: u64,
}

impl Store {
    pub(crate) fn take(&mut self, message: &Message<'_>) {
        assert_eq!((message.channel(), message.seq), (CHANNEL, SeqNo::new(self.next)));
        assert_eq!(message.payload, payload(self.next));
        self.next += 1;
    }

    /// Tells the device what is stored. Returns whether there was anything new.
    pub(crate) fn commit(&mut self, now: Instant, session: &mut Session<Medium>) -> bool {
        let news = self.next > self.committed;
        if news {
            session.commit(now, CHANNEL.live(), SeqNo::new(self.next));
            self.committed = self.next;
        }
        news
    }
}
