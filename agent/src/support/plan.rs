//! What goes into a bundle. Pure.

use std::path::PathBuf;

use maekin_api as api;

use crate::settings::Settings;

/// Most bytes of one item.
pub(super) const MOST: usize = 16 << 20;

/// One file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Its name there.
    pub(super) name: String,
    pub(super) source: Source,
}

/// Where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// What a program says.
    Command(Vec<&'static str>),
    /// A file.
    File(PathBuf),
    /// What the agent answers.
    Api(&'static str),
    /// The node file, without what opens a door.
    NodeFile,
    /// This very text.
    Text(&'static str),
}

/// What somebody reads first.
const README: &str = "A support bundle of a Maekin node. Passwords, keys, tokens and secrets were taken out and stand as\n\
    [removed]. Names, addresses and serial numbers are in it. An item that could not be had says why.\n";

/// Programs asked, by the name of their item. None changes anything, and each gets a time limit.
const COMMANDS: &[(&str, &[&str])] = &[
    ("journal.txt", &["journalctl", "--no-pager", "--quiet", "--output=short-iso", "--lines=20000"]),
    (
        "journal-earlier-boot.txt",
        &["journalctl", "--no-pager", "--quiet", "--output=short-iso", "--boot=-1", "--lines=5000"],
    ),
    (
        "kernel.txt",
        &["journalctl", "--no-pager", "--quiet", "--output=short-monotonic", "--dmesg", "--lines=5000"],
    ),
    ("boots.txt", &["journalctl", "--no-pager", "--quiet", "--list-boots"]),
    ("versions/system.txt", &["uname", "-a"]),
    ("versions/agent.txt", &["maekin-agent", "--version"]),
    ("versions/etcd.txt", &["etcd", "--version"]),
    ("services/units.txt", &["systemctl", "--no-pager", "--all", "list-units"]),
    ("services/failed.txt", &["systemctl", "--no-pager", "--failed"]),
    ("services/agent.txt", &["systemctl", "--no-pager", "--lines=0", "status", "maekin-agent.service"]),
    ("record/service.txt", &["systemctl", "--no-pager", "--lines=0", "status", "maekin-etcd.service"]),
    (
        "record/journal.txt",
        &[
            "journalctl",
            "--no-pager",
            "--quiet",
            "--output=short-iso",
            "--unit=maekin-etcd.service",
            "--lines=5000",
        ],
    ),
    ("storage/drives.json", &["lsblk", "--json", "--bytes", "--output-all"]),
    ("storage/volumes.txt", &["lvs", "--all", "--units=b"]),
    ("storage/space.txt", &["df", "--human-readable"]),
    ("network/addresses.txt", &["ip", "-details", "-statistics", "address"]),
    ("network/routes.txt", &["ip", "route", "show", "table", "all"]),
    ("network/neighbours.txt", &["ip", "neighbour"]),
    ("network/links.txt", &["networkctl", "--no-pager", "--all", "status"]),
    ("network/names.txt", &["resolvectl", "--no-pager", "status"]),
    ("network/sockets.txt", &["ss", "--all", "--numeric", "--tcp", "--udp"]),
    ("time/clock.txt", &["timedatectl", "--no-pager", "show"]),
    ("time/servers.txt", &["timedatectl", "--no-pager", "timesync-status"]),
    ("machine/memory.txt", &["free", "--human"]),
    ("machine/processes.txt", &["ps", "-eo", "pid,ppid,user,rss,pcpu,stat,start,comm"]),
];

/// What the agent is asked.
const ANSWERS: &[(&str, &str)] = &[
    ("node.json", api::NODE),
    ("boot-drives.json", api::NODE_BOOT),
    ("cluster.json", api::CLUSTER),
    ("installs.json", api::INSTALLS),
    ("machines.json", api::MACHINES),
    ("provision.json", api::PROVISION),
    ("record/status.json", api::RECORD),
    ("record/backups.json", api::RECORD_BACKUPS),
    ("audit.json", api::AUDIT),
];

/// Files of the system.
const FILES: &[(&str, &str)] = &[
    ("versions/release.txt", "/etc/os-release"),
    ("storage/mirrors.txt", "/proc/mdstat"),
    ("storage/mounts.txt", "/proc/self/mounts"),
    ("machine/kernel-command-line.txt", "/proc/cmdline"),
    ("machine/processors.txt", "/proc/cpuinfo"),
    ("machine/interrupts.txt", "/proc/interrupts"),
    ("machine/pressure.txt", "/proc/pressure/io"),
];

/// Everything that goes in, in order.
pub(super) fn items(settings: &Settings) -> Vec<Item> {
    let item = |name: &str, source| Item { name: name.to_owned(), source };
    let mut items = vec![item("README.txt", Source::Text(README)), item("node.toml", Source::NodeFile)];
    items.extend(ANSWERS.iter().map(|(name, path)| item(name, Source::Api(path))));
    items.push(item("boot.json", Source::File(settings.boot_state())));
    for name in ["membership.json", "voter.json", "receipt.json"] {
        items.push(item(&format!("state/{name}"), Source::File(settings.state.join(name))));
    }
    items.extend(COMMANDS.iter().map(|(name, line)| item(name, Source::Command(line.to_vec()))));
    items.extend(FILES.iter().map(|(name, path)| item(name, Source::File(PathBuf::from(path)))));
    items
}
