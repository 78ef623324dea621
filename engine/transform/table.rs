//! Lookup tables: CSV whose first column is the key, with optional dates of validity.

use std::collections::BTreeMap;

use rhai::{Dynamic, ImmutableString, Map};

use crate::problem::ScriptProblem;
use crate::sources::Sources;

/// A code table. Immutable, ordered, cheap to look up.
#[derive(Debug)]
pub(crate) struct Table {
    rows: BTreeMap<String, Vec<Row>>,
}

#[derive(Debug)]
struct Row {
    /// First day of validity, `YYYY-MM-DD`; such dates sort as text.
    from: Option<String>,
    /// Last day of validity.
    to: Option<String>,
    value: Dynamic,
    line: u64,
}

/// Where the columns of a table stand.
struct Columns {
    /// Position and name of each column that holds a value.
    values: Vec<(usize, String)>,
    from: Option<usize>,
    to: Option<usize>,
}

/// All that is wrong with the tables of a configuration, whether a script uses them or not.
pub fn problems(sources: &Sources) -> Vec<ScriptProblem> {
    sources
        .tables
        .iter()
        .filter_map(|(name, text)| Table::parse(name, text).err())
        .flatten()
        .collect()
}

impl Table {
    /// Reads `key,value...[,from,to]` with a header row. Lists every fault, not the first.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Vec<ScriptProblem>> {
        let file = format!("tables/{name}.csv");
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let columns = match reader.headers() {
            Ok(header) => Columns::read(&file, header).map_err(|problem| vec![problem])?,
            Err(error) => return Err(vec![unreadable(&file, &error)]),
        };
        let mut table = Self { rows: BTreeMap::new() };
        let mut problems = Vec::new();
        for record in reader.records() {
            match record {
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    if let Err(message) = table.add(&columns, &record, line) {
                        problems.push(ScriptProblem::error(&file, at(line), message));
                    }
                }
                Err(error) => problems.push(unreadable(&file, &error)),
            }
        }
        if problems.is_empty() { Ok(table) } else { Err(problems) }
    }

    /// The value of `key` on `day` (`YYYY-MM-DD`); without a day, of a row without dates only.
    pub(crate) fn look_up(&self, key: &str, day: Option<&str>) -> Option<Dynamic> {
        let rows = self.rows.get(key)?;
        rows.iter().find(|row| row.holds_on(day)).map(|row| row.value.clone())
    }

    fn add(
        &mut self,
        columns: &Columns,
        record: &csv::StringRecord,
        line: u64,
    ) -> Result<(), String> {
        let key = record.get(0).unwrap_or_default();
        if key.is_empty() {
            return Err("the key column is empty".to_owned());
        }
        let row = Row {
            from: date(record, columns.from)?,
            to: date(record, columns.to)?,
            value: columns.value(record),
            line,
        };
        if let (Some(from), Some(to)) = (&row.from, &row.to)
            && from > to
        {
            return Err("`from` is later than `to`".to_owned());
        }
        let rows = self.rows.entry(key.to_owned()).or_default();
        if let Some(other) = rows.iter().find(|other| other.overlaps(&row)) {
            return Err(format!("the key of line {} again, valid on the same days", other.line));
        }
        rows.push(row);
        Ok(())
    }
}

impl Row {
    fn holds_on(&self, day: Option<&str>) -> bool {
        match day {
            Some(day) => {
                self.from.as_deref().is_none_or(|from| from <= day)
                    && self.to.as_deref().is_none_or(|to| day <= to)
            }
            None => self.from.is_none() && self.to.is_none(),
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        let begins_before_end = |a: &Self, b: &Self| match (&a.from, &b.to) {
            (Some(from), Some(to)) => from <= to,
            _ => true,
        };
        begins_before_end(self, other) && begins_before_end(other, self)
    }
}

impl Columns {
    fn read(file: &str, header: &csv::StringRecord) -> Result<Self, ScriptProblem> {
        let problem = |message: &str| {
            ScriptProblem::error(file, at(1), message).with_help(
                "begin the table with a header row such as `code,value` or `code,value,from,to`",
            )
        };
        let mut columns = Self { values: Vec::new(), from: None, to: None };
        for (position, name) in header.iter().enumerate() {
            if name.is_empty() {
                return Err(problem("a column has no name"));
            }
            if header.iter().take(position).any(|other| other == name) {
                return Err(problem(&format!("two columns are named `{name}`")));
            }
            match name {
                _ if position == 0 => {}
                "from" => columns.from = Some(position),
                "to" => columns.to = Some(position),
                _ => columns.values.push((position, name.to_owned())),
            }
        }
        if columns.values.is_empty() {
            return Err(problem("a table needs a key column and a value column"));
        }
        Ok(columns)
    }

    /// The text of the only value column, or a map of all of them by name.
    fn value(&self, record: &csv::StringRecord) -> Dynamic {
        let text = |position: usize| -> Dynamic {
            ImmutableString::from(record.get(position).unwrap_or_default()).into()
        };
        match self.values.as_slice() {
            [(position, _)] => text(*position),
            several => several
                .iter()
                .map(|(position, name)| (name.as_str().into(), text(*position)))
                .collect::<Map>()
                .into(),
        }
    }
}

fn date(record: &csv::StringRecord, column: Option<usize>) -> Result<Option<String>, String> {
    let text = column.and_then(|column| record.get(column)).unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<jiff::civil::Date>() {
        Ok(date) if text.len() == 10 => Ok(Some(date.to_string())),
        _ => Err("a date is not written as YYYY-MM-DD".to_owned()),
    }
}

fn unreadable(file: &str, error: &csv::Error) -> ScriptProblem {
    let line = error.position().map_or(0, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns where the header has {expected_len}")
        }
        _ => "not readable as CSV".to_owned(),
    };
    ScriptProblem::error(file, at(line), message)
        .with_help("quote a value that holds a comma: \"Ward 12, east\"")
}

fn at(line: u64) -> (u32, u32) {
    (u32::try_from(line).unwrap_or(0), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::parse("wards", text).expect("a good table")
    }

    fn text(value: Option<Dynamic>) -> Option<String> {
        value.map(|value| value.into_string().expect("a text"))
    }

    #[test]
    fn two_columns_give_a_text_and_more_give_a_map() {
        let two = table("code,value\nW12,Ward 12\n\"A,B\",both\n");
        assert_eq!(text(two.look_up("W12", None)).as_deref(), Some("Ward 12"));
        assert_eq!(text(two.look_up("A,B", None)).as_deref(), Some("both"));
        assert!(two.look_up("w12", None).is_none());

        let three = table("code,display,site\nW12,Ward 12,RXX01\n");
        let row = three.look_up("W12", None).expect("a row");
        let row = row.read_lock::<Map>().expect("a map");
        assert_eq!(row["site"].clone().into_string().as_deref(), Ok("RXX01"));
    }

    #[test]
    fn dates_choose_the_row_and_both_ends_belong_to_it() {
        let table =
            table("code,value,from,to\nW1,old,,2025-12-31\nW1,new,2026-01-01,\nW2,always,,\n");
        assert_eq!(text(table.look_up("W1", Some("2025-12-31"))).as_deref(), Some("old"));
        assert_eq!(text(table.look_up("W1", Some("2026-01-01"))).as_deref(), Some("new"));
        assert_eq!(text(table.look_up("W2", Some("2026-01-01"))).as_deref(), Some("always"));
        assert!(table.look_up("W1", None).is_none());
    }

    #[test]
    fn every_fault_of_a_table_is_listed_with_its_line() {
        let problems = Table::parse(
            "wards",
            "code,value,from,to\nA,1,,\n,2,,\nA,3,2026-01-01,\nB,4,1.1.2026,\nC\n",
        )
        .expect_err("a bad table");
        let lines: Vec<u32> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [3, 4, 5, 6]);
        assert_eq!(problems[0].file, "tables/wards.csv");
        assert!(problems[1].message.contains("line 2"), "{}", problems[1]);
    }

    #[test]
    fn a_table_without_a_value_column_is_refused() {
        for text in ["", "code\n", "code,from,to\n", "code,a,a\n", "code,\n"] {
            assert!(Table::parse("wards", text).is_err(), "{text:?}");
        }
    }
}
