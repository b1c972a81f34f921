//! What tests of several modules need: agents in directories of their own, on ports of their own.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_rootfs::node::{Admin, ClusterIntent, Interface, Network, NodeConfig, Time};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::app::App;
use crate::http::auth::{Auth, hash_password};
use crate::http::{routes, server};
use crate::pki::SERVER_NAME;
use crate::pki::ca::Subject;
use crate::pki::identity::{Credentials, NodeKey};
use crate::record::Record;
use crate::settings::Settings;
use crate::tls;

/// The admin password of every agent in tests.
pub(crate) const PASSWORD: &str = "right horse";

/// An agent that is not running, in `dir`. `seed` makes it another node.
pub(crate) fn agent(dir: &Path, seed: u128, cluster: ClusterIntent) -> Arc<App> {
    agent_with(dir, seed, cluster, |_| {})
}

/// The same, with settings of its own.
pub(crate) fn agent_with(
    dir: &Path,
    seed: u128,
    cluster: ClusterIntent,
    change: impl FnOnce(&mut Settings),
) -> Arc<App> {
    let config = NodeConfig {
        version: 1,
        install_id: uuid::Uuid::from_u128(seed),
        machine_id: format!("{seed:032x}"),
        hostname: format!("node-{seed}"),
        admin: Admin { password_hash: Some(hash_password(PASSWORD).unwrap()), ssh_keys: vec![] },
        network: Network {
            interfaces: vec![Interface {
                name: Some("lo".into()),
                addresses: vec!["127.0.0.1/8".into()],
                ..Interface::default()
            }],
            ..Network::default()
        },
        time: Time::default(),
        cluster,
        provision: None,
        disks: vec![],
    };
    let mut settings = settings(dir);
    change(&mut settings);
    fs::create_dir_all(&settings.state).unwrap();
    fs::create_dir_all(&settings.run).unwrap();
    fs::write(settings.node_file(), toml::to_string(&config).unwrap()).unwrap();
    start(settings, config)
}

/// The same agent after a restart: what it has on disk, and nothing else.
pub(crate) fn restarted(old: &App) -> Arc<App> {
    let text = fs::read_to_string(old.settings.node_file()).unwrap();
    start(old.settings.clone(), toml::from_str(&text).unwrap())
}

fn start(settings: Settings, config: NodeConfig) -> Arc<App> {
    let key = NodeKey::ensure(&settings.pki()).unwrap();
    let slot = server::TlsSlot::new(tls::stranger(&key, &key.self_signed("test").unwrap()).unwrap());
    let auth = Auth::new(config.admin.password_hash.clone()).unwrap();
    Arc::new(App::new(settings, config, None, key, slot, auth))
}

/// Serves an agent's API on its port until the test ends.
pub(crate) async fn serve(app: &Arc<App>) {
    serve_while(app).await.detach_all();
}

/// Serves an agent's API on its port for as long as the set lives.
pub(crate) async fn serve_while(app: &Arc<App>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let listener = server::listen(app.settings.listen, app.settings.port).await.unwrap();
    tasks.spawn(server::serve_tls(listener, app.tls.clone(), routes::public(Arc::clone(app))));
    let socket = server::listen_socket(&app.settings.socket()).unwrap();
    tasks.spawn(server::serve_socket(socket, routes::socket(Arc::clone(app))));
    tasks
}

fn settings(dir: &Path) -> Settings {
    let [port, record_port, record_peer_port] = free_ports();
    fs::create_dir_all(dir).unwrap();
    let gossip_port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let systemctl = dir.join("systemctl");
    // Stands in for systemd: starts etcd with the environment that the agent wrote, and ends it: as a crash does, or as
    // systemd does where there is a file `gently`.
    let script = format!(
        "#!/bin/sh\nalive() {{ kill -0 \"$(cat {dir}/etcd.pid 2>/dev/null)\" 2>/dev/null; }}\n\
         case \"$1 $2\" in\n\
         'start maekin-etcd.service')\n\
         alive && exit 0\n\
         set -a; . {dir}/run/etcd.env; set +a\n\
         setsid etcd >>{dir}/etcd.log 2>&1 </dev/null & echo $! >{dir}/etcd.pid;;\n\
         'stop maekin-etcd.service')\n\
         alive || exit 0\n\
         pid=$(cat {dir}/etcd.pid)\n\
         if [ -e {dir}/gently ]; then kill $pid; else kill -9 $pid; fi; while kill -0 $pid 2>/dev/null; do :; done;;\n\
         esac\n",
        dir = dir.display()
    );
    fs::write(&systemctl, script).unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    Settings {
        state: dir.join("state"),
        run: dir.join("run"),
        listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port,
        record_port,
        record_peer_port,
        record_quota: 256 << 20,
        gossip_port,
        systemctl: systemctl.display().to_string(),
        installer: dir.join("maekin-installer").display().to_string(),
        dmi: dir.join("dmi"),
        root: dir.join("root"),
        journalctl: dir.join("journalctl").display().to_string(),
    }
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Ends the etcd that was started in a directory, also when the test fails.
pub(crate) struct EndEtcd(pub(crate) PathBuf);

impl Drop for EndEtcd {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(self.0.join("etcd.pid")) {
            let _ = Cmd::new("kill").args(["-9", pid.trim()]).run(); // it may have ended by itself
        }
    }
}

/// Whether tests against a real etcd can run; says so when not.
pub(crate) fn have_etcd(test: &str) -> bool {
    maekin_lab::has(test, &["etcd"])
}

/// Whether tests can run that put a record back, for which etcd has a program of its own; says so when not.
pub(crate) fn have_etcdutl(test: &str) -> bool {
    maekin_lab::has(test, &["etcd", "etcdutl"])
}

/// Waits until an agent is a member.
pub(crate) async fn become_member(app: &Arc<App>) -> Arc<crate::app::Member> {
    let work = crate::membership::run(Arc::clone(app));
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("becomes a member in time");
    match app.member() {
        Ok(member) => member,
        Err(problem) => panic!("is no member: {problem:?}"),
    }
}

/// Has `app` show a certificate from now on that was made the day before, by the CA that `first` has on disk.
pub(crate) async fn made_yesterday(first: &App, record: &Record, app: &App) {
    let ca = crate::membership::signer::on_disk(first).unwrap().expect("a member that signs");
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let subject = Subject { node_id: &app.node_id, name: &app.config.hostname, addresses: &addresses };
    let yesterday = crate::clock::now() - 24 * 3600;
    let issued =
        crate::trust::issue::issue(record, &ca, app.key.public(), &subject, yesterday).await.unwrap();
    let pki = app.settings.pki();
    let old = Credentials::load(&pki, &app.key, &app.node_id).unwrap().expect("a member's");
    Credentials { cert: issued.pem, ..old }.store(&pki).unwrap();
}

/// An answer, read to its end.
pub(crate) struct Reply {
    /// HTTP status.
    pub(crate) status: u16,
    head: String,
    /// The body.
    pub(crate) body: String,
}

impl Reply {
    /// A header, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let with = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&with)).map(str::to_owned)
    }

    /// The short name of the problem.
    pub(crate) fn kind(&self) -> String {
        let problem: maekin_api::problem::Problem = self.json();
        problem.kind.trim_start_matches("urn:maekin:").to_owned()
    }

    /// The body as what it should be.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.body))
    }
}

/// A connection to an agent that is a member, as a stranger has it who knows the cluster's fingerprint.
pub(crate) async fn connect(app: &App) -> TlsStream<TcpStream> {
    let ca = app.member().ok().unwrap().cluster.ca_sha256.clone();
    let tls = TlsConnector::from(Arc::new(maekin_host::pin::client_config(&ca).unwrap()));
    let stream = TcpStream::connect(("127.0.0.1", app.settings.port)).await.unwrap();
    tls.connect(ServerName::try_from(SERVER_NAME).unwrap(), stream).await.unwrap()
}

/// Asks such an agent, with headers as whole lines.
pub(crate) async fn ask(app: &App, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
    let mut stream = connect(app).await;
    let mut lines = headers.join("\r\n");
    if !lines.is_empty() {
        lines.push_str("\r\n");
    }
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ =
        tokio::time::timeout(Duration::from_secs(30), read).await.expect("the server ends the connection");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}
