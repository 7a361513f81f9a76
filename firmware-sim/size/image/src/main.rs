//! Firmware with one session and nothing else. Its size over that of the firmware without one is what a session costs
//! in flash; with the feature `measure` it says what the session costs in stack and instructions.
#![no_std]
#![no_main]

#[cfg(feature = "measure")]
mod board;
#[cfg(any(feature = "plain", feature = "nn", feature = "nk"))]
mod device;
#[cfg(feature = "measure")]
mod measure;
#[cfg(feature = "measure")]
mod probe;
#[cfg(any(feature = "plain", feature = "nn", feature = "nk"))]
mod provisioned;

use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    #[cfg(feature = "measure")]
    measure::run();
    #[cfg(all(not(feature = "measure"), any(feature = "plain", feature = "nn", feature = "nk")))]
    device::run();
    #[cfg(not(any(feature = "plain", feature = "nn", feature = "nk", feature = "measure")))]
    loop {
        core::hint::black_box(0);
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "measure")]
    {
        semihosting::eprintln!("{_info}");
        semihosting::process::exit(101)
    }
    #[cfg(not(feature = "measure"))]
    loop {
        core::hint::black_box(0);
    }
}
