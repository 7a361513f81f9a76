//! The links of the bench: 25 ms each way, two frames of a hundred 10 ms late, losses each by itself.

use firmware_sim::faults::{Bottleneck, Faults};
use whimbrel_core::Duration;

/// The losses of the tables, of both directions, in percent.
pub(crate) const LOSSES: [u32; 5] = [0, 1, 5, 10, 20];
/// One way.
pub(crate) const DELAY: Duration = Duration::from_millis(25);
/// How much later the late ones are.
pub(crate) const REORDER_DELAY: Duration = Duration::from_millis(10);
/// There and back.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(50);
/// 1 Mbit/s, in bytes of IP packets a second.
pub(crate) const RATE: u64 = 125_000;
/// Packets that the bottleneck's queue holds.
pub(crate) const QUEUE: usize = 64;

/// A link as wide as need be.
pub(crate) fn wide(loss_percent: u32) -> Faults {
    Faults {
        loss: f64::from(loss_percent) / 100.0,
        reorder: 0.02,
        reorder_delay: REORDER_DELAY,
        delay: DELAY,
        ..Faults::NONE
    }
}

/// The same behind the bottleneck. The bench's frames are whole IP packets: nothing is added to them.
pub(crate) fn narrow(loss_percent: u32) -> Faults {
    Faults { bottleneck: Some(Bottleneck { rate: RATE, queue: QUEUE, overhead: 0 }), ..wide(loss_percent) }
}
