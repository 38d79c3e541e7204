//! Aligned text for people: columns for `list`, key and value lines for `describe`.
//!
//! Output for programs is `--json`; nothing here has to be parsed by anyone, so widths follow the
//! content. It does not print: it returns text.

use std::fmt::Write as _;

/// Rows under a header, each column as wide as its widest cell and two spaces apart.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles and no rows yet.
    pub(crate) fn new(titles: &[&str]) -> Self {
        Self {
            rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()],
        }
    }

    /// Adds a row. Cells beyond the titles are shown too, cells that are missing stay empty.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The whole table, one line a row; no line ends in spaces.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .map(|row| cell_width(row, column))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&printable(cell));
                let pad = width.saturating_sub(printable(cell).chars().count()) + 2;
                line.extend(std::iter::repeat_n(' ', pad));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn cell_width(row: &[String], column: usize) -> usize {
    row.get(column)
        .map_or(0, |cell| printable(cell).chars().count())
}

/// Key and value lines; a value with several entries continues on lines of its own, under the
/// first.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    lines: Vec<(&'static str, Vec<String>)>,
}

impl Sheet {
    /// Adds one key with one value; an empty value leaves the line out.
    pub(crate) fn line(&mut self, key: &'static str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.lines.push((key, vec![value]));
        }
    }

    /// Adds one key with several values; none leaves the line out.
    pub(crate) fn lines(&mut self, key: &'static str, values: impl IntoIterator<Item = String>) {
        let values: Vec<String> = values.into_iter().collect();
        if !values.is_empty() {
            self.lines.push((key, values));
        }
    }

    /// The whole sheet.
    pub(crate) fn render(&self) -> String {
        let width = self
            .lines
            .iter()
            .map(|(key, _)| key.len() + 1)
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (key, values) in &self.lines {
            let mut label = format!("{key}:");
            for value in values {
                // Writing to a String cannot fail.
                writeln!(text, "{label:width$}  {}", printable(value)).ok();
                label.clear();
            }
        }
        text
    }
}

/// The cell with control characters shown as escapes: a label or a command comes from whoever
/// deployed it, and must not be able to move the cursor of whoever lists it.
fn printable(cell: &str) -> String {
    cell.chars()
        .fold(String::with_capacity(cell.len()), |mut text, c| {
            if c.is_control() {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["Function", "Replicas"]);
        table.row(vec!["wc".into(), "1".into()]);
        table.row(vec!["a-long-function-name".into(), "12".into()]);
        assert_eq!(
            table.render(),
            "Function              Replicas\nwc                    1\na-long-function-name  12\n"
        );
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        assert_eq!(Table::new(&["Function"]).render(), "Function\n");
    }

    #[test]
    fn several_values_stand_under_the_first() {
        let mut sheet = Sheet::default();
        sheet.line("Name", "wc");
        sheet.line("Image", "");
        sheet.lines("Labels", ["a=1".to_owned(), "b=2".to_owned()]);
        sheet.lines("Secrets", []);
        assert_eq!(sheet.render(), "Name:    wc\nLabels:  a=1\n         b=2\n");
    }

    #[test]
    fn control_characters_cannot_reach_the_terminal() {
        let mut table = Table::new(&["F"]);
        table.row(vec!["\u{1b}[2Jx\n".into()]);
        assert_eq!(table.render(), "F\n\\u{1b}[2Jx\\n\n");
    }
}
