//! What the application tells a shard: one small locked box per shard, emptied at every wake.
//!
//! It is bounded without ever refusing: commits of the same stream merge (only the highest number
//! matters), there is at most one verdict per handshake that awaits one, of the lists and keys only the newest count,
//! a device is named once, and downlink messages come by a bounded channel of their own.

use core::mem;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use whimbrel_core::{DeviceId, GatewayKeys, GatewayPublic, SeqNo, StreamId};

use crate::event::{Committed, SessionKey};
use crate::hello::Verdict;
use crate::limits::Access;

/// Everything posted since the last look.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) commits: HashMap<(SessionKey, StreamId), SeqNo>,
    pub(crate) verdicts: Vec<(SessionKey, Verdict)>,
    pub(crate) access: Option<Arc<Access>>,
    pub(crate) keys: Option<Arc<GatewayKeys>>,
    /// What devices are told.
    pub(crate) announced: Option<GatewayPublic>,
    /// Devices whose sessions end.
    pub(crate) disconnect: HashSet<DeviceId>,
    pub(crate) shutdown: bool,
}

/// A shard's box.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mail: Mutex<Mail>,
    posted: Notify,
}

impl Mailbox {
    pub(crate) fn commit<'a>(&self, commits: impl Iterator<Item = &'a Committed>) {
        let mut mail = self.lock();
        for commit in commits {
            let next = mail.commits.entry((commit.session, commit.stream)).or_insert(commit.next);
            *next = (*next).max(commit.next);
        }
        drop(mail);
        self.posted.notify_one();
    }

    pub(crate) fn answer(&self, session: SessionKey, verdict: Verdict) {
        self.lock().verdicts.push((session, verdict));
        self.posted.notify_one();
    }

    pub(crate) fn set_access(&self, access: Arc<Access>) {
        self.lock().access = Some(access);
        self.posted.notify_one();
    }

    pub(crate) fn set_keys(&self, keys: Arc<GatewayKeys>) {
        self.lock().keys = Some(keys);
        self.posted.notify_one();
    }

    pub(crate) fn announce_key(&self, key: GatewayPublic) {
        self.lock().announced = Some(key);
        self.posted.notify_one();
    }

    pub(crate) fn disconnect(&self, device: DeviceId) {
        self.lock().disconnect.insert(device);
        self.posted.notify_one();
    }

    /// There is something to look at elsewhere.
    pub(crate) fn wake(&self) {
        self.posted.notify_one();
    }

    pub(crate) fn shut_down(&self) {
        self.lock().shutdown = true;
        self.posted.notify_one();
    }

    /// Returns when something was posted since the last return. Cancel safe.
    pub(crate) async fn posted(&self) {
        self.posted.notified().await;
    }

    pub(crate) fn take(&self) -> Mail {
        let mut mail = self.lock();
        // Shutdown stays said.
        let shutdown = mail.shutdown;
        let taken = mem::take(&mut *mail);
        mail.shutdown = shutdown;
        taken
    }

    /// A poisoned box is as good as another: every change to it is a single step.
    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_of_a_stream_merge_to_the_highest() {
        let mailbox = Mailbox::default();
        let session = SessionKey { shard: 0, index: 1, serial: 2 };
        let stream = StreamId::from_wire(1).unwrap();
        let commit = |next| Committed { session, stream, next: SeqNo::new(next) };
        mailbox.commit([commit(5), commit(9)].iter());
        mailbox.commit([commit(7)].iter());
        let mail = mailbox.take();
        assert_eq!(mail.commits.len(), 1);
        assert_eq!(mail.commits.get(&(session, stream)), Some(&SeqNo::new(9)));
        assert!(mailbox.take().commits.is_empty());
    }

    #[test]
    fn shutdown_stays_said() {
        let mailbox = Mailbox::default();
        mailbox.shut_down();
        assert!(mailbox.take().shutdown);
        assert!(mailbox.take().shutdown);
    }
}
