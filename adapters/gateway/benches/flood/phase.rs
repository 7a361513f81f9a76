//! One phase: the honest devices send, and strangers do what they do.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use whimbrel_tokio::EndpointStats;

use crate::honest::{Honest, PERIOD};
use crate::place::{Place, THREADS};
use crate::process;
use crate::spoofed::Forger;
use crate::strangers::{Flood, flood};

/// How long acknowledgements and answers may still be on their way.
const REST: Duration = Duration::from_millis(500);

/// What strangers send.
pub(crate) enum Hellos {
    /// Nothing, for so long.
    None(Duration),
    /// Right in form.
    Forged(Box<Forger>),
    /// Of former boots.
    Replayed(Vec<Vec<u8>>),
}

impl Hellos {
    /// All have one length.
    fn len(&self) -> usize {
        match self {
            Self::None(_) => 0,
            Self::Forged(forger) => forger.hello_len(),
            Self::Replayed(all) => all[0].len(),
        }
    }
}

/// What was measured.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) flood: Flood,
    /// Bytes in each of its datagrams.
    pub(crate) hello_len: usize,
    /// Readings that were due while the flood lasted. A device without room takes fewer, and says so.
    pub(crate) due: u64,
    /// In order.
    pub(crate) latencies: Vec<Duration>,
    /// At the beginning and at the end.
    pub(crate) stats: [EndpointStats; 2],
    /// Bytes that the gateway sent, and no honest device received.
    pub(crate) bytes_to_strangers: u64,
    /// Processor time of the gateway's endpoint over time passed.
    pub(crate) gateway_share: f64,
    /// Resident, in KiB, at the end.
    pub(crate) memory: u64,
}

/// Measures until the flood is over and everything is stored.
pub(crate) async fn measure(
    name: &'static str,
    hellos: Hellos,
    count: u64,
    place: &Place,
    honest: Vec<Honest>,
) -> (Phase, Vec<Honest>) {
    tokio::time::sleep(REST).await;
    let (stats, received) = (place.stats(), bytes(&honest));
    let (begin, busy) = (Instant::now(), process::time_of(THREADS));
    let stop = Arc::new(AtomicBool::new(false));
    let (hello_len, honest_count) = (hellos.len(), honest.len() as u128);
    let mut devices = JoinSet::new();
    for device in honest {
        devices.spawn(device.send_until(Arc::clone(&stop)));
    }
    let to = place.address();
    let flood = match hellos {
        Hellos::None(time) => {
            tokio::time::sleep(time).await;
            Flood::default()
        }
        Hellos::Forged(mut forger) => on_a_thread(move || flood(to, count, |n, room| forger.forge(n, room))).await,
        Hellos::Replayed(all) => {
            let replay = move |n: u64, room: &mut Vec<u8>| {
                room.clear();
                room.extend(&all[n as usize / 2 % all.len()]);
            };
            on_a_thread(move || flood(to, count, replay)).await
        }
    };
    let gateway_share = (process::time_of(THREADS) - busy).as_secs_f64() / begin.elapsed().as_secs_f64();
    let due = (honest_count * begin.elapsed().as_millis() / PERIOD.as_millis()) as u64;
    stop.store(true, Ordering::Relaxed);
    let mut honest = devices.join_all().await;
    tokio::time::sleep(REST).await;
    honest.sort_by_key(Honest::number);
    let stats = [stats, place.stats()];
    let mut latencies: Vec<_> = honest.iter().flat_map(|device| &device.latencies).copied().collect();
    latencies.sort_unstable();
    let sent = stats[1].tx_bytes - stats[0].tx_bytes;
    let bytes_to_strangers = sent.saturating_sub(bytes(&honest) - received);
    let memory = process::memory();
    (Phase { name, flood, hello_len, due, latencies, stats, bytes_to_strangers, gateway_share, memory }, honest)
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// All that the devices received so far.
fn bytes(honest: &[Honest]) -> u64 {
    honest.iter().map(|device| device.stats().rx_bytes).sum()
}
