//! Where there are no Unix sockets, commands wait until the gateway has ended.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::Service;
use crate::database::Database;

/// Nothing listens.
#[derive(Debug)]
pub(crate) struct ControlSocket;

impl ControlSocket {
    pub(crate) fn path(_: &Database) -> PathBuf {
        PathBuf::new()
    }

    pub(crate) fn bind(_: Arc<Database>) -> io::Result<Self> {
        Ok(Self)
    }
}

/// Nobody answers.
#[derive(Debug)]
pub(crate) struct Running;

impl Running {
    pub(crate) async fn stop(self) {}
}

pub(crate) fn start(_: ControlSocket, _: Arc<Service>) -> io::Result<Running> {
    Ok(Running)
}
