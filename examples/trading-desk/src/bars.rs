//! Daily bars, and the CSV files they are read from.
//!
//! A file has a header that names `date`, `open`, `high`, `low`, `close` and `volume` in any order and any
//! case; other columns are ignored. The symbol is the file's name without its extension, unless there is a
//! column `symbol`. Every row is checked, because a bad price would be traded on.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use csv::{ErrorKind, Position, ReaderBuilder, StringRecord};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::symbol::Symbol;

/// The columns that a bars file must have.
pub const REQUIRED_COLUMNS: [&str; 6] = ["date", "open", "high", "low", "close", "volume"];

/// The bars that come with the desk; their provenance is in `data/README.md`.
const BUNDLED: [(&str, &str); 2] = [
    ("sp500.csv", include_str!("../data/sp500.csv")),
    ("nasdaq.csv", include_str!("../data/nasdaq.csv")),
];

/// What one instrument did on one trading day. Prices are in US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// The trading day.
    pub date: Date,
    /// The first price.
    pub open: f64,
    /// The highest price.
    pub high: f64,
    /// The lowest price.
    pub low: f64,
    /// The last price.
    pub close: f64,
    /// Units traded; 0 where it was not reported.
    pub volume: f64,
}

/// The bars of one symbol, the oldest first; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What was traded.
    pub symbol: Symbol,
    /// Its bars, in strictly rising order of date.
    pub bars: Vec<Bar>,
}

/// A row that is not a bar: where, what was expected, what was there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: column {column} ({name}): expected {expected}, found {found:?}")]
pub struct MalformedBar {
    /// The file as given.
    pub file: String,
    /// The line, counted from 1; the header is line 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
    /// The column's name.
    pub name: String,
    /// What a bar has there.
    pub expected: String,
    /// What the row has there.
    pub found: String,
}

impl Bar {
    /// The day's range as a share of its open, in basis points.
    #[must_use]
    pub fn range_bps(&self) -> f64 {
        (self.high - self.low) / self.open * 1e4
    }
}

/// The bars that come with the desk: the S&P 500 and the NASDAQ Composite, 1999 to 2018.
pub fn bundled() -> Result<Vec<Series>, Error> {
    let mut all = Vec::new();
    for (file, text) in BUNDLED {
        all.extend(parse(text.as_bytes(), file)?);
    }
    Ok(all)
}

/// Reads the user's files. No symbol may be in two of them.
pub fn read_files(paths: &[PathBuf]) -> Result<Vec<Series>, Error> {
    let mut origin: BTreeMap<Symbol, String> = BTreeMap::new();
    let mut all = Vec::new();
    for path in paths {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| Error::ReadBars {
            file: file.clone(),
            source,
        })?;
        for series in parse(&bytes, &file)? {
            let symbol = series.symbol.clone();
            if let Some(first) = origin.insert(symbol.clone(), file.clone()) {
                return Err(Error::SymbolTwice {
                    symbol,
                    first,
                    second: file,
                });
            }
            all.push(series);
        }
    }
    Ok(all)
}

/// Reads one file's content. `file` names it in errors and, without a column `symbol`, its symbol too.
pub fn parse(bytes: &[u8], file: &str) -> Result<Vec<Series>, Error> {
    // Rows of the wrong length are told apart here, with the name of the column that is missing.
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader
        .headers()
        .map_err(|error| not_csv(file, bytes, error))?
        .clone();
    if header.iter().all(|name| name.trim().is_empty()) {
        return Err(Error::NoBars {
            file: file.to_owned(),
        });
    }
    let columns = Columns::find(&header, file)?;
    let file_symbol = match columns.symbol {
        Some(_) => None,
        None => Some(symbol_of_file(file)?),
    };

    let mut found: BTreeMap<Symbol, Vec<Bar>> = BTreeMap::new();
    let mut record = StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| not_csv(file, bytes, error))?
    {
        let row = Row {
            file,
            bytes,
            header: &header,
            record: &record,
        };
        let symbol = match (&file_symbol, columns.symbol) {
            (None, Some(column)) => row.symbol(column)?,
            (Some(symbol), _) => symbol.clone(),
            (None, None) => {
                return Err(Error::NoSymbol {
                    file: file.to_owned(),
                });
            }
        };
        let bars = found.entry(symbol).or_default();
        bars.push(row.bar(&columns, bars.last())?);
    }
    if found.is_empty() {
        return Err(Error::NoBars {
            file: file.to_owned(),
        });
    }
    Ok(found
        .into_iter()
        .map(|(symbol, bars)| Series { symbol, bars })
        .collect())
}

/// Where each field stands in a row.
struct Columns {
    symbol: Option<usize>,
    date: usize,
    open: usize,
    high: usize,
    low: usize,
    close: usize,
    volume: usize,
}

impl Columns {
    fn find(header: &StringRecord, file: &str) -> Result<Self, Error> {
        let required = |column| {
            position(header, file, column)?.ok_or_else(|| Error::MissingColumn {
                file: file.to_owned(),
                column,
            })
        };
        Ok(Self {
            symbol: position(header, file, "symbol")?,
            date: required("date")?,
            open: required("open")?,
            high: required("high")?,
            low: required("low")?,
            close: required("close")?,
            volume: required("volume")?,
        })
    }
}

/// One row, and where it stands.
struct Row<'a> {
    file: &'a str,
    bytes: &'a [u8],
    header: &'a StringRecord,
    record: &'a StringRecord,
}

impl Row<'_> {
    /// The row as a bar that may follow `previous`.
    fn bar(&self, columns: &Columns, previous: Option<&Bar>) -> Result<Bar, Error> {
        if self.record.len() > self.header.len() {
            return Err(self.malformed(self.header.len(), "the end of the row"));
        }
        let bar = Bar {
            date: self.date(columns.date)?,
            open: self.price(columns.open)?,
            high: self.price(columns.high)?,
            low: self.price(columns.low)?,
            close: self.price(columns.close)?,
            volume: self.volume(columns.volume)?,
        };
        self.check(columns, &bar, previous)?;
        Ok(bar)
    }

    /// What a bar's fields owe to each other and to the bar before.
    fn check(&self, columns: &Columns, bar: &Bar, previous: Option<&Bar>) -> Result<(), Error> {
        if let Some(previous) = previous.filter(|previous| bar.date <= previous.date) {
            return Err(self.malformed(columns.date, format!("a date after {}", previous.date)));
        }
        let top = bar.open.max(bar.close).max(bar.low);
        if bar.high < top {
            return Err(self.malformed(
                columns.high,
                format!("a high that is not below {top}, which the row has as another price"),
            ));
        }
        let bottom = bar.open.min(bar.close);
        if bar.low > bottom {
            return Err(self.malformed(
                columns.low,
                format!("a low that is not above {bottom}, which the row has as another price"),
            ));
        }
        Ok(())
    }

    fn symbol(&self, column: usize) -> Result<Symbol, Error> {
        Symbol::new(self.text(column)).map_err(|error| self.malformed(column, error.to_string()))
    }

    fn date(&self, column: usize) -> Result<Date, Error> {
        self.text(column)
            .parse()
            .map_err(|_| self.malformed(column, "a date such as 2018-12-31"))
    }

    fn price(&self, column: usize) -> Result<f64, Error> {
        self.number(column)
            .filter(|price| *price > 0.0)
            .ok_or_else(|| self.malformed(column, "a price above 0"))
    }

    fn volume(&self, column: usize) -> Result<f64, Error> {
        self.number(column)
            .filter(|volume| *volume >= 0.0)
            .ok_or_else(|| self.malformed(column, "a volume of 0 or more"))
    }

    fn number(&self, column: usize) -> Option<f64> {
        self.text(column)
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
    }

    /// The field, or nothing where the row is too short.
    fn text(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default().trim()
    }

    fn malformed(&self, column: usize, expected: impl Into<String>) -> Error {
        Box::new(MalformedBar {
            file: self.file.to_owned(),
            line: line(self.bytes, self.record.position()),
            column: column + 1,
            name: self
                .header
                .get(column)
                .unwrap_or("beyond the header")
                .trim()
                .to_owned(),
            expected: expected.into(),
            found: self.text(column).to_owned(),
        })
        .into()
    }
}

/// The place of the one column with this name, in any case.
fn position(
    header: &StringRecord,
    file: &str,
    column: &'static str,
) -> Result<Option<usize>, Error> {
    let mut places =
        (0..header.len()).filter(|place| header[*place].trim().eq_ignore_ascii_case(column));
    let place = places.next();
    match places.next() {
        Some(_) => Err(Error::DuplicateColumn {
            file: file.to_owned(),
            column,
        }),
        None => Ok(place),
    }
}

fn symbol_of_file(file: &str) -> Result<Symbol, Error> {
    let stem = Path::new(file)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    Symbol::new(&stem).map_err(|_| Error::NoSymbol {
        file: file.to_owned(),
    })
}

/// What the CSV reader itself objects to, which in memory is only bytes that are no text.
fn not_csv(file: &str, bytes: &[u8], error: csv::Error) -> Error {
    let file = file.to_owned();
    let line = line(bytes, error.position());
    match error.into_kind() {
        ErrorKind::Utf8 { err, .. } => Box::new(MalformedBar {
            file,
            line,
            column: err.field() + 1,
            name: "not UTF-8".to_owned(),
            expected: "text".to_owned(),
            found: format!("{} bytes of text and then others", err.valid_up_to()),
        })
        .into(),
        kind => Error::ReadBars {
            file,
            source: io::Error::other(format!("{kind:?}")),
        },
    }
}

/// The line, counted from 1, of a record that the reader found at `position`. The reader's own count is
/// where it stood before it skipped blank lines.
fn line(bytes: &[u8], position: Option<&Position>) -> usize {
    let start = position.map_or(0, |position| {
        usize::try_from(position.byte()).unwrap_or(usize::MAX)
    });
    let before = bytes.get(..start).unwrap_or(bytes);
    let skipped = bytes
        .iter()
        .skip(before.len())
        .take_while(|byte| matches!(byte, b'\r' | b'\n'));
    1 + before
        .iter()
        .chain(skipped)
        .filter(|byte| **byte == b'\n')
        .count()
}

/// Every trading day of `series`, each once.
#[must_use]
pub fn days(series: &[Series]) -> BTreeSet<Date> {
    series
        .iter()
        .flat_map(|series| series.bars.iter().map(|bar| bar.date))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "date,open,high,low,close,volume\n";

    fn one(text: &str) -> Series {
        let mut series = parse(text.as_bytes(), "dir/spx.csv").unwrap();
        assert_eq!(series.len(), 1);
        series.remove(0)
    }

    fn error(text: &str) -> String {
        parse(text.as_bytes(), "spx.csv").unwrap_err().to_string()
    }

    #[test]
    fn the_bundled_bars_are_whole() {
        let series = bundled().unwrap();
        let names: Vec<_> = series.iter().map(|series| series.symbol.as_str()).collect();
        assert_eq!(names, ["SP500", "NASDAQ"]);
        for series in &series {
            assert_eq!(series.bars.len(), 5031);
            assert_eq!(series.bars[0].date.to_string(), "1999-01-04");
            assert_eq!(series.bars[5030].date.to_string(), "2018-12-31");
        }
        assert_eq!(days(&series).len(), 5031);
    }

    #[test]
    fn columns_are_found_by_name_and_others_ignored() {
        let series = one("Adj Close,VOLUME,Close,Low,High,Open,Date\n9,7,2,1,4,3,2020-01-02\n");
        assert_eq!(series.symbol.as_str(), "SPX");
        let bar = series.bars[0];
        assert_eq!(
            (bar.open, bar.high, bar.low, bar.close, bar.volume),
            (3.0, 4.0, 1.0, 2.0, 7.0)
        );
        assert!((bar.range_bps() - 1e4).abs() < 1e-9);
    }

    #[test]
    fn byte_order_mark_carriage_returns_and_blank_lines_are_fine() {
        let text = "\u{feff}Date,Open,High,Low,Close,Volume\r\n2020-01-02,1,1,1,1,0\r\n\r\n2020-01-03,2,2,2,2,0";
        assert_eq!(one(text).bars.len(), 2);
    }

    #[test]
    fn a_symbol_column_makes_a_series_each() {
        let text = "symbol,date,open,high,low,close,volume\n\
                    b,2020-01-02,1,1,1,1,0\na,2020-01-02,1,1,1,1,0\nb,2020-01-03,1,1,1,1,0\n";
        let series = parse(text.as_bytes(), "mixed.csv").unwrap();
        let sizes: Vec<_> = series
            .iter()
            .map(|s| (s.symbol.as_str(), s.bars.len()))
            .collect();
        assert_eq!(sizes, [("A", 1), ("B", 2)]);
    }

    #[test]
    fn a_malformed_row_is_named_by_file_line_and_column() {
        let row = |row: &str| error(&format!("{HEADER}2020-01-02,1,1,1,1,1\n{row}\n"));
        assert_eq!(
            row("2020-01-03,1,x,1,1,1"),
            "spx.csv:3: column 3 (high): expected a price above 0, found \"x\""
        );
        assert_eq!(
            row("02/01/2020,1,1,1,1,1"),
            "spx.csv:3: column 1 (date): expected a date such as 2018-12-31, found \"02/01/2020\""
        );
        for (bad, told) in [
            (
                "2020-01-02,1,1,1,1,1",
                "column 1 (date): expected a date after 2020-01-02",
            ),
            (
                "2020-01-03,0,1,1,1,1",
                "column 2 (open): expected a price above 0",
            ),
            (
                "2020-01-03,1,1,-1,1,1",
                "column 4 (low): expected a price above 0",
            ),
            (
                "2020-01-03,1,1,1,NaN,1",
                "column 5 (close): expected a price above 0",
            ),
            (
                "2020-01-03,inf,1,1,1,1",
                "column 2 (open): expected a price above 0",
            ),
            (
                "2020-01-03,1,1,1,1,-1",
                "column 6 (volume): expected a volume of 0 or more",
            ),
            (
                "2020-01-03,2,1,1,1,1",
                "column 3 (high): expected a high that is not below 2",
            ),
            (
                "2020-01-03,2,3,2,1,1",
                "column 4 (low): expected a low that is not above 1",
            ),
            (
                "2020-01-03,1,1,1",
                "column 5 (close): expected a price above 0, found \"\"",
            ),
            (
                "2020-01-03,1,1,1,1,1,9",
                "column 7 (beyond the header): expected the end of the row",
            ),
        ] {
            let message = row(bad);
            assert!(
                message.starts_with(&format!("spx.csv:3: {told}")),
                "{bad}: {message}"
            );
        }
    }

    #[test]
    fn the_line_is_right_after_blank_lines_and_a_byte_order_mark() {
        for (start, end) in [
            ("", "\n"),
            ("\u{feff}", "\n"),
            ("", "\r\n"),
            ("\u{feff}", "\r\n"),
        ] {
            let good = "2020-01-02,1,1,1,1,1";
            let text =
                format!("{start}{HEADER}{good}{end}{end}{end}2020-01-03,x,1,1,1,1{end}{good}");
            let message = error(&text);
            assert!(message.starts_with("spx.csv:5:"), "{text:?}: {message}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_named_by_line() {
        let mut bytes = format!("{HEADER}2020-01-02,1,1,1,1,1\n2020-01-03,1,").into_bytes();
        bytes.extend([0xff, b',', b'1', b',', b'1', b',', b'1', b'\n']);
        let message = parse(&bytes, "spx.csv").unwrap_err().to_string();
        assert!(message.starts_with("spx.csv:3: column 3"), "{message}");
    }

    #[test]
    fn a_file_without_bars_or_columns_says_so() {
        assert_eq!(
            error(""),
            "spx.csv: no bars; the file must have a header and at least one row"
        );
        assert_eq!(error(HEADER), error(""));
        assert_eq!(
            error("date,open,high,low,close\n2020-01-02,1,1,1,1\n"),
            "spx.csv:1: no column `volume`; the header must name date, open, high, low, close, volume"
        );
        assert_eq!(
            error("date,open,high,low,close,volume,Close\n"),
            "spx.csv:1: column `close` is there twice; rename or remove one"
        );
    }

    #[test]
    fn one_symbol_in_two_files_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<_> = ["a.csv", "A.txt"].map(|name| dir.path().join(name)).into();
        for path in &paths {
            std::fs::write(path, format!("{HEADER}2020-01-02,1,1,1,1,1\n")).unwrap();
        }
        assert_eq!(read_files(&paths[..1]).unwrap().len(), 1);
        let message = read_files(&paths).unwrap_err().to_string();
        assert!(
            message.starts_with("A is in ") && message.contains("A.txt"),
            "{message}"
        );
        let message = read_files(&[dir.path().join("none.csv")])
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("cannot read ") && message.contains("none.csv"),
            "{message}"
        );
    }

    fn bar_values() -> impl Strategy<Value = (f64, f64, f64, f64, f64)> {
        (0.01..1e6, 0.0..10.0, 0.0..1.0, 0.0..1.0, 0.0..1e12f64).prop_map(|(low, up, o, c, v)| {
            let span = low * up;
            (low + span * o, low + span, low, low + span * c, v)
        })
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, "any.csv");
            let mut with_header = HEADER.as_bytes().to_vec();
            with_header.extend(bytes);
            let _ = parse(&with_header, "any.csv");
        }

        #[test]
        fn what_is_written_is_read_back(values in proptest::collection::vec(bar_values(), 1..50)) {
            let mut text = HEADER.to_owned();
            let mut date = jiff::civil::date(2001, 1, 1);
            let mut bars = Vec::new();
            for (open, high, low, close, volume) in values {
                // Rounding may lift a price over the high by one unit in the last place.
                let high = high.max(open).max(close);
                writeln!(text, "{date},{open},{high},{low},{close},{volume}").unwrap();
                bars.push(Bar { date, open, high, low, close, volume });
                date = date.tomorrow().unwrap();
            }
            prop_assert_eq!(one(&text).bars, bars);
        }
    }
}
