//! `whimbrel serve`: a gateway until a signal.

use core::time::Duration;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use whimbrel_gateway::{Gateway, GatewayConfig};

use super::CliError;

/// Take readings from devices and store them until SIGINT or SIGTERM; a second signal ends at once.
///
/// Prints `listening on udp ADDR` when ready. Logs go to standard error; RUST_LOG says how much.
///
/// Sessions are sealed: only devices that `whimbrel device add` added to the database may connect. Their keys,
/// and the gateway's own, are in the database, which nobody but its owner may be able to read.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// The UDP address to listen on, as HOST:PORT; port 0 lets the system choose one
    #[arg(long, value_name = "ADDR")]
    listen: String,
    /// The SQLite file for the readings; made when it does not exist
    #[arg(long, value_name = "PATH")]
    database: PathBuf,
    /// Protect nothing: anybody can be any device, and read, forge and replay all that devices say. Keys are not
    /// used, and devices must be told the same. For bring-up, and for networks that are protected in other ways
    #[arg(long)]
    insecure_plain: bool,
    /// Most readings in one transaction, 1 to 65536
    #[arg(long, value_name = "N", default_value_t = GatewayConfig::default().batch_max)]
    batch_max: usize,
    /// How long a reading waits for others to share its transaction
    #[arg(long, value_name = "MS", default_value_t = millis(GatewayConfig::default().batch_delay))]
    batch_delay_ms: u64,
    /// How long the end may take after a signal
    #[arg(long, value_name = "MS", default_value_t = millis(GatewayConfig::default().shutdown_deadline))]
    shutdown_deadline_ms: u64,
}

/// What everybody must know who runs it so.
const PLAIN: &str = "whimbrel: WARNING: --insecure-plain: nothing is protected; anybody can be any device, and read, \
                     forge and replay readings";

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Serves until a signal; how the program ends.
pub(super) fn run(arguments: Serve) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Serve) -> Result<ExitCode, CliError> {
    // Before the database is opened, so that a signal never cuts into that.
    let mut signals = Signals::new().map_err(CliError::Signals)?;
    let config = config(arguments).await?;
    if config.insecure_plain {
        // Beside the log, which can be turned off.
        let _told = writeln!(io::stderr(), "{PLAIN}");
    }
    let mut gateway = Gateway::start(config).await?;
    announce(&gateway);
    let has_ended = tokio::select! {
        () = signals.next() => false,
        () = gateway.ended() => true,
    };
    tokio::select! {
        biased;
        ended = gateway.shutdown() => ended?,
        // What a shell says of a program that was interrupted: 128 + SIGINT.
        () = signals.next() => std::process::exit(130),
    };
    if has_ended { Err(CliError::Ended) } else { Ok(ExitCode::SUCCESS) }
}

async fn config(arguments: Serve) -> Result<GatewayConfig, CliError> {
    let address = arguments.listen;
    let found = tokio::net::lookup_host(&address).await.map(|mut found| found.next());
    let listen = match found {
        Ok(Some(listen)) => listen,
        Ok(None) => {
            let reason = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            return Err(CliError::Address { address, reason });
        }
        Err(reason) => return Err(CliError::Address { address, reason }),
    };
    Ok(GatewayConfig {
        insecure_plain: arguments.insecure_plain,
        batch_max: arguments.batch_max,
        batch_delay: Duration::from_millis(arguments.batch_delay_ms),
        shutdown_deadline: Duration::from_millis(arguments.shutdown_deadline_ms),
        ..GatewayConfig::new(listen, arguments.database)
    })
}

/// The one line on standard output. Who closed it does not want to know; the gateway serves anyway.
fn announce(gateway: &Gateway) {
    let mut out = io::stdout().lock();
    let _told = writeln!(out, "listening on udp {}", gateway.local_addr()).and_then(|()| out.flush());
}

/// SIGINT and SIGTERM.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns at the next signal. Cancel safe.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            core::future::pending::<()>().await;
        }
    }
}
