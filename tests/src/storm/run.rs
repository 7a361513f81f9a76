//! A storm takes its course: turn by turn, then calm, in which everything must come right within a bound.

use super::check::{check_fates, check_rest};
use super::counts::Counts;
use super::plan::{Act, Plan};
use crate::network::HEADER;
use crate::world::World;
use firmware_sim::faults::Faults;
use firmware_sim::link::Link;
use whimbrel_core::{CloseReason, Duration, PathId};

/// More instants than any storm has.
const STEPS_MAX: u64 = 400_000;

/// The world of a plan, before anything happens.
pub fn begin(plan: &Plan) -> World {
    let mut world = World::new(plan.setup.clone());
    world.steps_max = STEPS_MAX;
    for (link, faults) in world.network.down.iter_mut().zip(&plan.down) {
        link.set_faults(*faults);
    }
    for (at, talk) in plan.talks.iter().enumerate() {
        world.devices[at].load.sources.clone_from(&talk.up);
        world.gateway.peers[at].load.sources.clone_from(&talk.down);
        world.devices[at].naps = talk.naps;
        world.devices[at].next_nap = talk.naps.map(|naps| world.now + naps.awake);
    }
    world
}

/// Everything that happens in it.
///
/// # Panics
/// When something is not as it must be.
pub fn drive(world: &mut World, plan: &Plan) -> Counts {
    for turn in &plan.turns {
        for act in &turn.acts {
            world.trace.note(world.now, || format!("=== {act:?}"));
            perform(world, *act);
        }
        world.run_for(turn.length);
        end_turn(world);
    }
    world.trace.note(world.now, || "=== calm".to_owned());
    calm(world);
    let bound = recovery_bound(world);
    let begun = world.now;
    let done = world.run_until(bound, |world| open(world).is_none());
    if !done {
        let open = open(world).unwrap_or_default();
        panic!("{}: {open} {} us after the faults ended", world.place(), bound.as_micros());
    }
    let took = world.now.saturating_since(begun);
    check_fates(world);
    check_rest(world);
    Counts::of(world, took, bound)
}

fn perform(world: &mut World, act: Act) {
    let now = world.now;
    let tally = &mut world.tally;
    let cut = |link: &mut Link, partition: bool| {
        let partition = partition || link.faults().partition;
        link.set_faults(Faults { partition, ..*link.faults() });
    };
    match act {
        Act::Weather { link, up, faults } => {
            let link = if up { &mut world.network.up[link] } else { &mut world.network.down[link] };
            let Faults { delay, partition, mtu, .. } = *link.faults();
            link.set_faults(Faults { delay, partition, mtu, ..faults });
        }
        Act::Partition { link, up, down } => {
            tally.partitions += 1;
            cut(&mut world.network.up[link], up);
            cut(&mut world.network.down[link], down);
        }
        Act::Mtu { link, bytes } => {
            for link in [&mut world.network.up[link], &mut world.network.down[link]] {
                link.set_faults(Faults { mtu: Some(bytes + HEADER), ..*link.faults() });
            }
        }
        Act::Rebind(at) => {
            tally.rebindings += 1;
            world.devices[at].path = PathId(world.devices[at].path.0 + 1);
        }
        Act::Sleep(at, time) => {
            if world.devices[at].is_awake() {
                tally.sleeps += 1;
                (world.devices[at].asleep_until, world.devices[at].next_nap) = (Some(now + time), None);
            }
        }
        Act::Hibernate(at, time) => {
            let device = &mut world.devices[at];
            if device.is_awake() && device.hibernate().is_ok() {
                tally.hibernations += 1;
                (device.asleep_until, device.next_nap) = (Some(now + time), None);
            }
        }
        Act::Step(at, micros) => {
            tally.clock_steps += 1;
            world.devices[at].step(now, micros);
        }
        Act::Drift(at, ppm) => {
            tally.clock_steps += 1;
            world.devices[at].clock.drift(now, ppm);
        }
        Act::CrashDevice(at) => {
            tally.device_crashes += 1;
            world.devices[at].reboot();
        }
        Act::LoseCounter(at) => {
            tally.counters_lost += 1;
            let device = &mut world.devices[at];
            // Every other one is not erased, but goes back by a few boots.
            let back = device.flash.epoch.and_then(|epoch| epoch.checked_sub(2)).filter(|epoch| epoch % 2 == 0);
            device.lose_counter(back);
            device.reboot();
        }
        Act::UpdateKeys(at, by_device) => world.devices[at].rekey = Some(by_device),
        Act::Load => {
            tally.loads += 1;
            world.gateway.demands_cookies = true;
        }
        Act::CrashGateway => {
            tally.gateway_crashes += 1;
            world.gateway.reboot();
        }
        Act::Forget(at) => {
            tally.sessions_ended += 1;
            world.gateway.peers[at].forget();
        }
        Act::GoAway(at) => {
            if let Some(session) = &mut world.gateway.peers[at].live {
                tally.sessions_ended += 1;
                session.close(now, CloseReason::GoingAway);
            }
        }
        Act::Stall => {
            tally.stalls += 1;
            world.gateway.stalled = true;
        }
        Act::Wake(at) => {
            let device = &mut world.devices[at];
            if device.is_awake() {
                device.session.wake(device.clock.at(now));
            }
        }
    }
}

fn end_turn(world: &mut World) {
    world.gateway.stalled = false;
    world.gateway.demands_cookies = false;
    for link in world.network.links() {
        link.set_faults(Faults { partition: false, mtu: None, ..*link.faults() });
    }
}

/// The faults end. What is late still comes late, and the delays stay.
fn calm(world: &mut World) {
    let now = world.now;
    for link in world.network.links() {
        link.set_faults(Faults { delay: link.faults().delay, ..Faults::NONE });
    }
    for device in &mut world.devices {
        (device.naps, device.next_nap) = (None, None);
        if device.asleep_until.take().is_some() {
            device.awake();
        }
        device.load.sources.iter_mut().for_each(crate::load::Source::stop);
        // A gateway cannot reach a device that has been silent since its address changed: the device is told.
        device.session.wake(device.clock.at(now));
    }
    for peer in &mut world.gateway.peers {
        peer.load.sources.iter_mut().for_each(crate::load::Source::stop);
    }
}

/// Within this time after the faults end everything accepted is delivered, and known to be.
///
/// An end that has been waiting asks again within a backed-off interval and a quarter of jitter; one that must
/// first learn that its session is gone does so twice. Then every message takes a round trip and a commit at most:
/// the smallest windows let one message out at a time.
pub(super) fn recovery_bound(world: &World) -> Duration {
    let mut bound = Duration::ZERO;
    for (device, peer) in world.devices.iter().zip(&world.gateway.peers) {
        let backoff = device.config().max_backoff.max(world.setup.config.max_backoff).as_micros();
        let delay = world.network.up[device.link].faults().delay.as_micros();
        let acks = device.config().max_ack_delay.as_micros() + world.setup.config.max_ack_delay.as_micros();
        let trip = 2 * delay + acks + world.setup.store_delay.as_micros();
        let down = peer.live.as_ref().map_or(0, |session| session.queued()) + peer.load.left() as usize;
        let messages = device.session.queued() + device.load.left() as usize + down;
        let late = world.network.slowest.as_micros();
        let micros = 2 * (backoff + backoff / 4) + late + trip * (10 + 2 * messages as u64);
        bound = bound.max(Duration::from_micros(micros).saturating_add(device.disturbed));
    }
    bound
}

/// What is not done yet.
fn open(world: &mut World) -> Option<String> {
    for (at, (device, peer)) in world.devices.iter_mut().zip(&mut world.gateway.peers).enumerate() {
        let (left, queued) = (device.load.left(), device.session.ledger().in_flight);
        if left > 0 || queued > 0 || !device.session.is_established() {
            let established = device.session.is_established();
            return Some(format!("device {at} has {left} to send and {queued} queued, established: {established}"));
        }
        if let Some(session) = &mut peer.live {
            let (left, queued) = (peer.load.left(), session.ledger().in_flight);
            if left > 0 || queued > 0 {
                return Some(format!("the gateway has {left} to send to device {at}, and {queued} queued"));
            }
        }
        if peer.is_storing() {
            return Some(format!("messages of device {at} are not stored"));
        }
    }
    // FORWARD may be: what waits behind a gap is handed on when it arrives.
    world.network.poll_timeout().map(|_| "datagrams are on their way".to_owned())
}
