//! What must be true: accepted messages are stored exactly once, in order, as they were.

use std::collections::BTreeMap;
use whimbrel_core::{MessageId, SeqNo, StreamEpoch, StreamId};

/// What one boot of the device accepted on each stream (by its byte on the wire), in order.
type Boot = BTreeMap<u8, Vec<Vec<u8>>>;

/// Follows both ends. It knows nothing of packets.
#[derive(Debug)]
pub struct Oracle {
    boots: Vec<Boot>,
    /// Which boot an epoch of a stream belongs to.
    owners: BTreeMap<(u8, u32), usize>,
    /// How much of each boot and stream is stored, and the number that comes after.
    stored: BTreeMap<(usize, u8), Progress>,
}

/// What the sink holds of one boot of one stream.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    count: usize,
    next: u64,
}

impl Default for Oracle {
    fn default() -> Self {
        Self { boots: vec![Boot::new()], owners: BTreeMap::new(), stored: BTreeMap::new() }
    }
}

impl Oracle {
    fn boot(&self) -> usize {
        self.boots.len() - 1
    }

    /// The device lost its memory; what it accepted from here on is another history.
    pub fn device_rebooted(&mut self) {
        self.boots.push(Boot::new());
    }

    /// The device accepted a message.
    ///
    /// # Errors
    /// When the numbers of a stream are not 0, 1, 2, ..
    pub fn accepted(&mut self, id: MessageId, payload: &[u8]) -> Result<(), String> {
        let boot = self.boot();
        let messages = self.boots[boot].entry(id.stream.to_wire()).or_default();
        if id.seq.value() != messages.len() as u64 {
            return Err(format!("accepted as {id:?}, but {} came before it", messages.len()));
        }
        messages.push(payload.to_vec());
        Ok(())
    }

    /// The device was given an epoch.
    ///
    /// # Errors
    /// When another boot of the device had the same one.
    pub fn opened(&mut self, stream: StreamId, epoch: StreamEpoch) -> Result<(), String> {
        let boot = self.boot();
        let owner = *self.owners.entry((stream.to_wire(), epoch.number())).or_insert(boot);
        if owner == boot { Ok(()) } else { Err(format!("{epoch:?} of {stream:?} belongs to boot {owner} already")) }
    }

    /// The sink stored a message. `gaps`: the stream may leave messages out.
    ///
    /// # Errors
    /// When it was never accepted, is stored already, is out of order or is not what was accepted.
    pub fn stored(
        &mut self,
        stream: StreamId,
        epoch: StreamEpoch,
        seq: SeqNo,
        payload: &[u8],
        gaps: bool,
    ) -> Result<(), String> {
        let (stream, epoch, seq) = (stream.to_wire(), epoch.number(), seq.value());
        let what = format!("message {seq} of stream {stream}, epoch {epoch}");
        let boot = *self.owners.get(&(stream, epoch)).ok_or(format!("{what}: the device does not know the epoch"))?;
        let accepted = self.boots[boot].get(&stream).and_then(|messages| messages.get(seq as usize));
        let accepted = accepted.ok_or(format!("{what}: never accepted"))?;
        if accepted != payload {
            return Err(format!("{what}: stored {payload:02x?}, accepted {accepted:02x?}"));
        }
        let progress = self.stored.entry((boot, stream)).or_default();
        if seq < progress.next || (seq > progress.next && !gaps) {
            return Err(format!("{what}: stored when {} was expected", progress.next));
        }
        *progress = Progress { count: progress.count + 1, next: seq + 1 };
        Ok(())
    }

    /// Messages that this boot of the device accepted, on all streams.
    pub fn accepted_count(&self) -> usize {
        self.boots[self.boot()].values().map(Vec::len).sum()
    }

    /// Messages of this boot that the sink stored, on all streams.
    pub fn stored_count(&self) -> usize {
        let boot = self.boot();
        self.stored.iter().filter(|((owner, _), _)| *owner == boot).map(|(_, progress)| progress.count).sum()
    }

    /// Messages of all boots that the sink stored.
    pub fn stored_ever(&self) -> usize {
        self.stored.values().map(|progress| progress.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::ChannelId;

    // An oracle that passes everything proves nothing.
    #[test]
    fn it_notices() {
        let stream = ChannelId::new(1).unwrap().live();
        let epoch = StreamEpoch::new(1).unwrap();
        let seq = SeqNo::new;
        let mut oracle = Oracle::default();
        for (number, payload) in [b"a", b"b", b"c"].iter().enumerate() {
            oracle.accepted(MessageId { stream, seq: seq(number as u64) }, *payload).unwrap();
        }
        assert!(oracle.accepted(MessageId { stream, seq: seq(9) }, b"").is_err(), "a gap in the numbers");
        assert!(oracle.stored(stream, epoch, seq(0), b"a", false).is_err(), "an epoch of nobody");
        oracle.opened(stream, epoch).unwrap();
        assert!(oracle.stored(stream, epoch, seq(1), b"b", false).is_err(), "out of order");
        assert!(oracle.stored(stream, epoch, seq(0), b"b", false).is_err(), "another payload");
        oracle.stored(stream, epoch, seq(0), b"a", false).unwrap();
        assert!(oracle.stored(stream, epoch, seq(0), b"a", true).is_err(), "twice");
        oracle.stored(stream, epoch, seq(2), b"c", true).unwrap();
        assert!(oracle.stored(stream, epoch, seq(3), b"d", true).is_err(), "never accepted");
        assert_eq!((oracle.accepted_count(), oracle.stored_count()), (3, 2));
        oracle.device_rebooted();
        assert!(oracle.opened(stream, epoch).is_err(), "an epoch used twice");
        assert_eq!((oracle.accepted_count(), oracle.stored_count(), oracle.stored_ever()), (0, 0, 2));
    }
}
