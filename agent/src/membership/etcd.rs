//! This node's voter of the record: its environment file, its start and end, and what it remembers of itself.

use std::fmt::Write;
use std::path::PathBuf;

use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::file::{read_text, write_atomic};
use serde::{Deserialize, Serialize};

use super::{MembershipError, load_file, store_file};
use crate::app::App;
use crate::node_info::Own;

/// The unit; `rootfs` has its file.
const UNIT: &str = "maekin-etcd.service";

/// What our voter is in the record's own list. Kept, so that a cluster that lost power as a whole comes back without
/// anybody being asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VoterFile {
    /// etcd's id of it, hex digits.
    pub(super) id: String,
    /// The voters that there were when it was added, as etcd wants them: `name=url,...`. Only its first start reads it.
    pub(super) initial: String,
    /// It copies the record and has no vote, as far as this node has heard. One that got its vote unheard is still a
    /// whole copy, and is taken for one.
    #[serde(default)]
    pub(super) learner: bool,
}

impl VoterFile {
    fn path(app: &App) -> PathBuf {
        app.settings.state.join("voter.json")
    }

    pub(super) fn load(app: &App) -> Result<Option<Self>, MembershipError> {
        load_file(&Self::path(app))
    }

    pub(super) fn store(&self, app: &App) -> Result<(), MembershipError> {
        store_file(&Self::path(app), self)
    }

    /// Forgets it, and everything that the voter had.
    pub(super) fn remove(app: &App) -> Result<(), MembershipError> {
        erase(app)?;
        remove(&Self::path(app), |path| std::fs::remove_file(path))
    }
}

/// Erases what a voter that is no more left behind.
pub(super) fn erase(app: &App) -> Result<(), MembershipError> {
    remove(&data(app), |path| std::fs::remove_dir_all(path))
}

fn remove(
    path: &std::path::Path,
    how: impl FnOnce(&std::path::Path) -> std::io::Result<()>,
) -> Result<(), MembershipError> {
    match how(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            let path = path.to_owned();
            Err(maekin_host::file::FileError { action: "cannot remove", path, source: e }.into())
        }
        _ => Ok(()),
    }
}

/// Where our voter has its data.
pub(super) fn data(app: &App) -> PathBuf {
    app.settings.state.join("etcd")
}

/// Whether a voter was ever started here.
pub(super) fn has_data(app: &App) -> bool {
    data(app).join("member").exists()
}

/// Where our voter is reached by clients.
pub(super) fn client_url(app: &App, own: &Own) -> String {
    format!("https://{}", std::net::SocketAddr::new(own.address, app.settings.record_port))
}

/// Where our voter is, or would be, reached by other voters.
pub(super) fn peer_url(app: &App, own: &Own) -> String {
    format!("https://{}", std::net::SocketAddr::new(own.address, app.settings.record_peer_port))
}

/// Where we reach our own voter: over the loopback it answers even while the network is away.
pub(crate) fn local_url(app: &App) -> String {
    format!("https://127.0.0.1:{}", app.settings.record_port)
}

/// What this node does about its voter when its agent starts, before it can ask the record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It has none: the record is asked elsewhere.
    Nothing,
    /// It makes the record: there was none before.
    Make,
    /// It runs the one that it has.
    Run,
    /// It had the only one, and its data is gone: a new record in its place would be an empty one.
    Lost,
}

/// What a start goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// The node file says that this node makes the cluster.
    pub(super) makes: bool,
    /// The record was there once.
    pub(super) made: bool,
    /// It is written down that it has a voter.
    pub(super) file: bool,
    /// A voter has data here.
    pub(super) data: bool,
    /// Another voter than its own is known.
    pub(super) others: bool,
}

/// Decides that. Data is what counts: etcd looks at nothing else where there is any, so it is started also where the
/// power went before its id was written down. And a record is made at most once. Pure.
pub(super) fn plan_start(before: Before) -> Start {
    match before {
        Before { data: true, .. } | Before { file: true, others: true, .. } => Start::Run,
        Before { makes: true, made: false, file: false, others: false, .. } => Start::Make,
        Before { file: true, .. } | Before { makes: true, others: false, .. } => Start::Lost,
        Before { .. } => Start::Nothing,
    }
}

/// Starts the voter; it is fine when it runs already. `joins` is what it was added with; without, it makes the record.
///
/// # Errors
/// [`MembershipError`].
pub(super) async fn start(
    app: &App,
    cluster_id: &str,
    own: &Own,
    joins: Option<&VoterFile>,
) -> Result<(), MembershipError> {
    lay_out(app, cluster_id, own, joins)?;
    systemctl(app, "start").await
}

/// The same for one that only copies the record. It is up once the voter has reached it, which may be told first where this
/// node is now, and that goes through the record: so nobody waits for it here.
///
/// # Errors
/// [`MembershipError`] when its files cannot be written.
pub(super) fn begin(
    app: &App,
    cluster_id: &str,
    own: &Own,
    joins: Option<&VoterFile>,
) -> Result<(), MembershipError> {
    lay_out(app, cluster_id, own, joins)?;
    let systemctl = Cmd::new(&app.settings.systemctl).args(["start", UNIT]);
    // It is started again by who keeps the voter of a member, and why it does not start is said there.
    drop(tokio::task::spawn_blocking(move || systemctl.run()));
    Ok(())
}

/// Writes what a voter is started with.
fn lay_out(app: &App, cluster_id: &str, own: &Own, joins: Option<&VoterFile>) -> Result<(), MembershipError> {
    let text = environment(app, cluster_id, own, joins);
    if !app.settings.etcd_env().exists() {
        crate::trust::crl::started(&app.settings);
        hand_over(app)?;
        crate::trust::ca_change::started(&app.settings);
    }
    hand_over(app)?;
    Ok(write_atomic(&app.settings.etcd_env(), text.as_bytes(), 0o600)?)
}

/// Starts a voter on the data in `dir` instead, where only this machine reaches it. `force` makes it the only one of its
/// record.
///
/// # Errors
/// [`MembershipError`].
pub(super) async fn start_copy(
    app: &App,
    own: &Own,
    dir: &std::path::Path,
    force: bool,
) -> Result<(), MembershipError> {
    let mut text = environment(app, "", own, None);
    let peer = format!("https://127.0.0.1:{}", app.settings.record_peer_port);
    // Of two lines with one name, the later one holds (systemd.exec(5), EnvironmentFile=).
    let _ = writeln!(text, "ETCD_DATA_DIR={}", dir.display());
    let _ = writeln!(text, "ETCD_LISTEN_CLIENT_URLS={}", local_url(app));
    let _ = writeln!(text, "ETCD_LISTEN_PEER_URLS={peer}");
    let _ = writeln!(text, "ETCD_FORCE_NEW_CLUSTER={force}");
    hand_over(app)?;
    write_atomic(&app.settings.etcd_env(), text.as_bytes(), 0o600)?;
    systemctl(app, "start").await
}

/// Ends the voter.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn stop(app: &App) -> Result<(), MembershipError> {
    remove(&app.settings.etcd_env(), |path| std::fs::remove_file(path))?;
    systemctl(app, "stop").await
}

/// Ends the voter and starts it again, with what has changed in its files.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn restart(app: &App, cluster_id: &str, own: &Own) -> Result<(), MembershipError> {
    let voter = VoterFile::load(app)?;
    systemctl(app, "stop").await?;
    start(app, cluster_id, own, voter.as_ref()).await?;
    crate::trust::ca_change::started(&app.settings);
    Ok(())
}

async fn systemctl(app: &App, verb: &str) -> Result<(), MembershipError> {
    let systemctl = Cmd::new(&app.settings.systemctl).args([verb, UNIT]);
    let run = tokio::task::spawn_blocking(move || systemctl.run()).await;
    // A lost thread shows as a record that does not answer.
    run.unwrap_or(Ok(())).map_err(|e: CmdError| MembershipError::Service(e))
}

/// Files of this node's that etcd reads: the first three it cannot do without.
const TLS: [&str; 4] = ["node.crt", "node.key", "ca.crt", crate::trust::crl::FILE];

/// Gives etcd what it identifies itself with, in a directory of its own: where the agent has these files there are also
/// keys that are none of its business, and its unit sees nothing of that directory. Done again where one has changed:
/// etcd reads them for each connection.
///
/// # Errors
/// [`MembershipError`].
pub(crate) fn hand_over(app: &App) -> Result<(), MembershipError> {
    let (from, to) = (app.settings.pki(), app.settings.etcd_tls());
    for name in TLS {
        let (from, to) = (from.join(name), to.join(name));
        if !from.exists() {
            continue;
        }
        let text = read_text(&from, 1 << 20)?;
        if read_text(&to, 1 << 20).ok().as_ref() != Some(&text) {
            write_atomic(&to, text.as_bytes(), 0o600)?;
        }
    }
    Ok(())
}

/// Every flag of etcd as `ETCD_<FLAG>` (etcd's own documentation, "Configuration options"). Heartbeats are slow:
/// whether a node is alive is not the record's business, and it must not time out on a busy disk.
fn environment(app: &App, cluster_id: &str, own: &Own, joins: Option<&VoterFile>) -> String {
    let peer = peer_url(app, own);
    let pki = app.settings.etcd_tls();
    let (cert, key, ca) = (pki.join("node.crt"), pki.join("node.key"), pki.join("ca.crt"));
    let id = &app.node_id;
    let (initial, state) = match joins {
        Some(file) => (file.initial.clone(), "existing"),
        None => (format!("{id}={peer}"), "new"),
    };
    let lines = [
        ("NAME", id.clone()),
        ("DATA_DIR", data(app).display().to_string()),
        ("LISTEN_CLIENT_URLS", format!("https://0.0.0.0:{}", app.settings.record_port)),
        ("ADVERTISE_CLIENT_URLS", client_url(app, own)),
        ("LISTEN_PEER_URLS", format!("https://0.0.0.0:{}", app.settings.record_peer_port)),
        ("INITIAL_ADVERTISE_PEER_URLS", peer),
        ("INITIAL_CLUSTER", initial),
        ("INITIAL_CLUSTER_STATE", state.to_owned()),
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
        ("QUOTA_BACKEND_BYTES", app.settings.record_quota.to_string()),
        ("LOGGER", "zap".to_owned()),
        ("LOG_LEVEL", "warn".to_owned()),
    ];
    let revoked = crate::trust::crl::path(&app.settings).exists();
    let crl = if revoked { pki.join(crate::trust::crl::FILE).display().to_string() } else { String::new() };
    let revoked = [("CLIENT_CRL_FILE", crl.clone()), ("PEER_CRL_FILE", crl)];
    lines.iter().chain(revoked.iter().filter(|(_, path)| !path.is_empty())).fold(
        String::new(),
        |mut text, (name, value)| {
            let _ = writeln!(text, "ETCD_{name}={value}");
            text
        },
    )
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use maekin_rootfs::node::ClusterIntent;

    use super::*;
    use crate::testing::agent;

    #[test]
    fn record_etcd_sees_its_own_certificate_and_no_other_secret() {
        let dir = tempfile::tempdir().unwrap();
        let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
        let (pki, tls) = (app.settings.pki(), app.settings.etcd_tls());
        for name in ["node.crt", "ca.crt", "ca.key", "seal.key", "seal.ring", "ca.sealed"] {
            std::fs::write(pki.join(name), name).unwrap();
        }
        hand_over(&app).unwrap();
        std::fs::write(pki.join("node.crt"), "renewed").unwrap();
        std::fs::write(pki.join("removed.crl"), "somebody").unwrap();
        hand_over(&app).unwrap();
        let names = std::fs::read_dir(&tls).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let names: std::collections::BTreeSet<_> = names.collect();
        assert_eq!(names, TLS.map(str::to_owned).into());
        assert_eq!(read_text(&tls.join("node.crt"), 99).unwrap(), "renewed");
        let (mac, interface) = (String::new(), String::new());
        let own = Own { address: IpAddr::V4(Ipv4Addr::LOCALHOST), mac, interface };
        let text = environment(&app, "c", &own, None);
        assert!(!text.contains(pki.to_str().unwrap()), "{text}");
        assert!(text.contains("CRL_FILE") && text.contains(tls.to_str().unwrap()), "{text}");
        let unit = include_str!("../../../rootfs/files/root/usr/lib/systemd/system/maekin-etcd.service");
        let hidden = unit.lines().find_map(|line| line.strip_prefix("InaccessiblePaths=")).unwrap();
        assert!(hidden.split(' ').any(|path| path == "-/var/lib/maekin/pki"), "{hidden}");
    }

    #[test]
    fn record_a_start_needs_no_more_than_the_data_and_makes_a_record_at_most_once() {
        // Name; makes the cluster, record was made, id written down, data, other voters known; start.
        let rows = [
            ("first start", [true, false, false, false, false], Start::Make),
            ("power cut before anything was written", [true, false, false, false, false], Start::Make),
            ("power cut while the record was made", [true, false, false, true, false], Start::Run),
            ("made, and its id not written down yet", [true, true, false, true, false], Start::Run),
            ("the only voter", [true, true, true, true, false], Start::Run),
            ("one of three", [true, true, true, true, true], Start::Run),
            ("its voter was taken out", [true, true, false, false, true], Start::Nothing),
            (
                "taken out, in a release that did not write down that it was made",
                [true, false, false, false, true],
                Start::Nothing,
            ),
            ("the only voter, and its data is gone", [true, true, true, false, false], Start::Lost),
            ("the same, its id too", [true, true, false, false, false], Start::Lost),
            ("joined, no voter", [false, true, false, false, true], Start::Nothing),
            ("joined, no address known", [false, false, false, false, false], Start::Nothing),
            ("added, not started yet", [false, true, true, false, true], Start::Run),
            ("joined, a voter", [false, true, true, true, true], Start::Run),
            ("joined, a voter, and its id was lost", [false, true, false, true, true], Start::Run),
        ];
        for (name, [makes, made, file, data, others], want) in rows {
            assert_eq!(plan_start(Before { makes, made, file, data, others }), want, "{name}");
        }
    }
}
