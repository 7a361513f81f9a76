//! What is done about a request.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::info;
use whimbrel_core::DeviceId;
use whimbrel_tokio::Handle;

use super::{Answer, Page, Request, Revoked};
use crate::registry::{DeviceName, KeyChange, Registry, RegistryError};

/// Devices in one answer; more are asked for.
const PAGE: u32 = 200;

/// Who does as asked: on the database, and on the sessions of a running gateway.
#[derive(Debug)]
pub(crate) struct Service {
    pub(super) registry: Registry,
    sessions: Option<Handle>,
    /// Whose turn it is to change the gateway's keys.
    keys: Mutex<()>,
}

impl Service {
    /// Of a running gateway.
    pub(crate) fn running(registry: Registry, sessions: Handle) -> Arc<Self> {
        Arc::new(Self { registry, sessions: Some(sessions), keys: Mutex::default() })
    }

    /// Of a command that has the database for itself.
    pub(super) fn direct(registry: Registry) -> Self {
        Self { registry, sessions: None, keys: Mutex::default() }
    }

    /// Does it. Waits for the disk. When it returns, it is stored and in effect.
    pub(super) fn execute(&self, request: Request) -> Result<Answer, RegistryError> {
        let Self { registry, .. } = self;
        Ok(match request {
            Request::DeviceAdd { name, pattern } => {
                let device = registry.add(&name, pattern)?;
                self.note(&name, device.id, "a device was added");
                Answer::Provisioned(device)
            }
            Request::DeviceList { after } => {
                let devices = registry.list(after.as_ref(), PAGE)?;
                let more = devices.len() == PAGE as usize;
                Answer::Devices(Page { devices, more })
            }
            Request::DeviceRevoke { name } => {
                let id = registry.revoke(&name)?;
                self.disconnect(id);
                self.note(&name, id, "a device was revoked");
                Answer::Revoked(Revoked { id })
            }
            Request::DeviceRotate { name, now } => {
                let device = registry.rotate(&name, now)?;
                if now {
                    self.disconnect(device.id);
                }
                self.note(&name, device.id, "a device has a new key");
                Answer::Provisioned(device)
            }
            Request::GatewayShow {} => Answer::Gateway(registry.gateway()?),
            Request::GatewayRotate {} => self.change_keys(KeyChange::Rotate, "the gateway has a new key")?,
            Request::GatewayRetire { force } => {
                self.change_keys(KeyChange::Retire { is_forced: force }, "the gateway's former key was retired")?
            }
        })
    }

    /// One at a time, so that the endpoint gets them in the database's order.
    fn change_keys(&self, change: KeyChange, what: &'static str) -> Result<Answer, RegistryError> {
        let _order = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (info, keys) = self.registry.change_keys(change)?;
        if let Some(sessions) = &self.sessions {
            sessions.set_keys(keys);
            sessions.announce_key(info.public);
            info!(public = hex::encode(info.public.as_bytes()), "{what}");
        }
        Ok(Answer::Gateway(info))
    }

    /// After the directory has forgotten the device's key: what is admitted from here on is not of the old one.
    fn disconnect(&self, device: DeviceId) {
        if let Some(sessions) = &self.sessions {
            sessions.disconnect(device);
        }
    }

    fn note(&self, name: &DeviceName, device: DeviceId, what: &'static str) {
        // A command without a server says it itself.
        if self.sessions.is_some() {
            info!(%name, %device, "{what}");
        }
    }
}
