//! `whimbrel device`: who may connect.

use clap::Subcommand;
use whimbrel_core::Pattern;
use whimbrel_gateway::command::{self, Answer, CommandError, Request};
use whimbrel_gateway::registry::{DeviceName, Provisioned};

use super::{CliError, Target, print};

/// What to do about devices.
#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// Add a device, and print what its firmware has to know
    ///
    /// The device gets a random id and a key of its own. The key is printed this once: keep it in the
    /// firmware, or make another one by `whimbrel device rotate`.
    Add {
        /// What people call it: 1 to 64 letters, digits, `-`, `_` and `.`; unique among devices that are not revoked
        name: DeviceName,
        /// How it and the gateway prove themselves
        #[arg(long, value_enum, default_value_t)]
        pattern: PatternName,
        #[command(flatten)]
        target: Target,
    },
    /// List all devices; no keys
    ///
    /// COUNTER is the newest handshake: the device's boot, and the attempt within it. LAST SEEN is within a minute.
    List {
        #[command(flatten)]
        target: Target,
    },
    /// End a device: it cannot connect any more, and its session ends
    ///
    /// Its key is forgotten and its name is free again. Its readings stay.
    Revoke {
        /// Its name
        name: DeviceName,
        #[command(flatten)]
        target: Target,
    },
    /// Give a device a new key, and print what its firmware has to know
    ///
    /// The old key is good until the device first uses the new one. A new key that it has not used yet
    /// is replaced.
    Rotate {
        /// Its name
        name: DeviceName,
        /// The old key is not good any more, and the device's session ends
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        target: Target,
    },
}

/// A pattern of the Noise Protocol Framework.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum PatternName {
    /// By the device's key and the gateway's: who learns a device's key still cannot play the gateway
    #[default]
    Nkpsk0,
    /// By the device's key alone: a third less to compute for the device, but who learns its key can play the gateway to it
    Nnpsk0,
}

impl From<PatternName> for Pattern {
    fn from(name: PatternName) -> Self {
        match name {
            PatternName::Nkpsk0 => Self::NkPsk0,
            PatternName::Nnpsk0 => Self::NnPsk0,
        }
    }
}

impl Device {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Add { name, pattern, target } => {
                let request = Request::DeviceAdd { name: name.clone(), pattern: pattern.into() };
                let device = provision(&target, &request).map_err(|reason| because("add", &name, reason))?;
                print::provisioned(&device, "was added", target.json)
                    .map_err(|reason| CliError::KeyLost { name, reason })
            }
            Self::List { target } => {
                let devices = command::list(&target.database).map_err(|reason| {
                    CliError::because(reason, |reason| CliError::Other { verb: "list the devices", reason })
                })?;
                print::devices(&devices, target.json).map_err(CliError::Output)
            }
            Self::Revoke { name, target } => {
                let request = Request::DeviceRevoke { name: name.clone() };
                match command::run(&target.database, &request) {
                    Ok(Answer::Revoked(revoked)) => {
                        print::revoked(&name, &revoked.id, target.json).map_err(CliError::Output)
                    }
                    Ok(_) => Err(because("revoke", &name, confused())),
                    Err(reason) => Err(because("revoke", &name, reason)),
                }
            }
            Self::Rotate { name, now, target } => {
                let request = Request::DeviceRotate { name: name.clone(), now };
                let device = provision(&target, &request).map_err(|reason| because("rotate", &name, reason))?;
                let what = if now {
                    "has a new key; the old one is not good any more"
                } else {
                    "has a new key; the old one is good until the device first uses the new one"
                };
                print::provisioned(&device, what, target.json).map_err(|reason| CliError::KeyLost { name, reason })
            }
        }
    }
}

fn provision(target: &Target, request: &Request) -> Result<Provisioned, CommandError> {
    match command::run(&target.database, request)? {
        Answer::Provisioned(device) => Ok(device),
        _ => Err(confused()),
    }
}

fn because(verb: &'static str, name: &DeviceName, reason: CommandError) -> CliError {
    CliError::because(reason, |reason| CliError::Device { verb, name: name.clone(), reason })
}

/// Not with a gateway of this version.
pub(super) fn confused() -> CommandError {
    CommandError::Refused("the gateway answered something else; it may be of another version".into())
}
