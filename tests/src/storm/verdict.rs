//! One storm, from its seed to its verdict. A panic inside is its failure, and nobody else's.

use super::class::Cuts;
use super::counts::Counts;
use super::draw::draw;
use super::run::{begin, drive};
use core::cell::RefCell;
use core::panic::AssertUnwindSafe;
use std::panic;

/// A storm in which everything held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// What happened in it.
    pub counts: Counts,
    /// Over all datagrams.
    pub hash: u64,
}

/// A storm in which something did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub message: String,
    /// The last that happened.
    pub trace: Vec<String>,
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics are kept for the verdict instead of printed, in every thread of this process, from now on.
pub fn hush() {
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
        let place = info.location().map_or(String::new(), |at| format!(" ({}:{})", at.file(), at.line()));
        LAST_PANIC.with_borrow_mut(|last| *last = Some(format!("{text}{place}")));
    }));
}

/// Lives through the storm of a seed, without what `cuts` leave out. `lines`: how much of the end of a failure
/// to keep.
///
/// # Errors
/// When something was not as it must be.
pub fn judge(seed: u64, cuts: &Cuts, lines: usize) -> Result<Passed, Failure> {
    let mut world = None;
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        let plan = draw(seed).cut(cuts);
        let world = world.insert(begin(&plan));
        world.trace.silence();
        world.trace.keep(lines);
        Passed { counts: drive(world, &plan), hash: world.trace.hash() }
    }));
    result.map_err(|_| {
        let message = LAST_PANIC.with_borrow_mut(Option::take).unwrap_or_else(|| "see the panic".to_owned());
        let trace = world.iter().flat_map(|world| world.trace.lines().map(str::to_owned)).collect();
        Failure { message, trace }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_storm() {
        for seed in 0..20 {
            let run = || judge(seed, &Cuts::default(), 0).map_err(|failure| failure.message);
            assert_eq!(run(), run());
        }
    }
}
