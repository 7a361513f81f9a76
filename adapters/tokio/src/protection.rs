//! How an endpoint's sessions are protected, and who may have one.

use core::fmt;
use std::sync::Arc;

use whimbrel_core::gate::Authentic;
use whimbrel_core::wire::Claim;
use whimbrel_core::{DeviceId, DeviceKey, GatewayKeys, Pattern};

/// How an endpoint's sessions are protected. There is no default: a gateway has keys, or says aloud that it has none.
#[derive(Clone)]
pub enum Protection {
    /// Devices prove who they are, and so does the gateway; nobody else can read, forge or replay anything.
    Sealed {
        /// Which devices there are, and their keys.
        directory: Arc<dyn Directory>,
        /// The gateway's own keys: one static key, or two while it is being changed, and the secret of its RESETs.
        /// [`crate::Handle::set_keys`] changes them.
        keys: GatewayKeys,
    },
    /// Anybody can say that he is any device, read what devices say and add to it. For bring-up, and for
    /// networks that are protected in other ways.
    InsecurePlain,
}

impl Protection {
    /// Sealed sessions.
    pub fn sealed(directory: Arc<dyn Directory>, keys: GatewayKeys) -> Self {
        Self::Sealed { directory, keys }
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed { .. } => f.write_str("Sealed"),
            Self::InsecurePlain => f.write_str("InsecurePlain"),
        }
    }
}

/// The devices that may have a session.
pub trait Directory: Send + Sync + 'static {
    /// What is known of a device; `None`: it may have no session.
    ///
    /// Asked for every request, true or false, in the task that serves all sessions: from memory, never waiting.
    /// Once a request was accepted ([`crate::HelloRequest::accept`]), the answer holds its counter.
    fn find(&self, device: DeviceId) -> Option<DeviceRecord>;
}

/// What a gateway knows of a device.
#[derive(Clone, Debug)]
pub struct DeviceRecord {
    /// How the device was provisioned to prove itself.
    pub pattern: Pattern,
    /// Its key.
    pub key: DeviceKey,
    /// While its key is being changed, the one that it may use already.
    pub next_key: Option<DeviceKey>,
    /// The highest counter of a request that was accepted; `None`: it never had a session.
    pub counter: Option<u64>,
}

impl DeviceRecord {
    /// The request, if it was made with one of the keys.
    pub(crate) fn authenticate<'a>(&'a self, claim: &Claim<'a>) -> Option<(Authentic<'a>, &'a DeviceKey)> {
        let mut keys = [Some(&self.key), self.next_key.as_ref()].into_iter().flatten();
        keys.find_map(|key| Some((claim.authenticate(key)?, key)))
    }

    /// The lowest counter that a request may have.
    pub(crate) fn lowest(&self) -> u64 {
        self.counter.map_or(0, |counter| counter.saturating_add(1))
    }
}

/// What a device proved with a sealed request. To be stored before it is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The request's counter. Once it is stored as the device's highest ([`DeviceRecord::counter`]), nobody can use this
    /// request again, not even after a restart.
    pub counter: u64,
    /// The key that it used: [`DeviceRecord::key`] or [`DeviceRecord::next_key`]. A device that used the next one needs the
    /// former no longer.
    pub key: DeviceKey,
    /// Which of the gateway's keys it used ([`whimbrel_core::GatewayPublic::id`]); `None` for a device that knows its gateway by
    /// none. See [`crate::Handle::announce_key`].
    pub gateway_key_id: Option<u8>,
}
