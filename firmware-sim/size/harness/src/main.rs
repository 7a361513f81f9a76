//! What a session costs a microcontroller: flash, RAM, stack and instructions, plain and sealed.
//!
//! Builds the image in each variant for each target, runs it in QEMU against a gateway's session that lives here, and
//! prints the table. Fails when what sealing adds is above its bounds, or when the table in the README says something
//! else by more than 2 %.
//!
//! ```text
//! cargo run -p whimbrel-size [-- --write]      in firmware-sim/size; --write puts the table into the README
//! ```

mod bounds;
mod gateway;
mod guest;
mod image;
#[path = "../../image/src/provisioned.rs"]
mod provisioned;
mod table;

use anyhow::{Context, bail};
use std::path::Path;

/// What the device was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Plain,
    NnPsk0,
    NkPsk0,
}

impl Variant {
    const ALL: [Self; 3] = [Self::Plain, Self::NnPsk0, Self::NkPsk0];

    /// The image's cargo feature.
    const fn feature(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::NnPsk0 => "nn",
            Self::NkPsk0 => "nk",
        }
    }
}

/// A kind of microcontroller, and the board that plays one in QEMU. Both boards have the same UART and timer.
struct Target {
    triple: &'static str,
    board: &'static str,
}

/// The AN385 is a Cortex-M3, which runs what was built for a Cortex-M0+.
const TARGETS: [Target; 2] = [
    Target { triple: "thumbv6m-none-eabi", board: "mps2-an385" },
    Target { triple: "thumbv7em-none-eabi", board: "mps2-an386" },
];

/// What one variant costs on one target.
#[derive(Clone, Copy, Debug)]
struct Figures {
    target: &'static str,
    variant: Variant,
    /// Bytes of flash over those of the firmware without a session.
    flash: u64,
    /// Of those, what sealing adds to a plain session.
    sealing: Option<u64>,
    /// `None` where there is no QEMU.
    run: Option<guest::Run>,
}

fn main() -> anyhow::Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the harness lies in its workspace")?;
    let readme = workspace.join("../../README.md");
    let qemu = guest::is_there();
    if !qemu {
        println!("\n!!! SKIPPED: stack and instructions: there is no {}\n", guest::QEMU);
    }
    let columns = TARGETS.iter().map(|target| measure(workspace, target, qemu)).collect::<anyhow::Result<Vec<_>>>()?;
    let figures: Vec<Figures> = columns.into_iter().flatten().collect();
    let table = table::render(&figures);
    println!("{table}");
    bounds::check(&figures)?;
    if std::env::args().any(|argument| argument == "--write") {
        if !qemu {
            bail!("half a table is not worth writing");
        }
        return table::write(&readme, &table);
    }
    table::compare(&readme, &table)
}

fn measure(workspace: &Path, target: &Target, qemu: bool) -> anyhow::Result<Vec<Figures>> {
    let empty = image::build(workspace, target.triple, "")?.flash;
    let mut plain = None;
    let mut all = Vec::new();
    for variant in Variant::ALL {
        let flash = image::build(workspace, target.triple, variant.feature())?.flash - empty;
        let plain = *plain.get_or_insert(flash);
        let run = if qemu {
            let image = image::build(workspace, target.triple, &format!("{},measure", variant.feature()))?;
            let run = guest::run(target.board, &image.path, variant);
            Some(run.with_context(|| format!("{variant:?} on {}", target.triple))?)
        } else {
            None
        };
        let sealing = (variant != Variant::Plain).then_some(flash.saturating_sub(plain));
        all.push(Figures { target: target.triple, variant, flash, sealing, run });
    }
    Ok(all)
}
