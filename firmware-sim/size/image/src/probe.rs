//! What a call costs: the stack below it, and ticks of the timer.

use crate::board;
use core::arch::asm;
use cortex_m::register::msp;

/// How far below a call the stack is watched, in bytes.
const WATCHED: u32 = 16 * 1024;
const PAINT: u32 = 0xa5a5_a5a5;

#[derive(Clone, Copy)]
pub struct Cost {
    /// The most stack that was in use at once, in bytes.
    pub stack: u32,
    pub ticks: u32,
}

/// Calls, and says what it cost.
#[inline(never)]
pub fn measured<R>(call: impl FnOnce() -> R) -> (R, Cost) {
    let top = msp::read();
    paint(top);
    let before = board::timer();
    let result = apart(call);
    let ticks = before.wrapping_sub(board::timer());
    (result, Cost { stack: top - lowest(top), ticks })
}

/// In a frame of its own, so that all that the call uses lies below the caller's.
#[inline(never)]
fn apart<R>(call: impl FnOnce() -> R) -> R {
    call()
}

/// The addresses that are watched below one.
fn watched(top: u32) -> impl Iterator<Item = *mut u32> {
    (top - WATCHED..top).step_by(4).map(|address| core::ptr::with_exposed_provenance_mut(address as usize))
}

#[inline(never)]
fn paint(top: u32) {
    // The frames of this function itself lie between the two.
    let below = msp::read() - 64;
    for place in watched(top).take_while(|place| (place.addr() as u32) < below) {
        // SAFETY: RAM between the statics and the stack in use: nothing else lives there. `WATCHED` is less than what
        // `checked_room` found.
        unsafe { place.write_volatile(PAINT) }
    }
}

/// The lowest address that was written to.
#[inline(never)]
fn lowest(top: u32) -> u32 {
    // SAFETY: as in `paint`; it is only read.
    let used = watched(top).find(|place| unsafe { place.read_volatile() } != PAINT);
    let lowest = used.map_or(top, |place| place.addr() as u32);
    assert!(lowest > top - WATCHED, "the stack went below what is watched");
    lowest
}

/// That what is watched below here is not in use.
pub fn check_room() {
    unsafe extern "C" {
        /// The end of the statics, by cortex-m-rt's linker script.
        static __sheap: u32;
    }
    let statics = (&raw const __sheap).addr() as u32;
    // The callers of `measured` have frames of less than that.
    assert!(msp::read() - 1024 - WATCHED > statics, "there is less RAM than is watched");
}

/// The ticks of a loop of so many instructions.
#[inline(never)]
pub fn calibrate(instructions: u32) -> u32 {
    let rounds = instructions / 2;
    let before = board::timer();
    // SAFETY: counts a register down.
    unsafe { asm!("2:", "subs {0}, #1", "bne 2b", inout(reg) rounds => _, options(nomem, nostack)) };
    before.wrapping_sub(board::timer())
}
