//! The control socket from outside: who is heard, for how long, and what a killed gateway leaves.

#![cfg(unix)]

mod common;

use core::time::Duration;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use common::{PATIENCE, Whimbrel, done, failed, json, names, serve};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a.db");
    (folder, database)
}

fn connect(folder: &TempDir) -> UnixStream {
    let stream = UnixStream::connect(folder.path().join("a.db.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The answer to one line.
fn ask(stream: &UnixStream, line: &str) -> String {
    let mut writer = stream;
    writer.write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    answer
}

#[test]
fn a_killed_gateways_socket_is_replaced() {
    let (folder, database) = place();
    let first = Whimbrel::start(&database);
    let one = json(&database, &["device", "add", "one"]);
    first.signal("KILL");
    first.wait();
    let left = names(folder.path());
    assert!(left.contains(&PathBuf::from("a.db.sock")) && left.contains(&PathBuf::from("a.db.lock")), "{left:?}");
    // A command finds that nobody answers, and does it itself.
    done(&database, &["device", "add", "two"]);
    let second = Whimbrel::start(&database);
    let listed = json(&database, &["device", "list"]);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (2, &one["id"]));
    // It was the second that answered: nobody else can have the database.
    assert!(ask(&connect(&folder), "{\"command\":\"gateway-show\"}\n").starts_with(r#"{"done":{"gateway":{"public":"#));
    second.signal("TERM");
    assert_eq!(second.wait().status.code(), Some(0));
    assert_eq!(names(folder.path()), [Path::new("a.db")]);
}

#[test]
fn a_file_in_the_sockets_place_is_left_alone() {
    let (folder, database) = place();
    let socket = folder.path().join("a.db.sock");
    fs::write(&socket, "mine").unwrap();
    let output = serve("127.0.0.1:0", &database).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, format!("whimbrel: cannot take commands at {}: it is there and no socket\n", socket.display()));
    assert_eq!(fs::read_to_string(&socket).unwrap(), "mine");
    assert_eq!(names(folder.path()), [Path::new("a.db.sock")], "no database was made");
}

#[test]
fn what_makes_no_sense_is_refused_and_the_next_request_is_heard() {
    let (folder, database) = place();
    let _server = Whimbrel::start(&database);
    let stream = connect(&folder);
    for wrong in
        ["\n", "{}\n", "nonsense\n", "{\"command\":\"fly\"}\n", "{\"command\":\"device-revoke\",\"name\":\"a b\"}\n"]
    {
        let answer = ask(&stream, wrong);
        let expected = "{\"refused\":\"the gateway does not know this command; it may be of another version\"}\n";
        assert_eq!(answer, expected, "{wrong:?}");
    }
    let answer = ask(&stream, "{\"command\":\"device-revoke\",\"name\":\"nobody\"}\n");
    assert_eq!(answer, "{\"refused\":\"there is none of that name\"}\n");
    assert!(ask(&stream, "{\"command\":\"device-list\",\"after\":null}\n").starts_with("{\"done\":{\"devices\":"));
}

#[test]
fn a_request_without_end_is_cut_off() {
    let (folder, database) = place();
    let _server = Whimbrel::start(&database);
    let stream = connect(&folder);
    let mut endless = &stream;
    // It may hang up while this is being written.
    let _cut = endless.write_all(&[b'x'; 1 << 16]);
    let mut answer = Vec::new();
    let _reset = (&stream).read_to_end(&mut answer);
    let said = "{\"refused\":\"the gateway got no whole command\"}\n";
    assert!(answer.is_empty() || answer == said.as_bytes(), "{}", String::from_utf8_lossy(&answer));
    done(&database, &["device", "list"]);
}

#[test]
fn idle_clients_do_not_keep_others_out_for_ever() {
    let (folder, database) = place();
    let server = Whimbrel::start(&database);
    // More than are served at a time.
    let idle: Vec<_> = (0..20).map(|_| connect(&folder)).collect();
    done(&database, &["device", "add", "one"]);
    // Nor do they hold up the end.
    let _more: Vec<_> = (0..20).map(|_| connect(&folder)).collect();
    server.signal("TERM");
    let end = server.wait();
    assert_eq!(end.status.code(), Some(0), "{}", end.log);
    drop(idle);
    assert_eq!(names(folder.path()), [Path::new("a.db")]);
}

#[test]
fn a_gateway_that_does_not_answer_is_named() {
    let (folder, database) = place();
    done(&database, &["device", "add", "one"]);
    let socket = folder.path().join("a.db.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let other = std::thread::spawn(move || {
        for answer in ["", "half an answer", "{\"done\":{\"something\":{}}}\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let start = format!("cannot ask the gateway at {}: ", socket.display());
    for reason in [
        "it ended before it answered",
        "it ended before it answered",
        "its answer makes no sense; it may be of another version",
    ] {
        assert_eq!(failed(&database, &["device", "list"]), format!("{start}{reason}"));
    }
    other.join().unwrap();
}

#[test]
fn a_command_waits_for_another_that_has_the_database() {
    let (_folder, database) = place();
    done(&database, &["device", "add", "one"]);
    // As a command holds it, without a server.
    let lock = fs::File::create(database.with_file_name("a.db.lock")).unwrap();
    lock.lock().unwrap();
    let command = std::thread::spawn({
        let database = database.clone();
        move || done(&database, &["device", "list"])
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(!command.is_finished());
    drop(lock);
    assert!(command.join().unwrap().contains("one"));
}
