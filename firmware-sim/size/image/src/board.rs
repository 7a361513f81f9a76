//! The boards mps2-an385 and mps2-an386, as far as needed: a UART that carries datagrams to the host and back, and a
//! timer that counts instructions when QEMU is told what an instruction takes (`-icount shift=7`).
//!
//! Registers: Arm, "Cortex-M System Design Kit Technical Reference Manual" (DDI 0479), sections 4.3 and 4.4; addresses:
//! "Application Note AN385".

use core::ptr::with_exposed_provenance_mut;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use whimbrel_core::stream::{Deframer, encode, encoded_len_max};

use crate::provisioned::DATAGRAM;

const TIMER: usize = 0x4000_0000;
const TIMER_CTRL: usize = TIMER;
const TIMER_VALUE: usize = TIMER + 0x4;
const TIMER_RELOAD: usize = TIMER + 0x8;

const UART: usize = 0x4000_4000;
const UART_DATA: usize = UART;
const UART_STATE: usize = UART + 0x4;
const UART_CTRL: usize = UART + 0x8;
const UART_INTSTATUS: usize = UART + 0xc;
const UART_BAUDDIV: usize = UART + 0x10;
const TX_FULL: u32 = 1 << 0;
const RX_FULL: u32 = 1 << 1;
/// Transmitter, receiver, and the receiver's interrupt.
const ENABLED: u32 = 1 << 0 | 1 << 1 | 1 << 3;
const RX_INTERRUPT: u32 = 1 << 1;

/// A byte arrived.
#[derive(Clone, Copy)]
struct Arrived;

// SAFETY: the application note gives the first UART's receiver this number.
unsafe impl InterruptNumber for Arrived {
    fn number(self) -> u16 {
        0
    }
}

const FRAME: usize = encoded_len_max(DATAGRAM as usize);

fn read(register: usize) -> u32 {
    // SAFETY: the constants above are registers of the board, aligned, and readable without effect on memory.
    unsafe { with_exposed_provenance_mut::<u32>(register).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: the constants above are registers of the board, aligned; none makes the device write memory.
    unsafe { with_exposed_provenance_mut::<u32>(register).write_volatile(value) }
}

/// Starts the timer: it counts down from its largest value, and wraps.
pub fn start_timer() {
    write(TIMER_RELOAD, u32::MAX);
    write(TIMER_VALUE, u32::MAX);
    write(TIMER_CTRL, 1);
}

/// Ticks left.
pub fn timer() -> u32 {
    read(TIMER_VALUE)
}

/// Datagrams, as frames on the UART.
pub struct Link {
    deframer: Deframer<[u8; FRAME]>,
}

impl Link {
    pub fn new() -> Self {
        write(UART_BAUDDIV, 16);
        write(UART_CTRL, ENABLED);
        // Interrupts stay masked at the processor: this one only ends `wfi`.
        cortex_m::interrupt::disable();
        // SAFETY: no handler will run.
        unsafe { NVIC::unmask(Arrived) };
        Self { deframer: Deframer::new([0; FRAME]) }
    }

    pub fn send(&mut self, datagram: &[u8]) {
        let mut frame = [0; FRAME];
        let len = encode(datagram, &mut frame).expect("the buffer is long enough for any datagram");
        for byte in &frame[..len] {
            while read(UART_STATE) & TX_FULL != 0 {}
            write(UART_DATA, u32::from(*byte));
        }
    }

    /// Waits for the next datagram, and gives its length.
    pub fn receive(&mut self, buf: &mut [u8]) -> usize {
        loop {
            // QEMU's input waits for a processor that is busy, so this one sleeps.
            while read(UART_STATE) & RX_FULL == 0 {
                cortex_m::asm::wfi();
                write(UART_INTSTATUS, RX_INTERRUPT);
                NVIC::unpend(Arrived);
            }
            let byte = read(UART_DATA) as u8;
            if let (_, Some(datagram)) = self.deframer.push(&[byte]) {
                buf[..datagram.len()].copy_from_slice(datagram);
                return datagram.len();
            }
        }
    }
}
