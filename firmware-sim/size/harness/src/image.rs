//! An image, built.

use anyhow::{Context, ensure};
use object::{Object, ObjectSection, SectionFlags, SectionKind, elf};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What came out of a build. The next one takes its place.
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    /// Bytes that it takes of flash: vectors, code, constants, and what RAM is filled with at the start.
    pub(crate) flash: u64,
}

/// Builds the image with these features.
pub(crate) fn build(workspace: &Path, target: &str, features: &str) -> anyhow::Result<Image> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace).args([
        "build",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "whimbrel-size-image",
    ]);
    cargo.args(["--target", target, "--features", features]);
    let status = cargo.status().context("cargo runs")?;
    ensure!(status.success(), "the image for {target} with the features '{features}' does not build");
    let path = workspace.join("target").join(target).join("release/whimbrel-size-image");
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let flash = flash(&bytes).context("the linker writes ELF")?;
    Ok(Image { path, flash })
}

fn flash(elf: &[u8]) -> anyhow::Result<u64> {
    let file = object::File::parse(elf)?;
    let loaded = file.sections().filter(|section| {
        let SectionFlags::Elf { sh_flags } = section.flags() else { return false };
        sh_flags & u64::from(elf::SHF_ALLOC) != 0 && section.kind() != SectionKind::UninitializedData
    });
    Ok(loaded.map(|section| section.size()).sum())
}
