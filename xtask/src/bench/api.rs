//! Reads and writes through the API, beside the same of etcd asked directly.

use std::fmt::Write;

use anyhow::ensure;
use serde::Deserialize;

use super::page;

/// The API may take this part of what etcd takes by itself.
const LIMIT: f64 = 0.7;

/// What `agent/benches/api` measured.
#[derive(Deserialize)]
struct Measured {
    seconds: u64,
    turns: u64,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    what: String,
    clients: u64,
    api: f64,
    api_p99: f64,
    etcd: f64,
    etcd_p99: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.api / self.etcd
    }
}

/// Measures, and writes the section.
pub(super) fn run() -> anyhow::Result<()> {
    let measured: Measured = super::of_agent("api", "API")?;
    page::write(&render(&measured))?;
    for row in &measured.rows {
        let (what, clients, ratio) = (&row.what, row.clients, row.ratio());
        ensure!(ratio >= LIMIT, "{what} of {clients} clients: {ratio:.2} of etcd's, below {LIMIT}");
    }
    Ok(())
}

fn render(measured: &Measured) -> String {
    let mut page = format!(
        "## API beside etcd\n\nThree nodes in namespaces on this machine, clients and all \
         (`cargo xtask bench --only api`). The API: `GET` and `PUT /v1/machines/{{machine}}/power` over kept connections, each \
         request with a password; etcd: get (linearizable) and put of the same value by gRPC with a member's certificate. A write \
         of the API is a compare-and-swap and, a moment later with others, an event of the audit log, up to 64 of them in one key. \
         Both by turns, {} of {} s each, medians.\n\n\
         | what | clients | API, a second | etcd, a second | ratio (goal {LIMIT}) | API, p99 ms | etcd, p99 ms |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        measured.turns, measured.seconds
    );
    // Writing to a string cannot fail.
    for r in &measured.rows {
        let _ = writeln!(
            page,
            "| {} | {} | {:.0} | {:.0} | {:.2} | {:.1} | {:.1} |",
            r.what,
            r.clients,
            r.api,
            r.etcd,
            r.ratio(),
            r.api_p99,
            r.etcd_p99
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_holds_every_figure() {
        let text = r#"{"seconds": 5, "turns": 3, "rows": [{"what": "read", "clients": 32, "api": 1500.4,
            "api_p99": 40.0, "etcd": 2000.0, "etcd_p99": 30.04}]}"#;
        let page = render(&serde_json::from_str(text).unwrap());
        assert!(page.contains("| read | 32 | 1500 | 2000 | 0.75 | 40.0 | 30.0 |"), "{page}");
    }
}
