//! Columns that line up.

use anstyle::Style;
use std::fmt::Write;

/// Rows of cells; the first row is the heading.
#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<(String, Style)>>,
    all_left: bool,
}

impl Table {
    /// A table of texts: every column is set to the left. In any other, all between the first column
    /// and the last are numbers.
    pub fn left() -> Table {
        Table { all_left: true, ..Table::default() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = (String, Style)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each after `indent` blanks.
    pub fn lines(&self, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|at| self.rows.iter().filter_map(|row| row.get(at)).map(|(text, _)| text.chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            // An empty cell at the end would leave blanks behind.
            let filled = row.iter().rposition(|(text, _)| !text.is_empty()).map_or(0, |last| last + 1);
            for (at, (text, style)) in row.iter().take(filled).enumerate() {
                let blanks = " ".repeat(widths[at] - text.chars().count());
                let gap = if at == 0 { "" } else { "  " };
                let _ = match at {
                    _ if at + 1 == filled && (self.all_left || filled == columns) => {
                        write!(line, "{gap}{style}{text}{style:#}")
                    }
                    _ if at == 0 || self.all_left => write!(line, "{gap}{style}{text}{style:#}{blanks}"),
                    _ => write!(line, "{gap}{blanks}{style}{text}{style:#}"),
                };
            }
            out.push_str(&line);
            out.push('\n');
        }
        out
    }
}

/// A number with its thousands set apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::default();
        let plain = |cells: &[&str]| cells.iter().map(|cell| (cell.to_string(), Style::new())).collect::<Vec<_>>();
        table.row(plain(&["check", "judged", ""]));
        table.row(plain(&["settled", "1,000", "why"]));
        assert_eq!(table.lines(2), "  check    judged\n  settled   1,000  why\n");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 1234567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
