//! A device in QEMU, and what it says of itself.

use crate::Variant;
use crate::gateway::Gateway;
use crate::provisioned::{DATAGRAM, FIRST_COMMAND, ROUNDS};
use anyhow::{Context, bail, ensure};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use whimbrel_core::stream::{Deframer, encode, encoded_len_max};

pub(crate) const QEMU: &str = "qemu-system-arm";
/// One instruction takes 2^7 ns of the board's time: more than a tick of its timer, so that each is counted.
const ICOUNT: &str = "shift=7";
/// A device that takes longer hangs. It needs some seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// A device that is served no more should have ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
const FRAME: usize = encoded_len_max(DATAGRAM as usize);

/// What a run costs, in bytes and instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// RAM of the session.
    pub(crate) session: u64,
    /// The most stack of the calls that open a session, when it is made.
    pub(crate) handshake_stack: u64,
    /// The most stack of a call after that.
    pub(crate) packet_stack: u64,
    pub(crate) connect_stack: u64,
    pub(crate) handshake: u64,
    /// `poll_transmit` with a message.
    pub(crate) transmit: u64,
    /// `handle_datagram` with a message.
    pub(crate) receive: u64,
    /// `handle_datagram` with what answers a message: acknowledged and committed.
    pub(crate) answer: u64,
}

/// Stack and instructions of one call.
#[derive(Clone, Copy, Debug)]
struct Cost {
    stack: u64,
    instructions: u64,
}

pub(crate) fn is_there() -> bool {
    Command::new(QEMU).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs the image to its end, as the peer of a gateway.
pub(crate) fn run(board: &str, image: &Path, variant: Variant) -> anyhow::Result<Run> {
    let mut qemu = Command::new(QEMU);
    qemu.args(["-M", board, "-display", "none", "-monitor", "none", "-nic", "none", "-icount", ICOUNT]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-serial", "stdio", "-kernel"]).arg(image);
    let mut child = qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (stdin, stdout, stderr) = stdin.zip(stdout).zip(stderr).map(|((a, b), c)| (a, b, c)).context("piped")?;
    let serving = thread::spawn(move || serve(variant, stdin, stdout));
    let hearing = thread::spawn(move || hear(stderr));
    let status = wait(&mut child, &serving);
    let heard = hearing.join().ok().context("the hearing thread panicked")??;
    serving.join().ok().context("the gateway's thread panicked")??;
    let status = status.with_context(|| heard.join("\n"))?;
    ensure!(status, "the device failed:\n{}", heard.join("\n"));
    summary(&heard)
}

/// Whether it ended well. One that does not end, or has nobody to talk to any more, is ended.
fn wait<T>(child: &mut Child, serving: &JoinHandle<T>) -> anyhow::Result<bool> {
    let mut heard = Instant::now();
    let mut patience = PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if serving.is_finished() && patience > LAST_WORDS {
            (heard, patience) = (Instant::now(), LAST_WORDS);
        }
        if heard.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            bail!("the device did not end");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Answers the device's datagrams until it is gone.
fn serve(variant: Variant, mut stdin: ChildStdin, mut stdout: ChildStdout) -> anyhow::Result<()> {
    let mut gateway = Gateway::new(variant);
    let mut deframer = Deframer::new([0; FRAME]);
    let mut bytes = [0; 512];
    loop {
        let count = stdout.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        let mut left = &bytes[..count];
        while !left.is_empty() {
            let (taken, datagram) = deframer.push(left);
            left = &left[taken..];
            let Some(datagram) = datagram else { continue };
            for answer in gateway.handle(datagram)? {
                let mut frame = [0; FRAME];
                let len = encode(&answer, &mut frame).context("a datagram fits")?;
                // A device that is done takes no more.
                if stdin.write_all(&frame[..len]).and_then(|()| stdin.flush()).is_err() {
                    return Ok(());
                }
            }
        }
    }
}

fn hear(stderr: ChildStderr) -> anyhow::Result<Vec<String>> {
    BufReader::new(stderr).lines().map(|line| line.map_err(Into::into)).collect()
}

fn summary(heard: &[String]) -> anyhow::Result<Run> {
    let mut calibration = None;
    let mut session = None;
    let mut costs: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
    for line in heard {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["calibration", instructions, ticks] => calibration = Some((instructions.parse()?, ticks.parse()?)),
            ["session", bytes] => session = Some(bytes.parse()?),
            ["cost", name, stack, ticks] => {
                costs.entry(name.to_owned()).or_default().push((stack.parse()?, ticks.parse()?));
            }
            // QEMU's own.
            _ => {}
        }
    }
    let (instructions, ticks): (u64, u64) = calibration.context("the device measures its timer first")?;
    let cost = |name: &str| -> anyhow::Result<Cost> {
        let all = costs.get(name).with_context(|| format!("the device did not '{name}'"))?;
        let mut ticked: Vec<u64> = all.iter().map(|(_, ticks)| *ticks).collect();
        ticked.sort_unstable();
        let stack = all.iter().map(|(stack, _)| *stack).max().unwrap_or(0);
        Ok(Cost { stack, instructions: ticked[ticked.len() / 2] * instructions / ticks })
    };
    let (hello, accept) = (cost("hello")?, cost("accept")?);
    let (transmit, answer, receive) = (cost("transmit")?, cost("answer")?, cost("command")?);
    let packets = [cost("first")?, cost("send")?, transmit, answer, receive];
    ensure!(costs["send"].len() == ROUNDS && costs["command"].len() == ROUNDS - FIRST_COMMAND, "it did not do it all");
    Ok(Run {
        session: session.context("the device says what its session takes")?,
        handshake_stack: hello.stack.max(accept.stack),
        packet_stack: packets.iter().map(|cost| cost.stack).max().unwrap_or(0),
        connect_stack: cost("connect")?.stack,
        handshake: hello.instructions + accept.instructions,
        transmit: transmit.instructions,
        receive: receive.instructions,
        answer: answer.instructions,
    })
}
