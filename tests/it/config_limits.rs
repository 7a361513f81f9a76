//! What does not fit is refused when the session is made, with the reason.

use whimbrel_core::{
    ChannelConfig, ChannelId, Config, ConfigError, Delivery, DeviceId, Identity, SchemaId, SendError, Session,
};
use whimbrel_tests::Preset;
use whimbrel_tests::memory::Store;

const SCHEMA: SchemaId = SchemaId::named("test/1");

fn channel(number: u8) -> ChannelConfig {
    ChannelConfig::durable(ChannelId::new(number).unwrap(), SCHEMA)
}

fn connect(config: &Config, channels: &[ChannelConfig], preset: Preset) -> Result<Session<Store>, ConfigError> {
    let identity = Identity::insecure_plain(DeviceId::new(b"sensor").unwrap(), 0);
    Session::connect(config, identity, channels, [1; 32], preset.allocate())
}

#[test]
fn datagram_sizes() {
    for (max_datagram, fits) in [(0, false), (126, false), (127, true), (1_452, true), (1_453, false), (65_535, false)]
    {
        let made = connect(&Config { max_datagram, ..Config::new() }, &[channel(1)], Preset::Small);
        assert_eq!(made.err(), (!fits).then_some(ConfigError::DatagramSize), "{max_datagram}");
    }
}

#[test]
fn channels() {
    let config = Config::new();
    for (preset, max) in [(Preset::Small, 2), (Preset::Medium, 4), (Preset::Large, 8)] {
        let channels: Vec<_> = (1..=max as u8 + 1).map(channel).collect();
        assert!(connect(&config, &channels[..max], preset).is_ok(), "{preset:?}");
        let made = connect(&config, &channels, preset);
        assert_eq!(made.err(), Some(ConfigError::TooManyChannels { max }), "{preset:?}");
    }
    let made = connect(&config, &[channel(1), channel(1)], Preset::Small);
    assert_eq!(made.err(), Some(ConfigError::DuplicateChannel));
    let wrong = ChannelConfig { delivery: Delivery::BestEffort, ..channel(1) };
    assert_eq!(connect(&config, &[wrong], Preset::Small).err(), Some(ConfigError::DurableUnordered));
    let short = Config { max_datagram: 127, ..config };
    let channels: Vec<_> = (1..=8).map(channel).collect();
    assert_eq!(connect(&short, &channels, Preset::Large).err(), Some(ConfigError::HandshakeTooLong));
}

#[test]
fn a_closed_session_takes_nothing() {
    let mut session = connect(&Config::new(), &[channel(1)], Preset::Small).unwrap();
    let now = whimbrel_core::Instant::ZERO;
    session.close(now, whimbrel_core::CloseReason::Done);
    assert_eq!(session.send(now, ChannelId::new(1).unwrap(), b"x"), Err(SendError::Closed));
    assert!(session.is_closed());
    assert_eq!((session.poll_transmit(now, &mut [0; 1200]), session.poll_timeout()), (None, None));
}
