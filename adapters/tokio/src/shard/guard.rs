//! What a shard holds to judge requests with.

use std::sync::Arc;

use whimbrel_core::gate::{Authentic, OpenError};
use whimbrel_core::{Cookies, DeviceId, GatewayKeys, Opened, Pattern};

use crate::protection::{DeviceRecord, Directory, Protection};

/// The protection of an endpoint, as one shard has it.
#[derive(Clone)]
pub(crate) struct Guard {
    /// `None`: the plain mode.
    sealed: Option<(Arc<dyn Directory>, Arc<GatewayKeys>)>,
    /// The same for all shards.
    pub(super) cookies: Cookies,
}

impl Guard {
    /// `secret`: 32 random bytes.
    pub(crate) fn new(protection: Protection, secret: [u8; 32]) -> Self {
        let sealed = match protection {
            Protection::Sealed { directory, keys } => Some((directory, Arc::new(keys))),
            Protection::InsecurePlain => None,
        };
        Self { sealed, cookies: Cookies::new(secret) }
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    pub(super) fn find(&self, device: DeviceId) -> Option<DeviceRecord> {
        self.sealed.as_ref()?.0.find(device)
    }

    /// See [`Authentic::open`].
    pub(super) fn open(
        &self,
        authentic: &Authentic<'_>,
        pattern: Pattern,
        terms: &mut [u8],
    ) -> Result<(Opened, usize), OpenError> {
        let (_, keys) = self.sealed.as_ref().ok_or(OpenError::GatewayKey)?;
        authentic.open(pattern, keys, terms)
    }

    /// Writes the answer to a packet of an unknown connection.
    pub(super) fn reset(&self, cause: &[u8], buf: &mut [u8]) -> Option<usize> {
        match &self.sealed {
            Some((_, keys)) => whimbrel_core::gate::reset(cause, keys, buf),
            None => whimbrel_core::reset(cause, buf),
        }
    }

    /// Other keys, from now on. A plain endpoint stays plain.
    pub(super) fn set_keys(&mut self, keys: Arc<GatewayKeys>) {
        if let Some(sealed) = &mut self.sealed {
            sealed.1 = keys;
        }
    }
}
