//! The tables, version by version.

/// Version n of the tables is what the first n of these make. Released ones never change.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE readings(
        device TEXT NOT NULL,
        channel INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        received_at INTEGER NOT NULL, -- microseconds since 1970 UTC
        payload BLOB NOT NULL,
        json TEXT,                    -- NULL: schema unknown, or the payload does not fit it
        PRIMARY KEY(device, channel, epoch, seq)
    );
    CREATE TABLE streams(
        device TEXT NOT NULL,
        stream INTEGER NOT NULL,      -- the channel's number; + 64 for its backlog stream
        epoch INTEGER NOT NULL,
        next INTEGER NOT NULL CHECK(next >= 0), -- the watermark: the first number that is not stored
        schema INTEGER NOT NULL,      -- 64 bits, as two's complement
        ordered INTEGER NOT NULL,
        durable INTEGER NOT NULL,
        boot INTEGER NOT NULL,        -- the device's boot epoch when it last opened the stream
        PRIMARY KEY(device, stream, epoch)
    ) WITHOUT ROWID;
    CREATE TABLE ledger(
        device TEXT NOT NULL,
        stream INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        reason TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY(device, stream, epoch, reason)
    ) WITHOUT ROWID;
",
    "
    CREATE TABLE devices(
        device TEXT PRIMARY KEY NOT NULL, -- as in the tables of readings
        name TEXT NOT NULL,
        pattern TEXT NOT NULL CHECK(pattern IN ('nkpsk0', 'nnpsk0')),
        key BLOB CHECK(length(key) = 32),           -- secret; NULL once it is revoked
        next_key BLOB CHECK(length(next_key) = 32), -- secret; takes the key's place when the device first uses it
        gateway_key INTEGER,  -- id of the gateway's key that the device was told first, or used last
        counter INTEGER,      -- of the newest handshake: 64 bits, as two's complement; NULL: none yet
        created_at INTEGER NOT NULL, -- these three: microseconds since 1970 UTC
        revoked_at INTEGER,
        last_seen INTEGER,           -- within a minute
        CHECK((key IS NULL) = (revoked_at IS NOT NULL)),
        CHECK(next_key IS NULL OR key IS NOT NULL)
    ) WITHOUT ROWID;
    -- The name of a revoked device is free again.
    CREATE UNIQUE INDEX device_names ON devices(name) WHERE revoked_at IS NULL;
    CREATE TABLE gateway(
        one INTEGER PRIMARY KEY CHECK(one = 1), -- there is one row at most
        secret BLOB NOT NULL CHECK(length(secret) = 32),    -- X25519, of the key that devices are told
        former_secret BLOB CHECK(length(former_secret) = 32), -- of the key before, which is still good
        reset_secret BLOB NOT NULL CHECK(length(reset_secret) = 32),
        created_at INTEGER NOT NULL  -- of the key that devices are told
    );
    CREATE VIEW named_readings AS
        SELECT coalesce(devices.name, readings.device) AS name, readings.device, channel, epoch, seq, received_at,
            payload, json
        FROM readings LEFT JOIN devices ON devices.device = readings.device;
",
];
