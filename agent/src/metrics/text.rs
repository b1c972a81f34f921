//! All of it as text.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use maekin_api::node::Membership;
use maekin_api::tasks::State;

use super::{RECORD, RECORD_FAILED, process};
use crate::app::App;
use crate::http::watch;

/// The text of all metrics.
pub(crate) fn render(app: &App) -> String {
    let mut text = String::new();
    let out = &mut text;
    let version = app.boot.as_ref().map_or(env!("CARGO_PKG_VERSION"), |boot| &boot.version);
    head(out, "maekin_build_info", "gauge", "The release that runs; always 1.");
    sample(out, "maekin_build_info", &[("version", version), ("node", &app.config.hostname)], 1);
    for (name, what, is) in [
        ("maekin_member", "Whether this node is a member of a cluster.", is_member(app)),
        ("maekin_leader", "Whether this node leads.", app.leads()),
    ] {
        head(out, name, "gauge", what);
        sample(out, name, &[], u8::from(is));
    }
    alarms(out, app);
    drives(out, app);
    storage(out, app);
    requests(out, app);
    record(out);
    let process = process::probe();
    head(out, "process_resident_memory_bytes", "gauge", "Memory of the agent that is in use.");
    sample(out, "process_resident_memory_bytes", &[], process.resident);
    head(out, "process_cpu_seconds_total", "counter", "Processor time of the agent.");
    sample(out, "process_cpu_seconds_total", &[], process.cpu);
    head(out, "process_open_fds", "gauge", "Files that the agent has open.");
    sample(out, "process_open_fds", &[], process.files);
    head(out, "maekin_watchers", "gauge", "Listeners of GET /v1/watch.");
    sample(out, "maekin_watchers", &[], watch::MOST.saturating_sub(app.watchers.available_permits()));
    head(out, "maekin_tasks", "gauge", "Tasks of the cluster that are not over, as this node sees them.");
    let counts = app.tasks.counts();
    for state in [State::Waiting, State::Running] {
        sample(out, "maekin_tasks", &[("state", state.word())], counts.get(&state).unwrap_or(&0));
    }
    head(out, "maekin_tasks_ended_total", "counter", "Tasks that this node ended, by how.");
    for state in State::ALL.into_iter().filter(|state| state.over()) {
        sample(out, "maekin_tasks_ended_total", &[("state", state.word())], counts.get(&state).unwrap_or(&0));
    }
    head(out, "maekin_audit_waiting", "gauge", "Events of the audit log that the record did not take yet.");
    sample(out, "maekin_audit_waiting", &[], app.audit.waiting());
    text
}

fn is_member(app: &App) -> bool {
    matches!(app.membership(), Membership::Member { .. })
}

fn alarms(out: &mut String, app: &App) {
    let report = app.boot_drives.report();
    head(out, "maekin_alarm", "gauge", "What is wrong with this node; there while it is.");
    for alarm in report.alarms.iter().chain(&app.storage.alarms()) {
        let severity = format!("{:?}", alarm.severity).to_lowercase();
        sample(out, "maekin_alarm", &[("id", &alarm.id), ("severity", &severity)], 1);
    }
    head(out, "maekin_boot_drives_state", "gauge", "How the boot drives are, all in all.");
    let state = serde_json::to_string(&report.state).unwrap_or_default(); // a word in quotes
    sample(out, "maekin_boot_drives_state", &[("state", state.trim_matches('"'))], 1);
    head(out, "maekin_mirror_halves", "gauge", "Halves of a mirror that are in sync.");
    for array in &report.arrays {
        sample(out, "maekin_mirror_halves", &[("mirror", &array.name)], array.in_sync);
    }
}

fn drives(out: &mut String, app: &App) {
    let drives = app.drives.drives();
    head(out, "maekin_drive_state", "gauge", "What becomes of a drive of this node; always 1.");
    for drive in &drives {
        let usage = drive.usage.words();
        let labels = [("drive", &*drive.id), ("state", drive.state.word()), ("use", &usage)];
        sample(out, "maekin_drive_state", &labels, 1);
    }
    head(out, "maekin_drive_temperature_celsius", "gauge", "How warm a drive is.");
    for (drive, degrees) in drives.iter().filter_map(|drive| Some((drive, drive.health.temperature?))) {
        sample(out, "maekin_drive_temperature_celsius", &[("drive", &drive.id)], degrees);
    }
    head(out, "maekin_drive_wear_percent", "gauge", "How much of a drive's life is used up.");
    for (drive, wear) in drives.iter().filter_map(|drive| Some((drive, drive.health.wear?))) {
        sample(out, "maekin_drive_wear_percent", &[("drive", &drive.id)], wear);
    }
}

fn storage(out: &mut String, app: &App) {
    let Some(storage) = app.storage.report() else { return };
    let class = ("class", "local");
    head(out, "maekin_storage_bytes", "gauge", "Storage for volumes on this node.");
    let rows = [("capacity", storage.capacity), ("used", storage.used), ("promised", storage.promised)];
    for (what, bytes) in rows {
        sample(out, "maekin_storage_bytes", &[class, ("what", what)], bytes);
    }
    head(out, "maekin_storage_used_ratio", "gauge", "How much of it is in use, and of the pool's tables.");
    for (what, share) in [("data", storage.used_share), ("metadata", storage.metadata_share)] {
        sample(out, "maekin_storage_used_ratio", &[class, ("of", what)], f64::from(share) / 10_000.0);
    }
    head(out, "maekin_volumes", "gauge", "Volumes on this node.");
    sample(out, "maekin_volumes", &[class], storage.volumes);
    head(out, "maekin_volume_snapshots", "gauge", "Snapshots on this node.");
    sample(out, "maekin_volume_snapshots", &[class], storage.snapshots);
}

fn requests(out: &mut String, app: &App) {
    let requests = app.metrics.requests();
    let name = "maekin_http_request_duration_seconds";
    head(out, name, "summary", "Requests by operation and status.");
    for ((operation, status), served) in &requests {
        let labels = [("operation", *operation), ("status", &*status.to_string())];
        sample(out, &format!("{name}_count"), &labels, served.count);
        sample(out, &format!("{name}_sum"), &labels, served.time.as_secs_f64());
    }
    let name = "maekin_http_request_duration_seconds_max";
    head(out, name, "gauge", "The longest of them since the agent started.");
    for ((operation, status), served) in &requests {
        let labels = [("operation", *operation), ("status", &*status.to_string())];
        sample(out, name, &labels, served.longest.as_secs_f64());
    }
}

fn record(out: &mut String) {
    let name = "maekin_record_duration_seconds";
    head(out, name, "histogram", "How long the cluster's record took to answer.");
    let (ends, all, seconds) = RECORD.read();
    for (end, count) in ends {
        sample(out, &format!("{name}_bucket"), &[("le", &end.to_string())], count);
    }
    sample(out, &format!("{name}_bucket"), &[("le", "+Inf")], all);
    sample(out, &format!("{name}_sum"), &[], seconds);
    sample(out, &format!("{name}_count"), &[], all);
    head(out, "maekin_record_failures_total", "counter", "Questions that it did not answer, or refused.");
    sample(out, "maekin_record_failures_total", &[], RECORD_FAILED.load(Ordering::Relaxed));
}

fn head(out: &mut String, name: &str, kind: &str, what: &str) {
    // Into a string: never fails.
    let _ = writeln!(out, "# HELP {name} {what}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    let pairs: Vec<_> = labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
    let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
    let _ = writeln!(out, "{name}{labels} {value}");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_metrics_are_escaped() {
        let mut text = String::new();
        sample(&mut text, "a", &[("b", "c\"d\\e\nf")], 1.5);
        assert_eq!(text, "a{b=\"c\\\"d\\\\e\\nf\"} 1.5\n");
    }
}
