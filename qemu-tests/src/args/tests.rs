use super::*;
use crate::node::Forward;
use uuid::uuid;

fn drive(i: usize, bus: Bus, sector: u32) -> Drive {
    Drive {
        file: PathBuf::from(format!("/r/drive-{i}.qcow2")),
        size: 10 << 30,
        sector,
        serial: format!("S{i}"),
        bus,
        plugged: true,
        socket: None,
    }
}

fn spec() -> NodeSpec {
    NodeSpec {
        name: "node-1".to_owned(),
        uuid: uuid!("6d61656b-696e-4000-8000-000000000001"),
        firmware: Firmware::Bios,
        vcpus: 2,
        memory_mib: 2048,
        drives: vec![drive(0, Bus::Virtio, 512), drive(1, Bus::Virtio, 512)],
        medium: None,
        nics: vec![
            Nic::Rack { mac: "52:54:00:77:00:01".to_owned(), socket: PathBuf::from("/r/switch/node-1.sock") },
            Nic::Host {
                mac: "52:54:00:78:00:01".to_owned(),
                forwards: vec![Forward { host: 4022, guest: 22 }, Forward { host: 4443, guest: 8443 }],
            },
        ],
        boot: vec![BootFrom::Nic(0), BootFrom::Drive(0), BootFrom::Drive(1)],
        oem_strings: Vec::new(),
        fw_cfg: Vec::new(),
    }
}

/// The vector as one line; a device's properties as `id.key=value`, for JSON has no order to rely on.
fn line(spec: &NodeSpec) -> String {
    let files = NodeFiles::new(Path::new("/r/node-1"));
    let args = plan_args(spec, &files, Accel::Tcg, Some(Path::new("/fw/code.fd")));
    let flat = |arg: String| match serde_json::from_str::<serde_json::Map<String, Value>>(&arg) {
        Err(_) => arg,
        Ok(map) => {
            let id = map.get("id").or(map.get("node-name")).and_then(Value::as_str).unwrap().to_owned();
            let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            map.iter().map(|(k, v)| format!("{id}.{k}={}", text(v))).collect::<Vec<_>>().join(" ")
        }
    };
    args.into_iter().map(flat).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_node_is_made_of_reaches_qemu() {
    type Row = (&'static str, fn(&mut NodeSpec), &'static [&'static str], &'static [&'static str]);
    let rows: &[Row] = &[
        (
            "UEFI node on a cable to a namespace of the host",
            |spec| {
                spec.firmware = Firmware::Uefi;
                let (namespace, interface) = ("boot".to_owned(), "tap0".to_owned());
                spec.nics = vec![Nic::Tap { mac: "52:54:00:77:00:01".to_owned(), namespace, interface }];
            },
            &["-netdev tap,id=net0,ifname=tap0,script=no,downscript=no", "nic0.romfile= "],
            &["net1"],
        ),
        (
            "BIOS node with two drives, net first",
            |_| {},
            &[
                "-machine q35",
                "-m 2048M",
                "-uuid 6d61656b-696e-4000-8000-000000000001",
                "addr.path=/r/switch/node-1.sock",
                "hostfwd=tcp:127.0.0.1:4443-:8443",
                "nic0.bootindex=0",
                "disk0.bootindex=10",
                "disk0.driver=virtio-blk-pci",
                "disk0.bus=port0",
                "disk1.logical_block_size=512",
                "drive0.detect-zeroes=unmap",
                "logfile=/r/node-1/serial.log",
            ],
            &["pflash", "usb-storage", "scsi"],
        ),
        (
            "UEFI brings its own network stack",
            |s| s.firmware = Firmware::Uefi,
            &["unit=0,format=raw,readonly=on,file=/fw/code.fd", "unit=1,format=raw,file=/r/node-1/nvram.fd"],
            &["nic0.romfile=efi", "if=ide"],
        ),
        (
            "Secure Boot guards its variables",
            |s| s.firmware = Firmware::SecureBoot,
            &[
                "-machine q35,smm=on",
                "-global driver=cfi.pflash01,property=secure,value=on",
                "unit=0,format=raw,readonly=on,file=/fw/code.fd",
            ],
            &[],
        ),
        (
            "what a hypervisor tells",
            |s| {
                s.oem_strings = vec!["a=b,c".to_owned()];
                s.fw_cfg = vec![("opt/x".to_owned(), PathBuf::from("/r/a,b"))];
            },
            &["-smbios type=11,value=a=b,,c", "-fw_cfg name=opt/x,file=/r/a,,b"],
            &[],
        ),
        (
            "NVMe with 4096-byte sectors",
            |s| s.drives = vec![drive(0, Bus::Nvme, 4096)],
            &["disk0.driver=nvme", "disk0.logical_block_size=4096", "disk0.physical_block_size=4096"],
            &["virtio-blk-pci"],
        ),
        (
            "SCSI disks share an adapter",
            |s| s.drives.iter_mut().for_each(|d| d.bus = Bus::Scsi),
            &["virtio-scsi-pci,id=scsi", "disk1.bus=scsi.0", "disk1.scsi-id=1"],
            &["pcie-root-port"],
        ),
        (
            "a pulled drive is not there, the other keeps its name and place",
            |s| s.drives[0].plugged = false,
            &["disk1.id=disk1", "disk1.bus=port1", "disk1.bootindex=20"],
            &["disk0", "drive0"],
        ),
        (
            "stick",
            |s| {
                s.medium = Some(Medium::Usb(PathBuf::from("/r/a,b.iso")));
                s.boot = vec![BootFrom::Medium];
            },
            &["stick.bootindex=0", "stick.driver=usb-storage", "medium.read-only=false", "/r/a,b.iso"],
            &["ide-cd"],
        ),
        (
            "disc",
            |s| s.medium = Some(Medium::Cdrom(PathBuf::from("/r/a.iso"))),
            &["disc.driver=ide-cd", "medium.read-only=true"],
            &["usb-storage"],
        ),
    ];
    for (name, change, with, without) in rows {
        let mut spec = spec();
        change(&mut spec);
        let line = line(&spec) + " "; // the last word ends like any other
        for part in *with {
            assert!(line.contains(part), "{name}: no {part} in\n{line}");
        }
        for part in *without {
            assert!(!line.contains(part), "{name}: {part} in\n{line}");
        }
    }
}

#[test]
fn a_card_that_is_not_booted_from_has_no_rom() {
    let args = plan_args(&spec(), &NodeFiles::new(Path::new("/r")), Accel::Tcg, None);
    let rom =
        |id: &str| args.iter().any(|a| a.contains(&format!("\"id\":\"{id}\"")) && a.contains("romfile"));
    assert!(!rom("nic0"), "nic0 boots by its ROM under BIOS");
    assert!(rom("nic1"), "nic1 has none");
}

#[test]
fn the_spec_survives_the_state_file() {
    let text = serde_json::to_string(&spec()).unwrap();
    assert_eq!(serde_json::from_str::<NodeSpec>(&text).unwrap(), spec());
}

#[test]
fn a_boot_menu_choice_holds_for_one_boot() {
    let original = spec();
    let mut started = original.clone();
    started.medium = Some(Medium::Usb(PathBuf::from("/r/a.iso")));
    let rows = [
        (BootFrom::Drive(1), "disk1.bootindex=0", Some(25)),
        (BootFrom::Nic(0), "nic0.bootindex=0", Some(5)),
        (BootFrom::Medium, "stick.bootindex=0", None),
    ];
    for (from, first, back) in rows {
        started.boot = boot_first_from(&original, from);
        assert!(line(&started).contains(first), "{from:?}");
        assert_eq!(boot_index_between(&original, from), back, "{from:?}");
    }
    started.boot = boot_first_from(&original, BootFrom::Drive(1));
    let others = ["nic0.bootindex=10", "disk0.bootindex=20"];
    assert!(others.iter().all(|o| line(&started).contains(o)), "25 is behind both");
}
