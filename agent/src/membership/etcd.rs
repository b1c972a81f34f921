//! This node's voter of the record: its environment file, and its start.

use std::fmt::Write;

use maekin_host::cmd::Cmd;
use maekin_host::file::write_atomic;

use super::MembershipError;
use crate::app::App;
use crate::node_info::Own;

/// The unit; `rootfs` has its file.
const UNIT: &str = "maekin-etcd.service";
/// Most bytes that the record may take before it refuses writes.
const QUOTA: u64 = 256 << 20;

/// Where our voter is reached by others.
pub(super) fn client_url(app: &App, own: &Own) -> String {
    format!("https://{}", std::net::SocketAddr::new(own.address, app.settings.record_port))
}

/// Where we reach our own voter.
pub(super) fn local_url(app: &App) -> String {
    format!("https://127.0.0.1:{}", app.settings.record_port)
}

/// Starts the voter; it is fine when it runs already.
///
/// # Errors
/// [`MembershipError`].
pub(super) async fn start(app: &App, cluster_id: &str, own: &Own) -> Result<(), MembershipError> {
    write_atomic(&app.settings.etcd_env(), environment(app, cluster_id, own).as_bytes(), 0o600)?;
    let systemctl = Cmd::new(&app.settings.systemctl).args(["start", UNIT]);
    let run = tokio::task::spawn_blocking(move || systemctl.run()).await;
    run.unwrap_or(Ok(())).map_err(MembershipError::Service) // a lost thread shows as a record that does not answer
}

/// Every flag of etcd as `ETCD_<FLAG>` (etcd's own documentation, "Configuration options"). Heartbeats are slow:
/// whether a node is alive is not the record's business, and it must not time out on a busy disk.
fn environment(app: &App, cluster_id: &str, own: &Own) -> String {
    let peer = format!("https://{}", std::net::SocketAddr::new(own.address, app.settings.record_peer_port));
    let pki = app.settings.pki();
    let (cert, key, ca) = (pki.join("node.crt"), pki.join("node.key"), pki.join("ca.crt"));
    let id = &app.node_id;
    let lines = [
        ("NAME", id.clone()),
        ("DATA_DIR", app.settings.state.join("etcd").display().to_string()),
        ("LISTEN_CLIENT_URLS", format!("https://0.0.0.0:{}", app.settings.record_port)),
        ("ADVERTISE_CLIENT_URLS", client_url(app, own)),
        ("LISTEN_PEER_URLS", format!("https://0.0.0.0:{}", app.settings.record_peer_port)),
        ("INITIAL_ADVERTISE_PEER_URLS", peer.clone()),
        ("INITIAL_CLUSTER", format!("{id}={peer}")),
        ("INITIAL_CLUSTER_STATE", "new".to_owned()),
        ("INITIAL_CLUSTER_TOKEN", cluster_id.to_owned()),
        ("CERT_FILE", cert.display().to_string()),
        ("KEY_FILE", key.display().to_string()),
        ("TRUSTED_CA_FILE", ca.display().to_string()),
        ("CLIENT_CERT_AUTH", "true".to_owned()),
        ("PEER_CERT_FILE", cert.display().to_string()),
        ("PEER_KEY_FILE", key.display().to_string()),
        ("PEER_TRUSTED_CA_FILE", ca.display().to_string()),
        ("PEER_CLIENT_CERT_AUTH", "true".to_owned()),
        ("HEARTBEAT_INTERVAL", "500".to_owned()),
        ("ELECTION_TIMEOUT", "5000".to_owned()),
        ("AUTO_COMPACTION_MODE", "periodic".to_owned()),
        ("AUTO_COMPACTION_RETENTION", "1h".to_owned()),
        ("QUOTA_BACKEND_BYTES", QUOTA.to_string()),
        ("LOGGER", "zap".to_owned()),
        ("LOG_LEVEL", "warn".to_owned()),
    ];
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "ETCD_{name}={value}");
        text
    })
}
