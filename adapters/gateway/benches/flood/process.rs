//! What the system says of this process.

use core::time::Duration;
use std::fs;
use std::path::PathBuf;

/// Resident memory in KiB; that of `/proc/self/statm`, without its pages.
pub(crate) fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Processor time of the threads of that name, the kernel's part included.
pub(crate) fn time_of(name: &str) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux").map(|task| task.expect("a thread").path());
    // A thread may end meanwhile.
    let is_named = |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    tasks
        .filter(is_named)
        .filter_map(|task| fs::read_to_string(task.join("schedstat")).ok())
        .map(|stat| busy(&stat))
        .sum()
}

/// Processor time of this thread, the kernel's part included.
pub(crate) fn thread_time() -> Duration {
    busy(&fs::read_to_string("/proc/thread-self/schedstat").expect("Linux"))
}

fn busy(stat: &str) -> Duration {
    Duration::from_nanos(stat.split(' ').next().expect("a field").parse().expect("a number"))
}
