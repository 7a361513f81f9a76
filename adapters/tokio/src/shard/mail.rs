//! What the application told the shard since the last turn.

use super::Shard;
use super::table::Entry;
use crate::event::SessionKey;
use crate::hello::Verdict;

impl Shard {
    /// Verdicts, commits and the word to shut down.
    pub(super) fn read_mail(&mut self) {
        let mail = self.links.mailbox.take();
        for (session, verdict) in mail.verdicts {
            self.on_verdict(session, verdict);
        }
        for ((session, stream), next) in mail.commits {
            let now = self.now;
            if let Some((index, entry)) = self.table.entry_of(session) {
                entry.session.commit(now, stream, next);
                self.touch(index);
            }
        }
        if let Some(access) = mail.access {
            self.links.access = access;
        }
        if let Some(keys) = mail.keys {
            self.links.guard.set_keys(keys);
        }
        if let Some(key) = mail.announced {
            self.announced = Some(key);
            let live = self.table.open().filter_map(|(index, entry)| entry.live.then_some(index));
            for index in live.collect::<Vec<_>>() {
                self.announce_key(index);
            }
        }
        // After the verdicts: what those opened ends too.
        for device in mail.disconnect {
            self.disconnect(device);
        }
        if mail.shutdown && !self.closing {
            self.closing = true;
            for index in self.table.questions() {
                self.table.drop_question(index);
            }
        }
    }

    /// Tells a device of our key, if it knows another.
    pub(super) fn announce_key(&mut self, index: usize) {
        let (now, Some(key)) = (self.now, self.announced) else { return };
        let news = |entry: &&mut Entry| entry.gateway_key_id.is_some_and(|id| id != key.id());
        if let Some(entry) = self.table.entry(index).filter(news) {
            entry.session.announce_key(now, key);
            self.touch(index);
        }
    }

    fn on_verdict(&mut self, session: SessionKey, verdict: Verdict) {
        let Some((path, request)) = self.table.take_question(session) else {
            return;
        };
        let index = session.index as usize;
        let Some(offer) = request.offer() else {
            return self.table.drop_question(index);
        };
        match verdict {
            Verdict::Accept(streams) => {
                if !self.accept(session, path, &offer, request.counter(), &streams) {
                    self.table.drop_question(index);
                }
            }
            Verdict::Refuse(reason) => {
                self.table.drop_question(index);
                self.refuse(path, &offer, reason);
            }
            Verdict::Silence => self.table.drop_question(index),
        }
    }
}
