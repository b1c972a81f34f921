//! Drives pulled, broken, put in and replaced, while the node runs or not.

use std::time::Duration;

use anyhow::{Context, ensure};
use maekin_host::wait;

use super::Rack;
use crate::args::{boot_index_between, drive_backend, drive_device};
use crate::disk;
use crate::node::{BootFrom, Drive};

/// How long a guest may take to let go of a drive.
const LET_GO_LIMIT: Duration = Duration::from_secs(15);

impl Rack {
    /// Pulls a drive out of a running or switched-off node. A running guest is asked to let go of it first, as by the
    /// button beside the bay; see [`Rack::break_drive`] for a loss that asks nobody.
    ///
    /// # Errors
    /// When the guest does not let go within its limit.
    pub fn pull(&mut self, name: &str, drive: usize) -> anyhow::Result<()> {
        let (machine, _) = self.bay(name, drive)?;
        if machine.is_on() {
            let (qmp, id) = (machine.qmp(), format!("disk{drive}"));
            qmp.unplug(&id)?;
            let limit = self.limit(LET_GO_LIMIT);
            wait::until(&format!("{name} to let go of {id}"), limit, Duration::from_millis(50), || {
                matches!(qmp.has_device(&id), Ok(false)).then_some(())
            })?;
            // The device is out of sight before QEMU has finished what it had begun with the file.
            wait::until(
                &format!("QEMU to close the file of {id}"),
                limit,
                Duration::from_millis(50),
                || qmp.close(&format!("drive{drive}")).is_ok().then_some(()),
            )?;
            let _ = qmp.close(&format!("broken-{id}")); // there only if it had broken before
        }
        self.change(name, |node| node.drives[drive].plugged = false)
    }

    /// Puts a pulled drive back; a running node sees it at once.
    ///
    /// # Errors
    /// When there is no such drive, or QEMU does not take it.
    pub fn plug(&mut self, name: &str, drive: usize) -> anyhow::Result<()> {
        let (machine, spec) = self.bay(name, drive)?;
        if machine.is_on() && !spec.plugged {
            let mut device = drive_device(drive, &spec);
            // Its place in the boot order is that of its bay, behind what has that place now.
            if let Some(index) = boot_index_between(self.node(name)?, BootFrom::Drive(drive)) {
                device["bootindex"] = index.into();
            }
            machine.qmp().plug(&drive_backend(drive, &spec), &device)?;
        }
        self.change(name, |node| node.drives[drive].plugged = true)
    }

    /// Lets a drive of a running node die where it is: from now on it answers every request with an I/O error.
    ///
    /// # Errors
    /// When the node is off, or QEMU refuses.
    pub fn break_drive(&self, name: &str, drive: usize) -> anyhow::Result<()> {
        let (machine, spec) = self.bay(name, drive)?;
        ensure!(machine.is_on(), "{name} is off: a drive breaks only while its node runs");
        machine.qmp().break_drive(&format!("disk{drive}"), spec.size)
    }

    /// Puts `drive` into the empty bay number `bay`, in place of whatever was there before.
    ///
    /// # Errors
    /// When the bay is not empty, or as [`Rack::plug`].
    pub fn insert(&mut self, name: &str, bay: usize, drive: Drive) -> anyhow::Result<()> {
        let (_, old) = self.bay(name, bay)?;
        ensure!(!old.plugged, "bay {bay} of {name} is not empty");
        self.change(name, |node| node.drives[bay] = Drive { plugged: false, ..drive })?;
        self.plug(name, bay)
    }

    /// Makes a blank drive for bay number `bay`, the same kind as the one there, with `serial`.
    ///
    /// # Errors
    /// When its file cannot be made.
    pub fn blank_drive(&self, name: &str, bay: usize, serial: &str) -> anyhow::Result<Drive> {
        let (machine, old) = self.bay(name, bay)?;
        let file = machine.dir().join(format!("{serial}.qcow2"));
        disk::create(&file, old.size).with_context(|| format!("cannot make {}", file.display()))?;
        Ok(Drive { file, serial: serial.to_owned(), plugged: false, ..old })
    }

    fn bay(&self, name: &str, drive: usize) -> anyhow::Result<(crate::machine::Machine, Drive)> {
        let node = self.node(name)?;
        let found = node
            .drives
            .get(drive)
            .with_context(|| format!("{name} has drives 0 to {}", node.drives.len().saturating_sub(1)))?;
        Ok((self.machine(node), found.clone()))
    }
}
