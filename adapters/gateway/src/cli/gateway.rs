//! `whimbrel gateway`: the gateway's own keys.

use clap::Subcommand;
use whimbrel_gateway::command::{self, Answer, Request};

use super::device::confused;
use super::{CliError, Target, print};

/// What to do about the gateway's keys.
#[derive(Debug, Subcommand)]
pub(super) enum Gateway {
    /// Print the public key that devices are told, and the former one while it is still good
    Show {
        #[command(flatten)]
        target: Target,
    },
    /// Make a new key pair, which new devices are told; the former stays good until it is retired
    Rotate {
        #[command(flatten)]
        target: Target,
    },
    /// End the former key
    ///
    /// Refused while devices have not used the new one yet.
    Retire {
        /// Also if it locks devices out
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        target: Target,
    },
}

impl Gateway {
    pub(super) fn run(self) -> Result<(), CliError> {
        let (verb, request, target) = match self {
            Self::Show { target } => ("show the gateway's keys", Request::GatewayShow {}, target),
            Self::Rotate { target } => ("rotate the gateway's key", Request::GatewayRotate {}, target),
            Self::Retire { force, target } => {
                ("retire the gateway's former key", Request::GatewayRetire { force }, target)
            }
        };
        match command::run(&target.database, &request) {
            Ok(Answer::Gateway(keys)) => print::gateway(&keys, target.json).map_err(CliError::Output),
            Ok(_) => Err(CliError::Other { verb, reason: Box::new(confused()) }),
            Err(reason) => Err(CliError::because(reason, |reason| CliError::Other { verb, reason })),
        }
    }
}
