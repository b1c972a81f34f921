//! A node as QEMU's argument vector. Pure: no file is opened here, and the same node gives the same vector.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::accel::Accel;
use crate::node::{BootFrom, Bus, Drive, Firmware, Medium, Nic, NodeSpec};

/// The files of one node, all in its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFiles {
    /// The directory.
    pub dir: PathBuf,
    /// UEFI variables.
    pub nvram: PathBuf,
    /// Unix socket of the serial line; one client at a time.
    pub serial_socket: PathBuf,
    /// All that ever came over the serial line.
    pub serial_log: PathBuf,
    /// Unix socket of the machine protocol.
    pub qmp_socket: PathBuf,
}

impl NodeFiles {
    /// The files of the node whose directory is `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            nvram: dir.join("nvram.fd"),
            serial_socket: dir.join("serial.sock"),
            serial_log: dir.join("serial.log"),
            qmp_socket: dir.join("qmp.sock"),
        }
    }
}

/// The argument vector of `spec`, without the program. `code` is OVMF's read-only part, needed for UEFI alone.
#[must_use]
pub fn plan_args(spec: &NodeSpec, files: &NodeFiles, accel: Accel, code: Option<&Path>) -> Vec<String> {
    let mut args = Args::default();
    args.machine(spec, accel);
    if let (true, Some(code)) = (spec.firmware.is_uefi(), code) {
        args.add("-drive", format!("if=pflash,unit=0,format=raw,readonly=on,file={}", escape(code)));
        args.add("-drive", format!("if=pflash,unit=1,format=raw,file={}", escape(&files.nvram)));
    }
    args.consoles(files);
    if spec.drives.iter().any(|d| d.bus == Bus::Scsi) {
        args.add("-device", "virtio-scsi-pci,id=scsi");
    }
    for (i, drive) in spec.drives.iter().enumerate() {
        if drive.bus != Bus::Scsi {
            args.bay(i);
        }
        if drive.plugged {
            args.drive(i, drive, boot_index(spec, BootFrom::Drive(i)));
        }
    }
    if let Some(medium) = &spec.medium {
        args.medium(medium, boot_index(spec, BootFrom::Medium));
    }
    for (i, nic) in spec.nics.iter().enumerate() {
        args.nic(i, nic, spec.firmware, boot_index(spec, BootFrom::Nic(i)));
    }
    args.0
}

/// Between two places in the boot order there is room for one that a device takes later ([`boot_index_between`]).
const STRIDE: usize = 10;

fn boot_index(spec: &NodeSpec, from: BootFrom) -> Option<usize> {
    spec.boot.iter().position(|b| *b == from).map(|place| place * STRIDE)
}

/// The boot order of `spec` with `from` in front.
#[must_use]
pub fn boot_first_from(spec: &NodeSpec, from: BootFrom) -> Vec<BootFrom> {
    [from].into_iter().chain(spec.boot.iter().copied().filter(|b| *b != from)).collect()
}

/// The boot index that puts `from` back to its place in the order of `spec`, in a guest started with
/// [`boot_first_from`]; `None` where it has no place in it.
#[must_use]
pub fn boot_index_between(spec: &NodeSpec, from: BootFrom) -> Option<usize> {
    spec.boot.iter().position(|b| *b == from).map(|place| place * STRIDE + STRIDE / 2)
}

/// The name QEMU knows a device by.
#[must_use]
pub fn device_id(spec: &NodeSpec, from: BootFrom) -> String {
    match (from, &spec.medium) {
        (BootFrom::Medium, Some(Medium::Cdrom(_))) => "disc".to_owned(),
        (BootFrom::Medium, _) => "stick".to_owned(),
        (BootFrom::Drive(i), _) => format!("disk{i}"),
        (BootFrom::Nic(i), _) => format!("nic{i}"),
    }
}

/// The file behind drive `i`, as QEMU's block layer takes it.
#[must_use]
pub fn drive_backend(i: usize, drive: &Drive) -> Value {
    if let Some(socket) = &drive.socket {
        return json!({
            "node-name": format!("drive{i}"), "driver": "nbd", "discard": "unmap",
            "server": {"type": "unix", "path": socket},
        });
    }
    let format = if drive.file.extension().is_some_and(|e| e == "raw") { "raw" } else { "qcow2" };
    // The host does not lose power under test, so nothing is flushed for its sake; a recorder sees the guest's flushes.
    let cache = json!({"direct": false, "no-flush": true});
    json!({
        "node-name": format!("drive{i}"), "driver": format, "discard": "unmap", "detect-zeroes": "unmap",
        "cache": cache,
        "file": {"driver": "file", "filename": drive.file, "discard": "unmap", "cache": cache},
    })
}

/// Drive `i` as the guest sees it, in its bay.
#[must_use]
pub fn drive_device(i: usize, drive: &Drive) -> Value {
    let mut device = json!({
        "id": format!("disk{i}"), "drive": format!("drive{i}"), "serial": drive.serial,
        "logical_block_size": drive.sector, "physical_block_size": drive.sector,
    });
    device["driver"] = match drive.bus {
        Bus::Virtio => "virtio-blk-pci",
        Bus::Nvme => "nvme",
        Bus::Scsi => "scsi-hd",
    }
    .into();
    if drive.bus == Bus::Scsi {
        device["bus"] = "scsi.0".into();
        device["scsi-id"] = i.into();
    } else {
        device["bus"] = format!("port{i}").into();
    }
    device
}

/// QEMU splits options at commas; a comma in a path is written twice.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[derive(Default)]
struct Args(Vec<String>);

impl Args {
    fn add(&mut self, flag: &str, value: impl Into<String>) {
        self.0.extend([flag.to_owned(), value.into()]);
    }

    fn json(&mut self, flag: &str, value: &Value) {
        self.add(flag, value.to_string());
    }

    fn machine(&mut self, spec: &NodeSpec, accel: Accel) {
        self.0.extend(["-no-user-config", "-nodefaults"].map(str::to_owned));
        self.add("-name", spec.name.clone());
        if spec.firmware == Firmware::SecureBoot {
            // Only code in System Management Mode may write to the flash with the variables (OVMF, README, SMM_REQUIRE).
            self.add("-machine", "q35,smm=on");
            self.add("-global", "driver=cfi.pflash01,property=secure,value=on");
        } else {
            self.add("-machine", "q35");
        }
        self.add("-accel", accel.option());
        self.add("-cpu", accel.cpu());
        self.add("-smp", spec.vcpus.to_string());
        self.add("-m", format!("{}M", spec.memory_mib));
        self.add("-uuid", spec.uuid.to_string());
        for text in &spec.oem_strings {
            self.add("-smbios", format!("type=11,value={}", text.replace(',', ",,")));
        }
        for (name, file) in &spec.fw_cfg {
            self.add("-fw_cfg", format!("name={name},file={}", escape(file)));
        }
        self.add("-rtc", "base=utc");
        self.add("-boot", "menu=off,strict=on");
        self.add("-display", "none");
        self.add("-vga", "std");
        self.add("-device", "virtio-rng-pci");
        self.add("-device", "qemu-xhci,id=xhci");
    }

    fn consoles(&mut self, files: &NodeFiles) {
        let socket =
            |id: &str, path: &Path| format!("socket,id={id},path={},server=on,wait=off", escape(path));
        let log = escape(&files.serial_log);
        self.add(
            "-chardev",
            format!("{},logfile={log},logappend=on", socket("serial", &files.serial_socket)),
        );
        self.add("-serial", "chardev:serial");
        self.add("-chardev", socket("qmp", &files.qmp_socket));
        self.add("-mon", "chardev=qmp,mode=control");
    }

    fn drive(&mut self, i: usize, drive: &Drive, boot: Option<usize>) {
        self.json("-blockdev", &drive_backend(i, drive));
        self.device(drive_device(i, drive), boot);
    }

    /// The bay of a drive that hangs on a bus of its own; there also while it is empty, to be plugged into.
    fn bay(&mut self, i: usize) {
        let slot = i + 1;
        self.add("-device", format!("pcie-root-port,id=port{i},chassis={slot},slot={slot}"));
    }

    fn medium(&mut self, medium: &Medium, boot: Option<usize>) {
        let (file, read_only) = match medium {
            Medium::Usb(file) => (file, false),
            Medium::Cdrom(file) => (file, true),
        };
        self.json(
            "-blockdev",
            &json!({
                "node-name": "medium", "driver": "raw", "read-only": read_only,
                "file": {"driver": "file", "filename": file},
            }),
        );
        let device = match medium {
            Medium::Usb(_) => {
                json!({"driver": "usb-storage", "id": "stick", "bus": "xhci.0", "drive": "medium", "removable": true})
            }
            Medium::Cdrom(_) => json!({"driver": "ide-cd", "id": "disc", "drive": "medium"}),
        };
        self.device(device, boot);
    }

    fn nic(&mut self, i: usize, nic: &Nic, firmware: Firmware, boot: Option<usize>) {
        match nic {
            // QEMU 7.2 knows no `reconnect` here: the switch has to listen before the guest starts, and a guest whose
            // switch went away has lost its cable until it is started again.
            Nic::Rack { socket, .. } => self.add(
                "-netdev",
                format!("stream,id=net{i},server=off,addr.type=unix,addr.path={}", escape(socket)),
            ),
            Nic::Tap { interface, .. } => {
                self.add("-netdev", format!("tap,id=net{i},ifname={interface},script=no,downscript=no"));
            }
            Nic::Host { forwards, .. } => {
                let ports: String = forwards
                    .iter()
                    .map(|f| format!(",hostfwd=tcp:127.0.0.1:{}-:{}", f.host, f.guest))
                    .collect();
                self.add("-netdev", format!("user,id=net{i},ipv6=off,restrict=on{ports}"));
            }
        }
        let mut device = json!({
            "driver": "virtio-net-pci", "id": format!("nic{i}"), "netdev": format!("net{i}"), "mac": nic.mac(),
        });
        // BIOS has no network stack but the card's ROM (iPXE); OVMF brings its own, as servers do.
        if firmware.is_uefi() || boot.is_none() {
            device["romfile"] = "".into();
        }
        self.device(device, boot);
    }

    fn device(&mut self, mut device: Value, boot: Option<usize>) {
        if let Some(index) = boot {
            device["bootindex"] = index.into();
        }
        self.json("-device", &device);
    }
}

#[cfg(test)]
mod tests;
