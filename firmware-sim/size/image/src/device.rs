//! A device: what a product's firmware does with its session, as far as it concerns the session.

use crate::provisioned::{DATAGRAM, DEVICE, READINGS};
use core::hint::black_box;
use whimbrel_core::{ChannelConfig, ChannelId, Config, ConfigError, DeviceId, Identity, SchemaId, Session, Small};

#[cfg(not(feature = "plain"))]
use crate::provisioned::KEY;
#[cfg(not(feature = "plain"))]
use whimbrel_core::{BootEpochStorage, Credentials, DeviceKey, next_boot_epoch};

/// The channel of readings.
pub const CHANNEL: ChannelId = ChannelId::new(READINGS).unwrap();

/// A session of this device. What is provisioned, and what is drawn, the compiler must not know.
pub fn connect() -> Result<Session<Small>, ConfigError> {
    let config = Config { max_datagram: DATAGRAM, ..Config::new() };
    let channels = [ChannelConfig::durable(CHANNEL, SchemaId::named("greenhouse/1"))];
    Session::connect(&config, identity()?, black_box(&channels), black_box([1; 32]), Small::new())
}

#[cfg(feature = "plain")]
fn identity() -> Result<Identity, ConfigError> {
    Ok(Identity::insecure_plain(device()?, black_box(1)))
}

#[cfg(not(feature = "plain"))]
fn identity() -> Result<Identity, ConfigError> {
    #[cfg(feature = "nn")]
    let credentials = Credentials::nn(DeviceKey::new(black_box(KEY)));
    #[cfg(feature = "nk")]
    let credentials = {
        let gateway = whimbrel_core::GatewayPublic::new(black_box(crate::provisioned::GATEWAY_PUBLIC));
        Credentials::nk(DeviceKey::new(black_box(KEY)), gateway)
    };
    let boot = next_boot_epoch(&mut Word(black_box(None))).map_err(|_| ConfigError::Handshake)?;
    Ok(Identity::sealed(device()?, boot, credentials))
}

fn device() -> Result<DeviceId, ConfigError> {
    DeviceId::new(black_box(DEVICE)).ok_or(ConfigError::Handshake)
}

/// In the place of a word of flash.
#[cfg(not(feature = "plain"))]
struct Word(Option<u32>);

#[cfg(not(feature = "plain"))]
impl BootEpochStorage for Word {
    type Error = ();

    fn load(&mut self) -> Result<Option<u32>, ()> {
        Ok(black_box(self.0))
    }

    fn store(&mut self, epoch: u32) -> Result<(), ()> {
        self.0 = black_box(Some(epoch));
        Ok(())
    }
}

/// The main loop, on a board that is not there: what comes from it may be anything.
#[cfg(not(feature = "measure"))]
pub fn run() -> ! {
    use crate::provisioned::MESSAGE;
    #[cfg(not(feature = "plain"))]
    use whimbrel_core::Event;
    use whimbrel_core::{Instant, PathId};

    let Ok(mut session) = connect() else { panic!() };
    let mut buf = [0; DATAGRAM as usize];
    loop {
        let now = Instant::from_micros(black_box(0));
        let received = black_box(&mut buf).get_mut(..black_box(0));
        if let Some(datagram) = received.filter(|datagram| !datagram.is_empty()) {
            let mut messages = session.handle_datagram(now, PathId(0), datagram);
            while let Some(message) = messages.next() {
                black_box(message.payload);
            }
        }
        if session.poll_timeout().is_some_and(|due| due <= now) {
            session.handle_timeout(now);
        }
        if black_box(true) {
            black_box(session.send(now, CHANNEL, black_box(&[0; MESSAGE])).is_ok());
        }
        while let Some(event) = session.poll_event() {
            #[cfg(not(feature = "plain"))]
            if matches!(event, Event::BootEpochRaised { .. }) {
                session.boot_epoch_stored(now);
            }
            black_box(event);
        }
        while let Some(sent) = session.poll_transmit(now, &mut buf) {
            black_box(buf.get(..sent.len));
        }
    }
}
