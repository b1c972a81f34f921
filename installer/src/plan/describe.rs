//! The plan in words, for people.

use std::fmt::Write;

use maekin_rootfs::node::ClusterIntent;

use super::Plan;
use super::details::details;
use crate::facts::size_text;

/// What will happen, and what will be lost: a few lines for a screen.
#[must_use]
pub fn summary(plan: &Plan) -> Vec<String> {
    let mut lines =
        vec![format!("Maekin {} as node {} ({})", plan.version, plan.node.hostname, plan.firmware)];
    lines.push(match &plan.node.cluster {
        ClusterIntent::Create { name } => format!("creates the cluster {name}"),
        ClusterIntent::Wait => "waits to be let into a cluster".to_owned(),
        ClusterIntent::Join { masters, .. } => format!("joins the cluster at {}", masters.join(", ")),
    });
    lines.push(
        if plan.drives.len() == 2 { "mirrored on two drives" } else { "on one drive, without a mirror" }
            .into(),
    );
    lines
}

/// What dies, one line for each thing.
#[must_use]
pub fn losses(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for drive in &plan.drives {
        lines.extend(drive.dies.iter().map(|what| format!("{}: {what}", drive.title)));
    }
    lines
}

/// What stays untouched, one line for each thing.
#[must_use]
pub fn kept(plan: &Plan) -> Vec<String> {
    let lines = |kept: &super::Kept| {
        let title = kept.title.clone();
        kept.what.iter().map(move |what| format!("{title}: {what}")).collect::<Vec<_>>()
    };
    plan.kept.iter().flat_map(lines).collect()
}

/// The whole plan.
#[must_use]
pub fn full(plan: &Plan) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", summary(plan).join("\n"));
    let _ = writeln!(text, "installation {}\n\ndrives:", plan.install);
    for drive in &plan.drives {
        let _ = writeln!(text, "  {}", drive.title);
        if drive.dies.is_empty() {
            let _ = writeln!(text, "    nothing on it is lost");
        }
        for what in &drive.dies {
            let _ = writeln!(text, "    LOST: {what}");
        }
        if !drive.dies.is_empty() {
            let _ = writeln!(text, "    consent token: {}", drive.token);
        }
    }
    if !plan.kept.is_empty() {
        let _ = writeln!(text, "\nkept as they are:");
        for line in kept(plan) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if let Some(previous) = &plan.previous {
        let _ = writeln!(text, "\nthis machine was {}", previous.words());
    }
    let _ = writeln!(text, "\npartitions, on each drive:");
    for extent in &plan.layout {
        let (number, label) = (extent.part.number(), extent.part.label());
        let _ = writeln!(
            text,
            "  {number} {label:<13} {:>10} from byte {}",
            size_text(extent.size),
            extent.start
        );
    }
    let _ = writeln!(text, "\nsteps:");
    for (i, step) in (1..).zip(&plan.steps) {
        let _ = writeln!(text, "  {i:>2} {}", step.label());
        for line in details(plan, step) {
            let _ = writeln!(text, "       {line}");
        }
    }
    text
}
