//! What each end was provisioned with.

#[cfg(feature = "nk")]
use super::GatewayPublic;
use super::key::Secret;
use super::{DeviceKey, GatewaySecret, Pattern};

/// What a device proves itself with, and knows its gateway by.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(crate) key: DeviceKey,
    /// In `NKpsk0`, the gateway's key, and a second one while it is being changed. In `NNpsk0` none.
    #[cfg(feature = "nk")]
    gateways: [Option<GatewayPublic>; 2],
}

impl Credentials {
    /// The small profile, Noise `NNpsk0`: one scalar multiplication less, and whoever has the device's key can
    /// pass for the gateway towards this device.
    pub const fn nn(key: DeviceKey) -> Self {
        Self {
            key,
            #[cfg(feature = "nk")]
            gateways: [None, None],
        }
    }
}

#[cfg(feature = "nk")]
impl Credentials {
    /// The default, Noise `NKpsk0`: neither a stolen device nor a leaked table of devices lets anybody
    /// pass for the gateway.
    pub const fn nk(key: DeviceKey, gateway: GatewayPublic) -> Self {
        Self { key, gateways: [Some(gateway), None] }
    }

    /// The same with a second gateway key, which is tried when the first stays without answer.
    #[must_use]
    pub const fn with_second(mut self, gateway: GatewayPublic) -> Self {
        if self.gateways[0].is_some() {
            self.gateways[1] = Some(gateway);
        }
        self
    }

    /// The pattern.
    pub const fn pattern(&self) -> Pattern {
        match self.gateways[0] {
            Some(_) => Pattern::NkPsk0,
            None => Pattern::NnPsk0,
        }
    }

    /// The gateway has another key: it goes first, the one in use second. Says whether it is news.
    pub(crate) fn learn(&mut self, key: GatewayPublic, second: bool) -> bool {
        if self.gateways.contains(&Some(key)) {
            return false;
        }
        let used = self.gateway(second).copied();
        self.gateways = [Some(key), used];
        true
    }

    /// Which of two keys to use at this attempt.
    pub(crate) fn gateway(&self, second: bool) -> Option<&GatewayPublic> {
        let [first, other] = &self.gateways;
        if second { other.as_ref().or(first.as_ref()) } else { first.as_ref() }
    }

    pub(crate) fn has_second(&self) -> bool {
        self.gateways[1].is_some()
    }
}

#[cfg(not(feature = "nk"))]
impl Credentials {
    /// The pattern.
    pub const fn pattern(&self) -> Pattern {
        Pattern::NnPsk0
    }
}

/// What a gateway proves itself with.
#[derive(Clone, Debug)]
pub struct GatewayKeys {
    /// With their ids.
    statics: [Option<(u8, GatewaySecret)>; 2],
    /// What RESETs are made with. It outlives the gateway's process.
    pub(crate) reset: Secret,
}

impl GatewayKeys {
    /// `reset`: 32 random bytes, the same after a restart, so that devices can be told that their sessions
    /// are gone.
    pub fn new(key: GatewaySecret, reset: [u8; 32]) -> Self {
        Self { statics: [Some((key.public().id(), key)), None], reset: Secret::new(reset) }
    }

    /// The same, with a second key that devices may use too: the former one, or the next one.
    #[must_use]
    pub fn with_second(self, key: GatewaySecret) -> Self {
        let [first, _] = self.statics;
        Self { statics: [first, Some((key.public().id(), key))], reset: self.reset }
    }

    /// The keys of this id: of two keys, one pair in 256 has the same.
    pub(crate) fn of_id(&self, id: u8) -> impl Iterator<Item = &GatewaySecret> {
        self.statics.iter().flatten().filter(move |(known, _)| *known == id).map(|(_, key)| key)
    }
}
