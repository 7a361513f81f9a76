//! One run from beginning to end.

use crate::SimError;
use crate::capture::Capture;
use crate::collector::{Collector, Spoilt};
use crate::faults::Faults;
use crate::fleet::{self, Member};
use crate::node::{Node, NodeSpec, mac};
use crate::replay::{self, Rows};
use crate::report::{Report, Totals};
use crate::router::{ROUTER_ADDRESS, Router};
use crate::run::{FarEnd, Network, Progress};
use crate::tap::Tap;
use crate::verify::{Expected, verify};
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::sync::Arc;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many devices, 1 to [`crate::node::DEVICES_MAX`]; `None`: as many as the device file has, or 8.
    pub devices: Option<usize>,
    /// Readings in all; `None`: as many as the file has.
    pub readings: Option<usize>,
    /// Between two readings of a device.
    pub period: Duration,
    /// The faults of every link, in each direction.
    pub faults: Faults,
    /// From which the links draw.
    pub seed: u64,
    /// The readings to replay; `None`: the built-in ones.
    pub replay: Option<PathBuf>,
    /// A gateway elsewhere, as HOST:PORT; `None`: one in this process.
    pub gateway: Option<String>,
    /// What the devices of a gateway elsewhere were provisioned with.
    pub device_file: Option<PathBuf>,
    /// Protect nothing, at either end.
    pub insecure_plain: bool,
    /// The database: of the gateway in this process, or, of one elsewhere, to verify against.
    pub database: Option<PathBuf>,
    /// A TAP device instead of the virtual Ethernet.
    pub tap: Option<String>,
    /// Where to write what is on the wire.
    pub pcap: Option<PathBuf>,
    /// How long nothing may move although something is waiting.
    pub idle: Duration,
}

/// Devices when nobody says how many.
const DEVICES: usize = 8;
/// The database of a gateway in this process when none is named.
const DATABASE: &str = "whimbrel.db";

/// Runs the devices until everything is committed, `stop` is set or nothing moves any more; then stops the
/// gateway of this process and looks into its database. `on_progress` is told how far it is, and of how many.
///
/// # Errors
/// [`SimError`]: the run could not start or go on.
pub fn run(
    options: &Options,
    stop: &AtomicBool,
    mut on_progress: impl FnMut(Progress, u64),
) -> Result<Report, SimError> {
    // Everything that can be wrong in what was given is found before anything is started.
    let readings = replay::read(options.replay.as_deref())?;
    let total = options.readings.unwrap_or(readings.len());
    let elsewhere = options.gateway.as_deref().map(|text| resolve(text, options.tap.is_some())).transpose()?;
    let read = options.device_file.as_deref().map(|path| fleet::read(path, options.devices)).transpose()?;
    let count = read.as_ref().map_or(options.devices.unwrap_or(DEVICES), Vec::len);
    let tap = options.tap.as_deref().map(|name| Tap::open(name, (0..count).map(mac))).transpose()?;
    let capture = Capture::create(options.pcap.as_deref())?;
    let started = match (elsewhere, read) {
        (Some(address), Some(fleet)) => Ok((None, address, fleet)),
        (Some(address), None) => fleet::insecure_plain(count).map(|fleet| (None, address, fleet)),
        (None, _) => start_gateway(options, count, tap.is_some()),
    };
    let (collector, gateway, fleet) = match started {
        Ok(started) => started,
        Err(error) => {
            capture.discard();
            return Err(error);
        }
    };

    let rows = |device| Rows::new(Arc::clone(&readings), device, count, total);
    let mut network = network(options, gateway, tap, capture, fleet, rows)?;
    let outcome = network.run(stop, options.idle, |progress| on_progress(progress, total as u64))?;
    network.close(Duration::from_micros(options.faults.delay.as_micros()))?;
    let (nodes, far, capture) = network.into_parts();
    capture.finish()?;

    let (spoilt, stopped, database) = match collector {
        Some((collector, database)) => {
            let (spoilt, stopped) = collector.stop();
            (Some(spoilt), stopped.err(), Some(database))
        }
        None => (None, None, options.database.clone()),
    };
    let expected: Vec<Expected> =
        nodes.iter().enumerate().map(|(device, node)| Expected::new(node, rows(device))).collect();
    let verified = database.map(|path| verify(&path, &expected)).transpose()?;
    let totals = Totals::of(&nodes, &far, spoilt.unwrap_or(Spoilt(0)));
    Ok(Report::new(options, count, total as u64, outcome, &totals, verified, stopped.map(|error| error.to_string())))
}

/// A gateway, with its database when it is one of this process, and the devices that may connect to it.
type Ends = (Option<(Collector, PathBuf)>, SocketAddr, Vec<Member>);

/// The gateway of this process, and the devices that were added to its database.
fn start_gateway(options: &Options, count: usize, for_tap: bool) -> Result<Ends, SimError> {
    let host = if for_tap { ROUTER_ADDRESS } else { Ipv4Addr::LOCALHOST };
    let database = options.database.clone().unwrap_or_else(|| DATABASE.into());
    let fleet = if options.insecure_plain { fleet::insecure_plain(count) } else { fleet::provision(&database, count) }?;
    let collector = Collector::start((host, 0).into(), &database, options.insecure_plain)?;
    let address = collector.local_addr();
    Ok((Some((collector, database)), address, fleet))
}

fn network(
    options: &Options,
    gateway: SocketAddr,
    tap: Option<Tap>,
    capture: Capture,
    fleet: Vec<Member>,
    rows: impl Fn(usize) -> Rows,
) -> Result<Network, SimError> {
    let seen_from_device = match (&tap, gateway) {
        (Some(_), SocketAddr::V4(gateway)) => gateway,
        _ => SocketAddrV4::new(ROUTER_ADDRESS, gateway.port()),
    };
    let spec = NodeSpec {
        gateway: seen_from_device,
        router: ROUTER_ADDRESS,
        faults: options.faults,
        seed: options.seed,
        period: whimbrel_core::Duration::from_micros(u64::try_from(options.period.as_micros()).unwrap_or(u64::MAX)),
    };
    let count = fleet.len();
    let node = |(index, member)| Node::new(index, &spec, rows(index), member);
    let nodes = fleet.into_iter().enumerate().map(node).collect::<Result<_, _>>()?;
    let far = match tap {
        Some(tap) => FarEnd::Tap(tap),
        None => FarEnd::Routers((0..count).map(|_| Router::open(gateway)).collect::<Result<_, _>>()?),
    };
    Network::new(nodes, far, capture)
}

fn resolve(text: &str, only_v4: bool) -> Result<SocketAddr, SimError> {
    let failed = |reason: String| SimError::GatewayAddress { text: text.into(), reason };
    let mut found = text.to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    let address =
        found.find(|address| address.is_ipv4() || !only_v4).ok_or_else(|| failed("it has no address".into()))?;
    if address.port() == 0 || address.ip().is_unspecified() {
        return Err(failed("nothing can be sent to it".into()));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_address_is_named() {
        for text in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:0", "0.0.0.0:4000"] {
            let error = resolve(text, false).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot use the gateway {text}: ")), "{error}");
        }
        assert!(resolve("[::1]:4000", true).is_err());
        assert_eq!(resolve("[::1]:4000", false).unwrap().port(), 4000);
    }
}
