mod rack;

use std::sync::{Arc, Mutex};

use super::simulated::SimulatedTarget;
use super::*;
use crate::facts::tests::{disk, machine};
use crate::facts::{Disk, Firmware};
use crate::plan::tests::{SEED, answers, manifest};
use crate::plan::{self};
use crate::source::Source;

const GIB: u64 = 1 << 30;

/// A bundle in memory.
struct Bundle(BTreeMap<String, Vec<u8>>);

impl Source for Bundle {
    fn open(&self, path: &str, _: Option<u64>) -> Result<Stream> {
        let bytes = self.0.get(path).with_context(|| format!("no {path}"))?.clone();
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

/// A release whose files are there; `spoil` changes one of them after the manifest was made.
pub(crate) fn release(spoil: Option<&str>) -> Release {
    let mut manifest = manifest();
    let mut bundle = BTreeMap::new();
    for (path, entry) in &mut manifest.files {
        let mut bytes = path.as_bytes().repeat(1000);
        if path == "drivers" {
            bytes = b"driver virtio_blk\nalias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n".to_vec();
        }
        if path == "boot/bios/boot.img" {
            bytes = vec![0x11; 512];
            bytes[510..].copy_from_slice(&[0x55, 0xaa]);
        }
        *entry = FileEntry { size: bytes.len() as u64, sha256: sha256_hex(&bytes) };
        if spoil == Some(path) {
            bytes[100] ^= 1;
        }
        bundle.insert(path.clone(), bytes);
    }
    Release { manifest, json: b"{}".to_vec(), signature: "sig".to_owned(), source: Box::new(Bundle(bundle)) }
}

#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) steps: Vec<String>,
    work: Vec<(u64, u64)>,
    pub(crate) notes: Vec<String>,
}

impl Progress for Heard {
    fn step(&mut self, _: usize, _: usize, label: &str) {
        self.steps.push(label.to_owned());
    }
    fn work(&mut self, done: u64, total: u64) {
        self.work.push((done, total));
    }
    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }
}

pub(crate) fn planned(release: &Release, disks: Vec<Disk>, firmware: Firmware) -> Plan {
    plan::plan(&machine(firmware, disks), &answers(""), &release.manifest, SEED).unwrap()
}

pub(crate) fn pair() -> Vec<Disk> {
    vec![disk("vda", 12), disk("vdb", 12)]
}

pub(crate) fn pair_target() -> SimulatedTarget {
    SimulatedTarget::new(&[("/dev/vda", 12 * GIB), ("/dev/vdb", 12 * GIB)])
}

#[test]
fn a_whole_installation_makes_both_drives_bootable_and_equal() {
    let release = release(None);
    let plan = planned(&release, pair(), Firmware::Uefi);
    let (mut target, mut heard) = (pair_target(), Heard::default());
    let timings = apply(&plan, &release, &mut target, &mut heard).unwrap();
    assert_eq!((timings.len(), heard.steps.len()), (plan.steps.len(), plan.steps.len()));
    assert!(heard.work.is_sorted() && heard.work.last().is_some_and(|(done, total)| done == total));
    for name in ["/dev/vda", "/dev/vdb"] {
        let boot = target.bootable(Path::new(name)).unwrap();
        assert!(boot.bios && boot.uefi && boot.unfinished.is_none(), "{name}: {boot:?}");
        let esp = format!("{name}2");
        for path in
            ["maekin/a/vmlinuz", "maekin/a/manifest.json", "maekin/grub/grub.cfg", "EFI/debian/grub.cfg"]
        {
            assert!(target.file(&esp, path).is_some(), "{path} on {esp}");
        }
        assert!(target.file(&esp, "maekin/a/root").is_none());
        assert_eq!(target.file(&esp, "maekin/grub/grubenv").unwrap().len(), 1024);
    }
    let node = target.file("/dev/md/maekin-state", "lib/maekin/node.toml").unwrap();
    let node: maekin_rootfs::node::NodeConfig = toml::from_str(std::str::from_utf8(node).unwrap()).unwrap();
    assert_eq!(node, plan.node);
    assert!(maekin_rootfs::validate::validate(&node).is_empty());
}

#[test]
fn the_inventory_holds_every_file_but_itself_and_the_environment() {
    let release = release(None);
    let plan = planned(&release, pair(), Firmware::Bios);
    let mut target = pair_target();
    apply(&plan, &release, &mut target, &mut Heard::default()).unwrap();
    let inventory: BTreeMap<String, String> =
        serde_json::from_slice(target.file("/dev/vda2", esp::INVENTORY).unwrap()).unwrap();
    let some = ["maekin/a/initrd", "maekin/a/manifest.json.minisig"];
    for path in [esp::FALLBACK_LOADER, esp::GRUB_MENU, esp::INSTALLED].into_iter().chain(some) {
        let content = target.file("/dev/vda2", path).unwrap();
        assert_eq!(inventory.get(path), Some(&sha256_hex(content)), "{path}");
    }
    assert!(!inventory.contains_key(esp::GRUB_ENV) && !inventory.contains_key(esp::INVENTORY));
}

/// Whatever call fails, firmware either finds nothing to boot, or a drive on which everything was written and checked.
#[test]
fn a_failure_at_any_call_leaves_nothing_half_bootable() {
    let release = release(None);
    let plan = planned(&release, pair(), Firmware::Uefi);
    let mut whole = pair_target();
    apply(&plan, &release, &mut whole, &mut Heard::default()).unwrap();
    let first_commit =
        whole.log.iter().position(|l| l.contains(&format!("to {}", esp::FALLBACK_LOADER))).unwrap();
    for at in 0..whole.log.len() {
        let mut target = pair_target();
        target.fail_at = Some(at);
        let result = apply(&plan, &release, &mut target, &mut Heard::default());
        let call = whole.log[at].clone();
        assert_eq!(result.is_ok(), call.starts_with("boot entry"), "{at}: {call}");
        for name in ["/dev/vda", "/dev/vdb"] {
            let boot = target.bootable(Path::new(name)).unwrap();
            // The renaming call fails before it renames.
            if at <= first_commit {
                assert!(!boot.bios && !boot.uefi, "{at}: {call}: {name} {boot:?}");
            }
            assert!(boot.bios || boot.unfinished.is_some() || at < 4, "{at}: {call}: {name} is not marked");
            // A medium's menu starts what says that it is complete: then it must be, on both drives.
            if target.file(&format!("{name}2"), esp::INSTALLED).is_some() {
                for name in ["/dev/vda", "/dev/vdb"] {
                    let boot = target.bootable(Path::new(name)).unwrap();
                    assert!(boot.bios && boot.uefi, "{at}: {call}: {name} {boot:?}");
                }
            }
        }
        // ... and the installation can be repeated on what is left.
        target.fail_at = None;
        apply(&plan, &release, &mut target, &mut Heard::default())
            .unwrap_or_else(|e| panic!("{at}: {call}: {e:#}"));
        assert!(target.bootable(Path::new("/dev/vda")).unwrap().uefi, "{at}: {call}");
    }
}

#[test]
fn a_damaged_bundle_file_ends_it_before_the_commit_and_is_named() {
    for path in ["root", "initrd", "boot/bios/core.img", "boot/bios/boot.img", "boot/efi/shimx64.efi"] {
        let release = release(Some(path));
        let plan = planned(&release, pair(), Firmware::Uefi);
        let mut target = pair_target();
        let err = format!("{:#}", apply(&plan, &release, &mut target, &mut Heard::default()).unwrap_err());
        assert!(err.contains(path) && err.contains("digest"), "{path}: {err}");
        let boot = target.bootable(Path::new("/dev/vdb")).unwrap();
        assert!(!boot.bios, "{path}");
    }
}

#[test]
fn a_half_that_reads_back_wrong_is_named() {
    let release = release(None);
    let plan = planned(&release, pair(), Firmware::Bios);
    let mut target = pair_target();
    // The second member's first block is changed behind the mirror, between writing and reading back.
    for step in &plan.steps {
        let mut heard = Heard::default();
        let mut meter =
            Meter { progress: &mut heard, base: 0, limit: 1, total: 1, here: 0, notes: Vec::new() };
        if matches!(step, Step::Compare { .. }) {
            target.write(Path::new("/dev/vdb3"), 0, b"x").unwrap();
            let err = apply_step(step, &release, &mut target, &mut meter).unwrap_err().to_string();
            assert!(err.contains("/dev/vdb3") && err.contains("defective"), "{err}");
            return;
        }
        apply_step(step, &release, &mut target, &mut meter).unwrap();
    }
    panic!("the plan has no step that compares");
}

#[test]
fn firmware_without_variables_is_reported_and_not_fatal() {
    let release = release(None);
    let plan = planned(&release, pair(), Firmware::Uefi);
    let (mut target, mut heard) = (pair_target(), Heard::default());
    target.no_nvram = true;
    apply(&plan, &release, &mut target, &mut heard).unwrap();
    assert_eq!(heard.notes.len(), 2);
    assert!(heard.notes[0].contains("boots without"), "{}", heard.notes[0]);
}

#[test]
fn a_driver_that_the_installed_system_lacks_is_an_error_before_the_commit() {
    let on = |modalias: &str, driver: &str| Device {
        path: format!("pci0000:00/{driver}"),
        modalias: modalias.to_owned(),
        driver: driver.to_owned(),
        module: Some(driver.to_owned()),
    };
    let virtio = on("pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00", "virtio_pci");
    let vmd = on("pci:v00008086d0000467Fsv00001028sd00000A6Bbc01sc04i00", "vmd");
    let release = release(None);
    for (name, devices, want) in
        [("served", vec![virtio.clone()], None), ("one is not", vec![virtio, vmd], Some("vmd"))]
    {
        let drive = |disk: Disk| Disk { devices: devices.clone(), ..disk };
        let plan = planned(&release, pair().into_iter().map(drive).collect(), Firmware::Uefi);
        let mut target = pair_target();
        let result = apply(&plan, &release, &mut target, &mut Heard::default());
        match want {
            None => drop(result.unwrap()),
            Some(driver) => {
                let err = format!("{:#}", result.unwrap_err());
                for part in [driver, "d0000467F", "pci0000:00/vmd", "use a release that has one"] {
                    assert!(err.contains(part), "{name}: {part}: {err}");
                }
                assert!(!err.contains("virtio"), "{err}");
                let boot = target.bootable(Path::new("/dev/vda")).unwrap();
                assert!(!boot.bios && !boot.uefi && boot.unfinished.is_some(), "{name}");
            }
        }
    }
}

#[test]
fn one_drive_with_large_sectors_boots_by_uefi_alone() {
    let release = release(None);
    let large = Disk { sector: 4096, ..disk("nvme0n1", 12) };
    let plan = planned(&release, vec![large], Firmware::Uefi);
    let mut target = SimulatedTarget::new(&[("/dev/nvme0n1", 12 * GIB)]);
    apply(&plan, &release, &mut target, &mut Heard::default()).unwrap();
    let boot = target.bootable(Path::new("/dev/nvme0n1")).unwrap();
    assert!(boot.uefi && !boot.bios && boot.unfinished.is_none());
}

#[test]
fn progress_may_be_watched_from_another_thread() {
    struct Shared(Arc<Mutex<u64>>);
    impl Progress for Shared {
        fn step(&mut self, _: usize, _: usize, _: &str) {}
        fn work(&mut self, done: u64, _: u64) {
            *self.0.lock().unwrap() = done;
        }
        fn note(&mut self, _: &str) {}
    }
    let done = Arc::new(Mutex::new(0));
    let watch = done.clone();
    let worker = std::thread::spawn(move || {
        let release = release(None);
        let plan = planned(&release, pair(), Firmware::Bios);
        apply(&plan, &release, &mut pair_target(), &mut Shared(watch)).unwrap();
    });
    worker.join().unwrap();
    assert!(*done.lock().unwrap() > 0);
}
