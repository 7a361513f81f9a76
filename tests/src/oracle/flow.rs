//! One stream as its sender knows it: what was accepted, and what has become of each message.

use super::fates::Fates;
use super::mode::{Kind, Mode};
use core::ops::Range;
use std::collections::BTreeSet;
use whimbrel_core::{Duration, Instant};

#[derive(Clone, Debug)]
struct Accepted {
    payload: Box<[u8]>,
    deadline: Option<Instant>,
    /// Given to the receiver's application, in whichever session.
    handed: bool,
    /// In the sink.
    stored: bool,
    /// Left out, although it had not expired.
    left_out: bool,
}

/// How far a receiver may be wrong about the sender's deadlines. The remaining time is told when a datagram
/// leaves, in milliseconds, and counted from when it arrives, by a clock that does not agree with the sender's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// How much later it may think they are.
    pub late: Duration,
    /// How much earlier.
    pub early: Duration,
}

/// A message as the receiver's application sees it.
#[derive(Clone, Copy, Debug)]
pub struct Handed<'a> {
    /// Which session of the receiver handed it on.
    pub session: u64,
    /// Its number.
    pub seq: u64,
    /// Its contents.
    pub payload: &'a [u8],
    /// When, by the sender's clock.
    pub now: Instant,
    /// How far the receiver may be wrong about deadlines.
    pub doubt: Doubt,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Flow {
    mode: Mode,
    messages: Vec<Accepted>,
    /// The receiver's session under which the last message was handed on, and what that session handed on:
    /// everything `below` (or it was left out) and these.
    session: Option<u64>,
    below: u64,
    handed: BTreeSet<u64>,
    /// The first number that the sink does not hold, in order.
    stored_below: u64,
    stored: usize,
    /// What the sender was told of.
    reported: u64,
    /// Messages left out, although they had not expired.
    left_out: u64,
}

impl Flow {
    /// A stream on which nothing was accepted.
    pub fn new(mode: Mode) -> Self {
        let (messages, handed) = (Vec::new(), BTreeSet::new());
        Self { mode, messages, session: None, below: 0, handed, stored_below: 0, stored: 0, reported: 0, left_out: 0 }
    }

    /// How it delivers.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The sender's session accepted message `seq`.
    ///
    /// # Errors
    /// When the numbers are not 0, 1, 2, ..
    pub fn accept(&mut self, seq: u64, payload: &[u8], deadline: Option<Instant>) -> Result<(), String> {
        if seq != self.messages.len() as u64 {
            return Err(format!("accepted as {seq}, but {} came before it", self.messages.len()));
        }
        self.messages.push(Accepted {
            payload: payload.into(),
            deadline,
            handed: false,
            stored: false,
            left_out: false,
        });
        Ok(())
    }

    /// The receiver's session handed a message on.
    ///
    /// # Errors
    /// When it was never accepted, is not what was accepted, comes twice, out of order or too late.
    pub fn hand(&mut self, handed: Handed<'_>) -> Result<(), String> {
        let Handed { session, seq, payload, now, doubt } = handed;
        let Mode { kind, durable } = self.mode;
        let begins = self.session != Some(session);
        let message = self.messages.get(seq as usize).ok_or(format!("{seq} handed on, but never accepted"))?;
        if *message.payload != *payload {
            return Err(format!("{seq} handed on as {payload:02x?}, accepted as {:02x?}", message.payload));
        }
        if let Some(deadline) = message.deadline.filter(|deadline| *deadline + doubt.late < now) {
            return Err(format!(
                "{seq} handed on {} us after its deadline",
                now.saturating_since(deadline).as_micros()
            ));
        }
        // The newest value may be said again in another session, for nobody knows whether it arrived.
        let again = durable || (kind == Kind::Latest && begins && seq + 1 == self.below);
        if message.handed && !again {
            return Err(format!("{seq} handed on twice"));
        }
        if begins {
            (self.session, self.below) = (Some(session), if kind == Kind::Latest { self.below } else { 0 });
            self.handed.clear();
        }
        match kind {
            Kind::Ordered => {
                if seq < self.below {
                    return Err(format!("{seq} handed on after {}", self.below - 1));
                }
                let skipped = self.below.max(self.stored_below)..seq;
                // A session that begins goes on behind what is stored, and what the one before left in doubt.
                if !begins || durable {
                    self.skip(skipped, now + doubt.early);
                }
                self.below = seq + 1;
            }
            Kind::Latest => {
                if seq + 1 < self.below {
                    return Err(format!("{seq} handed on after the newer {}", self.below - 1));
                }
                self.below = seq + 1;
            }
            _ => {
                if !self.handed.insert(seq) {
                    return Err(format!("{seq} handed on twice in one session"));
                }
            }
        }
        self.messages[seq as usize].handed = true;
        Ok(())
    }

    /// An ordered stream leaves messages out when they expired by then, or when the receiver cannot take them,
    /// which the sender's ledger says.
    fn skip(&mut self, skipped: Range<u64>, now: Instant) {
        let skipped = self.messages.get_mut(skipped.start as usize..skipped.end as usize).unwrap_or(&mut []);
        for message in skipped.iter_mut().filter(|message| !message.stored && !message.left_out) {
            if message.deadline.is_none_or(|deadline| deadline > now) {
                message.left_out = true;
                self.left_out += 1;
            }
        }
    }

    /// Messages left out, although they had not expired.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The sink stored a message for the first time. What expired by `now` may be left out.
    ///
    /// # Errors
    /// When it was never handed on, is stored already, or out of order.
    pub fn store(&mut self, seq: u64, now: Instant) -> Result<(), String> {
        let message = self.messages.get(seq as usize).ok_or(format!("{seq} stored, but never accepted"))?;
        if message.stored || !message.handed {
            return Err(format!("{seq} stored: {}", if message.stored { "twice" } else { "never handed on" }));
        }
        if self.mode.kind == Kind::Ordered {
            if seq < self.stored_below {
                return Err(format!("{seq} stored when {} was expected", self.stored_below));
            }
            if self.mode.durable {
                self.skip(self.stored_below..seq, now);
            }
            self.stored_below = seq + 1;
        }
        self.messages[seq as usize].stored = true;
        self.stored += 1;
        Ok(())
    }

    /// The sender's session said that everything below `next` is stored.
    ///
    /// # Errors
    /// When that was not accepted, or goes back.
    pub fn committed(&mut self, next: u64, now: Instant) -> Result<(), String> {
        self.report(next)?;
        self.skip(0..next, now);
        Ok(())
    }

    /// The sender's session said that everything below `next` arrived, or expired. `handed`: and nothing but a gap
    /// can keep the receiver from handing it on.
    ///
    /// # Errors
    /// When it did not.
    pub fn acknowledged(&mut self, next: u64, now: Instant, handed: bool) -> Result<(), String> {
        self.report(next)?;
        let is_ordered = self.mode.kind == Kind::Ordered;
        if !handed || !(is_ordered || self.mode.kind == Kind::Reliable) {
            return Ok(());
        }
        for (seq, message) in (0..next).zip(&self.messages).filter(|(_, message)| !message.handed) {
            if message.deadline.is_none_or(|deadline| deadline > now) {
                return Err(format!("acknowledged below {next}, but {seq} was not handed on"));
            }
            if is_ordered {
                // What came after it may wait until FORWARD arrives.
                break;
            }
        }
        Ok(())
    }

    fn report(&mut self, next: u64) -> Result<(), String> {
        if next < self.reported || next > self.messages.len() as u64 {
            return Err(format!("told of {next} after {}, of {} accepted", self.reported, self.messages.len()));
        }
        self.reported = next;
        Ok(())
    }

    /// What became of the messages until now.
    pub fn fates(&self, now: Instant) -> Fates {
        let mut fates = Fates { accepted: self.messages.len() as u64, ..Fates::default() };
        let newest = self.messages.iter().rposition(|message| message.handed).unwrap_or(0);
        for (seq, message) in self.messages.iter().enumerate() {
            let delivered = if self.mode.durable { message.stored } else { message.handed };
            let expired = message.deadline.is_some_and(|deadline| deadline <= now);
            let count = match self.mode.kind {
                _ if delivered => &mut fates.delivered,
                _ if message.left_out => &mut fates.left_out,
                Kind::Latest if seq < newest => &mut fates.superseded,
                _ if expired => &mut fates.expired,
                Kind::BestEffort => &mut fates.lost,
                _ => &mut fates.open,
            };
            *count += 1;
        }
        fates
    }

    /// The messages whose fate is open.
    pub fn open(&self, now: Instant) -> Vec<u64> {
        let open = |message: &Accepted| {
            let arrived = if self.mode.durable { message.stored } else { message.handed };
            !arrived && !message.left_out && message.deadline.is_none_or(|deadline| deadline > now)
        };
        (0..).zip(&self.messages).filter(|(_, message)| open(message)).map(|(seq, _)| seq).collect()
    }

    /// Whether the newest value neither arrived nor expired.
    pub fn lacks_newest(&self, now: Instant) -> bool {
        let open = |last: &Accepted| !last.handed && last.deadline.is_none_or(|deadline| deadline > now);
        self.messages.last().is_some_and(open)
    }

    /// Messages that the sink stored.
    pub const fn stored_count(&self) -> usize {
        self.stored
    }

    /// Messages accepted.
    pub const fn accepted_count(&self) -> usize {
        self.messages.len()
    }
}
