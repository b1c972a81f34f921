//! One node on its way through losses and healings.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use maekin_api::alarm::Severity;
use maekin_api::boot_drives::{BootDrives, Drive, Entries, Esp, HalfState, Heal, State, Tables};
use maekin_api::node::Membership;
use maekin_host::wait;
use maekin_qemu_tests::node::NodeSpec;
use maekin_qemu_tests::progress::READY;
use maekin_qemu_tests::rack::{TestRack, Watch};
use maekin_qemu_tests::steps::Steps;

use crate::cells::{Cell, Nvram, matrix, of_chain};

const NODE: &str = "node-1";
/// From a drive's loss to its alarm, by the node's own clock.
const ALARM: u64 = 10;
/// From the node's readiness until all of it was looked at; translated guests read slowly.
const LOOK: Duration = Duration::from_secs(60);
/// A drive of 10 GiB filled, by hardware virtualisation.
const HEAL: Duration = Duration::from_secs(240);

/// A node and what it has passed.
pub(crate) struct Chain {
    pub(crate) rack: TestRack,
    pulled: BTreeSet<u8>,
    cells: BTreeSet<Cell>,
    steps: Steps,
}

impl Chain {
    pub(crate) fn new(rack: TestRack) -> Self {
        Self { rack, pulled: BTreeSet::new(), cells: BTreeSet::new(), steps: Steps::default() }
    }

    fn spec(&self) -> &NodeSpec {
        &self.rack.nodes()[0]
    }

    /// Switches the node on and waits until it is a member.
    pub(crate) fn start(&mut self) {
        self.rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
        self.steps.done("started");
    }

    pub(crate) fn boot_drives(&self) -> BootDrives {
        self.rack.api(self.spec()).unwrap().boot_drives().unwrap()
    }

    /// Waits until the node says that its boot drives are as `wanted` has them.
    fn until(&self, what: &str, limit: Duration, wanted: impl Fn(&BootDrives) -> bool) -> BootDrives {
        let api = self.rack.api(self.spec()).unwrap();
        let mut last = String::new();
        let found = wait::until(what, self.rack.limit(limit), Duration::from_millis(250), || {
            match api.boot_drives() {
                Ok(boot) if wanted(&boot) => return Some(boot),
                Ok(boot) => last = format!("{boot:#?}"),
                Err(e) => last = format!("{e:#}"),
            }
            None
        });
        assert!(found.is_ok(), "gave up waiting for {what}; last: {last}");
        found.unwrap()
    }

    /// Both drives have everything, all of it was looked at, and the one that was started from is proved.
    pub(crate) fn is_whole(&self) {
        let uefi = self.spec().firmware.is_uefi();
        let looked_at = |d: &Drive| d.esp != Esp::Unknown && d.tables != Tables::Unknown;
        let boot = self.until("the drives to be looked at", LOOK, |b| b.drives.iter().all(looked_at));
        assert_eq!(boot.state, State::Whole, "{boot:#?}");
        assert!(boot.alarms.is_empty(), "{:?}", boot.alarms);
        assert_eq!(boot.drives.len(), 2);
        for (drive, spec) in boot.drives.iter().zip(&self.spec().drives) {
            assert_eq!((&drive.serial, drive.size), (&spec.serial, spec.size));
            assert!(matches!(drive.esp, Esp::Whole { .. }) && drive.tables == Tables::Whole, "{drive:?}");
            assert!(drive.answers && drive.halves.iter().all(|h| h.state == HalfState::InSync), "{drive:?}");
            assert_eq!(drive.entry, uefi.then_some(true), "a boot entry where there can be one");
            assert_eq!(drive.proved.is_some(), boot.started_from == Some(drive.number), "{drive:?}");
        }
        assert_eq!(boot.entries, if uefi { Entries::Kept } else { Entries::None });
        assert!(boot.started_from.is_some(), "the boot loader told where it came from");
        self.steps.done(&format!("whole; started from drive {:?}", boot.started_from));
    }

    /// Sectors that differ are found by a comparison, and told.
    pub(crate) fn halves_that_differ_are_told(&self) {
        // Behind the image in its slot, where nothing reads: eight sectors of one half only.
        let half = format!("{}3", self.boot_drives().drives[1].device.as_deref().unwrap());
        let write =
            format!("dd if=/dev/urandom of={half} bs=4096 seek=200000 count=1 oflag=direct conv=notrunc");
        self.rack.ssh(self.spec(), &write).unwrap();
        self.rack.api(self.spec()).unwrap().compare_halves().unwrap();
        let told = |b: &BootDrives| b.alarms.iter().any(|a| a.id == "mirror-maekin-a-differs");
        let boot = self.until("the comparison", Duration::from_secs(60), told);
        assert_eq!(boot.state, State::AtRisk, "{boot:#?}");
        self.steps.done("halves that differ are told");
    }

    /// The node restarts once into the drive that it did not start from, and goes back to its boot order by itself.
    pub(crate) fn tries_the_other_drive(&self) {
        let before = self.boot_drives();
        let mut serial = self.rack.machine(self.spec()).serial();
        serial.skip().unwrap();
        self.rack.api(self.spec()).unwrap().try_boot().unwrap();
        let limit = self.rack.limit(Duration::from_secs(180));
        serial.expect("the node to be ready again", READY, limit).unwrap();
        let boot = self.until("the drives after the trial", LOOK, |b| b.state == State::Whole);
        assert_eq!(boot.started_from, before.started_from.map(|n| 3 - n), "{boot:#?}");
        let last = boot.trial.last.as_ref().unwrap();
        assert!(last.passed && boot.alarms.is_empty(), "{boot:#?}");
        assert!(boot.drives.iter().all(|d| d.proved.is_some()), "both are proved now: {:?}", boot.drives);
        let after = self.rack.ssh(self.spec(), "efibootmgr").unwrap();
        assert!(after.contains("BootOrder") && !after.contains("BootNext"), "it held for one start: {after}");
        self.steps.done(&format!("trial boot: started from drive {:?}", boot.started_from));
    }

    /// Pulls a drive of the running node.
    pub(crate) fn pull(&mut self, drive: u8) {
        let id = format!("boot-drive-{drive}-missing");
        self.loses(drive, &id, |rack| rack.pull(NODE, usize::from(drive - 1)).unwrap());
        self.pulled.insert(drive);
    }

    /// Lets a drive die where it is: nothing writes to an idle mirror, and still it is told.
    pub(crate) fn dies_in_place(&mut self, drive: u8) {
        let id = format!("boot-drive-{drive}-failing");
        self.loses(drive, &id, |rack| rack.break_drive(NODE, usize::from(drive - 1)).unwrap());
        let out = |b: &BootDrives| {
            b.drives[usize::from(drive - 1)].halves.iter().all(|h| h.state == HalfState::Out)
        };
        self.until("the mirrors to give the dead drive up", Duration::from_secs(15), out);
    }

    /// The node goes on, and tells: in its API within ten seconds, and on its console.
    fn loses(&mut self, drive: u8, id: &str, lose: impl FnOnce(&mut TestRack)) {
        let mut serial = self.rack.machine(self.spec()).serial();
        let before = self.rack.api(self.spec()).unwrap().node().unwrap().time;
        serial.skip().unwrap();
        let lost = Instant::now();
        lose(&mut self.rack);
        let told = |b: &BootDrives| b.alarms.iter().any(|a| a.id == id);
        let boot = self.until(&format!("the alarm {id}"), Duration::from_secs(15), told);
        let alarm = boot.alarms.iter().find(|a| a.id == id).unwrap();
        let after = alarm.since.saturating_sub(before);
        assert!(after <= ALARM, "{id} came {after} s after the loss");
        assert_eq!(alarm.severity, Severity::Critical);
        let name =
            format!("Boot drive {drive} (serial {})", self.spec().drives[usize::from(drive - 1)].serial);
        assert!(alarm.what.starts_with(&name) && !alarm.remedy.is_empty(), "{alarm:?}");
        let limit = self.rack.limit(Duration::from_secs(ALARM));
        serial.expect("the alarm on the console", &format!("Boot drive {drive} (serial"), limit).unwrap();
        let shown = lost.elapsed();
        let node = self.rack.api(self.spec()).unwrap().node().unwrap();
        assert!(node.alarms.iter().any(|a| a.id == id), "GET /v1/node has it too: {:?}", node.alarms);
        let wrote =
            self.rack.ssh(self.spec(), "echo whole > /var/lib/lost && sync && cat /var/lib/lost").unwrap();
        assert_eq!(wrote.trim(), "whole", "/var takes a write");
        self.steps.done(&format!(
            "drive {drive} lost ({id}): told after {after} s, on the console after {shown:.1?}"
        ));
    }

    /// Cuts the power and starts the node without the drive that was pulled.
    pub(crate) fn starts_without(&mut self, lost: u8, nvram: Nvram) {
        let spec = self.spec().clone();
        let machine = self.rack.machine(&spec);
        machine.power_off().unwrap();
        if nvram == Nvram::Empty {
            machine.forget_nvram(&spec).unwrap();
        }
        self.start();
        let id = format!("boot-drive-{lost}-missing");
        let kept = 3 - lost;
        let uefi = spec.firmware.is_uefi();
        let told = |b: &BootDrives| {
            let there = &b.drives[usize::from(kept - 1)];
            let entry = !uefi || there.entry == Some(true);
            b.alarms.iter().any(|a| a.id == id) && there.esp != Esp::Unknown && entry
        };
        let boot = self.until("the alarm after the start, and a boot entry", LOOK, told);
        assert_eq!(boot.state, State::Degraded, "{boot:#?}");
        assert_eq!(boot.started_from, Some(kept), "{boot:#?}");
        let drive = &boot.drives[usize::from(kept - 1)];
        assert!(drive.proved.is_some() && matches!(drive.esp, Esp::Whole { .. }), "{drive:?}");
        let node = self.rack.api(&spec).unwrap().node().unwrap();
        assert!(matches!(node.membership, Membership::Member { .. }), "{:?}", node.membership);
        assert!(
            node.boot.arrays.iter().all(|a| a.in_sync == 1) && node.boot.arrays.len() == 4,
            "{:?}",
            node.boot
        );
        assert!(self.pulled.contains(&lost), "it was pulled while the node ran");
        let mut passed = of_chain(spec.firmware, spec.drives[0].sector, &[lost]);
        passed.retain(|cell| !uefi || cell.nvram == nvram);
        self.cells.extend(passed);
        self.steps.done(&format!("started from drive {kept} alone, NVRAM {nvram:?}"));
    }

    /// Puts a blank drive into the bay of a pulled one.
    pub(crate) fn replace(&mut self, drive: u8, serial: &str) {
        let bay = usize::from(drive - 1);
        let blank = self.rack.blank_drive(NODE, bay, serial).unwrap();
        self.rack.insert(NODE, bay, blank).unwrap();
        self.heals(drive);
    }

    /// The node makes the drive that was put in whole by itself.
    pub(crate) fn heals(&mut self, drive: u8) {
        let began = Instant::now();
        let running = |b: &BootDrives| matches!(b.heal, Heal::Running { .. });
        self.until("the healing to begin", Duration::from_secs(60), running);
        let whole = |b: &BootDrives| {
            let failed = matches!(b.heal, Heal::Failed { .. } | Heal::Stuck { .. });
            assert!(!failed, "{:?}", b.heal);
            // Everything was looked at again since, and nothing more was found to do.
            let Heal::Done { at, .. } = b.heal else { return false };
            let sound = |d: &Drive| matches!(d.esp, Esp::Whole { verified } if verified >= at);
            b.state == State::Whole && b.drives.len() == 2 && b.drives.iter().all(sound)
        };
        let boot = self.until("the mirror to be whole", HEAL, whole);
        let healed = &boot.drives[usize::from(drive - 1)];
        let spec = self.spec();
        assert_eq!(healed.serial, spec.drives[usize::from(drive - 1)].serial);
        assert_eq!((&healed.tables, &healed.proved), (&Tables::Whole, &None), "{healed:?}");
        assert_eq!(healed.entry, spec.firmware.is_uefi().then_some(true), "{healed:?}");
        assert!(matches!(boot.heal, Heal::Done { .. }) && boot.alarms.is_empty(), "{boot:#?}");
        self.pulled.remove(&drive);
        self.steps.done(&format!("drive {drive} healed in {:.0?} with no command typed", began.elapsed()));
    }

    /// All that the chain was to pass has passed.
    pub(crate) fn passed(&self, lost: &[u8]) {
        let spec = self.spec();
        let want: BTreeSet<Cell> = of_chain(spec.firmware, spec.drives[0].sector, lost).into_iter().collect();
        assert_eq!(self.cells, want);
        println!("mirror matrix: {} of {} cells by this chain", self.cells.len(), matrix().len());
    }
}
