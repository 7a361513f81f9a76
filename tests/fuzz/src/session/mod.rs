//! Two live sessions, a device's and a gateway's, over queues in virtual time. The bytes are a program:
//! they send, deliver in any order, drop, double, damage, forge, wait, close and restart.
//!
//! Checked: no panic; within one instant each end falls silent; what is delivered is what was accepted, as
//! often and in the order that its channel promises; and, unless somebody forged a packet, once the link is
//! good everything arrives and both ends come to rest.

mod forge;
mod gateway;
mod oracle;
mod ram;
mod steps;
mod world;

use super::source::program;
use world::World;

/// A longer program says nothing that shorter ones do not.
const STEPS_MAX: usize = 400;

/// Runs a program.
pub fn run(bytes: &[u8]) {
    program(bytes, STEPS_MAX, World::new, (World::step, World::settle, World::heal));
}
