//! The install master of this node: its configuration, and its start. Runs wherever the node file says so, also while
//! nobody is let in: then it tells machines to wait.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use maekin_api::boot_drives::{Drive, Esp, HalfState, State};
use maekin_api::node::InstallMaster;
use maekin_host::block::partition_path;
use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_host::links::probe_links;
use maekin_host::mount::{Access, MountError, attach, mounts_of};
use maekin_image::ids::Array;
use maekin_image::layout::Part;
use maekin_image::manifest::PUBLIC_KEY_PATH;
use maekin_rootfs::node::NodeConfig;
use serde::Serialize;

use crate::app::{App, Member};
use crate::errors::chain;
use crate::node_info::{Own, own_address};
use crate::record::values::NodeValue;
use crate::record::{RecordError, keys};

/// The unit; `rootfs` has its file.
const UNIT: &str = "maekin-pxe.service";
/// How often it is looked whether members came or went, and whether a start that failed is tried again.
const EVERY: Duration = Duration::from_secs(30);
/// Where leases outlive the master.
const LEASES: &str = "pxe/leases";

/// The install master could not be started.
#[derive(Debug, thiserror::Error)]
enum ProvisionError {
    #[error(
        "the interface of the cluster's network is not there; is its card in, and its name or address right?"
    )]
    NoInterface,
    #[error("this node has no mounted EFI system partition to serve the release from")]
    NoRelease,
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("cannot write the install master's configuration")]
    Toml(#[from] toml::ser::Error),
    #[error("the install master does not start; see `journalctl -u maekin-pxe`")]
    Service(#[source] CmdError),
    #[error("the work ended early")]
    Lost(#[from] tokio::task::JoinError),
}

/// The configuration file as `maekin-pxe` reads it.
#[derive(Debug, Serialize)]
struct PxeConfig {
    interface: String,
    address: String,
    pool_start: Ipv4Addr,
    pool_end: Ipv4Addr,
    #[serde(skip_serializing_if = "Option::is_none")]
    router: Option<Ipv4Addr>,
    dns: Vec<Ipv4Addr>,
    release_dir: PathBuf,
    root_path: PathBuf,
    release_key: &'static str,
    agent_socket: PathBuf,
    lease_file: PathBuf,
    reservation: Vec<Reservation>,
}

#[derive(Debug, Serialize)]
struct Reservation {
    mac: String,
    address: Ipv4Addr,
}

/// Where the release of this node can be read.
#[derive(Debug, Clone)]
struct Release {
    dir: PathBuf,
    root: PathBuf,
}

/// What this node's install master does at this moment.
pub(crate) fn part(config: &NodeConfig) -> InstallMaster {
    // An unreadable list shows nobody, as where nothing listens.
    let sockets = || std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    match config.provision.is_some() {
        false => InstallMaster::Standby,
        true if hears_dhcp(&sockets()) => InstallMaster::Serving,
        true => InstallMaster::Starting,
    }
}

/// Whether somebody listens on port 67, by the kernel's list of UDP sockets (proc_net(5)). Pure.
fn hears_dhcp(sockets: &str) -> bool {
    let local = |line: &str| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(":0043"));
    sockets.lines().skip(1).any(local)
}

/// Keeps the install master running, and its reservations up to date, for as long as it is polled.
pub(crate) async fn run(app: Arc<App>, member: Arc<Member>) {
    if app.config.provision.is_none() {
        return;
    }
    loop {
        if let Err(e) = ensure(&app, &member).await {
            tracing::warn!(error = %chain(&e), "install master");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn ensure(app: &Arc<App>, member: &Member) -> Result<(), ProvisionError> {
    let nodes: Vec<_> =
        member.record.list::<NodeValue>(keys::NODES).await?.into_iter().map(|n| n.value).collect();
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || ensure_blocking(&app, &nodes)).await?
}

fn ensure_blocking(app: &App, nodes: &[NodeValue]) -> Result<(), ProvisionError> {
    let links = probe_links().unwrap_or_default();
    let own = own_address(&app.config, &links).filter(|own| !own.interface.is_empty());
    let own = own.ok_or(ProvisionError::NoInterface)?;
    let release = mount_release(app)?;
    let config = plan_config(&app.config, &own, &release, nodes, app.settings.socket(), &app.settings.state);
    let text = toml::to_string(&config.ok_or(ProvisionError::NoInterface)?)?;
    let path = app.settings.pxe_config();
    let same = path.exists() && read_text(&path, 1 << 20)? == text;
    if !same {
        write_atomic(&path, text.as_bytes(), 0o600)?;
    }
    // What runs is not restarted: that would cut off machines that are being installed. It takes up new reservations
    // when it is told to read its configuration again.
    let verb = if same { "start" } else { "reload-or-restart" };
    Cmd::new(&app.settings.systemctl).args([verb, UNIT]).run().map_err(ProvisionError::Service)
}

/// The release that runs this node, read-only: what lies on the ESP, and the system slot itself for the root image.
fn mount_release(app: &App) -> Result<Release, ProvisionError> {
    let boot = app.boot.as_ref().ok_or(ProvisionError::NoRelease)?;
    let array = if boot.slot == "b" { Array::SystemB } else { Array::SystemA };
    let target = app.settings.run.join("esp");
    let dir = target.join("maekin").join(&boot.slot);
    let root = maekin_host::md::device(array.name());
    let mut last = None;
    if !dir.is_dir() {
        for esp in esps(app, &boot.esp) {
            if mounts_of(|device| device == esp).contains(&target) {
                break;
            }
            match attach(&esp, "vfat", &target, Access::ReadOnly, "nosuid,nodev,noexec") {
                Ok(()) => break,
                Err(e) => last = Some(e),
            }
        }
    }
    match last {
        _ if dir.is_dir() => Ok(Release { dir, root }),
        Some(e) => Err(e.into()),
        None => Err(ProvisionError::NoRelease),
    }
}

/// EFI system partitions that the release can be read from: those of drives that are well now, and of all that there were
/// at the start while nothing is known about them yet.
fn esps(app: &App, at_start: &[String]) -> Vec<String> {
    let report = app.boot_drives.report();
    if report.state == State::Unknown {
        return at_start.to_vec();
    }
    let well = |drive: &&Drive| {
        let in_sync = drive.halves.iter().all(|half| half.state == HalfState::InSync);
        drive.answers && in_sync && !matches!(drive.esp, Esp::Damaged { .. })
    };
    let esp = |device: &String| partition_path(Path::new(device), Part::Esp.number()).display().to_string();
    report.drives.iter().filter(well).filter_map(|drive| drive.device.as_ref().map(esp)).collect()
}

/// The configuration that follows from the node file; `None` where it provisions nothing or has no fixed address.
fn plan_config(
    config: &NodeConfig,
    own: &Own,
    release: &Release,
    nodes: &[NodeValue],
    agent_socket: PathBuf,
    state: &Path,
) -> Option<PxeConfig> {
    let provision = config.provision.as_ref()?;
    let v4 = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    };
    let reservation = nodes
        .iter()
        .filter(|node| !node.mac.is_empty())
        .filter_map(|node| Some(Reservation { mac: node.mac.clone(), address: node.address.parse().ok()? }))
        .collect();
    Some(PxeConfig {
        interface: own.interface.clone(),
        address: config.network.interfaces.first()?.addresses.first()?.clone(),
        pool_start: provision.pool_start,
        pool_end: provision.pool_end,
        router: provision.router,
        dns: config.network.dns.iter().filter_map(v4).collect(),
        release_dir: release.dir.clone(),
        root_path: release.root.clone(),
        release_key: PUBLIC_KEY_PATH,
        agent_socket,
        lease_file: state.join(LEASES),
        reservation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_serves_when_somebody_listens_where_machines_ask() {
        let head = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
        let socket =
            |at: &str| format!("  271: {at} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0\n");
        let rows = [
            ("nobody", head.to_owned(), false),
            ("a client of DHCP", format!("{head}{}", socket("00000000:0044")), false),
            (
                "a server among others",
                format!("{head}{}{}", socket("0100007F:0035"), socket("00000000:0043")),
                true,
            ),
            ("an address that looks so", format!("{head}{}", socket("00430043:0045")), false),
            ("not a list", "0043".to_owned(), false),
        ];
        for (name, sockets, want) in rows {
            assert_eq!(hears_dhcp(&sockets), want, "{name}");
        }
    }

    #[test]
    fn the_configuration_has_the_documented_keys() {
        let config: NodeConfig = toml::from_str(
            r#"
            version = 1
            install_id = "00000000-0000-0000-0000-000000000007"
            machine_id = "0123456789abcdef0123456789abcdef"
            hostname = "node-1"
            network = { interface = [{ name = "ens3", addresses = ["10.77.0.1/24"] }], dns = ["9.9.9.9", "fd00::9"] }
            cluster = { mode = "create", name = "rack" }
            provision = { pool_start = "10.77.0.100", pool_end = "10.77.0.199" }
            "#,
        )
        .unwrap();
        let own = Own {
            address: "10.77.0.1".parse().unwrap(),
            mac: "52:54:00:00:00:01".into(),
            interface: "ens3".into(),
        };
        let release = Release { dir: "/run/maekin/esp/maekin/a".into(), root: "/dev/md/maekin-a".into() };
        let node = |mac: &str, address: &str| NodeValue {
            address: address.into(),
            mac: mac.into(),
            ..NodeValue::default()
        };
        let nodes = [node("52:54:00:00:00:02", "10.77.0.100"), node("", "10.77.0.3"), node("a", "fd00::1")];
        let got =
            plan_config(&config, &own, &release, &nodes, "/run/a.sock".into(), Path::new("/var/lib/maekin"));
        let got: toml::Table = toml::to_string(&got.unwrap()).unwrap().parse().unwrap();
        let want: toml::Table = r#"
            interface = "ens3"
            address = "10.77.0.1/24"
            pool_start = "10.77.0.100"
            pool_end = "10.77.0.199"
            dns = ["9.9.9.9"]
            release_dir = "/run/maekin/esp/maekin/a"
            root_path = "/dev/md/maekin-a"
            release_key = "/usr/share/maekin/release.pub"
            agent_socket = "/run/a.sock"
            lease_file = "/var/lib/maekin/pxe/leases"
            [[reservation]]
            mac = "52:54:00:00:00:02"
            address = "10.77.0.100"
        "#
        .parse()
        .unwrap();
        assert_eq!(got, want);
    }
}
