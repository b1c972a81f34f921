//! Firmware alone, without a drive: each kind of it reaches our kernel from `maekin-pxe`, and is told who it is. The
//! server runs in a network namespace of its own, in which the guests have their cables.
//!
//! What is served is the built release, but for the initrd: an empty one, so that a guest ends soon after its kernel
//! has said by which command line it was started.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::procs::{self, Life, Process};
use maekin_host::wait;
use maekin_qemu_tests::accel;
use maekin_qemu_tests::machine::Machine;
use maekin_qemu_tests::node::{BootFrom, Firmware, Nic, NodeSpec};
use maekin_qemu_tests::release::{self, Release};
use serde_json::Value;
use uuid::Uuid;

/// From power-on to the kernel's command line, by hardware virtualisation.
const KERNEL_LIMIT: Duration = Duration::from_secs(30);
/// A newc archive with nothing in it (cpio(5)).
const EMPTY_CPIO: &str = concat!(
    "07070100000000000000000000000000000000000000010000000000000000000000000000000000000000",
    "0000000B00000000TRAILER!!!\0\0\0\0"
);

/// A namespace with a bridge, on which the server is `10.77.0.1`.
struct Network {
    name: String,
    dir: PathBuf,
    server: Option<Process>,
}

impl Network {
    /// Makes it, with the server in it and a tap for each guest.
    fn start(taps: usize) -> Self {
        let name = format!("maekin-boot-{}", std::process::id());
        let dir = release::out().join("t").join("netboot");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("release")).unwrap();
        Cmd::new("ip").args(["netns", "add", &name]).run().unwrap();
        let mut network = Self { name, dir, server: None };
        network.ip("link add br0 type bridge forward_delay 0");
        network.ip("address add 10.77.0.1/24 dev br0");
        network.ip("link set br0 up");
        for n in 0..taps {
            network.ip(&format!("tuntap add tap{n} mode tap"));
            network.ip(&format!("link set tap{n} master br0 up"));
        }
        small_release(&Release::find().unwrap().bundle, &network.dir.join("release"));
        std::fs::write(network.dir.join("answer.toml"), "version = 1\n").unwrap();
        network.serve(taps);
        network
    }

    fn ip(&self, args: &str) {
        Cmd::new("ip").args(["-n", &self.name]).args(args.split(' ')).run().unwrap();
    }

    fn serve(&mut self, machines: usize) {
        let serve = Cmd::new("ip")
            .args(["netns", "exec", &self.name])
            .arg(release::workspace().join("target/release/maekin-pxe"))
            .args(["serve", "--interface", "br0", "--count", &machines.to_string()])
            .arg("--release")
            .arg(self.dir.join("release"))
            .arg("--answer")
            .arg(self.dir.join("answer.toml"))
            .arg("--state")
            .arg(self.dir.join("state"))
            .env("RUST_LOG", "debug");
        let (log, pid_file) = procs::files(&self.dir, "pxe");
        self.server = Some(procs::start(&serve, Life::WithUs, &log, &pid_file).unwrap());
        wait::until("the server to serve", Duration::from_secs(20), Duration::from_millis(50), || {
            self.log().contains("serving the network boot").then_some(())
        })
        .unwrap();
    }

    /// What the server has said.
    fn log(&self) -> String {
        std::fs::read_to_string(procs::files(&self.dir, "pxe").0).unwrap_or_default()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the server said:\n{}", self.log());
        }
        if let Some(server) = self.server.take() {
            let _ = server.end(Duration::from_secs(10)); // it dies with this process in any case
        }
        let _ = Cmd::new("ip").args(["netns", "del", &self.name]).run();
    }
}

/// The bundle `from` in `to` by links, with an empty initrd.
fn small_release(from: &Path, to: &Path) {
    let mut manifest: Value =
        serde_json::from_slice(&std::fs::read(from.join("manifest.json")).unwrap()).unwrap();
    for name in manifest["files"].as_object().unwrap().keys() {
        let file = to.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        if name == "initrd" {
            std::fs::write(&file, EMPTY_CPIO).unwrap();
        } else {
            std::os::unix::fs::symlink(from.join(name), &file).unwrap();
        }
    }
    manifest["files"]["initrd"]["size"] = EMPTY_CPIO.len().into();
    std::fs::write(to.join("manifest.json"), manifest.to_string()).unwrap();
    std::fs::write(to.join("manifest.json.minisig"), "altered by a test\n").unwrap();
}

/// A guest: its firmware, which way it shall boot, and what must be seen of it.
struct Row {
    name: &'static str,
    firmware: Firmware,
    /// UEFI HTTP boot instead of PXE.
    http: bool,
    /// What the server says that its firmware was told.
    told: &'static str,
}

const ROWS: [Row; 4] = [
    Row { name: "bios", firmware: Firmware::Bios, http: false, told: "iPXE on x86 BIOS loads its script" },
    Row {
        name: "secure",
        firmware: Firmware::SecureBoot,
        http: false,
        told: "x86-64 UEFI firmware loads shimx64.efi",
    },
    Row {
        name: "uefi",
        firmware: Firmware::Uefi,
        http: false,
        told: "x86-64 UEFI firmware loads shimx64.efi",
    },
    Row {
        name: "secure-http",
        firmware: Firmware::SecureBoot,
        http: true,
        told: "x86-64 UEFI HTTP boot firmware loads shim by HTTP",
    },
];

fn spec(network: &Network, n: usize, row: &Row) -> NodeSpec {
    let off = network.dir.join("off");
    std::fs::write(&off, "n").unwrap();
    // OVMF's own switches: without PXE it goes on with HTTP boot at once.
    let switches =
        ["IPv4PXESupport", "IPv6PXESupport"].map(|s| (format!("opt/org.tianocore/{s}"), off.clone()));
    NodeSpec {
        name: row.name.to_owned(),
        uuid: Uuid::from_u128(0x6d61_656b_696e_4000_8000_0000_0000_0000 + n as u128),
        firmware: row.firmware,
        vcpus: 1,
        memory_mib: 512,
        drives: Vec::new(),
        medium: None,
        nics: vec![Nic::Tap {
            mac: format!("52:54:00:77:00:{n:02x}"),
            namespace: network.name.clone(),
            interface: format!("tap{n}"),
        }],
        boot: vec![BootFrom::Nic(0)],
        oem_strings: Vec::new(),
        fw_cfg: if row.http { switches.to_vec() } else { Vec::new() },
    }
}

/// Boots one guest up to its kernel, and cuts its power.
fn boots(network: &Network, n: usize, row: &Row) {
    let spec = spec(network, n, row);
    let accel = accel::choose().0;
    let machine = Machine::new(&network.dir.join(row.name), Life::WithUs, accel);
    machine.power_on(&spec).unwrap();
    let mac = spec.nics[0].mac();
    let bootif = format!("BOOTIF=01-{}", mac.replace(':', "-"));
    let limit = KERNEL_LIMIT * accel.slowness();
    let mut serial = machine.serial();
    let line = serial.expect(&format!("the kernel of {}", row.name), "Command line: ", limit).unwrap();
    for word in ["maekin.install", "maekin.master=http://10.77.0.1:8480 ", "maekin.ticket=", &bootif] {
        assert!(line.contains(word), "{}: no {word} in {line}", row.name);
    }
    if row.firmware == Firmware::SecureBoot {
        serial.expect("Secure Boot, as the kernel sees it", "Secure boot enabled", limit).unwrap();
    }
    machine.power_off().unwrap();
    let log = network.log();
    let told = log.lines().any(|line| line.contains(row.told) && line.contains(mac));
    assert!(told, "{}: {} is not what it was told", row.name, row.told);
}

#[test]
fn firmware_of_every_kind_reaches_our_kernel() {
    let root = Cmd::new("id").arg("-u").text().unwrap().trim() == "0";
    if !root {
        eprintln!("SKIPPED: a network namespace takes root");
        return;
    }
    let network = Network::start(ROWS.len());
    let mut rows = ROWS.iter().enumerate().collect::<Vec<_>>();
    // Two at once: a guest waits for its firmware's timers half of the time.
    while !rows.is_empty() {
        let pair = rows.split_off(rows.len().saturating_sub(2));
        thread::scope(|scope| {
            for (n, row) in pair {
                let network = &network;
                scope.spawn(move || boots(network, n, row));
            }
        });
    }
    let log = network.log();
    assert!(log.contains("not there, and not needed"), "what shim does without is no news");
    assert!(!log.contains("no such file"), "everything asked for is known: {log}");
}
