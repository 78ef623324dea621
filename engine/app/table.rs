//! Tables for people, within 80 columns.

use crate::paint::Paint;

/// What fits on every terminal, on paper and in a mail.
const WIDTH: usize = 80;

/// Between two columns.
const GAP: usize = 2;

/// No column becomes narrower than this.
const NARROWEST: usize = 6;

/// A heading, and how its column behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    flexible: bool,
}

impl Column {
    /// Text, shown whole.
    pub(crate) const fn left(title: &'static str) -> Self {
        Self { title, right: false, flexible: false }
    }

    /// Numbers, shown whole.
    pub(crate) const fn right(title: &'static str) -> Self {
        Self { title, right: true, flexible: false }
    }

    /// Text that is shortened when the table would be too wide.
    pub(crate) const fn flexible(title: &'static str) -> Self {
        Self { title, right: false, flexible: true }
    }
}

/// Rows under headings.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; control characters, which could steer a terminal, are replaced.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// The table with line ends.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let widths = self.widths();
        let titles: Vec<_> = self.columns.iter().map(|column| column.title.to_owned()).collect();
        let mut text = paint.bold(&self.line(&titles, &widths));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&self.line(row, &widths));
            text.push('\n');
        }
        text
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, &width), column) in cells.iter().zip(widths).zip(&self.columns) {
            let cell = shortened(cell, width);
            let blanks = " ".repeat(width - cell.chars().count());
            let (before, after) = if column.right { (&*blanks, "") } else { ("", &*blanks) };
            line.extend([before, &cell, after, &" ".repeat(GAP)]);
        }
        line.trim_end().to_owned()
    }

    fn widths(&self) -> Vec<usize> {
        let longest = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| longest(at).max(column.title.len()))
            .collect();
        while widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1) > WIDTH {
            let widest = widths
                .iter_mut()
                .zip(&self.columns)
                .filter(|(width, column)| column.flexible && **width > NARROWEST)
                .max_by_key(|(width, _)| **width);
            let Some((width, _)) = widest else { break };
            *width -= 1;
        }
        widths
    }
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The text without characters that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_text() {
        let mut table = Table::new(vec![Column::left("NAME"), Column::right("COUNT")]);
        table.row(vec!["a".into(), "1".into()]);
        table.row(vec!["longer".into(), "1000".into()]);
        assert_eq!(table.render(Paint::plain()), "NAME    COUNT\na           1\nlonger   1000\n");
    }

    #[test]
    fn only_flexible_columns_give_way_to_eighty() {
        let mut table = Table::new(vec![Column::flexible("WHAT"), Column::left("WHO")]);
        table.row(vec!["x".repeat(100), "y".repeat(30)]);
        let shown = table.render(Paint::plain());
        let line = shown.lines().nth(1).expect("a row");
        assert_eq!(line.chars().count(), WIDTH);
        assert!(line.ends_with(&"y".repeat(30)), "{line}");
        assert!(line.contains("x…  y"), "{line}");
    }

    #[test]
    fn a_terminal_is_not_steered_by_a_value() {
        assert_eq!(printable("\x1b[2J"), "\u{fffd}[2J");
    }
}
