//! A batch of readings and the watermarks of their streams, in one transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use whimbrel_core::{DeviceId, SeqNo, StreamEpoch, StreamId};

use super::{admit, proof};
use crate::schema;
use crate::sink::{Batch, Reading, Watermark, device_name};

type Key = (DeviceId, StreamId, StreamEpoch);

/// A stream as it stands within the transaction.
struct Stream {
    device: String,
    /// The watermark.
    next: i64,
    /// The watermark in the database.
    stored: i64,
    ordered: bool,
}

/// The ledger's word for readings that their device gave up: their time was over.
const GIVEN_UP: &str = "given_up";

/// What becomes of a reading.
enum Fate {
    Stored {
        json: bool,
    },
    Duplicate,
    /// Something before it is missing, or its stream is unknown.
    Gap,
}

/// Stores a batch. After an error the database is as it was.
pub(super) fn store(connection: &mut Connection, batch: &[Reading]) -> rusqlite::Result<Batch> {
    // Dropped without a commit, it rolls back.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let stored = store_in(&transaction, batch)?;
    transaction.commit()?;
    Ok(stored)
}

fn store_in(transaction: &Transaction<'_>, batch: &[Reading]) -> rusqlite::Result<Batch> {
    let mut streams: HashMap<Key, Option<Stream>> = HashMap::new();
    let mut result = Batch::default();
    result.counts.batches = 1;
    for reading in batch {
        let key = (reading.device, reading.stream, reading.epoch);
        let stream = match streams.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(load(transaction, key)?),
        };
        let fate = match stream {
            Some(stream) => store_one(transaction, stream, reading)?,
            None => Fate::Gap,
        };
        match fate {
            Fate::Stored { json } => {
                result.counts.rows += 1;
                result.counts.raw += u64::from(!json);
            }
            Fate::Duplicate => result.counts.duplicates += 1,
            Fate::Gap => result.counts.gaps += 1,
        }
    }
    let mut seen = HashMap::new();
    for reading in batch {
        let latest = seen.entry(reading.device).or_insert(reading.received_at);
        *latest = reading.received_at.max(*latest);
    }
    seen.into_iter().try_for_each(|(device, at)| proof::see(transaction, &device, at))?;
    for (key, stream) in streams {
        if let Some(stream) = stream {
            result.watermarks.push(advance(transaction, key, &stream)?);
        }
    }
    Ok(result)
}

fn load(transaction: &Transaction<'_>, (device, stream, epoch): Key) -> rusqlite::Result<Option<Stream>> {
    let device = device_name(&device);
    transaction
        .prepare_cached("SELECT next, ordered FROM streams WHERE device = ?1 AND stream = ?2 AND epoch = ?3")?
        .query_row(params![device, stream.to_wire(), epoch.number()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
        .optional()
        .map(|found| found.map(|(next, ordered)| Stream { device, next, stored: next, ordered }))
}

fn store_one(transaction: &Transaction<'_>, stream: &mut Stream, reading: &Reading) -> rusqlite::Result<Fate> {
    // The last number cannot be stored: no watermark lies beyond it.
    let Some((seq, after)) = i64::try_from(reading.seq.value()).ok().and_then(|seq| Some((seq, seq.checked_add(1)?)))
    else {
        return Ok(Fate::Gap);
    };
    if stream.ordered && seq != stream.next {
        if seq < stream.next {
            return Ok(Fate::Duplicate);
        }
        // Behind what the device gave up it may come; behind what another session still has to store it may not.
        if reading.after.value() > stream.next.cast_unsigned() {
            return Ok(Fate::Gap);
        }
        let place = (reading.stream.to_wire(), reading.epoch.number());
        admit::note(transaction, &stream.device, place, GIVEN_UP, seq - stream.next)?;
    }
    let json = schema::decode(reading.schema, &reading.payload);
    let rows = transaction
        .prepare_cached(
            "INSERT INTO readings(device, channel, epoch, seq, received_at, payload, json)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT(device, channel, epoch, seq) DO NOTHING",
        )?
        .execute(params![
            stream.device,
            reading.stream.channel().number(),
            reading.epoch.number(),
            seq,
            reading.received_at,
            reading.payload,
            json,
        ])?;
    // On a best-effort channel an older number may still come, and the watermark stays.
    stream.next = stream.next.max(after);
    Ok(if rows == 0 { Fate::Duplicate } else { Fate::Stored { json: json.is_some() } })
}

fn advance(transaction: &Transaction<'_>, key: Key, stream: &Stream) -> rusqlite::Result<Watermark> {
    let (device, id, epoch) = key;
    if stream.next != stream.stored {
        transaction
            .prepare_cached("UPDATE streams SET next = ?4 WHERE device = ?1 AND stream = ?2 AND epoch = ?3")?
            .execute(params![stream.device, id.to_wire(), epoch.number(), stream.next])?;
    }
    // None below zero: the table forbids it.
    let next = SeqNo::new(u64::try_from(stream.next).unwrap_or(0));
    Ok(Watermark { device, stream: id, epoch, next })
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
