//! The plain mode at a device: its HELLO, and what answers it.

use super::hello::offer;
use super::state::{Engine, Phase};
use crate::seal::{Keys, PlainKeys};
use crate::wire::{Accept, HelloFields, LongHeader, LongType, Refuse, Reset, emit_hello, is_intact};
use crate::{DecodeError, PathId};

impl Engine<'_> {
    /// The HELLO of this attempt.
    pub(super) fn emit_plain_hello(&mut self, nonce: u64, buf: &mut [u8]) -> Option<usize> {
        let identity = self.st.identity.as_ref()?;
        let fields = HelloFields {
            device: identity.device,
            nonce,
            boot_epoch: identity.boot_epoch,
            reply_cid: self.st.local_cid,
            limits: self.st.limits(),
        };
        let own = self.mem.send.get(..usize::from(self.st.send_len)).unwrap_or(&[]);
        emit_hello(&fields, own.iter().map(offer), buf).ok()
    }

    /// A long packet to a device that does not seal.
    pub(super) fn handle_plain_answer(&mut self, path: PathId, datagram: &mut [u8]) {
        let kind = match LongHeader::parse(datagram) {
            Ok((header, _)) => header.kind,
            Err(DecodeError::Truncated) => return self.drop_for(|dropped| &mut dropped.truncated),
            Err(_) if is_intact(datagram) => return self.drop_for(|dropped| &mut dropped.malformed),
            Err(_) => return self.drop_for(|dropped| &mut dropped.unauthentic),
        };
        if !is_intact(datagram) {
            return self.drop_for(|dropped| &mut dropped.unauthentic);
        }
        if self.st.identity.is_none() || self.st.phase == Phase::Closed {
            return self.drop_for(|dropped| &mut dropped.unexpected);
        }
        let done = match kind {
            LongType::Accept => Accept::parse(datagram).map(|accept| {
                if self.on_plain_accept(&accept) {
                    self.st.paths.set(path);
                }
            }),
            LongType::Reset => Reset::parse(datagram).map(|reset| self.on_reset(reset.cause_tag)),
            LongType::Refuse => Refuse::parse(datagram).map(|refuse| {
                if self.st.hello.id() == Some(refuse.echo) {
                    self.on_refuse(refuse.code);
                } else {
                    self.drop_for(|dropped| &mut dropped.unexpected);
                }
            }),
            _ => return self.drop_for(|dropped| &mut dropped.unexpected),
        };
        match done {
            Ok(()) => {}
            Err(DecodeError::Version) => self.drop_for(|dropped| &mut dropped.version),
            Err(_) => self.drop_for(|dropped| &mut dropped.malformed),
        }
    }

    /// A plain ACCEPT arrived. Says whether it was for us and whole.
    fn on_plain_accept(&mut self, accept: &Accept<'_>) -> bool {
        if self.st.hello.id() != Some(accept.echo()) {
            self.st.stats.rx_dropped.unexpected = self.st.stats.rx_dropped.unexpected.wrapping_add(1);
            return false;
        }
        self.on_accept(accept, Keys::Plain(PlainKeys { device: accept.echo(), gateway: accept.nonce() }))
    }
}
