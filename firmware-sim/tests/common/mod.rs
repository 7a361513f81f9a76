//! The program under test, and what its gateway must have stored.

// Each test binary uses its own part of it.
#![allow(dead_code)]

pub(crate) mod relay;

use core::time::Duration;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;
use tempfile::TempDir;

/// No run of these tests takes nearly as long.
const DEADLINE: Duration = Duration::from_secs(90);

pub(crate) fn spawn(folder: &TempDir, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_firmware-sim"))
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn finish(child: Child) -> Output {
    finish_within(child, DEADLINE)
}

/// Waits for the end, which must come within `limit`.
pub(crate) fn finish_within(mut child: Child, limit: Duration) -> Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > limit {
            child.kill().unwrap();
            panic!("no end after {limit:?}: {:?}", child.wait_with_output().unwrap());
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

pub(crate) fn run(folder: &TempDir, args: &[&str]) -> Output {
    finish(spawn(folder, args))
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The object on the last line.
pub(crate) fn json(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap_or("")).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The JSON of row `row` of the built-in file, value for value.
pub(crate) fn csv_rows() -> Vec<BTreeMap<String, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/occupancy.csv");
    let mut csv = csv::Reader::from_path(path).unwrap();
    let names: Vec<String> = csv.headers().unwrap().iter().map(str::to_lowercase).collect();
    csv.records().map(|record| names.iter().cloned().zip(record.unwrap().iter().map(String::from)).collect()).collect()
}

#[derive(serde::Deserialize)]
struct Json<'a>(#[serde(borrow)] BTreeMap<String, &'a serde_json::value::RawValue>);

/// Checks that each stream holds its device's share of the rows, in order, value for value.
pub(crate) fn assert_stored(database: &Path, devices: usize, readings: usize, runs: usize) {
    let rows = csv_rows();
    let database = Connection::open(database).unwrap();
    let mut query = database
        .prepare(
            "SELECT seq, json FROM readings JOIN devices USING(device)
             WHERE name = ?1 AND channel = 1 AND epoch = ?2 ORDER BY readings.rowid",
        )
        .unwrap();
    for device in 0..devices {
        let name = format!("sim-{device}");
        let epochs: Vec<u32> = database
            .prepare("SELECT DISTINCT epoch FROM named_readings WHERE name = ?1 ORDER BY epoch")
            .unwrap()
            .query_map([&name], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(epochs.len(), runs, "{name}");
        for epoch in epochs {
            let found: Vec<(usize, String)> = query
                .query_map((&name, epoch), |row| Ok((row.get::<_, i64>(0)? as usize, row.get(1)?)))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let share: Vec<usize> = (device..readings).step_by(devices).collect();
            assert_eq!(found.len(), share.len(), "{name} {epoch}");
            for ((place, row), (seq, json)) in share.into_iter().enumerate().zip(found) {
                assert_eq!(seq, place);
                let Json(values) = serde_json::from_str(&json).unwrap();
                let values: BTreeMap<_, _> =
                    values.into_iter().map(|(name, value)| (name, value.get().trim_matches('"').to_owned())).collect();
                assert_eq!(values, rows[row]);
            }
        }
    }
}
