//! The program under test: started, watched with bounded patience, and never left behind.

// Each test binary uses its own part of it.
#![allow(dead_code)]

use core::net::SocketAddr;
use core::time::Duration;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::Instant;

use serde_json::Value;

/// More than any step takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `whimbrel serve`, with its output caught.
pub(crate) fn serve(listen: &str, database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command.args(["serve", "--listen", listen, "--database"]).arg(database);
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `whimbrel` with these arguments and `--database`, run to its end.
pub(crate) fn whimbrel(database: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command.args(args).arg("--database").arg(database);
    command.env_remove("RUST_LOG").stdin(Stdio::null()).output().unwrap()
}

/// What it printed; it must have gone well and said nothing else.
pub(crate) fn done(database: &Path, args: &[&str]) -> String {
    let output = whimbrel(database, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same with `--json`: one line.
pub(crate) fn json(database: &Path, args: &[&str]) -> Value {
    let text = done(database, &[args, &["--json"]].concat());
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Why it failed, in one line, with exit code 1 and nothing on standard output.
pub(crate) fn failed(database: &Path, args: &[&str]) -> String {
    let output = whimbrel(database, args);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b""[..]), "{args:?}: {output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let line = said.strip_prefix("whimbrel: ").and_then(|line| line.strip_suffix('\n'));
    let line = line.filter(|line| !line.contains('\n')).unwrap_or_else(|| panic!("{said:?}"));
    line.to_owned()
}

/// A gateway in a process of its own; killed when it is dropped.
pub(crate) struct Whimbrel {
    child: Child,
    out: BufReader<ChildStdout>,
    log: tempfile::NamedTempFile,
    pub(crate) address: SocketAddr,
}

impl Whimbrel {
    /// Starts it on a free port and waits until it is ready.
    pub(crate) fn start(database: &Path) -> Self {
        Self::spawn(serve("127.0.0.1:0", database))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        // Not a pipe: nobody empties it.
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut child = command.stderr(File::create(log.path()).unwrap()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on udp ").and_then(|rest| rest.strip_suffix('\n'));
        let address = address.unwrap_or_else(|| panic!("no ready line: {line:?}")).parse().unwrap();
        Self { child, out, log, address }
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("sh").args(["-c", "kill -s $0 $1", name]).arg(self.child.id().to_string()).status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> End {
        let status = wait(&mut self.child);
        let mut out = String::new();
        self.out.read_to_string(&mut out).unwrap();
        End { status, out, log: fs::read_to_string(self.log.path()).unwrap() }
    }
}

impl Drop for Whimbrel {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// How it ended.
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    /// What it said on standard output after the ready line.
    pub(crate) out: String,
    /// All that it said on standard error.
    pub(crate) log: String,
}

/// Waits for a process, and fails the test when it does not end.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > PATIENCE {
            let _ended = child.kill();
            panic!("the program did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| PathBuf::from(entry.unwrap().file_name())).collect();
    names.sort();
    names
}
