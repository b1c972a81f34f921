//! What a cluster at rest costs, and how soon a death is noticed: agents in namespaces.

use std::fmt::Write;

use anyhow::ensure;
use serde::Deserialize;

use super::page;

/// MiB that an agent may take.
const MEMORY_LIMIT: f64 = 40.0;
/// Seconds until a death is noticed, in the middle.
const NOTICE_LIMIT: f64 = 5.0;

/// What `agent/benches/cluster` measured.
#[derive(Deserialize)]
struct Measured {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    nodes: u64,
    whole: f64,
    gossip: f64,
    record: f64,
    api: f64,
    rss: f64,
    rss_most: f64,
    cpu: f64,
    cpu_most: f64,
    etcd_rss: f64,
    etcd_cpu: f64,
    deaths: Option<Deaths>,
}

#[derive(Deserialize)]
struct Deaths {
    count: u64,
    median: f64,
    most: f64,
}

/// Measures, and writes the section.
pub(super) fn run() -> anyhow::Result<()> {
    let measured: Measured = super::of_agent("cluster", "cluster")?;
    page::write(&render(&measured))?;
    for row in &measured.rows {
        let (nodes, most) = (row.nodes, row.rss_most);
        ensure!(most <= MEMORY_LIMIT, "an agent of {nodes} takes {most:.1} MiB, over {MEMORY_LIMIT}");
        let median = row.deaths.as_ref().map_or(0.0, |deaths| deaths.median);
        ensure!(median <= NOTICE_LIMIT, "a death is noticed after {median:.1} s, over {NOTICE_LIMIT}");
    }
    Ok(())
}

fn render(measured: &Measured) -> String {
    let mut page = String::from(
        "## A cluster at rest\n\nThe built agents with etcd, each node in namespaces of its own, all on this machine \
         (`cargo xtask bench --only cluster`). Bytes are those that went over the switch in a minute, with their \
         Ethernet headers, for each node: gossip (UDP), and apart from it the record (etcd among its voters, and the \
         agents that ask it). Memory and processor are the agent's, in the middle and at most; etcd runs on the \
         voters only.\n\n\
         | nodes | whole after, s | gossip, B/s a node | record, B/s a node | API, B/s a node | agent, MiB | at most | agent, % of a processor | at most | etcd, MiB | etcd, % |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    // Writing to a string cannot fail.
    for r in &measured.rows {
        let _ = writeln!(
            page,
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {:.2} | {:.2} | {:.1} | {:.2} |",
            r.nodes,
            r.whole,
            r.gossip,
            r.record,
            r.api,
            r.rss,
            r.rss_most,
            r.cpu,
            r.cpu_most,
            r.etcd_rss,
            r.etcd_cpu
        );
    }
    for (nodes, d) in measured.rows.iter().filter_map(|row| Some((row.nodes, row.deaths.as_ref()?))) {
        let _ = write!(
            page,
            "\nA node that loses its power is unreachable in `GET /v1/nodes` of another one after {:.1} s (median of {} \
             deaths among {nodes} nodes; at most {:.1} s). The goal is {NOTICE_LIMIT:.0} s.\n",
            d.median, d.count, d.most
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_holds_every_figure() {
        let text = r#"{"rows": [
            {"nodes": 3, "whole": 12.4, "gossip": 161.2, "record": 4210.0, "api": 0.4, "rss": 15.3, "rss_most": 16.0,
             "cpu": 0.13, "cpu_most": 0.2, "etcd_rss": 40.0, "etcd_cpu": 0.5},
            {"nodes": 10, "whole": 20.0, "gossip": 170.0, "record": 1.0, "api": 2.0, "rss": 1.0, "rss_most": 2.0,
             "cpu": 0.1, "cpu_most": 0.1, "etcd_rss": 1.0, "etcd_cpu": 0.1,
             "deaths": {"count": 24, "median": 4.31, "most": 6.2}}]}"#;
        let page = render(&serde_json::from_str(text).unwrap());
        let wanted = [
            "| 3 | 12 | 161 | 4210 | 0 | 15.3 | 16.0 | 0.13 | 0.20 | 40.0 | 0.50 |",
            "after 4.3 s (median of 24 deaths among 10 nodes; at most 6.2 s)",
        ];
        for line in wanted {
            assert!(page.contains(line), "no {line:?} in\n{page}");
        }
    }
}
