//! Epochs and watermarks when a session opens.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tracing::{debug, warn};
use whimbrel_core::{Delivery, OfferedStream, SeqNo, StreamAdmission, StreamEpoch};

use super::proof;
use crate::sink::{AdmitError, SessionRequest, device_name};

/// The ledger's word for readings that this database had and lost: it was restored from a backup,
/// and the devices let go of them long ago.
const SINK_ROLLBACK: &str = "sink_rollback";
/// The ledger's word for readings that arrived but were not stored before the gateway went down,
/// on channels whose devices do not wait for that.
const NOT_DURABLE: &str = "not_durable";

/// What to do about an offered stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// A new epoch, from the device's base.
    Open,
    /// The same epoch, from our watermark.
    Resume { next: u64 },
    /// The same epoch, from the device's base: it no longer has what lies between.
    Skip { missing: u64 },
}

/// `watermark`: of the offered epoch; `None` when none was offered, or we never allocated it.
fn decide(offer: &OfferedStream, watermark: Option<u64>) -> Decision {
    match watermark {
        None => Decision::Open,
        // It says that it never sent what we have: a clone, or a device that went back in time.
        // Its numbers from here on would name other readings than those we have.
        Some(next) if next > offer.next.value() => Decision::Open,
        Some(next) if next < offer.base.value() => Decision::Skip { missing: offer.base.value() - next },
        Some(next) => Decision::Resume { next },
    }
}

/// Names a device's streams and uses up the handshake's counter, in one durable transaction.
pub(super) fn admit(
    connection: &mut Connection,
    request: &SessionRequest<'_>,
) -> Result<Vec<StreamAdmission>, AdmitError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let SessionRequest { device, boot_epoch: boot, streams, proof } = request;
    if let Some(proof) = proof {
        proof::check(&transaction, device, proof)?;
    }
    let admission = Admission { transaction: &transaction, device: device_name(device), boot: *boot };
    let admitted = streams.iter().map(|offer| admission.stream(offer)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(admitted)
}

struct Admission<'a> {
    transaction: &'a Transaction<'a>,
    device: String,
    boot: u32,
}

impl Admission<'_> {
    fn stream(&self, offer: &OfferedStream) -> Result<StreamAdmission, AdmitError> {
        let base =
            i64::try_from(offer.base.value()).map_err(|_| AdmitError::Number { stream: offer.id, base: offer.base })?;
        let watermark = match offer.epoch {
            Some(epoch) => self.watermark(offer, epoch)?,
            None => None,
        };
        let device = &self.device;
        let (epoch, next) = match (decide(offer, watermark), offer.epoch) {
            (Decision::Resume { next }, Some(epoch)) => {
                self.update(offer, epoch)?;
                (epoch, next)
            }
            (Decision::Skip { missing }, Some(epoch)) => {
                self.update(offer, epoch)?;
                self.skip(offer, epoch, base, missing)?;
                (epoch, offer.base.value())
            }
            _ => {
                let epoch = self.open(offer, base)?;
                if let Some(old) = offer.epoch {
                    let (old, new) = (old.number(), epoch.number());
                    warn!(%device, stream = offer.id.to_wire(), old, new, ?watermark, next = offer.next.value(),
                        "unknown or rolled-back stream epoch: a new one is opened");
                }
                (epoch, offer.base.value())
            }
        };
        debug!(%device, stream = offer.id.to_wire(), epoch = epoch.number(), next, "stream admitted");
        Ok(StreamAdmission { id: offer.id, epoch, next: SeqNo::new(next) })
    }

    fn watermark(&self, offer: &OfferedStream, epoch: StreamEpoch) -> rusqlite::Result<Option<u64>> {
        self.transaction
            .prepare_cached("SELECT next FROM streams WHERE device = ?1 AND stream = ?2 AND epoch = ?3")?
            .query_row(params![self.device, offer.id.to_wire(), epoch.number()], |row| row.get::<_, i64>(0))
            .optional()
            // None below zero: the table forbids it.
            .map(|next| next.map(|next| u64::try_from(next).unwrap_or(0)))
    }

    /// A new epoch: above every one that this channel ever had, its rows included.
    fn open(&self, offer: &OfferedStream, base: i64) -> Result<StreamEpoch, AdmitError> {
        let channel = offer.id.channel();
        let live = channel.live().to_wire();
        // One look-up each at the end of an index; the backlog stream is the live one + 64.
        let last: i64 = self
            .transaction
            .prepare_cached(
                "SELECT max(
                    ifnull((SELECT max(epoch) FROM streams WHERE device = ?1 AND stream = ?2), 0),
                    ifnull((SELECT max(epoch) FROM streams WHERE device = ?1 AND stream = ?2 + 64), 0),
                    ifnull((SELECT max(epoch) FROM readings WHERE device = ?1 AND channel = ?2), 0))",
            )?
            .query_row(params![self.device, live], |row| row.get(0))?;
        let epoch = u32::try_from(last.saturating_add(1))
            .ok()
            .and_then(StreamEpoch::new)
            .ok_or(AdmitError::NoEpoch { channel: channel.number() })?;
        self.transaction
            .prepare_cached(
                "INSERT INTO streams(device, stream, epoch, next, schema, ordered, durable, boot)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                self.device,
                offer.id.to_wire(),
                epoch.number(),
                base,
                offer.schema.0.cast_signed(),
                is_ordered(offer),
                offer.durable,
                self.boot,
            ])?;
        Ok(epoch)
    }

    /// What the device says of a stream that we know; written only when it changed, so that a
    /// device that comes back costs no sync.
    fn update(&self, offer: &OfferedStream, epoch: StreamEpoch) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached(
                "UPDATE streams SET schema = ?4, ordered = ?5, durable = ?6, boot = ?7
                 WHERE device = ?1 AND stream = ?2 AND epoch = ?3
                 AND (schema, ordered, durable, boot) IS NOT (?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                self.device,
                offer.id.to_wire(),
                epoch.number(),
                offer.schema.0.cast_signed(),
                is_ordered(offer),
                offer.durable,
                self.boot,
            ])?;
        Ok(())
    }

    /// Stops waiting for what the device let go of, and writes down how much that is.
    fn skip(&self, offer: &OfferedStream, epoch: StreamEpoch, base: i64, missing: u64) -> rusqlite::Result<()> {
        let (device, stream, epoch) = (&self.device, offer.id.to_wire(), epoch.number());
        self.transaction
            .prepare_cached("UPDATE streams SET next = ?4 WHERE device = ?1 AND stream = ?2 AND epoch = ?3")?
            .execute(params![device, stream, epoch, base])?;
        let reason = match (is_ordered(offer), offer.durable) {
            // Without an order there is no telling what is missing.
            (false, _) => return Ok(()),
            (true, true) => SINK_ROLLBACK,
            (true, false) => NOT_DURABLE,
        };
        warn!(%device, stream, epoch, missing, reason, "the device no longer has what the database lacks");
        // At most `base`, which fits.
        note(self.transaction, device, (stream, epoch), reason, missing.cast_signed())
    }
}

/// Adds to the count of a stream's readings that are not in the database, by reason.
pub(super) fn note(
    transaction: &Transaction<'_>,
    device: &str,
    (stream, epoch): (u8, u32),
    reason: &str,
    count: i64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO ledger(device, stream, epoch, reason, count) VALUES(?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?
        .execute(params![device, stream, epoch, reason, count])?;
    Ok(())
}

fn is_ordered(offer: &OfferedStream) -> bool {
    offer.delivery == Delivery::Ordered
}

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
