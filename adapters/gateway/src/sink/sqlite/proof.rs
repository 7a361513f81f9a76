//! What a handshake or a reading changes in the table of devices.

use rusqlite::{OptionalExtension, Transaction, params};
use whimbrel_core::{DeviceId, DeviceKey};

use crate::sink::{AdmitError, Proof, device_name};
use crate::utc;

/// How much too old `last_seen` may be: a device that sends all the time costs a write a minute.
const SEEN_WITHIN: i64 = 60_000_000;

/// Uses up the counter of a handshake. A new key that was used for the first time is the only one from
/// here on.
pub(super) fn check(transaction: &Transaction<'_>, device: &DeviceId, proof: &Proof<'_>) -> Result<(), AdmitError> {
    let name = device_name(device);
    let found = transaction
        .prepare_cached("SELECT key, next_key, counter FROM devices WHERE device = ?1 AND revoked_at IS NULL")?
        .query_row([&name], |row| {
            let key = |bytes: Option<[u8; 32]>| bytes.map(DeviceKey::new);
            Ok((key(row.get(0)?), key(row.get(1)?), row.get::<_, Option<i64>>(2)?))
        })
        .optional()?;
    let Some((key, next_key, counter)) = found else { return Err(AdmitError::Revoked) };
    let is_next = next_key.as_ref() == Some(proof.key);
    if !is_next && key.as_ref() != Some(proof.key) {
        return Err(AdmitError::Revoked);
    }
    if counter.is_some_and(|counter| proof.counter <= counter.cast_unsigned()) {
        return Err(AdmitError::Counter);
    }
    transaction
        .prepare_cached(
            "UPDATE devices SET counter = ?2, gateway_key = ?3, last_seen = ?4,
                 key = iif(?5, next_key, key), next_key = iif(?5, NULL, next_key)
             WHERE device = ?1",
        )?
        .execute(params![name, proof.counter.cast_signed(), proof.gateway_key, utc::now(), is_next])?;
    Ok(())
}

/// A reading of the device came. Of one that was not provisioned nothing is noted.
pub(super) fn see(transaction: &Transaction<'_>, device: &DeviceId, at: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE devices SET last_seen = ?2 WHERE device = ?1 AND ifnull(last_seen < ?3, TRUE)")?
        .execute(params![device_name(device), at, at.saturating_sub(SEEN_WITHIN)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Sink;
    use crate::sink::sqlite::fixture::{Fixture, device, offer, reading, request};
    use crate::sink::{SessionRequest, sqlite::Sqlite};

    /// A device with a key, and a new one that it has not used.
    fn fixture() -> Fixture {
        let fixture = Fixture::new();
        fixture
            .sink
            .connection
            .execute(
                "INSERT INTO devices(device, name, pattern, key, next_key, created_at)
                 VALUES(?1, 'one', 'nkpsk0', ?2, ?3, 0)",
                params![device_name(&device()), [1u8; 32], [2u8; 32]],
            )
            .unwrap();
        fixture
    }

    fn admit(sink: &mut Sqlite, counter: u64, key: u8) -> Result<u32, AdmitError> {
        let (offers, key) = ([offer(None, 0, 0)], DeviceKey::new([key; 32]));
        let proof = Some(Proof { counter, key: &key, gateway_key: Some(9) });
        sink.admit(&SessionRequest { proof, ..request(&offers) }).map(|streams| streams[0].epoch.number())
    }

    #[test]
    fn a_counter_is_used_once_and_only_grows() {
        let mut fixture = fixture();
        // Above 2^63 too: as numbers of SQLite these are negative.
        for (counter, fresh) in [(5, true), (5, false), (4, false), (6, true), (1 << 63, true), (7, false)] {
            let admitted = admit(&mut fixture.sink, counter, 1);
            assert_eq!(admitted.is_ok(), fresh, "{counter}");
            assert!(fresh || matches!(admitted, Err(AdmitError::Counter)));
        }
        admit(&mut fixture.sink, u64::MAX, 1).unwrap();
        // What was refused has not allocated an epoch.
        assert_eq!(fixture.number("SELECT max(epoch) FROM streams"), 4);
        assert_eq!(fixture.number("SELECT gateway_key FROM devices WHERE last_seen > created_at"), 9);
    }

    #[test]
    fn an_admission_that_fails_uses_nothing_up() {
        let mut fixture = fixture();
        let full = "CREATE TEMP TRIGGER full BEFORE INSERT ON main.streams BEGIN SELECT RAISE(ABORT, 'full'); END";
        fixture.sink.connection.execute_batch(full).unwrap();
        assert!(matches!(admit(&mut fixture.sink, 5, 2), Err(AdmitError::Sink(_))));
        fixture.sink.connection.execute_batch("DROP TRIGGER full").unwrap();
        assert_eq!(fixture.number("SELECT count(*) FROM devices WHERE counter IS NULL AND next_key IS NOT NULL"), 1);
        admit(&mut fixture.sink, 5, 1).unwrap();
    }

    #[test]
    fn the_old_key_ends_when_the_new_one_is_used() {
        let mut fixture = fixture();
        admit(&mut fixture.sink, 1, 1).unwrap();
        admit(&mut fixture.sink, 2, 2).unwrap();
        assert_eq!(fixture.number("SELECT next_key IS NULL FROM devices"), 1);
        assert!(matches!(admit(&mut fixture.sink, 3, 1), Err(AdmitError::Revoked)));
        admit(&mut fixture.sink, 3, 2).unwrap();
    }

    #[test]
    fn strangers_and_revoked_devices_are_refused() {
        let mut fixture = fixture();
        assert!(matches!(admit(&mut fixture.sink, 1, 3), Err(AdmitError::Revoked)));
        fixture
            .sink
            .connection
            .execute_batch("UPDATE devices SET key = NULL, next_key = NULL, revoked_at = 7")
            .unwrap();
        assert!(matches!(admit(&mut fixture.sink, 1, 1), Err(AdmitError::Revoked)));
        fixture.sink.connection.execute_batch("DELETE FROM devices").unwrap();
        assert!(matches!(admit(&mut fixture.sink, 1, 1), Err(AdmitError::Revoked)));
    }

    #[test]
    fn readings_move_last_seen_a_minute_at_a_time() {
        let mut fixture = fixture();
        let epoch = fixture.open_stream();
        let first = reading(epoch, 0).received_at;
        for (seq, after, seen) in [(0, 0, 0), (1, 60_000_000, 0), (2, 60_000_001, 60_000_001), (3, 1, 60_000_001)] {
            let mut reading = reading(epoch, seq);
            reading.received_at = first + after;
            fixture.sink.store(&[reading]).unwrap();
            assert_eq!(fixture.number("SELECT last_seen FROM devices") - first, seen);
        }
    }
}
