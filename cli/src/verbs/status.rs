//! `status`: the cluster on one page.

use maekin_api as api;
use serde_json::{Value, json};

use super::find;
use crate::fault::{Code, Fault};
use crate::resource::{Resource, plain};
use crate::session::Session;
use crate::show::{self, Form, Look, clean::clean, table::Table, time, yaml};
use crate::stage::Stage;

/// `status`.
pub(super) fn status(session: &Session, look: Look, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let node = session.get(api::NODE, "this node", stage)?;
    // A node on its way into a cluster has none to tell of.
    let cluster = match session.get(api::CLUSTER, "the cluster", stage) {
        Ok(cluster) => cluster,
        Err(fault) if fault.code == Code::Server => Value::Null,
        Err(fault) => return Err(fault),
    };
    // What the members are seen as says more than what they are in the record.
    let nodes = match find::list(session, Resource::find("nodes")?, "", stage) {
        Ok((_, nodes)) => Value::Array(nodes),
        Err(_) => cluster.get("nodes").cloned().unwrap_or_default(),
    };
    let text = match look.form {
        Form::Json => show::json(&json!({"node": node, "cluster": cluster})),
        Form::Yaml => yaml::render(&json!({"node": node, "cluster": cluster})),
        _ => page(&node, &cluster, &nodes, (stage.now)(), stage.columns)?,
    };
    Ok(stage.out.write_all(text.as_bytes())?)
}

fn page(
    node: &Value,
    cluster: &Value,
    nodes: &Value,
    now: u64,
    width: Option<usize>,
) -> Result<String, Fault> {
    let field = |value: &Value, at: &str| value.pointer(at).map(plain).unwrap_or_default();
    let mut text = String::new();
    let mut line = |label: &str, value: String| text.push_str(&format!("{label:<9} {}\n", clean(&value)));
    let row = |name: &str, value: &Value, head: &str| -> Result<String, Fault> {
        let resource = Resource::find(name)?;
        let column = resource.columns.iter().find(|column| column.head == head);
        Ok(column.map(|column| column.cell.text(value, now)).unwrap_or_default())
    };
    if cluster.is_null() {
        line("cluster", format!("none yet: {}", row("self", node, "MEMBERSHIP")?));
    } else {
        let (ready, leader) = (row("cluster", cluster, "READY")?, row("cluster", cluster, "LEADER")?);
        line("cluster", format!("{}: {ready} nodes ready, led by {leader}", field(cluster, "/name")));
        let window = if cluster.pointer("/install_window/open") == Some(&Value::Bool(true)) {
            let until = cluster.pointer("/install_window/until").and_then(Value::as_u64).unwrap_or(now);
            format!(
                "OPEN for {}, {} machines",
                time::span(until.saturating_sub(now)),
                field(cluster, "/install_window/left")
            )
        } else {
            "closed".to_owned()
        };
        line("window", window);
        if cluster.pointer("/ca_change/phase").is_some() {
            let change = row("cluster", cluster, "CA CHANGE")?;
            let since = cluster.pointer("/ca_change/since").and_then(Value::as_u64).unwrap_or(now);
            line("CA", format!("{change}, for {}", time::span(now.saturating_sub(since))));
        }
    }
    let boot = field(node, "/boot_drives/state");
    line(
        "asked",
        format!(
            "{}: version {}, boot drives {boot}, up {}",
            field(node, "/name"),
            field(node, "/version"),
            row("self", node, "UPTIME")?
        ),
    );
    for (name, list) in [("nodes", Some(nodes)), ("alarms", node.get("alarms"))] {
        let things = list.and_then(Value::as_array).filter(|list| !list.is_empty());
        if let Some(things) = things {
            let table = Table::new(Resource::find(name)?, things, false, now);
            text.push('\n');
            text.push_str(&table.render(true, width));
        }
    }
    Ok(text)
}
