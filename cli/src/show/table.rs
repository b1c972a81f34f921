//! Rows and columns, fitted to the terminal: where it is too narrow, the widest columns are cut first, never below their
//! head, and those that name the row last. Pure.

use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::clean::clean;
use crate::resource::{Cell, Resource};

/// Between two columns.
const GAP: usize = 3;
/// Narrowest that a cut column gets, where its head is not wider.
const NARROWEST: usize = 6;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    heads: Vec<String>,
    /// Whether a column names the row: what somebody types again is cut only when nothing else is left.
    keys: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The table of some things.
    pub(crate) fn new(resource: &Resource, things: &[Value], wide: bool, now: u64) -> Self {
        let columns: Vec<_> = resource.columns.iter().filter(|column| wide || !column.wide).collect();
        let cell =
            |thing: &Value| columns.iter().map(|c| clean(&c.cell.text(thing, now)).into_owned()).collect();
        let heads = columns.iter().map(|column| column.head.to_owned()).collect();
        let key = |cell| matches!(cell, Cell::At(at) if resource.named.contains(&at));
        let keys = columns.iter().enumerate().map(|(n, column)| n == 0 || key(column.cell)).collect();
        Self { heads, keys, rows: things.iter().map(cell).collect() }
    }

    /// A table of texts.
    pub(crate) fn of(heads: &[&str], rows: Vec<Vec<String>>) -> Self {
        let tidy = |row: Vec<String>| row.into_iter().map(|cell| clean(&cell).into_owned()).collect();
        Self {
            keys: (0..heads.len()).map(|n| n == 0).collect(),
            heads: heads.iter().map(|head| (*head).to_owned()).collect(),
            rows: rows.into_iter().map(tidy).collect(),
        }
    }

    /// The same with one column more, before the others.
    pub(crate) fn led_by(mut self, head: &str, cells: &[&str]) -> Self {
        self.heads.insert(0, head.to_owned());
        self.keys.insert(0, true);
        for (row, cell) in self.rows.iter_mut().zip(cells) {
            row.insert(0, (*cell).to_owned());
        }
        self
    }

    /// As text; `width` is how many columns the terminal has.
    pub(crate) fn render(&self, head: bool, width: Option<usize>) -> String {
        let widths = self.widths(head, width);
        let heads = head.then_some(&self.heads);
        heads.into_iter().chain(&self.rows).map(|row| line(row, &widths)).collect()
    }

    fn widths(&self, head: bool, width: Option<usize>) -> Vec<usize> {
        let of_head = |n: usize| if head { self.heads[n].width() } else { 0 };
        let widest = |n: usize| self.rows.iter().map(|row| row[n].width()).max().unwrap_or(0).max(of_head(n));
        let mut widths: Vec<usize> = (0..self.heads.len()).map(widest).collect();
        let Some(width) = width else { return widths };
        let room = width.saturating_sub(GAP * widths.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            let cut = |n: &usize| widths[*n] > NARROWEST.max(of_head(*n));
            let widest = (0..widths.len()).filter(cut).max_by_key(|n| (!self.keys[*n], widths[*n]));
            match widest {
                Some(n) => widths[n] -= 1,
                None => break,
            }
        }
        widths
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
        let cell = cut(cell, *width);
        text.push_str(&cell);
        if n + 1 < row.len() {
            text.push_str(&" ".repeat(width - cell.width() + GAP));
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A text of at most so many columns; what was cut shows.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let more = c.width().unwrap_or(0);
        if used + more + 1 > width {
            break;
        }
        used += more;
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(rows: &[&[&str]]) -> Table {
        Table::of(
            &["NAME", "STATE", "ABOUT"],
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect(),
        )
    }

    #[test]
    fn cli_tables_are_fitted_to_the_terminal() {
        let table = table(&[&["node-1", "ready", "nothing to say"], &["a", "unreachable", "\u{1b}[31mred"]]);
        let rows = [
            (
                "a file",
                true,
                None,
                "NAME     STATE         ABOUT\nnode-1   ready         nothing to say\na        unreachable   \\x1b[31mred\n",
            ),
            (
                "no head",
                false,
                None,
                "node-1   ready         nothing to say\na        unreachable   \\x1b[31mred\n",
            ),
            (
                "narrow",
                true,
                Some(30),
                "NAME     STATE       ABOUT\nnode-1   ready       nothing …\na        unreacha…   \\x1b[31m…\n",
            ),
            (
                "narrower than can be",
                true,
                Some(5),
                "NAME     STATE    ABOUT\nnode-1   ready    nothi…\na        unrea…   \\x1b[…\n",
            ),
        ];
        for (name, head, width, want) in rows {
            assert_eq!(table.render(head, width), want, "{name}");
        }
    }

    #[test]
    fn cli_wide_letters_keep_their_columns() {
        let text = table(&[&["東京", "ready", "x"], &["node-1", "ready", "y"]]).render(true, None);
        assert_eq!(text, "NAME     STATE   ABOUT\n東京     ready   x\nnode-1   ready   y\n");
        assert_eq!(cut("東京都", 4), "東…");
    }

    proptest! {
        #[test]
        fn cli_tables_of_anything_fit_or_are_as_narrow_as_can_be(cells in proptest::collection::vec(any::<String>(), 3..12), width in 1..200_usize) {
            let rows = cells.chunks_exact(3).map(<[String]>::to_vec).collect();
            let table = Table::of(&["NAME", "STATE", "ABOUT"], rows);
            for line in table.render(true, Some(width)).lines() {
                prop_assert!(line.width() <= width.max(3 * NARROWEST + 2 * GAP), "{line}");
            }
        }
    }
}
