//! The boot epoch: a counter that a device keeps over power cuts. It enters every key, so that no two boots share
//! one, even when the random source repeats itself.

use core::fmt;

/// Where a device keeps its boot epoch: a word of flash, an EEPROM, a retained register.
pub trait BootEpochStorage {
    /// What can go wrong with the storage.
    type Error;

    /// What was stored last; `None` when nothing was.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn load(&mut self) -> Result<Option<u32>, Self::Error>;

    /// Stores durably: after it returned, a power cut leaves this epoch. A cut before leaves this one or the last.
    ///
    /// # Errors
    /// When the storage cannot be written.
    fn store(&mut self, epoch: u32) -> Result<(), Self::Error>;
}

/// How many times the device has booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootEpoch(u32);

impl BootEpoch {
    /// One that no storage holds: the caller sees to it that it is never used for two boots.
    pub const fn unstored(epoch: u32) -> Self {
        Self(epoch)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Why there is no boot epoch. The device must not seal anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootEpochError<E> {
    /// The storage failed.
    Storage(E),
    /// The storage does not hold what was stored.
    NotStored,
    /// 2^32 - 1 boots; the device needs a new key.
    UsedUp,
}

impl<E: fmt::Display> fmt::Display for BootEpochError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "the boot epoch's storage: {error}"),
            Self::NotStored => f.write_str("the boot epoch's storage does not hold what was stored"),
            Self::UsedUp => f.write_str("the boot epochs are used up; the device needs a new key"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for BootEpochError<E> {}

/// The boot epoch of this boot: one more than the last, stored before it is used. Once at each boot.
///
/// # Errors
/// See [`BootEpochError`].
pub fn next_boot_epoch<S: BootEpochStorage>(storage: &mut S) -> Result<BootEpoch, BootEpochError<S::Error>> {
    let last = storage.load().map_err(BootEpochError::Storage)?;
    // The first is 1: 0 is that of a device that does not count.
    let epoch = last.unwrap_or(0).checked_add(1).ok_or(BootEpochError::UsedUp)?;
    storage.store(epoch).map_err(BootEpochError::Storage)?;
    match storage.load().map_err(BootEpochError::Storage)? {
        Some(stored) if stored == epoch => Ok(BootEpoch(epoch)),
        _ => Err(BootEpochError::NotStored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word that may fail to take what is written.
    struct Word {
        value: Option<u32>,
        stuck: bool,
    }

    impl BootEpochStorage for Word {
        type Error = ();

        fn load(&mut self) -> Result<Option<u32>, ()> {
            Ok(self.value)
        }

        fn store(&mut self, epoch: u32) -> Result<(), ()> {
            if !self.stuck {
                self.value = Some(epoch);
            }
            Ok(())
        }
    }

    #[test]
    fn every_boot_has_another_epoch_and_it_is_stored() {
        let mut word = Word { value: None, stuck: false };
        for boot in 1..5 {
            assert_eq!(next_boot_epoch(&mut word), Ok(BootEpoch(boot)));
            assert_eq!(word.value, Some(boot));
        }
    }

    #[test]
    fn no_epoch_without_storage() {
        let mut word = Word { value: Some(7), stuck: true };
        assert_eq!(next_boot_epoch(&mut word), Err(BootEpochError::NotStored));
        word = Word { value: Some(u32::MAX), stuck: false };
        assert_eq!(next_boot_epoch(&mut word), Err(BootEpochError::UsedUp));
    }
}
