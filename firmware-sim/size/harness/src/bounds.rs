//! What sealing may cost.

use crate::{Figures, Variant};
use anyhow::ensure;

const TARGET: &str = "thumbv6m-none-eabi";
const NN_FLASH: u64 = 16 * 1024;
const NK_FLASH: u64 = 18 * 1024;
const HANDSHAKE_STACK: u64 = 4 * 1024;

pub(crate) fn check(figures: &[Figures]) -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for figures in figures.iter().filter(|figures| figures.target == TARGET) {
        let variant = figures.variant;
        let mut hold = |what: &str, is: u64, bound: u64| {
            if is > bound {
                broken.push(format!("{variant:?} on {TARGET}: {what} is {is} bytes, at most {bound} are allowed"));
            }
        };
        match variant {
            Variant::Plain => {}
            Variant::NnPsk0 => hold("the flash that sealing adds", figures.sealing.unwrap_or(0), NN_FLASH),
            Variant::NkPsk0 => hold("the flash that sealing adds", figures.sealing.unwrap_or(0), NK_FLASH),
        }
        if let Some(run) = figures.run {
            hold("the handshake's stack", run.handshake_stack, HANDSHAKE_STACK);
        }
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}
