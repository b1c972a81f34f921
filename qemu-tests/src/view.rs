//! What a person sees while a rack is raised, and the tables at the end. Formatting is pure; [`View`] only prints.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::rack::{Watch, Watched};

/// Steps shorter than this are told together.
const SHORT: Duration = Duration::from_secs(1);

/// One line for each node: redrawn on a terminal, else printed whenever a node begins a new step.
pub struct View {
    redraw: bool,
    drawn: usize,
    said: Vec<(String, String)>,
}

impl View {
    /// For standard output as it is.
    #[must_use]
    pub fn new() -> Self {
        Self { redraw: std::io::stdout().is_terminal(), drawn: 0, said: Vec::new() }
    }

    /// Shows how the nodes are.
    pub fn show(&mut self, watch: &Watch) {
        let mut out = String::new();
        if self.redraw {
            if self.drawn > 0 {
                out.push_str(&format!("\x1b[{}A", self.drawn));
            }
            for node in watch.nodes() {
                out.push_str(&format!("\x1b[2K{}\n", format_line(node)));
            }
            self.drawn = watch.nodes().len();
        } else {
            for node in watch.nodes() {
                let step = node.progress.current().to_owned();
                let known = self.said.iter().position(|(name, _)| *name == node.spec.name);
                match known {
                    Some(i) if self.said[i].1 == step => continue,
                    Some(i) => self.said[i].1 = step,
                    None => self.said.push((node.spec.name.clone(), step)),
                }
                out.push_str(&format!("{}\n", format_line(node)));
            }
        }
        let mut stdout = std::io::stdout().lock();
        // A reader that went away does not stop the rack from being raised.
        let _ = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush());
    }
}

impl Default for View {
    fn default() -> Self {
        Self::new()
    }
}

fn format_line(node: &Watched) -> String {
    let elapsed = node.elapsed();
    let step = elapsed.saturating_sub(node.progress.since());
    let detail = if node.detail.is_empty() { String::new() } else { format!(" {}", node.detail) };
    let step_time = if node.progress.ready.is_some() { String::new() } else { format!(" ({})", clock(step)) };
    format!(
        "  {:<8} {:<4} {:>6}  {}{detail}{step_time}",
        node.spec.name,
        node.spec.firmware.to_string(),
        clock(elapsed),
        node.progress.current()
    )
}

/// A duration as minutes and seconds.
#[must_use]
pub fn clock(duration: Duration) -> String {
    format!("{}:{:02}", duration.as_secs() / 60, duration.as_secs() % 60)
}

/// How long each step of each node took.
#[must_use]
pub fn step_table(watch: &Watch) -> String {
    let mut rows = vec![["node", "step", "seconds"].map(str::to_owned)];
    for node in watch.nodes() {
        let mut name = node.spec.name.clone();
        let mut row = |step: String, took: Duration| {
            rows.push([std::mem::take(&mut name), step, format!("{:.1}", took.as_secs_f64())]);
        };
        let mut steps = node.progress.durations(node.elapsed());
        steps.retain(|(step, _)| step != "ready");
        let (long, short): (Vec<_>, Vec<_>) = steps.into_iter().partition(|(_, took)| *took >= SHORT);
        for (step, took) in long {
            row(step, took);
        }
        if !short.is_empty() {
            row(format!("{} steps under a second", short.len()), short.iter().map(|(_, took)| *took).sum());
        }
        let total = node.progress.ready.unwrap_or(node.elapsed());
        rows.push([String::new(), "power-on to ready".to_owned(), format!("{:.1}", total.as_secs_f64())]);
    }
    table(&rows)
}

/// Columns as wide as their widest cell; a last column of figures stands right.
#[must_use]
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(i, cell)| {
                let fill = " ".repeat(width(i) - cell.chars().count());
                let figure = i + 1 == N && cell.starts_with(|c: char| c.is_ascii_digit());
                if figure { format!("{fill}{cell}") } else { format!("{cell}{fill}") }
            })
            .collect();
        text.push_str(&format!("  {}\n", cells.join("  ").trim_end()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["node", "step", "seconds"], ["node-1", "kernel", "9.5"], ["", "größer", "10.25"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            table(&rows),
            "  node    step    seconds\n  node-1  kernel      9.5\n          größer    10.25\n"
        );
    }

    #[test]
    fn clocks() {
        let rows = [(0, "0:00"), (59, "0:59"), (61, "1:01"), (3600, "60:00")];
        for (seconds, want) in rows {
            assert_eq!(clock(Duration::from_secs(seconds)), want, "{seconds}");
        }
    }
}
