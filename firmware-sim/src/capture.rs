//! What is on the wire, written to a file that Wireshark opens.

use crate::SimError;
use core::time::Duration;
use pcap_file::pcap::{PcapPacket, PcapWriter};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use whimbrel_core::Instant;

/// A capture in progress, or none.
#[derive(Debug, Default)]
pub struct Capture(Option<Open>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    writer: PcapWriter<BufWriter<File>>,
    /// UTC at the simulation's start, as time since 1970.
    start: Duration,
    failed: Option<String>,
    /// Whether the file was not there before.
    is_new: bool,
}

impl Capture {
    /// Starts a capture into the file at `path`, which is written anew; `None` captures nothing.
    ///
    /// # Errors
    /// [`SimError::Capture`] when the file cannot be written.
    pub fn create(path: Option<&Path>) -> Result<Self, SimError> {
        let Some(path) = path else { return Ok(Self(None)) };
        let failed = |reason: String| SimError::Capture { path: path.into(), reason };
        let is_new = !path.exists();
        let file = File::create(path).map_err(|error| failed(error.to_string()))?;
        // The writer's own header says Ethernet and microseconds.
        let writer = PcapWriter::new(BufWriter::new(file)).map_err(|error| failed(error.to_string()))?;
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self(Some(Open { path: path.into(), writer, start, failed: None, is_new })))
    }

    /// Writes a frame that passes at `now`. A failure is kept and told by [`Self::finish`].
    pub fn frame(&mut self, now: Instant, frame: &[u8]) {
        let Some(open) = self.0.as_mut().filter(|open| open.failed.is_none() && !frame.is_empty()) else { return };
        let at = open.start + Duration::from_micros(now.as_micros());
        let packet = PcapPacket::new(at, u32::try_from(frame.len()).unwrap_or(u32::MAX), frame);
        if let Err(error) = open.writer.write_packet(&packet) {
            open.failed = Some(error.to_string());
        }
    }

    /// Gives up a capture in which nothing happened: the file goes away if it was not there before.
    pub fn discard(self) {
        if let Some(open) = self.0.filter(|open| open.is_new) {
            drop(open.writer);
            // It stays then, empty; the caller has a better error to tell.
            let _ = fs::remove_file(open.path);
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// [`SimError::Capture`] when something could not be written.
    pub fn finish(self) -> Result<(), SimError> {
        let Some(open) = self.0 else { return Ok(()) };
        let failed = match open.failed {
            Some(reason) => Some(reason),
            None => open.writer.into_writer().flush().err().map(|error| error.to_string()),
        };
        failed.map_or(Ok(()), |reason| Err(SimError::Capture { path: open.path, reason }))
    }
}
