//! The two programs apart: `whimbrel serve` in a process of its own, the devices in another, and between
//! them a relay that loses and reorders datagrams in both directions. The gateway is also ended in the
//! middle, politely and not, and another one goes on with its database.

#![cfg(unix)]

mod common;

use common::relay::Relay;
use common::{assert_stored, finish_within, json, spawn};
use core::net::SocketAddr;
use core::time::Duration;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Instant;
use tempfile::TempDir;

const DEVICES: usize = 4;
const READINGS: usize = 800;
/// Rows that are stored before a gateway is ended: the middle, with room on both sides.
const MIDDLE: usize = 200;
/// No step of these tests takes nearly as long.
const LIMIT: Duration = Duration::from_secs(14);
/// How long there is no gateway.
const OUTAGE: Duration = Duration::from_millis(300);

/// The gateway's program stands beside the simulator's; it is built when nobody has done so.
fn whimbrel() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_firmware-sim")).parent().unwrap();
        let program = folder.join("whimbrel").with_extension(env::consts::EXE_EXTENSION);
        if !program.exists() {
            let profile = folder.file_name().filter(|name| *name != "debug").unwrap_or("dev".as_ref());
            let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
            let mut build = Command::new(cargo);
            build.args(["build", "-p", "whimbrel-gateway", "--profile"]).arg(profile);
            build.arg("--target-dir").arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
            assert!(build.status().unwrap().success());
        }
        program
    })
}

/// Adds the devices to the database; the file that says how.
fn add_devices(database: &Path) -> PathBuf {
    let mut text = Vec::new();
    for device in 0..DEVICES {
        let mut command = Command::new(whimbrel());
        command.args(["device", "add", "--json"]).arg(format!("sim-{device}")).arg("--database").arg(database);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        text.extend(output.stdout);
    }
    let file = database.with_extension("devices.json");
    fs::write(&file, text).unwrap();
    file
}

/// `whimbrel serve`; killed when it is dropped.
struct Gateway {
    child: Child,
    log: PathBuf,
    address: SocketAddr,
}

impl Gateway {
    /// Starts it and waits until it is ready.
    fn start(listen: SocketAddr, database: &Path) -> Self {
        let log = database.with_extension(format!("{}.log", if listen.port() == 0 { "first" } else { "second" }));
        let mut command = Command::new(whimbrel());
        command.arg("serve").arg("--listen").arg(listen.to_string()).arg("--database").arg(database);
        command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let mut gateway = Self { child, log, address: listen };
        let (tell, told) = mpsc::channel();
        // Ends with the program's output, so with the program.
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(out).read_line(&mut line);
            let _heard = tell.send(read.map(|_| line));
        });
        let line = told.recv_timeout(LIMIT).unwrap().unwrap();
        let address = line.strip_prefix("listening on udp ").and_then(|rest| rest.trim_end().parse().ok());
        gateway.address = address.unwrap_or_else(|| panic!("{line:?}: {}", gateway.said()));
        gateway
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends it a signal and waits for its end.
    fn end(&mut self, signal: &str) -> ExitStatus {
        let kill = Command::new("sh").args(["-c", "kill -s $0 $1", signal]).arg(self.child.id().to_string()).status();
        assert!(kill.unwrap().success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "SIG{signal} did not end it: {}", self.said());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The devices; killed when they are dropped before their end.
struct Devices(Option<Child>);

impl Devices {
    fn start(folder: &TempDir, gateway: SocketAddr, devices: &Path) -> Self {
        let (gateway, devices, readings) = (
            format!("--gateway={gateway}"),
            format!("--device-file={}", devices.display()),
            format!("--readings={READINGS}"),
        );
        let args = [&gateway[..], &devices, &readings, "--rate=200", "--seed=1", "--idle=12", "--json"];
        Self(Some(spawn(folder, &args)))
    }

    fn are_running(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    fn finish(mut self) -> Output {
        finish_within(self.0.take().unwrap(), LIMIT)
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// A row of the database by its key; what else it holds.
type Rows = BTreeMap<(String, i64, i64, i64), (i64, Vec<u8>, Option<String>)>;

fn rows(database: &Path) -> Rows {
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    database.busy_timeout(LIMIT).unwrap();
    let mut query =
        database.prepare("SELECT device, channel, epoch, seq, received_at, payload, json FROM readings").unwrap();
    let rows = query.query_map([], |row| {
        Ok(((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?), (row.get(4)?, row.get(5)?, row.get(6)?)))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// The rows of a database whose gateway is gone, read from a copy: the next gateway shall find the files
/// as they were left.
fn rows_left(database: &Path) -> Rows {
    let copy = TempDir::new().unwrap();
    for name in ["a.db", "a.db-wal"] {
        let file = database.with_file_name(name);
        if file.exists() {
            fs::copy(file, copy.path().join(name)).unwrap();
        }
    }
    // Not read-only: a log that was left has to be recovered.
    Connection::open(copy.path().join("a.db")).unwrap().query_row("PRAGMA quick_check", [], |_| Ok(())).unwrap();
    rows(&copy.path().join("a.db"))
}

/// Waits until at least `count` rows are stored; the rows.
fn wait_for_rows(database: &Path, count: usize) -> Rows {
    let start = Instant::now();
    loop {
        let found = rows(database);
        if found.len() >= count {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "{} of {count} rows", found.len());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Every row of `earlier` is in `later`, and is the same.
fn assert_kept(earlier: &Rows, later: &Rows) {
    for (key, row) in earlier {
        assert_eq!(later.get(key), Some(row), "{key:?}");
    }
}

/// How the first gateway is ended.
struct Cut {
    signal: &'static str,
    is_right: fn(ExitStatus) -> bool,
}

/// One run. With `cut`, the first gateway gets its signal in the middle, and must end in the right way; a
/// second one goes on at the same address with the same database.
fn run_apart(seed: u64, cut: Option<Cut>) {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("a.db");
    let mut gateway = Gateway::start(SocketAddr::from(([127, 0, 0, 1], 0)), &database);
    // While it runs: they may connect at once.
    let file = add_devices(&database);
    let relay = Relay::start(gateway.address, seed);
    let start = Instant::now();
    let mut devices = Devices::start(&folder, relay.address, &file);
    let mut left = Rows::new();
    if let Some(Cut { signal, is_right }) = cut {
        let before = wait_for_rows(&database, MIDDLE);
        let cut_at = start.elapsed();
        let status = gateway.end(signal);
        assert!(is_right(status), "{status:?}: {}", gateway.said());
        let gone_at = start.elapsed();
        left = rows_left(&database);
        assert_kept(&before, &left);
        assert!(left.len() < READINGS && devices.are_running(), "too late: {} rows", left.len());
        thread::sleep(OUTAGE);
        gateway = Gateway::start(gateway.address, &database);
        let back_at = start.elapsed();
        wait_for_rows(&database, left.len() + 1);
        eprintln!(
            "{signal}: {} rows at {cut_at:?}, gone with {} at {gone_at:?}, back at {back_at:?}, stores at {:?}",
            before.len(),
            left.len(),
            start.elapsed()
        );
    }
    let output = devices.finish();
    eprintln!("all done at {:?}", start.elapsed());
    assert_eq!(output.status.code(), Some(0), "{output:?}\n{}", gateway.said());
    let result = json(&output);
    for (name, value) in [("offered", READINGS), ("accepted", READINGS), ("stored", READINGS), ("lost", 0)] {
        assert_eq!(result[name], value, "{name}: {result}");
    }
    let status = gateway.end("TERM");
    assert_eq!(status.code(), Some(0), "{}", gateway.said());
    let stored = rows(&database);
    assert_eq!(stored.len(), READINGS);
    assert_kept(&left, &stored);
    assert_stored(&database, DEVICES, READINGS, 1);
    let flows = relay.stop();
    assert_eq!(flows.len(), DEVICES, "each device at an address of its own");
    for way in 0..2 {
        let [lost, reordered] = flows
            .iter()
            .map(|flow| flow[way])
            .fold([0; 2], |[lost, reordered], stats| [lost + stats.lost, reordered + stats.reordered]);
        assert!(lost > 10 && reordered > 5, "a good network proves nothing: {flows:?}");
    }
}

#[test]
fn two_programs_and_a_bad_network_store_everything_once() {
    run_apart(1, None);
}

#[test]
fn a_gateway_that_is_told_to_end_keeps_its_rows_and_another_goes_on() {
    run_apart(2, Some(Cut { signal: "TERM", is_right: |status| status.code() == Some(0) }));
}

#[test]
fn a_gateway_that_is_killed_keeps_its_rows_and_another_goes_on() {
    // SIGKILL is 9 wherever there are signals.
    run_apart(3, Some(Cut { signal: "KILL", is_right: |status| status.signal() == Some(9) }));
}
