//! The gateway's side of a run: one session, which commits what it gets, and then answers with commands.

use crate::Variant;
use crate::provisioned::{DATAGRAM, DEVICE, FIRST_COMMAND, GATEWAY_PUBLIC, KEY, MESSAGE, READINGS};
use anyhow::{Context, ensure};
use std::iter;
use whimbrel_core::{
    Admission, ChannelConfig, ChannelId, Config, ConnectionId, DeviceKey, Duration, GatewayKeys, GatewaySecret, Hello,
    Host, Instant, Offer, PathId, Pattern, SchemaId, SeqNo, Session, StreamAdmission, StreamEpoch,
};

const PATH: PathId = PathId(0);
/// After this, whatever could still wait to be acknowledged is.
const MOMENT: Duration = Duration::from_millis(30);

/// Of RFC 7748 section 6.1, Bob's.
const SECRET: [u8; 32] = [
    0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f, 0x8b, 0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b, 0xb1,
    0x29, 0x26, 0x18, 0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb,
];

pub(crate) struct Gateway {
    variant: Variant,
    session: Option<Box<Session<Host>>>,
    now: Instant,
    messages: usize,
}

impl Gateway {
    pub(crate) fn new(variant: Variant) -> Self {
        Self { variant, session: None, now: Instant::ZERO, messages: 0 }
    }

    /// What answers a datagram.
    pub(crate) fn handle(&mut self, datagram: &mut [u8]) -> anyhow::Result<Vec<Vec<u8>>> {
        match &mut self.session {
            None => {
                let mut session = Box::new(self.accept(datagram)?);
                let answers = drain(&mut session, self.now);
                self.session = Some(session);
                Ok(answers)
            }
            Some(session) => {
                let dropped = session.stats().rx_dropped;
                let mut read = None;
                let mut received = session.handle_datagram(self.now, PATH, datagram);
                while let Some(message) = received.next() {
                    ensure!(message.payload.len() == MESSAGE, "a reading of {} bytes", message.payload.len());
                    read = Some((message.stream, message.seq));
                }
                drop(received);
                ensure!(session.stats().rx_dropped == dropped, "the device's datagrams are good");
                let Some((stream, seq)) = read else { return Ok(Vec::new()) };
                session.commit(self.now, stream, seq.next());
                self.now = self.now + MOMENT;
                session.handle_timeout(self.now);
                let mut answers = drain(session, self.now);
                if self.messages >= FIRST_COMMAND {
                    session.send(self.now, channel()?, &[0x5a; MESSAGE])?;
                    answers.append(&mut drain(session, self.now));
                }
                self.messages += 1;
                Ok(answers)
            }
        }
    }

    fn accept(&self, datagram: &[u8]) -> anyhow::Result<Session<Host>> {
        let hello = Hello::parse(datagram)?;
        let key = DeviceKey::new(KEY);
        let mut terms = vec![0; datagram.len()];
        let offer = match self.variant {
            Variant::Plain => hello.plain().context("the HELLO is plain")?,
            Variant::NnPsk0 | Variant::NkPsk0 => {
                let pattern = if self.variant == Variant::NnPsk0 { Pattern::NnPsk0 } else { Pattern::NkPsk0 };
                let secret = GatewaySecret::new(SECRET);
                ensure!(*secret.public().as_bytes() == GATEWAY_PUBLIC, "the keys are a pair");
                let authentic = hello.claim().authenticate(&key).context("the device knows its key")?;
                let (opened, len) = authentic.open(pattern, &GatewayKeys::new(secret, [5; 32]), &mut terms)?;
                Offer::new(opened, &terms[..len])?
            }
        };
        ensure!(offer.device().as_bytes() == DEVICE, "the device says who it is");
        let epoch = StreamEpoch::new(1).context("not 0")?;
        let streams: Vec<_> =
            offer.streams().map(|stream| StreamAdmission { id: stream.id, epoch, next: SeqNo::ZERO }).collect();
        let cid = ConnectionId::new(&[1, 2, 3, 4]).context("4 bytes")?;
        let channels = [ChannelConfig::ordered(channel()?, SchemaId::named("commands/1"))];
        let config = Config { max_datagram: DATAGRAM, ..Config::new() };
        let admission = Admission { streams: &streams };
        Ok(Session::accept(&config, &offer, &admission, cid, &channels, [2; 32], Host::new(), self.now, PATH)?)
    }
}

fn channel() -> anyhow::Result<ChannelId> {
    ChannelId::new(READINGS).context("a channel's number")
}

fn drain(session: &mut Session<Host>, now: Instant) -> Vec<Vec<u8>> {
    let mut buf = [0; DATAGRAM as usize];
    let transmit = || session.poll_transmit(now, &mut buf).map(|sent| buf[..sent.len].to_vec());
    iter::from_fn(transmit).collect()
}
