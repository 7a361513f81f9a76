//! Nobody is made to send more to an address than a little, before whoever is there has shown that it hears
//! (RFC 9000 section 8.1).
//!
//! Whether it hears is known here from the world, not from the gateway: an address is proved when a device got
//! something there and sent something from there after that. So a gateway that believes a copied packet is found out.

use std::collections::BTreeMap;
use whimbrel_core::PathId;

/// An unproved address is sent at most so many times the bytes received from it.
pub const AMPLIFICATION_MAX: u64 = 3;

/// One address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Bytes that came from there.
    pub received: u64,
    /// Bytes that went there.
    pub sent: u64,
    /// A device got something there.
    pub reached: bool,
    /// And then sent something from there.
    pub proved: bool,
}

/// Every address that a gateway dealt with.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<PathId, Source>);

impl Sources {
    /// A datagram came from there.
    pub fn on_received(&mut self, path: PathId, bytes: usize) {
        let source = self.0.entry(path).or_default();
        source.received += bytes as u64;
        source.proved |= source.reached;
    }

    /// A device got a datagram there.
    pub fn on_reached(&mut self, path: PathId) {
        self.0.entry(path).or_default().reached = true;
    }

    /// A datagram goes there.
    ///
    /// # Errors
    /// When it is too much for an address that is not proved.
    pub fn on_sent(&mut self, path: PathId, bytes: usize) -> Result<(), String> {
        let source = self.0.entry(path).or_default();
        source.sent += bytes as u64;
        if !source.proved && source.sent > source.received * AMPLIFICATION_MAX {
            return Err(format!(
                "{} bytes to {path:?}, which sent {} and proved nothing",
                source.sent, source.received
            ));
        }
        Ok(())
    }

    /// What is known of an address.
    pub fn of(&self, path: PathId) -> Source {
        self.0.get(&path).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_notices() {
        let (here, there) = (PathId(1), PathId(2));
        let mut sources = Sources::default();
        assert!(sources.clone().on_sent(here, 1).is_err(), "nobody asked");
        sources.on_received(here, 50);
        sources.on_sent(here, 150).unwrap();
        assert!(sources.clone().on_sent(here, 1).is_err(), "an amplifier");
        sources.on_reached(here);
        assert!(sources.clone().on_sent(here, 1).is_err(), "it has not answered");
        sources.on_received(here, 1);
        sources.on_sent(here, 100_000).unwrap();
        assert!(sources.on_sent(there, 1).is_err(), "another address");
    }
}
