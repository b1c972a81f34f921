//! The install master of this node: its configuration, and its start. Every member runs one, from its own release: the
//! leader gives addresses and decides, the others stand by with the files. It runs also while nobody is let in: then it
//! tells machines to wait.
//!
//! | module | job |
//! | --- | --- |
//! | [`addresses`] | which machine has which address, in the record |
//! | [`config`] | the configuration file, planned |
//! | [`settings`] | what is handed out, in the record |

pub(crate) mod addresses;
mod config;
mod settings;

use std::collections::BTreeSet;
use std::path::Path;
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

use crate::app::{App, Member};
use crate::errors::chain;
use crate::node_info::own_address;
use crate::record::values::{NodeValue, ProvisionValue};
use crate::record::{Record, RecordError, keys};
use config::{Place, Release, Wanted, plan_config};
pub(crate) use settings::{SettingsError, ensure_recorded, get, read, set};

/// The unit; `rootfs` has its file.
const UNIT: &str = "maekin-pxe.service";
/// How often it is looked whether members came or went, and whether a start that failed is tried again.
const EVERY: Duration = Duration::from_secs(30);
/// How often it is looked whether this node still leads.
const LOOK: Duration = Duration::from_secs(1);
/// The install master could not be started.
#[derive(Debug, thiserror::Error)]
enum ProvisionError {
    #[error(
        "the interface of the cluster's network is not there; is its card in, and its name or address right?"
    )]
    NoInterface,
    #[error(
        "this node is on another network than the addresses that are handed out; see `GET /v1/provision`"
    )]
    Elsewhere,
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

/// What this node's install master does at this moment.
pub(crate) fn part(app: &App) -> InstallMaster {
    // An unreadable list shows nobody, as where nothing listens.
    let sockets = || std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    match app.leads() {
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

/// Keeps the install master running, in its part and with its reservations up to date, for as long as it is polled.
pub(crate) async fn run(app: Arc<App>, member: Arc<Member>) {
    let mut standing = app.watch_standing();
    let mut last = None;
    loop {
        let leads = app.leads();
        if let Err(e) = ensure(&app, &member, leads, &mut last).await {
            tracing::warn!(error = %chain(&e), "install master");
        }
        // A tenure can end without word of it, when nobody is there to say so.
        let changed = async {
            while app.leads() == leads {
                let _ = tokio::time::timeout(LOOK, standing.changed()).await; // its sender lives as long as `app`
            }
        };
        let _ = tokio::time::timeout(EVERY, changed).await; // then it is looked at everything again
    }
}

/// What an install master goes by.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    settings: ProvisionValue,
    nodes: Vec<NodeValue>,
    alive: BTreeSet<String>,
}

async fn read_known(record: &Record) -> Result<Option<Known>, RecordError> {
    let Some(settings) = record.get::<ProvisionValue>(keys::PROVISION).await? else { return Ok(None) };
    let nodes = record.list::<NodeValue>(keys::NODES).await?.into_iter().map(|n| n.value).collect();
    let alive = record.names(keys::ALIVE).await?.into_iter().collect();
    Ok(Some(Known { settings: settings.value, nodes, alive }))
}

/// What is gone by without asking the record: a node that led and does no longer stops with what it knew last, since it
/// may be cut off, and another one gives addresses by now. Pure.
fn plan_at_once(last: Option<&(Known, bool)>, leads: bool) -> Option<Known> {
    last.filter(|(_, led)| *led && !leads).map(|(known, _)| known.clone())
}

async fn ensure(
    app: &Arc<App>,
    member: &Member,
    leads: bool,
    last: &mut Option<(Known, bool)>,
) -> Result<(), ProvisionError> {
    let known = match plan_at_once(last.as_ref(), leads) {
        Some(known) => Some(known),
        None => read_known(&member.record).await?,
    };
    let Some(known) = known else { return Ok(()) };
    let (app, by) = (Arc::clone(app), known.clone());
    let work = move || ensure_blocking(&app, &by.settings, &by.nodes, &by.alive, leads);
    let outcome = tokio::task::spawn_blocking(work).await?;
    // A start that failed may have come to something, and a stop that failed is tried again: both are stopped later.
    if leads || outcome.is_ok() {
        *last = Some((known, leads));
    }
    outcome
}

fn ensure_blocking(
    app: &App,
    settings: &ProvisionValue,
    nodes: &[NodeValue],
    alive: &BTreeSet<String>,
    leads: bool,
) -> Result<(), ProvisionError> {
    let links = probe_links().unwrap_or_default();
    let network = app.network.in_force();
    let own = own_address(&network, &links).filter(|own| !own.interface.is_empty());
    let own = own.ok_or(ProvisionError::NoInterface)?;
    let release = mount_release(app)?;
    let place = Place {
        own: &own,
        links: &links,
        node_id: &app.node_id,
        release: &release,
        agent_socket: app.settings.socket(),
        state: &app.settings.state,
    };
    let wanted = Wanted { settings, nodes, alive, leads };
    let config = plan_config(&network, &place, &wanted).ok_or(ProvisionError::Elsewhere)?;
    let text = toml::to_string(&config)?;
    let path = app.settings.pxe_config();
    let same = path.exists() && read_text(&path, 1 << 20)? == text;
    if !same {
        write_atomic(&path, text.as_bytes(), 0o600)?;
    }
    // What runs is not restarted: that would cut off machines that are being installed. It takes up its part and new
    // reservations when it is told to read its configuration again.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_a_master_that_is_cut_off_stops_with_what_it_knew() {
        let known = |node: &str| Known {
            settings: ProvisionValue {
                pool_start: "10.77.0.100".parse().unwrap(),
                pool_end: "10.77.0.199".parse().unwrap(),
                router: None,
            },
            nodes: vec![NodeValue { id: node.to_owned(), ..NodeValue::default() }],
            alive: BTreeSet::new(),
        };
        let was = |leads| Some((known("old"), leads));
        // Name; what it went by last, and whether it led; whether it leads; what it goes by without asking.
        let rows = [
            ("it leads", was(true), true, None),
            ("it led: cut off, or another one was elected", was(true), false, Some(known("old"))),
            ("it follows", was(false), false, None),
            ("it is elected", was(false), true, None),
            ("it has just started", None, false, None),
        ];
        for (name, last, leads, want) in rows {
            assert_eq!(plan_at_once(last.as_ref(), leads), want, "{name}");
        }
    }

    #[test]
    fn netboot_a_master_serves_when_somebody_listens_where_machines_ask() {
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
}
