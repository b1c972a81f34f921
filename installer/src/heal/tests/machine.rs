//! A node in memory, and what [`super::super::observe`] would see of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use maekin_host::md::superblock::Superblock;
use maekin_image::bootcode::{self, unfinished_install};
use maekin_image::esp;
use maekin_image::gpt::protective_mbr;
use maekin_image::grubenv::GrubEnv;
use maekin_image::ids::{self, Array};
use maekin_image::layout::Part;
use maekin_image::manifest::sha256_hex;
use maekin_rootfs::heal::Half;
use maekin_rootfs::node::NodeConfig;
use uuid::Uuid;

use super::super::apply;
use super::super::esp::EspSeen;
use super::super::observe::extents;
use super::super::observed::{BiosImages, Here, Member, Observed, Running};
use super::super::plan::{Choice, Planned, plan};
use crate::apply::simulated::SimulatedTarget;
use crate::apply::tests::{Heard, planned, release};
use crate::facts::contents::Partition;
use crate::facts::tests::{disk, machine};
use crate::facts::{Contents, Disk, Firmware};
use crate::plan::build::{BOOT_IMG, CORE_IMG};
use crate::plan::tests::SEED;
use crate::source::Release;

pub(super) const GIB: u64 = 1 << 30;

/// The release that it was installed from; digests take their time.
fn bundle() -> &'static Release {
    static BUNDLE: OnceLock<Release> = OnceLock::new();
    BUNDLE.get_or_init(|| release(None))
}

/// A node.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) target: SimulatedTarget,
    pub(super) install: Uuid,
    drives: usize,
    disks: Vec<String>,
    pub(super) serials: Vec<String>,
    pub(super) sizes: Vec<u64>,
    away: Vec<PathBuf>,
    /// The drive that the node runs from has nothing wrong, so nothing of it may change.
    pub(super) good_is_whole: bool,
    /// The other drive is made from nothing, so it boots only when it is whole.
    pub(super) new_is_made: bool,
}

impl Machine {
    /// Installed on one drive, or on two.
    pub(super) fn installed(drives: usize) -> Self {
        let names: Vec<String> = ["vda", "vdb"][..drives].iter().map(|n| (*n).to_owned()).collect();
        let disks: Vec<Disk> = names.iter().map(|name| disk(name, 12)).collect();
        let nodes: Vec<String> = names.iter().map(|name| format!("/dev/{name}")).collect();
        let sizes: Vec<(&str, u64)> = nodes.iter().map(|node| (node.as_str(), 12 * GIB)).collect();
        let mut target = SimulatedTarget::new(&sizes);
        let plan = planned(bundle(), disks, Firmware::Uefi);
        crate::apply::apply(&plan, bundle(), &mut target, &mut Heard::default()).unwrap();
        Self {
            target,
            install: SEED,
            drives,
            disks: nodes,
            serials: names.iter().map(|name| format!("S-{name}")).collect(),
            sizes: vec![12 * GIB; drives],
            away: Vec::new(),
            good_is_whole: true,
            new_is_made: false,
        }
    }

    pub(super) fn add_drive(&mut self, node: &str, size: u64) {
        self.disks.push(node.to_owned());
        self.serials.push("NEW".to_owned());
        self.sizes.push(size);
    }

    /// The drive of `place` was away while the other ran, and is here again.
    pub(super) fn away(&mut self, place: usize) {
        for array in Array::ALL {
            let member = PathBuf::from(format!("{}{}", self.disks[place], array.part().number()));
            self.target.leave(&member);
            self.away.push(member);
        }
    }

    pub(super) fn plan(&mut self, choice: &Choice) -> Planned {
        plan(&self.observe(), choice)
    }

    pub(super) fn apply(&mut self, planned: &Planned) -> anyhow::Result<()> {
        self.apply_telling(planned, &mut Heard::default()).map(drop)
    }

    pub(super) fn apply_telling(
        &mut self,
        planned: &Planned,
        heard: &mut Heard,
    ) -> anyhow::Result<Vec<(String, u64)>> {
        apply::apply(&planned.steps, bundle(), &mut self.target, heard)
    }

    pub(super) fn observe(&mut self) -> Observed {
        let release = bundle();
        let disks: Vec<Disk> = (0..self.disks.len()).map(|i| self.disk(i)).collect();
        let node = self.target.file("/dev/md/maekin-state", "lib/maekin/node.toml").unwrap();
        let node: NodeConfig = toml::from_str(std::str::from_utf8(node).unwrap()).unwrap();
        let read = |path: &str| release.read(path, release.manifest.file(path).unwrap()).unwrap();
        let bios = BiosImages { boot: read(BOOT_IMG), core: read(CORE_IMG) };
        let arrays = Array::ALL.map(|array| (array, self.running(array)));
        let places = [0, 1].map(|place| self.place(place, &disks, &bios));
        Observed {
            install: self.install,
            hostname: node.hostname.clone(),
            drives: self.drives,
            slot: "a".to_owned(),
            facts: machine(Firmware::Uefi, disks),
            busy: BTreeMap::new(),
            known: node.disks,
            arrays: arrays.into_iter().collect(),
            places,
            claimed_twice: None,
            left_out: Vec::new(),
            believed: 0,
            releases: BTreeMap::from([(
                "a".to_owned(),
                (release.manifest.clone(), release.json.clone(), release.signature.clone()),
            )]),
            bios: Some(bios),
        }
    }

    fn disk(&mut self, index: usize) -> Disk {
        let path = PathBuf::from(&self.disks[index]);
        let name = self.disks[index].trim_start_matches("/dev/").to_owned();
        let parts = self.target.table(&path);
        let head = self.target.bytes(&path, 0, 512);
        let partitions = parts.iter().map(|p| Partition {
            number: p.number,
            start: p.start,
            size: p.size,
            label: p.name.clone(),
            kind: p.type_guid.to_string(),
            guid: p.guid.to_string(),
            ..Partition::default()
        });
        let contents = Contents {
            partitions: partitions.collect(),
            unfinished: unfinished_install(&head),
            ends: if head.iter().all(|b| *b == 0) { String::new() } else { "e".repeat(64) },
            ..Contents::default()
        };
        Disk { serial: self.serials[index].clone(), size: self.sizes[index], contents, ..disk(&name, 12) }
    }

    fn running(&self, array: Array) -> Running {
        let (whole, syncing) = self.target.members(array);
        let member = |half: Half| move |path: &PathBuf| Member { name: name(path), half, gone: false };
        let lone = whole.len() == 1;
        let mut members: Vec<Member> = whole.iter().map(member(Half::InSync)).collect();
        members.extend(syncing.iter().map(member(Half::Resyncing)));
        // A mirror whose other half was away has gone on without it.
        let went_on =
            lone && self.away.iter().any(|path| path.ends_with(format!("vdb{}", array.part().number())));
        let block =
            whole.first().map(|path| block(self.install, array, path, if went_on { 90 } else { 9 }, !lone));
        Running { members, block }
    }

    fn place(&mut self, place: u8, disks: &[Disk], bios: &BiosImages) -> Option<Here> {
        let disk = disks.iter().find(|disk| extents(disk, self.install, place).is_some())?.clone();
        let extents = extents(&disk, self.install, place)?;
        let part = |part: Part| maekin_host::block::partition_path(&disk.path, part.number());
        let blocks = Array::ALL.map(|array| {
            let path = part(array.part());
            let (whole, syncing) = self.target.members(array);
            let known = whole.contains(&path) || syncing.contains(&path) || self.away.contains(&path);
            let none = || "it holds no md superblock".to_owned();
            (array, known.then(|| block(self.install, array, &path, 9, true)).ok_or_else(none))
        });
        let lba = extents[0].start / 512;
        let code = bootcode::mbr_code(&bios.boot, lba).unwrap();
        let core = bootcode::core(&bios.core, lba, extents[0].size).unwrap();
        let head = self.target.bytes(&disk.path, 0, 512);
        Some(Here {
            extents,
            blocks: blocks.into_iter().collect(),
            esp: self.esp(&part(Part::Esp)),
            unfinished: disk.contents.unfinished.is_some(),
            boot_sector: head == protective_mbr(disk.size, 512, &code),
            core: self.target.bytes(&part(Part::BiosBoot), 0, core.len() as u64) == core,
            disk,
        })
    }

    fn esp(&self, partition: &Path) -> EspSeen {
        let Some(files) = self.target.files(partition) else {
            return EspSeen { unreadable: Some("no file system".to_owned()), ..EspSeen::default() };
        };
        let mut digests: BTreeMap<String, String> =
            files.iter().map(|(path, content)| (path.clone(), sha256_hex(content))).collect();
        digests.remove(esp::INVENTORY);
        digests.remove(esp::GRUB_ENV);
        EspSeen {
            inventory: files.get(esp::INVENTORY).and_then(|bytes| serde_json::from_slice(bytes).ok()),
            digests,
            env: files.get(esp::GRUB_ENV).and_then(|bytes| GrubEnv::parse(bytes).ok()),
            menu: files.get(esp::GRUB_MENU).and_then(|bytes| String::from_utf8(bytes.clone()).ok()),
            unreadable: None,
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// A superblock of a member.
pub(super) fn block(install: Uuid, array: Array, path: &Path, events: u64, sees_other: bool) -> Superblock {
    let role = u16::from(name(path).starts_with("vdb"));
    let mut roles = vec![0xffff; 4];
    roles[usize::from(role)] = role;
    if sees_other {
        roles[usize::from(1 - role)] = 1 - role;
    }
    let system = matches!(array, Array::SystemA | Array::SystemB);
    Superblock {
        features: 0,
        set_uuid: ids::md_uuid(install, array),
        set_name: array.name().to_owned(),
        ctime: 1,
        level: 1,
        size: 1,
        raid_disks: 2,
        bitmap_offset: (!system).then_some(8),
        data_offset: 0,
        data_size: 1,
        super_offset: 8,
        recovery_offset: None,
        dev_number: u32::from(role),
        device_uuid: Uuid::from_u128(u128::from(role) + 1),
        utime: 1_700_000_000,
        events,
        resync_offset: None,
        bad_blocks: false,
        roles,
    }
}
