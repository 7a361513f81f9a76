//! What was done to the ends of a world, apart from what its links did.

/// Counts; see [`firmware_sim::link::LinkStats`] for those of the links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams that reached a device that slept.
    pub lost_asleep: u64,
    /// Datagrams to an address that a device had left.
    pub lost_path: u64,
    /// Times that a device's address changed.
    pub rebindings: u64,
    /// Links that were cut.
    pub partitions: u64,
    /// Times that a device fell asleep.
    pub sleeps: u64,
    /// Times that nothing but a snapshot was left of it.
    pub hibernations: u64,
    /// Times that a device's clock stepped, or changed its rate.
    pub clock_steps: u64,
    /// Devices that lost their memory.
    pub device_crashes: u64,
    /// Devices that lost their counter too.
    pub counters_lost: u64,
    /// Sessions whose keys changed.
    pub key_updates: u64,
    /// Times that a gateway came under load.
    pub loads: u64,
    /// Gateways that lost theirs.
    pub gateway_crashes: u64,
    /// Sessions that a gateway gave up or closed.
    pub sessions_ended: u64,
    /// Times that a gateway's application took no messages for a while.
    pub stalls: u64,
}
