//! Readings from a CSV file: seven named columns, every value kept exactly.

use crate::SimError;
use sensor_app::{Decimal, Reading, Source};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use time::PrimitiveDateTime;
use time::macros::format_description;

/// The readings that a run replays when it is given none; see `data/README.md` for where they come from.
const BUILT_IN: &[u8] = include_bytes!("../data/occupancy.csv");

/// The columns by their lower-case names, in the order of [`Reading`]'s fields.
const COLUMNS: [&str; 7] = ["date", "temperature", "humidity", "light", "co2", "humidityratio", "occupancy"];

/// What is wrong with a CSV file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file system said no.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A value is not what its column holds.
    #[error("line {line}: column {column}: \"{value}\" is not {expected}")]
    Value {
        /// Its line, from 1.
        line: u64,
        /// Its column's name.
        column: &'static str,
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The first line lacks a column.
    #[error("line 1: column {0} is missing")]
    Missing(&'static str),
    /// The first line names a column that readings do not have, or one twice.
    #[error("line 1: column \"{0}\" is not known or there twice")]
    Unknown(String),
    /// A line with too many or too few values.
    #[error("line {line}: {found} values instead of {expected}")]
    Width {
        /// The line, from 1.
        line: u64,
        /// Values in it.
        found: u64,
        /// Values in the first line.
        expected: u64,
    },
    /// Not text.
    #[error("line {0}: not UTF-8 text")]
    NotText(u64),
    /// Nothing but the names.
    #[error("there are no readings in it")]
    Empty,
    /// Anything else that the CSV reader reports.
    #[error("{0}")]
    Csv(String),
}

impl From<csv::Error> for ReplayError {
    fn from(error: csv::Error) -> Self {
        let line = error.position().map_or(1, csv::Position::line);
        let text = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Self::Io(error),
            csv::ErrorKind::Utf8 { .. } => Self::NotText(line),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                Self::Width { line, found: len, expected: expected_len }
            }
            _ => Self::Csv(text),
        }
    }
}

/// Reads the file at `path`, or the built-in readings; all of it, before anything is started.
///
/// # Errors
/// [`SimError::Replay`], which names the file, the line and the column.
pub fn read(path: Option<&Path>) -> Result<Arc<[Reading]>, SimError> {
    let readings = match path {
        None => parse(BUILT_IN),
        Some(path) => File::open(path).map_err(ReplayError::from).and_then(parse),
    };
    let path = path.unwrap_or(Path::new("occupancy.csv"));
    readings.map(Arc::from).map_err(|source| SimError::Replay { path: path.into(), source })
}

fn parse(input: impl Read) -> Result<Vec<Reading>, ReplayError> {
    let mut csv = csv::Reader::from_reader(input);
    let places = places(csv.headers()?)?;
    let mut readings = Vec::new();
    for record in csv.records() {
        readings.push(reading(&record?, places)?);
    }
    if readings.is_empty() {
        return Err(ReplayError::Empty);
    }
    Ok(readings)
}

/// Where each of [`COLUMNS`] stands in a record.
fn places(names: &csv::StringRecord) -> Result<[usize; 7], ReplayError> {
    let mut places = [None; 7];
    for (place, name) in names.iter().enumerate() {
        let known = COLUMNS.iter().position(|column| name.eq_ignore_ascii_case(column));
        match known.and_then(|column| places.get_mut(column)) {
            Some(slot @ None) => *slot = Some(place),
            _ => return Err(ReplayError::Unknown(name.into())),
        }
    }
    let mut found = [0; 7];
    for ((found, place), column) in found.iter_mut().zip(places).zip(COLUMNS) {
        *found = place.ok_or(ReplayError::Missing(column))?;
    }
    Ok(found)
}

fn reading(record: &csv::StringRecord, places: [usize; 7]) -> Result<Reading, ReplayError> {
    let line = record.position().map_or(0, csv::Position::line);
    let [date, temperature, humidity, light, co2, humidity_ratio, occupancy] =
        core::array::from_fn(|column| (COLUMNS[column], record.get(places[column]).unwrap_or("")));
    let wrong = |(column, value): (&'static str, &str), expected| ReplayError::Value {
        line,
        column,
        value: value.into(),
        expected,
    };
    let number = |cell: (&'static str, &str)| cell.1.parse::<Decimal>().map_err(|_| wrong(cell, "a number"));
    Ok(Reading {
        date: seconds(date.1).ok_or_else(|| wrong(date, "a date such as 2015-02-04 17:51:00"))?,
        temperature: number(temperature)?,
        humidity: number(humidity)?,
        light: number(light)?,
        co2: number(co2)?,
        humidity_ratio: number(humidity_ratio)?,
        occupancy: match occupancy.1 {
            "0" => false,
            "1" => true,
            _ => return Err(wrong(occupancy, "0 or 1")),
        },
    })
}

/// Seconds since 1970-01-01 of a local date and time, as if its clock knew no time zone.
fn seconds(text: &str) -> Option<u32> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    // A date that would print differently could not be stored exactly.
    let date = PrimitiveDateTime::parse(text, format).ok().filter(|_| text.len() == "2015-02-04 17:51:00".len())?;
    u32::try_from(date.assume_utc().unix_timestamp()).ok()
}

/// One device's share of the readings: rows `first`, `first + step`, and so on, `total` rows in all; the file
/// starts again when it is at its end.
#[derive(Clone, Debug)]
pub struct Rows {
    readings: Arc<[Reading]>,
    next: usize,
    step: usize,
    total: usize,
}

impl Rows {
    /// The share of device `first` of `step` devices.
    pub fn new(readings: Arc<[Reading]>, first: usize, step: usize, total: usize) -> Self {
        Self { readings, next: first, step, total }
    }
}

impl Source for Rows {
    fn next(&mut self) -> Option<Reading> {
        if self.is_exhausted() {
            return None;
        }
        let reading = self.readings.get(self.next.checked_rem(self.readings.len())?).copied();
        self.next += self.step;
        reading
    }

    fn is_exhausted(&self) -> bool {
        self.next >= self.total || self.readings.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "\"Date\",\"Temperature\",\"Humidity\",\"Light\",\"CO2\",\"HumidityRatio\",\"Occupancy\"\n";
    const GOOD: &str = "\"2015-02-04 17:51:00\",23.18,27.272,426,721.25,0.00479298817650529,1\n";

    fn error(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_readings_are_all_there() {
        let readings = read(None).unwrap();
        assert_eq!(readings.len(), 8143);
        let first = readings.first().unwrap();
        // `date -u -d '2015-02-04 17:51:00' +%s`
        assert_eq!(first.date, 1_423_072_260);
        assert_eq!(first.humidity_ratio, Decimal { mantissa: 479_298_817_650_529, scale: 17 });
        assert!(first.occupancy);
    }

    #[test]
    fn what_is_malformed_is_named_by_line_and_column() {
        let row = |row: &str| error(&format!("{NAMES}{GOOD}{row}\n"));
        assert_eq!(row("\"2015-02-04 17:51:00\",x,1,1,1,1,0"), "line 3: column temperature: \"x\" is not a number");
        assert_eq!(row("\"2015-02-04 17:51:00\",1,1,1,1,1,2"), "line 3: column occupancy: \"2\" is not 0 or 1");
        let date = |text: &str| format!("line 3: column date: \"{text}\" is not a date such as 2015-02-04 17:51:00");
        for text in ["2015-02-30 00:00:00", "2015-2-4 17:51:00", "1969-12-31 23:59:59", ""] {
            assert_eq!(row(&format!("{text},1,1,1,1,1,1")), date(text));
        }
        assert_eq!(row("1,2"), "line 3: 2 values instead of 7");
        assert_eq!(error(NAMES), "there are no readings in it");
        assert_eq!(error("\"Date\",\"Humidity\"\n1,2\n"), "line 1: column temperature is missing");
        assert_eq!(error("\"Date\",\"Date\"\n"), "line 1: column \"Date\" is not known or there twice");
        let spoilt = [NAMES.as_bytes(), b"1,2,3,4,5,6,\xff\n"].concat();
        assert_eq!(parse(&spoilt[..]).unwrap_err().to_string(), "line 2: not UTF-8 text");
    }

    #[test]
    fn columns_may_stand_in_any_order() {
        let text = "Occupancy,Temperature,Humidity,Light,CO2,HumidityRatio,date\n0,1.5,2,3,4,5,2015-02-04 17:51:00\n";
        let readings = parse(text.as_bytes()).unwrap();
        assert_eq!(readings[0].temperature, Decimal { mantissa: 15, scale: 1 });
        assert!(!readings[0].occupancy);
    }

    #[test]
    fn devices_share_the_rows_and_start_again() {
        let readings: Arc<[Reading]> = read(None).unwrap()[..3].into();
        let shares: Vec<Vec<Reading>> = (0..2)
            .map(|device| {
                let mut rows = Rows::new(readings.clone(), device, 2, 5);
                core::iter::from_fn(|| rows.next()).collect()
            })
            .collect();
        assert_eq!(shares[0], [readings[0], readings[2], readings[1]]);
        assert_eq!(shares[1], [readings[1], readings[0]]);
    }
}
