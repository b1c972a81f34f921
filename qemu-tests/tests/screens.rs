//! A person at the serial line: from the first screen to a plan, the network tried on the way, an installation that
//! fails, and its log carried away on the stick.
#![allow(clippy::unwrap_used)] // a test fails by panicking

#[path = "screens/neighbour.rs"]
mod neighbour;

use std::path::Path;
use std::time::{Duration, Instant};

use maekin_host::cmd::Cmd;
use maekin_qemu_tests::disk;
use maekin_qemu_tests::machine::Machine;
use maekin_qemu_tests::node::{BootFrom, Firmware, Medium};
use maekin_qemu_tests::rack::{Plan, Rack, TestRack};
use maekin_qemu_tests::release::{Release, out};
use maekin_qemu_tests::terminal::Terminal;
use neighbour::Neighbour;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
// Arrows and Escape are pressed on the keyboard beside the screen, everything else is typed on the serial line: both
// work at once, and a busy host cannot cut an arrow's three bytes in two.
const DOWN: char = '\u{2193}';
const UP: char = '\u{2191}';
const RIGHT: char = '\u{2192}';
const LEFT: char = '\u{2190}';
const ESC: char = '\u{1b}';
/// What a screen may take to follow a key.
const SOON: Duration = Duration::from_secs(15);
/// What a trial of the network may take in all.
const TRIAL: Duration = Duration::from_secs(90);
/// Most bytes a second that an installation may send to a serial line: less than half of what 9600 baud carry.
const TRICKLE: u64 = 400;

/// The console, and pictures of the other one beside it, for whoever looks.
struct Person {
    terminal: Terminal,
    machine: Machine,
    soon: Duration,
    trial: Duration,
}

impl Person {
    fn at(rack: &TestRack) -> Self {
        let machine = rack.machine(&rack.nodes()[0]);
        let terminal = Terminal::new(machine.serial_log());
        Self { terminal, machine, soon: rack.limit(SOON), trial: rack.limit(TRIAL) }
    }

    /// Types `keys`, waits for all of `wanted`, and takes a picture of the screen by its name.
    fn press(&mut self, keys: &str, wanted: &[&str], picture: &str) -> String {
        self.press_within(keys, wanted, picture, self.soon)
    }

    fn press_within(&mut self, keys: &str, wanted: &[&str], picture: &str, limit: Duration) -> String {
        let mut typed = String::new();
        for key in keys.chars() {
            let name = match key {
                DOWN => "down",
                UP => "up",
                RIGHT => "right",
                LEFT => "left",
                ESC => "esc",
                other => {
                    typed.push(other);
                    continue;
                }
            };
            self.type_on_serial(&typed);
            typed.clear();
            self.machine.qmp().press(&[name]).unwrap();
            self.rest();
        }
        self.type_on_serial(&typed);
        let text = self.terminal.see(&format!("the screen after {keys:?}"), wanted, limit).unwrap();
        if !picture.is_empty() {
            let dir = out().join("screens");
            std::fs::create_dir_all(&dir).unwrap();
            self.machine.qmp().screendump(&dir.join(format!("{picture}.png"))).unwrap();
            std::fs::write(dir.join(format!("{picture}.txt")), &text).unwrap();
        }
        text
    }

    fn type_on_serial(&mut self, text: &str) {
        if !text.is_empty() {
            self.machine.serial().send(text).unwrap();
            self.rest();
        }
    }

    /// Keys of two keyboards keep their order only if the screens have followed: as long as something is drawn, it waits.
    fn rest(&mut self) {
        self.terminal.settle(self.soon).unwrap();
    }
}

#[test]
fn from_the_first_screen_to_a_saved_log() {
    let release = Release::find().unwrap();
    let plan = Plan { drives: vec![10 << 30; 2], ..Plan::single(Firmware::Bios) };
    let mut rack = Rack::for_test("screens", &plan, TOOL.as_ref()).unwrap();
    let stick = rack.dir().join("node-1").join("stick.iso");
    Cmd::new("cp").args(["--reflink=auto", "--"]).arg(&release.iso).arg(&stick).run().unwrap();
    rack.change("node-1", |node| node.medium = Some(Medium::Usb(stick.clone()))).unwrap();
    let _neighbour = Neighbour::plug_in(&rack).unwrap();
    rack.power_on_from("node-1", BootFrom::Medium).unwrap();

    let mut person = Person::at(&rack);
    let boot = rack.limit(Duration::from_secs(90));
    person.press_within("", &["> Install Maekin on this machine", "Drives: 2"], "welcome", boot);
    person.press("\n", &["Which drives?", "[1] vd", "[2] vd", "N01D0", "N01D1", "blank"], "drives");
    choose_names(&mut person);
    network_that_fails(&mut person);
    network_that_works(&mut person);
    nothing_is_left_of_the_trials(&mut person);
    for drive in &rack.nodes()[0].drives {
        assert!(disk::is_untouched(&drive.file).unwrap(), "{} before consent", drive.serial);
    }
    installation_that_fails(&mut person, &rack);
    person.type_on_serial("p");
    person.machine.wait_off("the power to go off", rack.limit(Duration::from_secs(60))).unwrap();

    let log = read_off(&stick, "logs/install-1.txt", rack.dir());
    for part in [
        "Maekin ",
        "failed: ",
        "N01D0",
        "N01D1",
        "== The plan",
        "== The machine",
        "== The journal",
        "systemd",
    ] {
        assert!(log.contains(part), "the log does not say {part:?}:\n{log:.2000}");
    }
    assert!(!log.contains("correct horse"), "a password is nobody's business");
}

fn choose_names(person: &mut Person) {
    person.press("\n", &["How is this node called", "> Host name"], "node");
    let password = format!("{DOWN}correct horse{DOWN}correct horse");
    person.press(&password, &["> Password again   *************_"], "");
    // The switch is heard, and the cables are seen.
    let heard = &["switch and its port", "leaf-3a Ethernet1/7 VLAN 20", "up"];
    person.press_within("\n\n", heard, "network", person.trial);
}

/// LACP with a switch that has none, a VLAN on it, large frames.
fn network_that_fails(person: &mut Person) {
    person.press(
        &RIGHT.to_string(),
        &["several ports as one", "> Uplink", "Ports            1 2_", "LACP (802.3ad)"],
        "",
    );
    person.press(&DOWN.to_string().repeat(4), &["> VLAN"], "");
    person.press(&format!("20{DOWN}9000{DOWN}{RIGHT}"), &["> Address          < fixed >"], "");
    person.press(&format!("{DOWN}10.20.0.5/24"), &["> IP and prefix    10.20.0.5/24_"], "network-bond");
    person.press("\n\n\n", &["Is it the first node of a new cluster?", "> Cluster"], "cluster");
    person.press("\n\n\n", &["Does this network work?", "> Try the network now"], "");
    let wanted = &[
        "BAD       LACP with the switch: the switch does not answer LACP",
        "leaf-3a Ethernet1/7",
        "> Change the network",
    ];
    person.press_within("\n", wanted, "trial-bad", person.trial);
}

/// First an address that somebody else has, then a free one.
fn network_that_works(person: &mut Person) {
    person.press("\n", &["> Name server"], "");
    person.press(&UP.to_string().repeat(9), &["> Uplink"], "");
    person.press(&LEFT.to_string(), &["> Uplink           < one port >"], "");
    person.press(
        &format!("{DOWN}{DOWN}\x7f\x7f{DOWN}\x7f\x7f\x7f\x7f"),
        &["VLAN             _", "> MTU              _"],
        "",
    );
    let address = format!("{DOWN}{DOWN}{}10.77.0.5/24{DOWN}10.77.0.254", "\x7f".repeat(12));
    person.press(&address, &["10.77.0.5/24_", "> Router           10.77.0.254_", "52:54:00:77:00:01 >"], "");
    person.press("\n\n", &["Is it the first node of a new cluster?"], "");
    person.press("\n", &["> Try the network now"], "");
    let taken =
        &["BAD       address 10.77.0.5: in use already, by 02:00:00:00:00:fe", "router 10.77.0.254: answers"];
    person.press_within("\n", taken, "trial-duplicate", person.trial);
    person.press("\n", &["> Name server"], "");
    person.press(&format!("{UP}{UP}\x7f\x7f\x7f\x7f6/24"), &["> IP and prefix    10.77.0.6/24_"], "");
    person.press("\n\n\n", &["Is it the first node of a new cluster?"], "");
    person.press("\n", &["> Try the network now"], "");
    let works = &["nobody else has it", "router 10.77.0.254: answers (02:00:00:00:00:fe)", "> Go on"];
    let text = person.press_within("\n", works, "trial-good", person.trial);
    assert!(!text.contains("BAD"), "{text}");
    person.press(
        "\n",
        &["The network was tried, and works.", "Nothing is lost", "Type the word install"],
        "plan",
    );
}

/// Back to the first screen, and into a shell there.
fn nothing_is_left_of_the_trials(person: &mut Person) {
    for page in ["Does this network work?", "new cluster?", "its port", "How is this node", "Which drives?"] {
        person.press(&ESC.to_string(), &[page], "");
    }
    person.press(&ESC.to_string(), &["> Install Maekin"], "");
    person.press(&format!("{DOWN}\n"), &["A shell on /dev/ttyS0; exit ends it.", ":/#"], "shell");
    let look = "ip -br addr; stty size; echo units-$(ls /run/systemd/network | wc -l)\n";
    let shell = person.press(look, &["units-0"], "");
    for gone in ["bond0", "vlan20", "10.77.0.6", "10.20.0.5"] {
        assert!(!shell.contains(gone), "{gone} is left:\n{shell}");
    }
    assert!(shell.contains("24 80"), "the shell knows the size of its terminal:\n{shell}");
    person.press("exit\n", &["> Shell"], "");
    person.press(&format!("{UP}\n"), &["Which drives?"], "");
    person.press("\n", &["How is this node called", "> SSH key"], "");
    person.press("\n", &["its port"], "");
    person.press("\n", &["new cluster?"], "");
    person.press("\n", &["Does this network work?", "answers"], "");
    person.press(&format!("{DOWN}{DOWN}\n"), &["Type the word install"], "");
}

fn installation_that_fails(person: &mut Person, rack: &TestRack) {
    let size = |person: &Person| std::fs::metadata(person.machine.serial_log()).unwrap().len();
    let (begin, before) = (Instant::now(), size(person));
    let wanted = &["] ", "left", "MB/s", "Step "];
    person.press_within("install\n", wanted, "progress", rack.limit(Duration::from_secs(60)));
    rack.break_drive("node-1", 1).unwrap();
    let wanted = &["! The installation failed.", "w: log to a stick"];
    person.press_within("", wanted, "failed", rack.limit(Duration::from_secs(120)));
    let (seconds, bytes) = (begin.elapsed().as_secs().max(1), size(person) - before);
    println!("{bytes} bytes in {seconds} s over the serial line");
    assert!(bytes / seconds <= TRICKLE, "{bytes} bytes in {seconds} s flood a serial line");
    person.press("w", &["The log is saved: logs/install-1.txt on", "MAEKIN"], "failed-saved");
    person.press("l", &["failed: ", "q: back"], "log");
    person.press("q", &["! The installation failed."], "");
}

/// A file of the FAT partition of a stick, read as another computer would.
fn read_off(stick: &Path, name: &str, dir: &Path) -> String {
    let starts = Cmd::new("partx").args(["--raw", "--noheadings", "--output", "START"]).arg(stick);
    let copy = dir.join("copy.txt");
    let found = starts.text().unwrap().split_whitespace().any(|start| {
        let image = format!("{}@@{}", stick.display(), start.parse::<u64>().unwrap() * 512);
        Cmd::new("mcopy").args(["-n", "-i", &image, &format!("::{name}")]).arg(&copy).run().is_ok()
    });
    assert!(found, "{name} is on no partition of {}", stick.display());
    std::fs::read_to_string(copy).unwrap()
}
