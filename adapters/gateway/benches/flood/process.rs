//! What the system says of this process.

use core::time::Duration;
use std::fs;

/// Resident memory in KiB; that of `/proc/self/statm`, without its pages.
pub(crate) fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Processor time of this thread, the kernel's part included.
pub(crate) fn thread_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(stat.split(' ').next().expect("a field").parse().expect("a number"))
}
