//! A table as text and as JSON.

use core::fmt;
use serde_json::{Value, json};

/// What a table found.
pub(crate) struct Report {
    /// The table's name.
    pub(crate) name: &'static str,
    /// What it shows, in a sentence or two.
    pub(crate) title: String,
    /// The columns after the row's name.
    pub(crate) columns: Vec<String>,
    /// Rows: a name, and a text for each column.
    pub(crate) rows: Vec<(String, Vec<String>)>,
    /// The same for machines: a value for each row.
    pub(crate) values: Vec<Value>,
    /// A file's name and its SVG, of a table that is drawn too.
    pub(crate) plot: Option<(&'static str, String)>,
}

impl Report {
    /// For machines.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().zip(&self.values).map(|((name, _), value)| (name.clone(), value.clone()));
        json!({ "title": self.title, "rows": rows.collect::<serde_json::Map<_, _>>() })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.name, self.title)?;
        let names = self.rows.iter().map(|(name, _)| name.chars().count());
        let first = names.max().unwrap_or(0);
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|(_, cells)| Some(cells.get(at)?.chars().count()));
            cells.chain([self.columns[at].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |f: &mut fmt::Formatter<'_>, name: &str, cells: &[String]| {
            write!(f, "| {name:first$} |")?;
            for (cell, width) in cells.iter().zip(&widths) {
                write!(f, " {cell:>width$} |")?;
            }
            writeln!(f)
        };
        line(f, "", &self.columns)?;
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        line(f, &"-".repeat(first), &rules)?;
        self.rows.iter().try_for_each(|(name, cells)| line(f, name, cells))
    }
}
