//! The figures.

use core::time::Duration;

use whimbrel_tokio::EndpointStats;

use crate::phase::Phase;
use crate::place::InDatabase;

type Counter = fn(&EndpointStats) -> u64;

/// What became of a HELLO that nobody honest sent.
const FATES: [(&str, Counter); 7] = [
    ("too many MACs a second, unseen", |stats| stats.hello_unseen),
    ("unknown device", |stats| stats.hello_unknown_device),
    ("wrong MAC", |stats| stats.hello_unauthentic),
    ("used counter", |stats| stats.hello_counter_low),
    ("cookie asked for", |stats| stats.hello_cookies),
    ("source blocked, unseen", |stats| stats.rx_blocked),
    ("limits, no room", |stats| {
        stats.hello_limited + stats.hello_prefix_limited + stats.hello_prefix_full + stats.hello_no_room
    }),
];

impl Phase {
    /// How much a counter grew.
    fn grown(&self, counter: impl Fn(&EndpointStats) -> u64) -> u64 {
        counter(&self.stats[1]) - counter(&self.stats[0])
    }

    /// Datagrams of the flood that the gateway received; the kernel had no room for the others.
    fn let_in(&self) -> u64 {
        FATES.iter().map(|(_, counter)| self.grown(counter)).sum()
    }

    /// The latency that so many of a hundred do not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let index = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(index).copied().unwrap_or(Duration::MAX)
    }
}

pub(crate) fn print(phases: &[Phase]) {
    let before = &phases[0];
    println!(
        "Readings of 8 sealed devices, each every 10 ms, beside a flood from one thread over loopback, which shares"
    );
    println!("the cores with the gateway. Send to commit, and memory: before = 1\n");
    let heads = [
        "sent",
        "let in",
        "flood CPU",
        "its CPU",
        "p50",
        "p99",
        "readings",
        "due",
        "memory",
        "sessions",
        "handshakes",
        "sources",
    ];
    println!("| {:15} | {} | out/in |", "", heads.map(|head| format!("{head:>10}")).join(" | "));
    println!("|{}|{}", "-".repeat(17), format!("{}|", "-".repeat(12)).repeat(heads.len()) + "--------|");
    for phase in phases {
        let ratio = |percent| phase.percentile(percent).as_secs_f64() / before.percentile(percent).as_secs_f64();
        let stats = &phase.stats[1];
        let cells = [
            phase.flood.datagrams.to_string(),
            phase.let_in().to_string(),
            format!("{:.2}", phase.flood.share),
            format!("{:.2}", phase.gateway_share),
            format!("{:.2}", ratio(50)),
            format!("{:.2}", ratio(99)),
            phase.latencies.len().to_string(),
            phase.due.to_string(),
            format!("{:.3}", phase.memory as f64 / before.memory as f64),
            stats.sessions.to_string(),
            stats.handshakes.to_string(),
            stats.sources_watched.to_string(),
        ];
        let bytes_in = phase.let_in() * phase.hello_len as u64;
        let amplified = phase.bytes_to_strangers as f64 / bytes_in.max(1) as f64;
        let cells = cells.map(|cell| format!("{cell:>10}")).join(" | ");
        println!("| {:15} | {cells} | {amplified:6.3} |", phase.name);
    }
    println!(
        "\nCPU: parts of a core that the flood's thread and the gateway's endpoint had; sources: whose strikes are kept;"
    );
    println!("out/in: bytes to strangers over bytes let in from them\n");
    for phase in phases.iter().filter(|phase| phase.flood.datagrams > 0) {
        let fates = FATES.map(|(fate, counter)| (fate, phase.grown(counter)));
        let fates: Vec<_> = fates.iter().filter(|fate| fate.1 > 0).map(|(fate, n)| format!("{n} {fate}")).collect();
        let blocked = phase.grown(|stats| stats.sources_blocked);
        println!("{}: {}; {blocked} sources blocked", phase.name, fates.join(", "));
    }
}

/// Whether every reading is stored once.
pub(crate) fn readings(accepted: &[u64], stored: &[InDatabase]) -> bool {
    let [mut lost, mut twice] = [0, 0];
    for (accepted, stored) in accepted.iter().zip(stored) {
        lost += accepted.saturating_sub(stored.readings);
        twice += stored.rows - stored.readings;
    }
    let accepted: u64 = accepted.iter().sum();
    let rows: u64 = stored.iter().map(|stored| stored.rows).sum();
    println!("readings: {accepted} accepted, {rows} stored, {lost} lost, {twice} twice");
    lost == 0 && twice == 0 && accepted == rows
}

/// Whether the memory at the end of each phase is what it was before, or little more.
pub(crate) fn memory(at_start: u64, phases: &[Phase], growth_max: f64) -> bool {
    let before = phases[0].memory;
    let most = phases.iter().map(|phase| phase.memory).max().unwrap_or(before);
    let growth = most as f64 / before as f64 - 1.0;
    println!(
        "memory: {at_start} KiB with empty tables and caches, {before} KiB before, {most} KiB at most after: {:+.1} %",
        growth * 100.0
    );
    growth <= growth_max
}
