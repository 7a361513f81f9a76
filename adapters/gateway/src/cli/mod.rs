//! The command line: from arguments to an exit code.

mod device;
mod gateway;
mod print;
mod serve;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use whimbrel_gateway::GatewayError;
use whimbrel_gateway::command::CommandError;
use whimbrel_gateway::registry::DeviceName;

/// The gateway of Whimbrel: stores the readings of devices, each exactly once.
#[derive(Debug, Parser)]
#[command(name = "whimbrel", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    /// Devices: who may connect, and with which key
    ///
    /// While a gateway serves the database, it does as it is told at the socket beside it, and what is
    /// changed is in effect at once. While none does, the database itself is changed.
    #[command(subcommand)]
    Device(device::Device),
    /// The gateway's own keys, by which devices know it
    ///
    /// A running gateway does as it is told at the socket beside its database; see `whimbrel help device`.
    #[command(subcommand)]
    Gateway(gateway::Gateway),
}

/// Where the devices are.
#[derive(Debug, clap::Args)]
struct Target {
    /// The SQLite file of the gateway
    #[arg(long, value_name = "PATH")]
    database: PathBuf,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

/// What ends the program with exit code 1, in one line.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error("cannot listen on udp {address}: {reason}")]
    Address { address: String, reason: io::Error },
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error("the gateway ended by itself")]
    Ended,
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// With a line of its own already.
    #[error(transparent)]
    Command(CommandError),
    #[error("cannot {verb} device {name}: {reason}")]
    Device { verb: &'static str, name: DeviceName, reason: Box<CommandError> },
    #[error("cannot {verb}: {reason}")]
    Other { verb: &'static str, reason: Box<CommandError> },
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot write to standard output: {reason}; the new key of device {name} is lost, rotate it again")]
    KeyLost { name: DeviceName, reason: io::Error },
}

impl CliError {
    /// `reason` kept from doing something, in the words of the command.
    fn because(reason: CommandError, otherwise: impl FnOnce(Box<CommandError>) -> Self) -> Self {
        match reason {
            CommandError::Database(_) | CommandError::Socket { .. } => Self::Command(reason),
            reason => otherwise(Box::new(reason)),
        }
    }
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    // Wrong usage ends here, with exit code 2.
    let Cli { command } = Cli::parse();
    // A command says itself what it did.
    let filter = if matches!(command, Command::Serve(_)) { "warn,whimbrel_gateway=info" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let done = match command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Device(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Gateway(command) => command.run().map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // Nobody reads it: there is nobody left to tell.
            let _told = writeln!(io::stderr(), "whimbrel: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
