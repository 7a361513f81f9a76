//! `whimbrel device` and `whimbrel gateway`: every command, with a running server and without one.

#![cfg(unix)]

mod common;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{Whimbrel, done, failed, json, names, serve, whimbrel};
use rusqlite::{Connection, params};
use serde_json::Value;
use tempfile::TempDir;

/// A folder for a database.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a.db");
    (folder, database)
}

/// Does it with a server on the database, and without one on another.
fn with_and_without_a_server(test: impl Fn(&Path)) {
    let (_folder, database) = place();
    test(&database);
    let (folder, database) = place();
    let server = Whimbrel::start(&database);
    test(&database);
    server.signal("TERM");
    let end = server.wait();
    assert_eq!(end.status.code(), Some(0), "{}", end.log);
    assert_eq!(names(folder.path()), [Path::new("a.db")], "no socket, no log, no lock");
}

fn list(database: &Path) -> Vec<Value> {
    json(database, &["device", "list"]).as_array().unwrap().clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn is_hex(value: &Value, bytes: usize) -> bool {
    hex::decode(text(value)).is_ok_and(|found| found.len() == bytes)
}

#[test]
fn a_device_is_added_and_told_once() {
    with_and_without_a_server(|database| {
        let told = done(database, &["device", "add", "greenhouse-7"]);
        let word = |label: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(label));
            line.unwrap_or_else(|| panic!("{label}: {told}")).trim().to_owned()
        };
        let (id, key, public) = (word("id "), word("key "), word("gateway public "));
        assert_eq!((id.len(), key.len(), public.len()), (16, 64, 64));
        assert_eq!(word("pattern "), "nkpsk0");
        // The same again as constants for firmware.
        let constants: String = told
            .lines()
            .skip_while(|line| !line.starts_with("const "))
            .flat_map(|line| line.split_whitespace())
            .collect();
        for (name, digits) in
            [("DEVICE_ID:[u8;8]", &id), ("DEVICE_KEY:[u8;32]", &key), ("GATEWAY_PUBLIC:[u8;32]", &public)]
        {
            let bytes: Vec<_> = hex::decode(digits).unwrap().iter().map(|byte| format!("0x{byte:02x}")).collect();
            let start = format!("{name}=[{}", bytes.join(","));
            assert!(constants.contains(&start), "{start}: {constants}");
        }
        let small = json(database, &["device", "add", "small", "--pattern", "nnpsk0"]);
        assert!(is_hex(&small["id"], 8) && is_hex(&small["key"], 32), "{small}");
        assert_eq!(
            (&small["name"], &small["pattern"], &small["gateway_public"]),
            (&"small".into(), &"nnpsk0".into(), &Value::Null)
        );

        assert_eq!(text(&json(database, &["gateway", "show"])["public"]), public);
        assert!(done(database, &["gateway", "show"]).contains(&public));
        let listed = done(database, &["device", "list"]);
        let lines: Vec<_> = listed.lines().collect();
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>(),
            ["NAME", "ID", "PATTERN", "STATE", "COUNTER", "LAST", "SEEN"]
        );
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["greenhouse-7", &id, "nkpsk0", "active", "-", "never"]
        );
        assert_eq!(lines.len(), 3);
        for shown in [listed, done(database, &["device", "list", "--json"]), done(database, &["gateway", "show"])] {
            assert!(!shown.contains(&key) && !shown.contains(text(&small["key"])), "{shown}");
        }
    });
}

#[test]
fn names_are_unique_and_easy_to_type() {
    with_and_without_a_server(|database| {
        done(database, &["device", "add", "one"]);
        let line = failed(database, &["device", "add", "one"]);
        assert_eq!(line, "cannot add device one: there is one of that name already");
        assert_eq!(list(database).len(), 1);
        for wrong in ["", "a b", "-x", "a'b", "\u{e4}", &"x".repeat(65)] {
            let output = whimbrel(database, &["device", "add", "--", wrong]);
            // As for any argument that is none.
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong:?}: {output:?}");
        }
        let output = whimbrel(database, &["device", "add", "two", "--pattern", "xx"]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(list(database).len(), 1);
        for verb in ["revoke", "rotate"] {
            let line = failed(database, &["device", verb, "nobody"]);
            assert_eq!(line, format!("cannot {verb} device nobody: there is none of that name"));
        }
    });
}

#[test]
fn a_revoked_device_is_listed_as_such_and_its_name_is_free() {
    with_and_without_a_server(|database| {
        let first = json(database, &["device", "add", "one"]);
        let said = done(database, &["device", "revoke", "one"]);
        assert_eq!(said, format!("device one ({}) is revoked\n", text(&first["id"])));
        for verb in ["revoke", "rotate"] {
            assert_eq!(failed(database, &["device", verb, "one"]), format!("cannot {verb} device one: it is revoked"));
        }
        let listed = list(database);
        assert_eq!((&listed[0]["state"], &listed[0]["id"]), (&"revoked".into(), &first["id"]));
        assert!(listed[0]["revoked_at"].is_string());
        assert!(done(database, &["device", "list"]).contains(" revoked "));
        let second = json(database, &["device", "add", "one"]);
        assert_ne!((&second["id"], &second["key"]), (&first["id"], &first["key"]));
        let states: Vec<_> = list(database).iter().map(|device| text(&device["state"]).to_owned()).collect();
        assert_eq!(states.iter().filter(|state| *state == "revoked").count(), 1, "{states:?}");
        let revoked = json(database, &["device", "revoke", "one"]);
        assert_eq!((&revoked["id"], &revoked["state"]), (&second["id"], &"revoked".into()));
    });
}

#[test]
fn a_device_gets_a_new_key() {
    with_and_without_a_server(|database| {
        let first = json(database, &["device", "add", "one"]);
        let second = json(database, &["device", "rotate", "one"]);
        assert_eq!((&second["id"], &second["gateway_public"]), (&first["id"], &first["gateway_public"]));
        assert_ne!(second["key"], first["key"]);
        assert_eq!(list(database)[0]["state"], "rotating");
        let told = done(database, &["device", "rotate", "one", "--now"]);
        assert!(told.starts_with("device one has a new key; the old one is not good any more\n"), "{told}");
        assert!(!told.contains(text(&second["key"])) && !told.contains(text(&first["key"])), "{told}");
        assert_eq!(list(database)[0]["state"], "active");
    });
}

#[test]
fn the_gateways_key_is_changed_in_two_steps() {
    with_and_without_a_server(|database| {
        let first = json(database, &["device", "add", "one"])["gateway_public"].clone();
        let line = failed(database, &["gateway", "retire"]);
        assert_eq!(line, "cannot retire the gateway's former key: there is no former key");
        let rotated = json(database, &["gateway", "rotate"]);
        assert_ne!(rotated["public"], first);
        assert_eq!((&rotated["former"]["public"], &rotated["former"]["devices"]), (&first, &1.into()));
        let line = failed(database, &["gateway", "rotate"]);
        assert_eq!(line, "cannot rotate the gateway's key: the former key is still good: retire it first");
        let shown = done(database, &["gateway", "show"]);
        let line = shown.lines().nth(1).unwrap();
        assert_eq!(line, format!("former  {}  devices that have not used the new key yet: 1", text(&first)));
        assert_eq!(json(database, &["device", "add", "two"])["gateway_public"], rotated["public"]);
        let line = failed(database, &["gateway", "retire"]);
        assert!(line.ends_with("devices that have not used the new key yet: 1; --force locks them out"), "{line}");
        assert_eq!(json(database, &["gateway", "retire", "--force"])["former"], Value::Null);
        assert_eq!(json(database, &["gateway", "show"])["public"], rotated["public"]);
    });
}

#[test]
fn many_at_once_get_an_id_and_a_key_each() {
    with_and_without_a_server(|database| {
        let adders: Vec<_> = (0..8)
            .map(|number| {
                let database = database.to_owned();
                std::thread::spawn(move || json(&database, &["device", "add", &format!("sim-{number}")]))
            })
            .collect();
        let devices: Vec<_> = adders.into_iter().map(|adder| adder.join().unwrap()).collect();
        for field in ["id", "key", "name"] {
            let different: HashSet<_> = devices.iter().map(|device| text(&device[field]).to_owned()).collect();
            assert_eq!(different.len(), 8, "{field}: {devices:?}");
        }
        let publics: HashSet<_> = devices.iter().map(|device| text(&device["gateway_public"]).to_owned()).collect();
        assert_eq!(publics.len(), 1);
        let listed: HashSet<_> = list(database).iter().map(|device| text(&device["id"]).to_owned()).collect();
        assert_eq!(listed, devices.iter().map(|device| text(&device["id"]).to_owned()).collect());
    });
}

#[test]
fn one_name_at_once_is_one_device() {
    with_and_without_a_server(|database| {
        let adders: Vec<_> = (0..4)
            .map(|_| {
                let database = database.to_owned();
                std::thread::spawn(move || whimbrel(&database, &["device", "add", "one"]).status.code())
            })
            .collect();
        let codes: Vec<_> = adders.into_iter().map(|adder| adder.join().unwrap()).collect();
        assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
        assert_eq!(list(database).len(), 1);
    });
}

#[test]
fn what_is_not_there_is_not_made_by_asking() {
    let (folder, database) = place();
    for args in [
        &["device", "list"][..],
        &["device", "revoke", "one"],
        &["device", "rotate", "one"],
        &["gateway", "show"],
        &["gateway", "rotate"],
        &["gateway", "retire"],
    ] {
        let line = failed(&database, args);
        let start = format!("cannot open the database: {}: No such file or directory", database.display());
        assert!(line.starts_with(&start), "{line}");
    }
    assert!(names(folder.path()).is_empty());
    let line = failed(&folder.path().join("no/a.db"), &["device", "add", "one"]);
    assert!(line.starts_with("cannot open the database: "), "{line}");
    fs::write(&database, "dear diary").unwrap();
    let line = failed(&database, &["device", "add", "one"]);
    assert!(line.ends_with(": file is not a database"), "{line}");
    assert_eq!(fs::read(&database).unwrap(), b"dear diary");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn only_the_owner_may_use_the_files() {
    let (folder, database) = place();
    let serve = serve("127.0.0.1:0", &database);
    // Whatever the shell's mask is.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(serve.get_program()).args(serve.get_args());
    command.env_remove("RUST_LOG").stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    let server = Whimbrel::spawn(command);
    done(&database, &["device", "add", "one"]);
    let found = names(folder.path());
    for name in ["a.db", "a.db.lock", "a.db.sock"] {
        assert!(found.contains(&PathBuf::from(name)), "{name}: {found:?}");
    }
    for name in &found {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name:?}");
    }
    server.signal("TERM");
    server.wait();
    assert_eq!(mode(&database), 0o600);
}

#[test]
fn keys_that_others_may_read_are_refused() {
    let (_folder, database) = place();
    done(&database, &["device", "add", "one"]);
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    let reason = format!(
        "cannot open the database: {path}: others than its owner may use {path} (mode 0644), and it holds keys: chmod 600 it, \
         and rotate them",
        path = database.display()
    );
    assert_eq!(failed(&database, &["device", "list"]), reason);
    let output = serve("127.0.0.1:0", &database).output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap()),
        (Some(1), format!("whimbrel: {reason}\n"))
    );
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(list(&database).len(), 1);
}

/// The tables of the first version, as they were released.
const FIRST_VERSION: &str = "
    CREATE TABLE readings(device TEXT NOT NULL, channel INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
        received_at INTEGER NOT NULL, payload BLOB NOT NULL, json TEXT, PRIMARY KEY(device, channel, epoch, seq));
    CREATE TABLE streams(device TEXT NOT NULL, stream INTEGER NOT NULL, epoch INTEGER NOT NULL,
        next INTEGER NOT NULL CHECK(next >= 0), schema INTEGER NOT NULL, ordered INTEGER NOT NULL,
        durable INTEGER NOT NULL, boot INTEGER NOT NULL, PRIMARY KEY(device, stream, epoch)) WITHOUT ROWID;
    CREATE TABLE ledger(device TEXT NOT NULL, stream INTEGER NOT NULL, epoch INTEGER NOT NULL, reason TEXT NOT NULL,
        count INTEGER NOT NULL, PRIMARY KEY(device, stream, epoch, reason)) WITHOUT ROWID;
    PRAGMA application_id = 0x57484d42;
    PRAGMA user_version = 1;
    INSERT INTO readings VALUES('sim-0', 1, 1, 0, 1700000000000000, x'07', '{\"a\":1}'), ('sim-0', 1, 1, 1, 1700000000000001, x'08', NULL);
    INSERT INTO streams VALUES('sim-0', 1, 1, 2, -5, 1, 1, 0);
    INSERT INTO ledger VALUES('sim-0', 1, 1, 'given_up', 3);";

#[test]
fn a_database_of_the_first_version_becomes_one_of_this() {
    for by_server in [false, true] {
        let (_folder, database) = place();
        let connection = Connection::open(&database).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch(FIRST_VERSION).unwrap();
        drop(connection);
        fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
        if by_server {
            let server = Whimbrel::start(&database);
            done(&database, &["device", "add", "one"]);
            server.signal("TERM");
            assert_eq!(server.wait().status.code(), Some(0));
        } else {
            done(&database, &["device", "add", "one"]);
        }
        // Now it holds keys.
        assert_eq!(mode(&database), 0o600);
        let connection = Connection::open(&database).unwrap();
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(number("PRAGMA user_version"), 2);
        assert_eq!(number("SELECT count(*) FROM readings"), 2);
        assert_eq!(number("SELECT count(*) FROM readings WHERE json = '{\"a\":1}' AND payload = x'07' AND seq = 0"), 1);
        assert_eq!(number("SELECT next FROM streams WHERE schema = -5"), 2);
        assert_eq!(number("SELECT count FROM ledger"), 3);
        assert_eq!(number("SELECT count(*) FROM devices WHERE name = 'one' AND length(key) = 32"), 1);
        // Who was not provisioned is called as before; who was, by name.
        let device: String = connection.query_row("SELECT device FROM devices", [], |row| row.get(0)).unwrap();
        let insert = "INSERT INTO readings VALUES(?1, 1, 1, 0, 0, x'', NULL)";
        connection.execute(insert, params![device]).unwrap();
        let mut query = connection.prepare("SELECT DISTINCT name FROM named_readings ORDER BY name").unwrap();
        let called: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(called, ["one", "sim-0"]);
    }
}
