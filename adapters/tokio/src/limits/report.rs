//! What is worth a line in the log, and how often: a flood must not flood the log too.

use whimbrel_core::{Duration, Instant};

/// Each kind gets a line at most this often; the line says how many there were since the last.
const EVERY: Duration = Duration::from_secs(10);

/// What was refused, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// By the lists.
    Denied,
    /// The source is blocked.
    Blocked,
    /// A strike; the source is blocked from here on.
    Strikes,
    /// A handshake: as many as may be from this network have sessions.
    PrefixFull,
    /// A handshake: too many a second from this network.
    PrefixRate,
    /// A handshake: too many a second in all.
    HandshakeRate,
    /// A handshake: no room for another session or question.
    NoRoom,
    /// A handshake: the application said no.
    Application,
    /// A handshake that is protected in another way than this endpoint's.
    Protection,
    /// A handshake: too many MACs to look at.
    MacRate,
    /// A handshake of a device that we do not know.
    UnknownDevice,
    /// A handshake without the device's key.
    Unauthentic,
    /// A handshake whose counter was used before.
    CounterLow,
    /// A handshake that could not be opened.
    Unopened,
    /// A datagram of a device that sends too much.
    DeviceRate,
    /// A packet of a connection that we do not know.
    UnknownConnection,
    /// A socket failed to receive.
    Socket,
}

impl Refusal {
    const COUNT: usize = Self::Socket as usize + 1;

    /// For the log.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Denied => "the source is denied by the lists",
            Self::Blocked => "the source is blocked",
            Self::Strikes => "the source sent too much that nobody honest sends",
            Self::PrefixFull => "too many sessions from this network",
            Self::PrefixRate => "too many handshakes from this network",
            Self::HandshakeRate => "too many handshakes",
            Self::NoRoom => "no room for another handshake",
            Self::Application => "the device is refused",
            Self::Protection => "not the protection of this endpoint",
            Self::MacRate => "too many requests to look at",
            Self::UnknownDevice => "unknown device",
            Self::Unauthentic => "a request without the device's key",
            Self::CounterLow => "the device's counter was used before",
            Self::Unopened => "the handshake could not be opened",
            Self::DeviceRate => "the device sends too much",
            Self::UnknownConnection => "unknown connection",
            Self::Socket => "a socket failed to receive",
        }
    }
}

/// When there was a line of each kind, and how much was kept back since.
#[derive(Debug, Default)]
pub(crate) struct Reports([Kind; Refusal::COUNT]);

#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    next: Option<Instant>,
    count: u64,
}

impl Reports {
    /// One more. If a line is due: how many there were since the last, this one included.
    pub(crate) fn note(&mut self, refusal: Refusal, now: Instant) -> Option<u64> {
        let kind = self.0.get_mut(refusal as usize)?;
        kind.count += 1;
        if kind.next.is_some_and(|next| now < next) {
            return None;
        }
        kind.next = Some(now + EVERY);
        Some(core::mem::take(&mut kind.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_line_now_and_then_that_counts_the_rest() {
        let mut reports = Reports::default();
        let mut lines = Vec::new();
        for millis in 0..25_000 {
            lines.extend(reports.note(Refusal::Denied, Instant::from_millis(millis)));
        }
        assert_eq!(lines, [1, 10_000, 10_000]);
        assert_eq!(reports.note(Refusal::Blocked, Instant::ZERO), Some(1), "each kind by itself");
    }
}
