//! Independent runs on several threads.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

/// The answers of all jobs, in the order of the jobs.
pub(crate) fn run<J: Sync, T: Send>(threads: usize, jobs: &[J], work: impl Fn(&J) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { break };
                    let answer = work(job);
                    answers.lock().expect("no thread panics while it holds the lock").push((at, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().expect("no thread panicked");
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
