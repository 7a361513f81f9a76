//! The program `whimbrel` from outside: its one line when ready, its one line when it fails, and
//! what it leaves behind.

#![cfg(unix)]

mod common;

use std::fs;
use std::io::Read;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use common::{Whimbrel, names, serve, wait};
use rusqlite::Connection;

/// Runs to the end, which must be a failure with code 1 and one line on standard error; the line.
fn fails(mut command: Command) -> String {
    let mut child = command.spawn().unwrap();
    let status = wait(&mut child);
    let (mut out, mut said) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(out, "");
    let line = said.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n') && line.starts_with("whimbrel: cannot "), "{said}");
    line.to_owned()
}

/// The start fails because of the database; the reason.
fn cannot_open(database: &Path) -> String {
    let line = fails(serve("127.0.0.1:0", database));
    let prefix = format!("whimbrel: cannot open the database: {}: ", database.display());
    line.strip_prefix(&prefix).unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
fn ends_well_at_a_signal() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let whimbrel = Whimbrel::start(&database);
        assert_ne!(whimbrel.address.port(), 0);
        assert!(UdpSocket::bind(whimbrel.address).is_err(), "the port is its own");
        whimbrel.signal(signal);
        let end = whimbrel.wait();
        assert_eq!(end.status.code(), Some(0), "{signal}: {}", end.log);
        assert_eq!(end.out, "", "one line and no more");
        assert_eq!(names(folder.path()), [Path::new("a.db")], "no log, no lock");
        let rows: i64 = Connection::open(&database)
            .unwrap()
            .query_row("SELECT count(*) FROM readings", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 0);
    }
}

#[test]
fn a_gateway_that_protects_nothing_says_so_twice() {
    let folder = tempfile::tempdir().unwrap();
    for (option, is_plain) in [(None, false), (Some("--insecure-plain"), true)] {
        let mut command = serve("127.0.0.1:0", &folder.path().join("a.db"));
        command.args(option);
        let whimbrel = Whimbrel::spawn(command);
        whimbrel.signal("TERM");
        let end = whimbrel.wait();
        assert_eq!(end.status.code(), Some(0), "{}", end.log);
        assert_eq!(end.log.contains("whimbrel: WARNING: --insecure-plain: nothing is protected"), is_plain);
        assert_eq!(end.log.contains(" WARN whimbrel_gateway::serve: sessions are not protected"), is_plain);
    }
}

#[test]
fn a_killed_gateway_does_not_lock_the_next_one_out() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a.db");
    let first = Whimbrel::start(&database);
    assert_eq!(cannot_open(&database), "another gateway uses it");
    first.signal("KILL");
    first.wait();
    let second = Whimbrel::start(&database);
    second.signal("TERM");
    assert_eq!(second.wait().status.code(), Some(0));
    assert_eq!(names(folder.path()), [Path::new("a.db")]);
}

#[test]
fn a_bad_address_is_named_and_no_database_is_made() {
    let folder = tempfile::tempdir().unwrap();
    // 192.0.2.0/24 is for documentation (RFC 5737): nobody's own.
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "192.0.2.1:0"] {
        let line = fails(serve(address, &folder.path().join("a.db")));
        assert!(line.starts_with(&format!("whimbrel: cannot listen on udp {address}: ")), "{line}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_port_in_use_is_named_and_no_database_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = fails(serve(&address, &folder.path().join("a.db")));
    assert!(line.starts_with(&format!("whimbrel: cannot listen on udp {address}: Address already in use")), "{line}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_database_that_cannot_be_one_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(cannot_open(folder.path()), "it is a directory");
    assert!(cannot_open(&folder.path().join("no/a.db")).starts_with("No such file or directory"));
    // Not even root may make a file there.
    assert_ne!(cannot_open(Path::new("/proc/a.db")), "");
    assert!(names(folder.path()).is_empty());

    let text = folder.path().join("text.db");
    fs::write(&text, "dear diary").unwrap();
    assert_eq!(cannot_open(&text), "file is not a database");
    assert_eq!(fs::read(&text).unwrap(), b"dear diary");

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE readings(temperature)").unwrap();
    assert_eq!(cannot_open(&foreign), "it is a database of another program");
    assert_eq!(names(folder.path()), [Path::new("foreign.db"), Path::new("text.db")]);
}

#[test]
fn a_newer_database_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a.db");
    let whimbrel = Whimbrel::start(&database);
    whimbrel.signal("TERM");
    whimbrel.wait();
    Connection::open(&database).unwrap().pragma_update(None, "user_version", 41).unwrap();
    let before = fs::read(&database).unwrap();
    assert_eq!(cannot_open(&database), "its version 41 is newer than 2, the newest that this program knows");
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn a_start_without_room_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a.db");
    // No file may grow beyond two blocks of 512 or 1024 bytes: less than an empty database.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_whimbrel")]);
    command.args(["serve", "--listen", "127.0.0.1:0", "--database"]).arg(&database);
    command.env_remove("RUST_LOG");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let line = fails(command);
    assert!(line.starts_with(&format!("whimbrel: cannot open the database: {}: ", database.display())), "{line}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn wrong_usage_and_wrong_numbers_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a.db");
    let mut command = serve("127.0.0.1:0", &database);
    command.args(["--batch-max", "many"]);
    assert_eq!(wait(&mut command.spawn().unwrap()).code(), Some(2));
    let mut command = serve("127.0.0.1:0", &database);
    command.args(["--batch-max", "0"]);
    assert_eq!(fails(command), "whimbrel: cannot start: the largest batch must be in 1 to 65536 readings");
    assert!(names(folder.path()).is_empty());
}
