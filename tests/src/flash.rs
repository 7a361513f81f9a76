//! What a device keeps without power: its boot epoch, and its session while it is in deep sleep.

use core::convert::Infallible;
use whimbrel_core::BootEpochStorage;

/// Flash. A scenario may erase it, set it back, or keep it from taking anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flash {
    /// The boot epoch; `None` when it was never written, or erased.
    pub epoch: Option<u32>,
    /// A session that sleeps, or what was put in its place.
    pub snapshot: Vec<u8>,
    /// What is written is lost.
    pub stuck: bool,
}

impl BootEpochStorage for Flash {
    type Error = Infallible;

    fn load(&mut self) -> Result<Option<u32>, Infallible> {
        Ok(self.epoch)
    }

    fn store(&mut self, epoch: u32) -> Result<(), Infallible> {
        if !self.stuck {
            self.epoch = Some(epoch);
        }
        Ok(())
    }
}
