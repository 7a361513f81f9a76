//! The table in the README.

use crate::guest::Run;
use crate::{Figures, Variant};
use anyhow::{Context, ensure};
use std::path::Path;

const BEGIN: &str = "<!-- size -->\n";
const END: &str = "<!-- /size -->";
/// How far a figure may be from the README's, in hundredths of it.
const TOLERANCE: u64 = 2;

type Row = (&'static str, fn(&Figures) -> Option<u64>);

fn of_run(figures: &Figures, of: fn(&Run) -> u64) -> Option<u64> {
    figures.run.as_ref().map(of)
}

const ROWS: [Row; 10] = [
    ("flash of a session", |figures| Some(figures.flash)),
    ("of that, for sealing", |figures| figures.sealing),
    ("RAM of a session (`Small`)", |figures| of_run(figures, |run| run.session)),
    ("stack of `connect`", |figures| of_run(figures, |run| run.connect_stack)),
    ("stack of the handshake", |figures| of_run(figures, |run| run.handshake_stack)),
    ("stack after it", |figures| of_run(figures, |run| run.packet_stack)),
    ("instructions: handshake", |figures| of_run(figures, |run| run.handshake)),
    ("64 bytes sent", |figures| of_run(figures, |run| run.transmit)),
    ("acknowledged and committed", |figures| of_run(figures, |run| run.answer)),
    ("64 bytes received", |figures| of_run(figures, |run| run.receive)),
];

pub(crate) fn render(figures: &[Figures]) -> String {
    let column = |figures: &Figures| match (figures.variant, figures.target.split('-').next()) {
        (Variant::Plain, target) => format!("{}: plain", target.unwrap_or_default()),
        (variant, _) => format!("{variant:?}"),
    };
    let line = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.collect();
        format!("| {name} | {} |\n", cells.join(" | "))
    };
    let mut table = line("", &mut figures.iter().map(column));
    table += &format!("|---|{}\n", "---|".repeat(figures.len()));
    for (name, cell) in ROWS {
        table += &line(name, &mut figures.iter().map(|figures| cell(figures).map_or_else(String::new, grouped)));
    }
    table
}

/// With commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// The README before the table, the table, and what comes after.
fn parts(readme: &str) -> anyhow::Result<(&str, &str, &str)> {
    let (before, rest) = readme.split_once(BEGIN).context("the README has a place for the table")?;
    let (table, after) = rest.split_once(END).context("the README's table ends")?;
    Ok((before, table, after))
}

/// Puts the table into the README.
pub(crate) fn write(readme: &Path, table: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(readme)?;
    let (before, _, after) = parts(&text)?;
    Ok(std::fs::write(readme, format!("{before}{BEGIN}{table}{END}{after}"))?)
}

/// Whether the README says the same: the same rows, and figures that differ by little.
pub(crate) fn compare(readme: &Path, measured: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(readme)?;
    let (_, written, _) = parts(&text)?;
    ensure!(written.lines().count() == measured.lines().count(), "the README's table has other rows");
    let mut wrong = Vec::new();
    for (written, measured) in written.lines().zip(measured.lines()) {
        let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let (written_cells, measured_cells) = (cells(written), cells(measured));
        ensure!(written_cells.len() == measured_cells.len(), "the README's table has other columns: {written}");
        if !written_cells.iter().zip(&measured_cells).all(|(written, measured)| is_near(written, measured)) {
            wrong.push(format!("README:   {written}\nmeasured: {measured}"));
        }
    }
    ensure!(
        wrong.is_empty(),
        "the README's table is not what is measured; --write puts it right\n{}",
        wrong.join("\n")
    );
    Ok(())
}

/// What was not measured is near anything.
fn is_near(written: &str, measured: &str) -> bool {
    let number = |cell: &str| cell.replace(',', "").parse::<u64>().ok();
    match (number(written), number(measured)) {
        (Some(written), Some(measured)) => written.abs_diff(measured) * 100 <= written * TOLERANCE,
        (None, Some(_)) => false,
        (Some(_), None) => measured.is_empty(),
        (None, None) => written == measured,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_two_percent() {
        for (written, measured, near) in [
            ("10,000", "10,200", true),
            ("10,000", "10,201", false),
            ("10,000", "9,799", false),
            ("10,000", "", true),
            ("", "1", false),
            ("plain", "plain", true),
            ("plain", "", false),
        ] {
            assert_eq!(is_near(written, measured), near, "{written} {measured}");
        }
        assert_eq!(
            (grouped(7), grouped(1_234), grouped(12_000_345)),
            ("7".into(), "1,234".into(), "12,000,345".into())
        );
    }
}
