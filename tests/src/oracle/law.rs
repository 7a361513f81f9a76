//! The conservation law of the ledger: accepted is the sum of all that became of messages, at every step.

use whimbrel_core::Ledger;

/// Follows the ledger of one session's life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Law {
    last: Ledger,
}

impl Law {
    /// The ledger now. The oracle knows how many messages were accepted, and how many were left out although
    /// they had not expired.
    ///
    /// # Errors
    /// When it does not balance, does not know what was accepted, or takes something back.
    pub fn check(&mut self, now: Ledger, accepted: usize, left_out: u64) -> Result<(), String> {
        if !now.is_balanced() {
            return Err(format!("the ledger does not balance: {now:?}"));
        }
        if now.accepted as usize != accepted {
            return Err(format!("{accepted} messages accepted, but in the ledger {}", now.accepted));
        }
        if u64::from(now.undeliverable) < left_out {
            return Err(format!("{left_out} left out that had not expired, but {} undeliverable", now.undeliverable));
        }
        let last = self.last;
        let counts = [
            (last.delivered, now.delivered),
            (last.expired, now.expired),
            (last.superseded, now.superseded),
            // A packet that counted as lost may have been late.
            (last.lost + last.delivered, now.lost + now.delivered),
            (last.undeliverable, now.undeliverable),
            (last.in_doubt, now.in_doubt),
        ];
        if counts.iter().any(|(before, after)| after < before) {
            return Err(format!("the ledger takes back: {last:?}, then {now:?}"));
        }
        self.last = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(accepted: u32, delivered: u32, lost: u32) -> Ledger {
        let mut ledger = Ledger::default();
        (ledger.accepted, ledger.delivered, ledger.lost) = (accepted, delivered, lost);
        ledger.in_flight = accepted.wrapping_sub(delivered + lost);
        ledger
    }

    #[test]
    fn it_notices() {
        let mut law = Law::default();
        law.check(ledger(3, 1, 1), 3, 0).unwrap();
        assert!(law.check(ledger(3, 1, 1), 3, 1).is_err(), "one left out");
        assert!(law.check(ledger(3, 1, 1), 4, 0).is_err(), "one not counted");
        assert!(law.check(ledger(3, 0, 2), 3, 0).is_err(), "one not delivered after all");
        let mut one_too_many = ledger(3, 1, 1);
        one_too_many.expired += 1;
        assert!(law.check(one_too_many, 3, 0).is_err(), "one counted twice");
        law.check(ledger(3, 2, 1), 3, 0).unwrap();
    }
}
