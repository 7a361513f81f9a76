//! Where packets go: a peer that moved, and the proof that it is where it seems to be (RFC 9000 sections 8 and 9,
//! RFC 9146 section 6).
//!
//! A gateway follows the newest authentic packet at once, but as long as the new address is not proved it sends at
//! most three times what came from there. Whoever copies packets and outruns the originals gets no more than that:
//! the challenge goes to the old address too, and the device's answer from there brings the session back.

use super::accept::AMPLIFICATION;
use super::state::{Engine, Phase, State};
use crate::recovery::pto;
use crate::recovery::rtt::Rtt;
use crate::wire::{ShortHeader, Writer, emit_path_challenge, emit_path_response};
use crate::{Config, Duration, Instant, PathId};

/// Challenges without an answer after which a path is given up: with backoff, seven probe timeouts after the first. The
/// probe timeout is that of a path of which nothing is known, if that is longer: what was measured was measured elsewhere
/// (RFC 9000 section 8.2.4).
const CHALLENGES: u8 = 3;

/// A path that is not proved.
#[derive(Clone, Copy, Debug)]
struct Trial {
    token: u64,
    /// When to send the challenge, again.
    at: Instant,
    tries: u8,
    /// Bytes that may still be sent there.
    budget: u32,
}

impl Trial {
    const fn may_probe(&self) -> bool {
        self.budget as usize >= PROBE_LEN_MAX
    }
}

/// Where HELLOs came from, as long as nothing else did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hellos {
    /// Something else came.
    Over,
    /// One address: whoever can send under the ACCEPT that went there is there.
    One,
    /// Several, each of which was sent the same ACCEPT: it proves none of them.
    Several,
}

/// The paths of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paths {
    current: PathId,
    /// Whether nothing but HELLOs came so far.
    hellos: Hellos,
    trial: Option<Trial>,
    /// The last path that was proved, while the current one is not.
    former: Option<PathId>,
    /// A challenge is to be sent there.
    ask_former: bool,
    /// An answer that is owed, and where.
    answer: Option<(PathId, u64)>,
}

impl Paths {
    pub(super) const fn new(current: PathId) -> Self {
        Self { current, hellos: Hellos::One, trial: None, former: None, ask_former: false, answer: None }
    }

    pub(super) const fn current(&self) -> PathId {
        self.current
    }

    /// The peer is there without doubt.
    pub(super) const fn set(&mut self, path: PathId) {
        (self.current, self.hellos, self.trial, self.former) = (path, Hellos::Over, None, None);
    }

    /// The first HELLO came from there.
    pub(super) const fn begin(&mut self, path: PathId) {
        self.set(path);
        self.hellos = Hellos::One;
    }

    /// The same HELLO came again.
    pub(super) fn on_hello(&mut self, path: PathId) {
        let one = self.hellos == Hellos::One && self.current == path;
        self.set(path);
        self.hellos = if one { Hellos::One } else { Hellos::Several };
    }

    /// Bytes that may be sent to the current path.
    pub(super) fn budget(&self) -> usize {
        self.trial.map_or(usize::MAX, |trial| trial.budget as usize)
    }

    /// Whether there is room for a packet that says something: what would not fit waits.
    pub(super) fn has_budget(&self) -> bool {
        self.budget() >= usize::from(Config::MIN_DATAGRAM)
    }

    pub(super) fn on_sent(&mut self, path: PathId, bytes: usize) {
        if let Some(trial) = self.trial.as_mut().filter(|_| path == self.current) {
            trial.budget = trial.budget.saturating_sub(bytes as u32);
        }
    }

    /// A new authentic packet came; `newest`: none with a larger number came before.
    fn on_packet(&mut self, now: Instant, path: PathId, newest: bool, bytes: usize, token: u64) {
        let bytes = u32::try_from(AMPLIFICATION * bytes).unwrap_or(u32::MAX);
        let hellos = core::mem::replace(&mut self.hellos, Hellos::Over);
        if path == self.current {
            match &mut self.trial {
                Some(trial) => {
                    trial.budget = trial.budget.saturating_add(bytes);
                    if newest && trial.tries >= CHALLENGES {
                        // Every challenge was lost, yet the peer still speaks from there: ask both paths once more.
                        (trial.at, trial.tries) = (now, CHALLENGES - 1);
                        self.ask_former = self.former.is_some();
                    }
                }
                None if hellos == Hellos::Several => {
                    self.trial = Some(Trial { token, at: now, tries: 0, budget: bytes });
                }
                None => {}
            }
        } else if newest && Some(path) == self.former {
            self.set(path);
        } else if newest {
            if self.trial.is_none() && hellos == Hellos::Over {
                self.former = Some(self.current);
                self.ask_former = true;
            }
            self.current = path;
            self.trial = Some(Trial { token, at: now, tries: 0, budget: bytes });
        }
    }

    fn on_response(&mut self, token: u64) {
        if self.trial.is_some_and(|trial| trial.token == token) {
            self.set(self.current);
        }
    }

    /// A trial ends in time even when nothing more may be sent there, if there is a path to go back to.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.trial.filter(|trial| trial.may_probe() || self.former.is_some()).map(|trial| trial.at)
    }
}

/// The longest packet with one frame about a path.
const PROBE_LEN_MAX: usize = ShortHeader::LEN_MAX + 9 + 16;

impl State {
    /// A new authentic packet of the peer came from here.
    pub(super) fn note_path(&mut self, path: PathId, newest: bool, bytes: usize) {
        if self.identity.is_some() {
            // A device has one gateway, wherever it answers from.
            if newest {
                self.paths.set(path);
            }
        } else {
            let token = self.draw();
            self.paths.on_packet(self.now, path, newest, bytes, token);
        }
    }

    pub(super) fn on_path_challenge(&mut self, path: PathId, token: u64) {
        self.paths.answer = Some((path, token));
    }

    pub(super) fn on_path_response(&mut self, token: u64) {
        self.paths.on_response(token);
    }

    /// A challenge stayed without answer for too long: the peer is where it was. If it is not, it will say so with its
    /// next packet.
    pub(super) fn check_path(&mut self) {
        let now = self.now;
        let failed = |trial: &Trial| trial.at <= now && trial.tries >= CHALLENGES;
        if self.paths.trial.as_ref().is_some_and(failed) {
            match self.paths.former {
                Some(former) => self.paths.set(former),
                // Nowhere to go back to: the next packet from there begins anew.
                None => self.paths.trial = self.paths.trial.map(|trial| Trial { budget: 0, tries: 0, ..trial }),
            }
        }
    }
}

/// What a packet about a path says.
#[derive(Clone, Copy)]
enum Probe {
    Challenge(u64),
    Response(u64),
}

impl Engine<'_> {
    /// An answer, or a challenge that is due: a packet of its own, to its own path.
    pub(super) fn transmit_path(&mut self, buf: &mut [u8]) -> Option<(usize, PathId)> {
        if self.st.phase != Phase::Established {
            return None;
        }
        let (path, probe) = self.next_probe()?;
        let len = self.emit_probe(probe, buf)?;
        self.st.paths.on_sent(path, len);
        Some((len, path))
    }

    fn next_probe(&mut self) -> Option<(PathId, Probe)> {
        if let Some((path, token)) = self.st.paths.answer.take() {
            let allowed = path != self.st.paths.current || self.st.paths.budget() >= PROBE_LEN_MAX;
            return allowed.then_some((path, Probe::Response(token)));
        }
        let unknown = pto::period(&Rtt::new(self.st.config.initial_rtt), Duration::ZERO);
        let (now, period) = (self.st.now, self.st.pto_period().max(unknown));
        let longest = self.st.config.max_backoff;
        let paths = &mut self.st.paths;
        let trial = paths.trial.as_mut()?;
        // The complement of the token: the answer to one challenge must not pass for one to the other.
        if let Some(former) = paths.former.filter(|_| core::mem::take(&mut paths.ask_former)) {
            return Some((former, Probe::Challenge(!trial.token)));
        }
        if trial.at > now || trial.tries >= CHALLENGES || !(trial.may_probe() || paths.former.is_some()) {
            return None;
        }
        // One that may not be sent counts as one that was not answered.
        trial.at = now + pto::backoff(period, trial.tries, longest, 0);
        trial.tries += 1;
        trial.may_probe().then_some((paths.current, Probe::Challenge(trial.token)))
    }

    fn emit_probe(&mut self, probe: Probe, buf: &mut [u8]) -> Option<usize> {
        self.seal_packet(buf, |w| {
            match probe {
                Probe::Challenge(token) => emit_path_challenge(token, w),
                Probe::Response(token) => emit_path_response(token, w),
            }
            .ok()
        })
    }

    /// A packet with these frames, to which nothing is owed.
    fn seal_packet(&mut self, buf: &mut [u8], frames: impl FnOnce(&mut Writer<'_>) -> Option<()>) -> Option<usize> {
        let pn = self.st.recovery.next_pn;
        let mut w = Writer::new(buf);
        self.st.short_header(pn).emit(&mut w).ok()?;
        let header_len = w.len();
        frames(&mut w)?;
        let len = w.len() + self.st.keys.trailer_len();
        self.finish_packet(pn, header_len, buf.get_mut(..len)?)
    }
}
