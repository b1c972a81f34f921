use super::*;
use crate::console::clock::Clock;
use crate::console::model::{Bundle, Console, Presence, Prompt, PromptKind, Snapshot, Standing, Sticks};
use crate::support::stick::{Refused, Stick};
use maekin_api::alarm::{Alarm, Severity};
use maekin_api::boot_drives::{BootDrives, Comparison, Drive, Esp, Half, HalfState, Heal, Proof, State};
use maekin_api::cluster::{Cluster, Member, MemberState};
use maekin_api::install::{Install, Progress, SeenMachine, WindowState};
use maekin_api::machine::Inventory;
use maekin_api::machine::inventory::{Dmi, Drive as Disk};
use maekin_api::node::{Array, Boot, Interface, LocalPool, Membership, Node};
use maekin_api::nodes::{InMaintenance, NodeState};
use maekin_api::storage::NodeStorage;
use maekin_api::tasks::UnderWay;

/// The golden screens lie beside this file; `MAEKIN_BLESS=1` writes them anew.
fn check(name: &str, model: &Model) {
    let buffer = render(model, 1_000_000);
    let text: String = (0..HEIGHT)
        .map(|y| {
            let line: String = (0..WIDTH).map(|x| buffer[(x, y)].symbol()).collect();
            format!("{}\n", line.trim_end())
        })
        .collect();
    let path = format!("{}/src/console/view/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("MAEKIN_BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name}: the screen is another one; got\n{text}");
}

fn array(name: &str, in_sync: u32, action: &str) -> Array {
    Array { name: name.into(), wanted: 2, in_sync, action: action.into() }
}

fn node() -> Node {
    Node {
        install_master: maekin_api::node::InstallMaster::default(),
        quorum: maekin_api::node::Quorum::default(),
        id: "12f07768-21c8-5fbc-ba5c-2473ab2f6ef4".into(),
        name: "node-1".into(),
        version: "0.1.0".into(),
        key: "throw-away".into(),
        slot: "a".into(),
        firmware: "uefi".into(),
        secure_boot: None,
        urls: vec!["https://10.77.0.1:8443".into(), "https://10.0.2.15:8443".into()],
        interfaces: vec![
            Interface {
                name: "ens3".into(),
                mac: "52:54:00:00:00:01".into(),
                up: true,
                addresses: vec!["10.77.0.1/24".into(), "fd00::1/64".into()],
            },
            Interface { name: "ens4".into(), mac: "52:54:00:00:00:02".into(), up: false, addresses: vec![] },
        ],
        boot_drives: boot_drives(),
        alarms: vec![],
        boot: Boot {
            disks: vec![],
            arrays: ["maekin-a", "maekin-b", "maekin-state", "maekin-data"]
                .map(|n| array(n, 2, "idle"))
                .into(),
        },
        local_pool: LocalPool::Ready { size: 5 << 30 },
        storage: None,
        membership: Membership::Member { cluster_id: "c".into(), cluster: "rack".into() },
        maintenance: None,
        tasks: vec![],
        uptime_s: 60,
        time: 1_000_000,
    }
}

fn drive(number: u8, proved: Option<u64>) -> Drive {
    let half = |array: &str| Half { array: array.into(), state: HalfState::InSync };
    Drive {
        number,
        serial: format!("S3Z8NB0K10{number}"),
        device: Some("/dev/sda".into()),
        answers: true,
        halves: vec![half("maekin-a"), half("maekin-state")],
        esp: Esp::Whole { verified: 1 },
        proved: proved.map(|at| Proof { at, version: "0.1.0".into() }),
        ..Drive::default()
    }
}

fn boot_drives() -> BootDrives {
    let drives = vec![drive(1, Some(999_000)), drive(2, None)];
    BootDrives { state: State::Whole, drives, ..BootDrives::default() }
}

fn alarm(id: &str, severity: Severity, what: &str, remedy: &str) -> Alarm {
    Alarm { id: id.into(), severity, since: 999_990, what: what.into(), remedy: remedy.into() }
}

fn member(n: usize, state: MemberState) -> Member {
    Member {
        id: format!("id-{n}"),
        name: format!("node-{n}"),
        address: format!("10.77.0.{n}"),
        url: format!("https://10.77.0.{n}:8443"),
        state,
        version: "0.1.0".into(),
        voter: n == 1,
        joined_at: 1,
        key_sha256: "k".into(),
        roles: vec![],
        maintenance: None,
    }
}

fn install(n: usize, progress: Progress) -> Install {
    Install {
        ticket: "t".into(),
        hostname: format!("node-{n}"),
        mac: format!("52:54:00:00:01:0{n}"),
        uuid: None,
        progress,
        created_at: 1,
        updated_at: 2,
        ..Install::default()
    }
}

/// A member on which nothing goes on.
pub(crate) fn quiet() -> Snapshot {
    let mut snapshot = whole().snapshot;
    snapshot.installs.clear();
    snapshot.machines.clear();
    if let Some(cluster) = &mut snapshot.cluster {
        cluster.install_window.open = false;
    }
    snapshot
}

fn whole() -> Model {
    let cluster = Cluster {
        id: "e46b63f8-07a9-5d19-af63-bdd1b9c21ff9".into(),
        name: "rack".into(),
        ca_change: None,
        ca_sha256: "36b74e118798932fa8d98a25c6de489d295aea2f0e2de276156bb725394be7cf".into(),
        created_at: 1,
        nodes: vec![member(1, MemberState::Ready), member(2, MemberState::Unreachable)],
        install_window: WindowState { open: true, until: 1_000_000 + 90, left: 15 },
        leader: None,
    };
    let machine = SeenMachine {
        mac: "52:54:00:00:01:09".into(),
        uuid: None,
        arch: 7,
        code: "867-046".into(),
        first_seen: 1,
        last_seen: 999_990,
        inventory: Some(Inventory {
            memory: 64 << 30,
            dmi: Dmi { vendor: "HPE".into(), serial: "CZ3100".into(), ..Dmi::default() },
            disks: vec![Disk { size: 2_000_000_000_000, ..Disk::default() }],
            ..Inventory::default()
        }),
        ..SeenMachine::default()
    };
    let gone = SeenMachine { mac: "52:54:00:00:01:08".into(), last_seen: 5, ..machine.clone() };
    let snapshot = Snapshot {
        node: Some(node()),
        cluster: Some(cluster),
        installs: vec![
            install(3, Progress::Installing { step: "writing system".into(), percent: 40 }),
            install(4, Progress::Failed { reason: "no disk\u{1b}[2J of 8 GiB".into() }),
            install(2, Progress::Joined),
        ],
        machines: vec![machine, gone],
        ..Snapshot::default()
    };
    Model { snapshot, ..Model::default() }
}

#[test]
fn screens_look_as_agreed() {
    check("status", &whole());
    check("network", &Model { page: Page::Network, selected: 1, ..whole() });
    check("cluster", &Model { page: Page::Cluster, selected: 2, ..whole() });
    check("install", &Model { page: Page::Window, selected: 3, ..whole() });
    check("join", &Model { page: Page::Join, selected: 9, ..whole() });
    check("help", &Model { page: Page::Help, selected: 12, ..whole() });
    let logs = (1..=40).map(|n| format!("line {n} {}", "x".repeat(90))).collect();
    check("logs", &Model { page: Page::Logs, selected: 4, logs, scroll: 2, ..whole() });
    let password = Prompt { console: 0, kind: PromptKind::Password, typed: "secret".into() };
    let minutes = Prompt { console: 0, kind: PromptKind::Minutes, typed: "90".into() };
    check("minutes", &Model { page: Page::Window, prompt: Some(minutes), selected: 3, ..whole() });
    check("password", &Model { prompt: Some(password), selected: 5, ..whole() });
    let confirm = Prompt { console: 0, kind: PromptKind::Confirm("poweroff"), typed: "pow".into() };
    check("poweroff", &Model { prompt: Some(confirm), selected: 7, ..whole() });
    check("shell", &Model { shell_on: Some("/dev/ttyS0".into()), selected: 5, ..whole() });
}

/// A rack whose menu knows everything: consoles, clock, sticks.
fn cared_for() -> Model {
    let console = |path: &str, local| Console { path: path.into(), local };
    let stick = |device: &str, label: &str| Stick {
        device: device.into(),
        fstype: "vfat".into(),
        label: label.into(),
        model: "Cruzer Blade".into(),
        size: 16_000_000_000,
    };
    let refused =
        Refused { device: "/dev/sdd".into(), reason: "sdd3 has a part in something else (ceph)".into() };
    let sticks = Sticks {
        sticks: vec![stick("/dev/sdb3", "MAEKIN"), stick("/dev/sdc1", "")],
        refused: vec![refused],
        problem: String::new(),
    };
    let clock = Clock {
        zone: "Etc/UTC".into(),
        board: "Fri 1970-01-12 13:46:41 UTC".into(),
        asks: true,
        synchronised: true,
        servers: "ntp.example 10.0.0.1".into(),
        server: "10.0.0.1 (ntp.example)".into(),
        offset: "+1.049ms".into(),
        stratum: "2".into(),
        answers: 60,
        read: 1_000_000,
        ..Clock::default()
    };
    Model {
        consoles: vec![console("/dev/tty1", true), console("/dev/ttyS0", true)],
        sticks: Some(sticks),
        clock: Some(clock),
        ..whole()
    }
}

#[test]
fn console_pages_of_care_look_as_agreed() {
    let page = |page, selected| Model { page, selected, ..cared_for() };
    let prompt = |kind, typed: &str| Some(Prompt { console: 0, kind, typed: typed.into() });
    let time = page(Page::Time, 8);
    check("time", &time);
    let alone = Clock {
        servers: String::new(),
        fallback: "0.debian.pool.ntp.org".into(),
        asks: true,
        ..Clock::default()
    };
    check(
        "time-alone",
        &Model {
            clock: Some(alone),
            prompt: prompt(PromptKind::ClockSure { at: 1_795_212_000 }, "se"),
            ..time
        },
    );
    let lost = Clock {
        problem: "`timedatectl --no-pager show` failed (exit status: 1): no bus".into(),
        ..Clock::default()
    };
    check("time-unknown", &Model { clock: Some(lost), ..page(Page::Time, 8) });
    check("support", &page(Page::Support, 10));
    let done = "maekin-support-node-1-20261120-220000.tar.zst on /dev/sdb3 (MAEKIN, Cruzer Blade, 16.0 GB): 2.3 MB, 46 \
        items, 4 s";
    check("support-written", &Model { bundle: Bundle::Done(done.into()), ..page(Page::Support, 10) });
    let running = Bundle::Running("network/links.txt (23 of 46)".into());
    check(
        "support-no-stick",
        &Model { bundle: running, sticks: Some(Sticks::default()), ..page(Page::Support, 10) },
    );
    let password = page(Page::Password, 11);
    check("reset", &Model { prompt: prompt(PromptKind::NewPassword, "correct horse"), ..password.clone() });
    check(
        "reset-button",
        &Model { presence: Some(Presence { console: 0, until: 1_000_041 }), ..password.clone() },
    );
    check("reset-afar", &Model { consoles: vec![], ..password });
    let token = Some(format!("maekin-join-{}", "abcdefgh-".repeat(24)));
    check("join-token", &Model { token, ..page(Page::Join, 9) });
    let long = "maekin-join-".repeat(30);
    check("join-typed", &Model { prompt: prompt(PromptKind::Token, &long), ..page(Page::Join, 9) });
}

#[test]
fn console_storage_says_how_full_it_is() {
    let line = |volumes, used_share| {
        let mut model = whole();
        if let Some(node) = &mut model.snapshot.node {
            node.storage = Some(NodeStorage { volumes, used_share, ..NodeStorage::default() });
        }
        let buffer = render(&model, 1_000_000);
        let text = |y| (0..WIDTH).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..HEIGHT).map(text).find(|line| line.contains("Local pool")).unwrap().trim_end().to_owned()
    };
    for (volumes, used_share, want) in [
        (0, 9900, "ready, 5.0 GiB"),
        (1, 49, "ready, 5.0 GiB, 0% used, 1 volume"),
        (3, 8123, "ready, 5.0 GiB, 81% used, 3 volumes"),
    ] {
        assert!(line(volumes, used_share).ends_with(want), "{}", line(volumes, used_share));
    }
}

#[test]
fn troubles_look_as_agreed() {
    let mut degraded = whole();
    if let Some(node) = &mut degraded.snapshot.node {
        let drives = vec![Drive { device: None, ..drive(1, None) }, drive(2, Some(999_000))];
        node.boot_drives = BootDrives { state: State::Degraded, drives, ..BootDrives::default() };
        let gone = "Boot drive 1 (serial S3Z8NB0K101) is gone; the node runs on the other one.";
        let put = "Put in a blank drive of 480 GiB or more; the node makes it whole by itself.";
        node.alarms = vec![alarm("boot-drive-1-missing", Severity::Critical, gone, put)];
        node.local_pool =
            LocalPool::Failed { reason: "the data array carries ext4; it is left alone".into() };
        node.urls.clear();
    }
    check("degraded", &degraded);
    let mut maintained = whole();
    let since = InMaintenance { reason: "a fan is replaced".into(), since: 999_400, by: "eva".into() };
    if let Some(node) = &mut maintained.snapshot.node {
        node.maintenance = Some(since.clone());
        let task = |n: u8, kind: &str, subject: &str, owner: &str| UnderWay {
            id: format!("{n}"),
            kind: kind.into(),
            subject: subject.into(),
            owner: owner.into(),
        };
        node.tasks = vec![
            task(1, "drain", "node-1", "node-2"),
            task(2, "backup", "", "node-2"),
            task(3, "compare-boot-drives", &"node".repeat(20), ""),
            task(4, "power-cycle", "52:54:00:00:00:01", "node-3"),
        ];
    }
    if let Some(cluster) = &mut maintained.snapshot.cluster {
        cluster.nodes.iter_mut().for_each(|member| member.maintenance = Some(since.clone()));
    }
    check("maintenance", &maintained);
    check("maintenance-members", &Model { page: Page::Cluster, selected: 2, ..maintained });
    let mut healing = degraded.clone();
    if let Some(node) = &mut healing.snapshot.node {
        let mut new = drive(1, None);
        new.serial = "NEW0001".into();
        new.halves[0].state = HalfState::Rebuilding;
        let heal = Heal::Running { step: "reading the system back from vda3".into(), percent: 40, since: 1 };
        let drives = vec![new, drive(2, Some(999_000))];
        node.boot_drives = BootDrives { state: State::Healing, drives, heal, ..BootDrives::default() };
        let what = "Boot drive 1 (serial NEW0001) is not up to date: maekin-a.";
        let wait = "It is being brought up to date; leave both drives in.";
        node.alarms = vec![alarm("boot-drive-1-out", Severity::Critical, what, wait)];
    }
    check("healing", &healing);
    let mut many = degraded.clone();
    if let Some(node) = &mut many.snapshot.node {
        node.boot_drives.drives[1].esp = Esp::Damaged { verified: 1, reason: "x".into() };
        node.boot_drives.state = State::AtRisk;
        for n in 0..4 {
            let what =
                "The halves of maekin-state differ in 128 sectors, and this is a long line to be wrapped.";
            node.alarms.push(alarm(&format!("w{n}"), Severity::Warning, what, "Look at both drives."));
        }
    }
    check("alarms", &many);
    let mut joining = whole();
    joining.snapshot.cluster = None;
    if let Some(node) = &mut joining.snapshot.node {
        let last_error = "no master let this node in".into();
        node.membership =
            Membership::Working { step: "asking https://10.77.0.1:8443 to be let in".into(), last_error };
    }
    check("joining", &joining);
    check("join-waiting", &Model { page: Page::Join, selected: 9, ..joining });
    let mut cut_off = whole();
    cut_off.snapshot.cluster = None;
    cut_off.snapshot.problem =
        "The cluster's record cannot be used (HTTP 503): the cluster's record gave no \
        answer within 5 s; are its voters (https://10.77.0.1:2379) up and reachable?"
            .into();
    check("cut-off", &cut_off);
    check("message", &Model { message: cut_off.snapshot.problem, ..whole() });
    let problem = "cannot reach the agent at /run/maekin/agent.sock: No such file or directory".into();
    check("no-agent", &Model { snapshot: Snapshot { problem, ..Snapshot::default() }, ..Model::default() });
}

#[test]
fn console_a_rack_that_proved_its_mirror_says_so_and_names_who_is_missing() {
    let mut proved = whole();
    if let Some(node) = &mut proved.snapshot.node {
        let drives = vec![drive(1, Some(999_000)), drive(2, Some(400_000))];
        let comparison = Comparison { last: Some(900_000), next: Some(3_500_000), ..Comparison::default() };
        node.boot_drives = BootDrives { drives, comparison, ..node.boot_drives.clone() };
    }
    check("proved", &proved);
    if let Some(node) = &mut proved.snapshot.node {
        node.boot_drives.comparison.differ = vec![("maekin-state".into(), 128), ("maekin-a".into(), 8)];
    }
    if let Some(cluster) = &mut proved.snapshot.cluster {
        cluster.nodes = (1..=40).map(many).collect();
        cluster.leader = Some("id-1".into());
    }
    check("many-missing", &proved);
    proved.snapshot.standings = (1..=40).map(|n| (format!("id-{n}"), standing(n))).collect();
    let page = Model { page: Page::Cluster, selected: 2, ..proved };
    check("members", &page);
    check("members-scrolled", &Model { scroll: 20, ..page.clone() });
    check("members-end", &Model { scroll: 10_000, ..page });
}

/// How those are: some that are away are suspect only.
fn standing(n: usize) -> Standing {
    let (state, why) = match n {
        6 => (NodeState::Suspect, "it did not answer, and has a moment to object"),
        n if n.is_multiple_of(3) => (NodeState::Unreachable, "it answers neither this node nor others"),
        _ => (NodeState::Ready, "it answers"),
    };
    Standing { state, since: 1_000_000 - 1000 * n as u64, why: why.into() }
}

/// Members with names and addresses of every length, each third one away.
fn many(n: usize) -> Member {
    let state = if n.is_multiple_of(3) { MemberState::Unreachable } else { MemberState::Ready };
    let name = if n.is_multiple_of(5) { format!("node-{n}-{}", "x".repeat(50)) } else { format!("node-{n}") };
    let address = if n.is_multiple_of(7) {
        format!("2001:db8:aaaa:bbbb:cccc:dddd:eeee:{n:04x}")
    } else {
        format!("10.77.0.{n}")
    };
    Member { name, address, ..member(n, state) }
}

#[test]
fn nothing_but_plain_text_reaches_a_terminal() {
    let buffer = render(&Model { page: Page::Window, ..whole() }, 1_000_000);
    assert!(buffer.content.iter().all(|cell| cell.symbol().bytes().all(|b| (b' '..=b'~').contains(&b))));
}

pub(crate) mod cluster;
mod hostile;
mod network;
