//! The command line: from arguments to an exit code.

use clap::Parser;
use core::sync::atomic::AtomicBool;
use core::time::Duration;
use firmware_sim::SimError;
use firmware_sim::faults::Faults;
use firmware_sim::node::DEVICES_MAX;
use firmware_sim::report::Report;
use firmware_sim::run::Outcome;
use firmware_sim::sim::{self, Options};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::progress::Display;

/// After an interrupt, as a shell reports it: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Simulated sensor devices that replay real readings to a Whimbrel gateway over a bad network.
///
/// Without arguments: eight devices replay 8,143 readings, 100 a second each, over a link that loses 10 % of
/// the packets in each direction, to a gateway in this process, which stores them in ./whimbrel.db. At the
/// end the database is compared with what was sent. Sessions are sealed: the devices are added to the database
/// first, as `whimbrel device add` does it.
///
/// Exit code 0: every reading is stored exactly once and in order. 1: not so, or something went wrong.
/// 2: wrong usage. 130: interrupted; the table shows what happened so far.
#[derive(Debug, Parser)]
#[command(name = "firmware-sim", version, max_term_width = 100)]
struct Cli {
    /// How many devices; row i of the readings goes to device i mod N [default: 8, or all of the device file]
    #[arg(long, value_name = "N", value_parser = devices)]
    devices: Option<usize>,
    /// How many readings in all; beyond its end the file starts again [default: as many as it has]
    #[arg(long, value_name = "N", value_parser = readings)]
    readings: Option<usize>,
    /// Readings a second of each device, more than 0 and at most 100000
    #[arg(long, value_name = "HZ", default_value_t = 100.0, value_parser = rate)]
    rate: f64,
    /// Probability that a packet is lost, 0 to 1, in each direction (as those below)
    #[arg(long, value_name = "P", default_value_t = 0.1, value_parser = probability)]
    loss: f64,
    /// Probability that a packet is held back so that later ones overtake it
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    reorder: f64,
    /// Probability that a packet comes twice
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    duplicate: f64,
    /// Probability that bits of a packet flip; half of the time with the UDP checksum made right again
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    corrupt: f64,
    /// Delay of the link in each direction, in milliseconds, at most 60000
    #[arg(long, value_name = "MS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=60_000))]
    delay_ms: u64,
    /// Seed of the link's faults [default: drawn, and shown]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Readings to replay, in the columns Date, Temperature, Humidity, Light, CO2, HumidityRatio, Occupancy
    /// [default: the built-in ones]
    #[arg(long, value_name = "CSV")]
    replay: Option<PathBuf>,
    /// A gateway elsewhere, as HOST:PORT, instead of one in this process; with --device-file, or with --insecure-plain
    #[arg(long, value_name = "ADDR", requires = "identity")]
    gateway: Option<String>,
    /// Ids and keys of the devices: what `whimbrel device add --json` printed for each, one after the other. Beside it,
    /// in FILE.flash, the devices keep how often they were switched on
    #[arg(long, value_name = "FILE", requires = "gateway", group = "identity")]
    device_file: Option<PathBuf>,
    /// Protect nothing: anybody can read, forge and replay readings. A gateway elsewhere must have been told the same
    #[arg(long, group = "identity")]
    insecure_plain: bool,
    /// SQLite file of the gateway in this process [default: whimbrel.db]; with --gateway: that gateway's
    /// file, to look into at the end
    #[arg(long, value_name = "PATH")]
    database: Option<PathBuf>,
    /// A TAP device instead of the virtual Ethernet, as root. To set one up:
    /// `ip tuntap add dev tap0 mode tap; ip addr add 10.0.2.2/16 dev tap0; ip link set tap0 up`
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
    /// Write what is on the wire, after the faults, to a file for Wireshark or tcpdump
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Give up when nothing was accepted or committed for so many seconds although something is waiting
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    idle: u64,
    /// Print the result as one JSON object on the last line
    #[arg(long)]
    json: bool,
}

fn number<T: core::str::FromStr>(text: &str, range: &str, is_in: impl Fn(&T) -> bool) -> Result<T, String> {
    text.parse().ok().filter(is_in).ok_or_else(|| format!("not a number {range}"))
}

fn probability(text: &str) -> Result<f64, String> {
    number(text, "from 0 to 1", |p| (0.0..=1.0).contains(p))
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, "above 0 and at most 100000", |rate| *rate >= 1e-6 && *rate <= 100_000.0)
}

fn devices(text: &str) -> Result<usize, String> {
    number(text, &format!("from 1 to {DEVICES_MAX}"), |count| (1..=DEVICES_MAX).contains(count))
}

fn readings(text: &str) -> Result<usize, String> {
    number(text, "from 1 to 1000000000", |count| (1..=1_000_000_000).contains(count))
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let report = match run(&cli) {
        Ok(report) => report,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = print(&report, cli.json) {
        complain(&format!("cannot write to standard output: {error}"));
        return ExitCode::FAILURE;
    }
    let Some(failure) = report.failure() else { return ExitCode::SUCCESS };
    complain(&failure);
    ExitCode::from(if report.outcome == Outcome::Interrupted { INTERRUPTED } else { 1 })
}

fn complain(line: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "firmware-sim: {line}");
}

fn run(cli: &Cli) -> Result<Report, SimError> {
    let options = options(cli)?;
    if options.insecure_plain {
        complain("WARNING: --insecure-plain: nothing is protected; anybody can read, forge and replay readings");
    }
    let stop = stop_on_signals()?;
    let mut display = Display::new();
    let report = sim::run(&options, &stop, |progress, total| display.show(progress, total));
    display.finish();
    report
}

fn options(cli: &Cli) -> Result<Options, SimError> {
    let faults = Faults {
        loss: cli.loss,
        reorder: cli.reorder,
        duplicate: cli.duplicate,
        corrupt: cli.corrupt,
        delay: whimbrel_core::Duration::from_millis(cli.delay_ms),
        ..Faults::default()
    };
    Ok(Options {
        devices: cli.devices,
        readings: cli.readings,
        period: Duration::from_secs_f64(1.0 / cli.rate),
        faults,
        seed: cli.seed.map_or_else(draw_seed, Ok)?,
        replay: cli.replay.clone(),
        gateway: cli.gateway.clone(),
        device_file: cli.device_file.clone(),
        insecure_plain: cli.insecure_plain,
        database: cli.database.clone(),
        tap: cli.tap.clone(),
        pcap: cli.pcap.clone(),
        idle: Duration::from_secs(cli.idle),
    })
}

/// Short enough to type again.
fn draw_seed() -> Result<u64, SimError> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(SimError::Random)?;
    Ok(u64::from(u32::from_le_bytes(bytes)))
}

/// Set by the first interrupt; the second ends the program at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>, SimError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset here, and sets it below.
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&stop)).map_err(SimError::Signal)?;
        flag::register(signal, Arc::clone(&stop)).map_err(SimError::Signal)?;
    }
    Ok(stop)
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{report}")?;
    if json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        let refused = [
            ["--loss", "1.1"],
            ["--loss", "-0.1"],
            ["--reorder", "NaN"],
            ["--corrupt", "x"],
            ["--rate", "0"],
            ["--rate", "inf"],
            ["--devices", "0"],
            ["--readings", "0"],
            ["--delay-ms", "60001"],
        ];
        for [option, value] in refused {
            assert!(Cli::try_parse_from(["firmware-sim", &format!("{option}={value}")]).is_err(), "{option} {value}");
        }
        assert!(Cli::try_parse_from(["firmware-sim", "--loss=1", "--rate=0.5"]).is_ok());
    }

    #[test]
    fn a_gateway_elsewhere_needs_devices_with_keys_or_a_word_that_they_have_none() {
        let is_ok = |args: &[&str]| Cli::try_parse_from([&["firmware-sim"], args].concat()).is_ok();
        assert!(is_ok(&["--gateway=h:1", "--device-file=f"]));
        assert!(is_ok(&["--gateway=h:1", "--insecure-plain"]));
        assert!(is_ok(&["--insecure-plain"]));
        assert!(!is_ok(&["--gateway=h:1"]));
        assert!(!is_ok(&["--device-file=f"]));
        assert!(!is_ok(&["--gateway=h:1", "--device-file=f", "--insecure-plain"]));
    }
}
