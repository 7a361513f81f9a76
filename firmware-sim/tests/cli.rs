//! The program as its user meets it: whole runs, and what it says when something is wrong.

mod common;

use common::{assert_stored, finish, json, run, spawn, stderr};
use core::time::Duration;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use tempfile::TempDir;

/// Exit code 1, and one line that says so.
fn fails_with(folder: &TempDir, args: &[&str], line: &str) {
    let output = run(folder, args);
    assert_eq!(stderr(&output), format!("firmware-sim: {line}\n"), "{args:?}");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let left: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.extension().is_none_or(|end| end != "db")), "left behind: {left:?}");
}

#[test]
fn a_lossy_run_stores_everything_once_and_a_second_run_adds_to_it() {
    let folder = TempDir::new().unwrap();
    let args = ["--readings=200", "--devices=2", "--rate=200", "--loss=0.1", "--seed=7", "--database=a.db", "--json"];
    for runs in 1..=2 {
        let output = run(&folder, &args);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let result = json(&output);
        for (name, value) in
            [("devices", 2), ("offered", 200), ("accepted", 200), ("stored", 200), ("lost", 0), ("seed", 7)]
        {
            assert_eq!(result[name], value, "{name}: {result}");
        }
        assert_eq!((&result["duplicated"], &result["out_of_order"]), (&0.into(), &0.into()));
        assert!(result["payload_bytes"].as_u64().unwrap() >= 200 * 20, "{result}");
        assert!(result["wire_bytes"].as_u64() > result["payload_bytes"].as_u64(), "{result}");
        let latency = &result["latency_ms"];
        assert!(
            latency["p50"].as_f64().unwrap() > 0.0 && latency["max"].as_f64() >= latency["p99"].as_f64(),
            "{result}"
        );
        assert_stored(&folder.path().join("a.db"), 2, 200, runs);
    }
}

/// What stands in a capture as it is: a reading's bytes are seen in plain mode and not in the sealed one.
#[test]
fn readings_are_sealed_unless_told_otherwise() {
    let folder = TempDir::new().unwrap();
    for (mode, is_plain) in [(&[][..], false), (&["--insecure-plain"][..], true)] {
        let args = ["--readings=40", "--devices=1", "--rate=200", "--loss=0", "--seed=1", "--pcap=a.pcap"];
        let output = run(&folder, &[&args[..], &["--database=a.db"], mode].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let payload: Vec<u8> = rusqlite::Connection::open(folder.path().join("a.db"))
            .unwrap()
            .query_row("SELECT payload FROM readings WHERE seq = 7", [], |row| row.get(0))
            .unwrap();
        let wire = fs::read(folder.path().join("a.pcap")).unwrap();
        assert_eq!(wire.windows(payload.len()).any(|bytes| bytes == payload), is_plain, "{mode:?}");
        assert_eq!(stderr(&output).contains("firmware-sim: WARNING: --insecure-plain"), is_plain, "{output:?}");
    }
}

#[test]
fn every_fault_at_once_is_survived() {
    let folder = TempDir::new().unwrap();
    let faults = ["--loss=0.2", "--reorder=0.1", "--duplicate=0.05", "--corrupt=0.05", "--delay-ms=5", "--seed=1"];
    let size = ["--readings=300", "--devices=3", "--rate=200", "--database=a.db", "--json"];
    let output = run(&folder, &[&faults[..], &size[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(json(&output)["retransmitted"].as_u64().unwrap() > 0);
    assert_stored(&folder.path().join("a.db"), 3, 300, 1);
}

#[test]
fn what_is_on_the_wire_can_be_captured() {
    let folder = TempDir::new().unwrap();
    let output = run(&folder, &["--readings=20", "--devices=1", "--loss=0", "--pcap=a.pcap", "--database=a.db"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let file = fs::File::open(folder.path().join("a.pcap")).unwrap();
    let mut pcap = pcap_file::pcap::PcapReader::new(file).unwrap();
    assert_eq!(pcap.header().datalink, pcap_file::DataLink::ETHERNET);
    let mut frames = Vec::new();
    while let Some(frame) = pcap.next_packet() {
        frames.push(frame.unwrap().data.into_owned());
    }
    // ARP comes first (ethertype 0x0806), then IPv4 (0x0800).
    assert_eq!(frames[0][12..14], [0x08, 0x06]);
    assert!(frames.iter().filter(|frame| frame[12..14] == [0x08, 0x00]).count() > 4);
}

#[test]
fn an_interrupt_ends_the_run_with_a_table() {
    let folder = TempDir::new().unwrap();
    let child = spawn(&folder, &["--devices=2", "--rate=20", "--loss=0", "--database=a.db", "--json"]);
    thread::sleep(Duration::from_millis(1500));
    let killed = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(killed.success());
    let output = finish(child);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let result = json(&output);
    assert!((1..8143).contains(&result["accepted"].as_u64().unwrap()), "{result}");
    assert!(stderr(&output).contains("firmware-sim: interrupted: "), "{output:?}");
}

#[test]
fn a_gateway_that_is_not_there_ends_the_run() {
    let folder = TempDir::new().unwrap();
    // Bound and silent, so that nobody else can answer there.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let gateway = format!("--gateway={}", silent.local_addr().unwrap());
    let output = run(&folder, &[&gateway, "--insecure-plain", "--readings=10", "--devices=1", "--idle=2", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = "firmware-sim: cannot go on: nothing was committed for 2 s: 0 of 10 readings are stored\n";
    assert!(stderr(&output).ends_with(line), "{output:?}");
    let result = json(&output);
    assert_eq!((&result["stored"], &result["lost"], &result["duplicated"]), (&0.into(), &10.into(), &Value::Null));
}

#[test]
fn what_cannot_be_read_or_used_is_named_in_one_line() {
    let folder = TempDir::new().unwrap();
    let missing = "cannot read none.csv: No such file or directory (os error 2)";
    fails_with(&folder, &["--replay=none.csv"], missing);
    let csv = "Date,Temperature,Humidity,Light,CO2,HumidityRatio,Occupancy\n2015-02-04 17:51:00,x,1,1,1,1,1\n";
    fs::write(folder.path().join("bad.csv"), csv).unwrap();
    fails_with(
        &folder,
        &["--replay=bad.csv"],
        "cannot read bad.csv: line 2: column temperature: \"x\" is not a number",
    );
    let elsewhere = ["--gateway=nonsense", "--device-file=none.json"];
    fails_with(&folder, &elsewhere, "cannot use the gateway nonsense: invalid socket address");
    let elsewhere = ["--gateway=127.0.0.1:9", "--device-file=none.json"];
    let missing = "cannot use the devices of none.json: No such file or directory (os error 2)";
    fails_with(&folder, &elsewhere, missing);
    fails_with(&folder, &["--pcap=none/a.pcap"], "cannot write none/a.pcap: No such file or directory (os error 2)");
    let tap = "cannot use the TAP device no-such: there is none of that name (see --help for how to make it)";
    fails_with(&folder, &["--tap=no-such"], tap);
    fs::create_dir(folder.path().join("folder")).unwrap();
    fails_with(&folder, &["--database=folder", "--pcap=b.pcap"], "cannot open the database: folder: it is a directory");
    assert!(!folder.path().join("b.pcap").exists());
    let output = run(&folder, &["--loss=1.5"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("not a number from 0 to 1"), "{output:?}");
}
