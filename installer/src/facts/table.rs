//! The facts as a table for people: what `maekin-installer probe` prints.

use std::fmt::Write;

use super::{Disk, Facts, Nic, size_text};
use crate::plan::{consent, select};

/// All of it, line by line.
#[must_use]
pub fn table(facts: &Facts) -> String {
    let mut text = String::new();
    let dmi = &facts.dmi;
    let secure = match facts.secure_boot {
        Some(true) => ", Secure Boot on",
        Some(false) => ", Secure Boot off",
        None => "",
    };
    let memory = size_text(facts.memory);
    let name = format!("{} {}", dmi.vendor, dmi.product);
    let name = if name.trim().is_empty() { "a machine of an unknown maker" } else { name.trim() };
    let _ = writeln!(text, "{name}, {}{secure}, {memory} of memory", facts.firmware);
    let cpu = &facts.cpu;
    if cpu.threads > 0 {
        let _ = writeln!(text, "{} threads of {} ({})", cpu.threads, cpu.model, cpu.flags.join(" "));
    }
    for (i, disk) in facts.disks.iter().enumerate() {
        drive(&mut text, disk, &facts.disks[..i]);
    }
    for nic in &facts.nics {
        let _ = writeln!(text, "network {}", interface(nic));
    }
    for entry in &facts.boot.entries {
        let place = facts.boot.order.iter().position(|number| *number == entry.number);
        let place =
            place.map_or_else(|| "not tried".to_owned(), |place| format!("tried as number {}", place + 1));
        let off = if entry.active { "" } else { ", off" };
        let now = if facts.boot.current == Some(entry.number) { ", booted now" } else { "" };
        let _ = writeln!(
            text,
            "boot entry {:04X} \"{}\" ({place}{off}{now})",
            entry.number,
            entry.label.escape_debug()
        );
    }
    text
}

fn drive(text: &mut String, disk: &Disk, before: &[Disk]) {
    let _ = writeln!(text, "drive {}", disk.title());
    let transport = if disk.transport.is_empty() { "unknown transport" } else { &disk.transport };
    let kind = if disk.rotational { "spinning" } else { "solid state" };
    let mut notes = vec![transport.to_owned(), kind.to_owned(), format!("sectors of {}", disk.sector)];
    if disk.physical_sector > disk.sector {
        notes.push(format!("{} inside", disk.physical_sector));
    }
    if !disk.wwn.is_empty() {
        notes.push(format!("wwn {}", disk.wwn));
    }
    notes.extend(disk.namespace.map(|n| format!("namespace {n}")));
    for (is, what) in [
        (disk.removable, "removable"),
        (disk.read_only, "read-only"),
        (disk.holds_medium, "the install medium"),
    ] {
        notes.extend(is.then(|| what.to_owned()));
    }
    notes.extend(disk.virtual_media.as_ref().map(|who| format!("shown by {who}")));
    notes.extend(
        before.iter().find(|d| d.is_same_drive(disk)).map(|d| format!("the same drive as {}", d.name)),
    );
    let _ = writeln!(text, "    {}", notes.join(", "));
    if let Some(health) = &disk.health {
        let _ = writeln!(text, "    health: {}", health.words());
    }
    for line in disk.contents.words() {
        let _ = writeln!(text, "    {line}");
    }
    let known = disk.contents.unreadable.is_none() && select::never_offered(disk).is_none();
    if known && !disk.contents.is_free() {
        let _ = writeln!(text, "    consent token: {}", consent::token(disk));
    }
}

fn interface(nic: &Nic) -> String {
    let link = match (nic.link, nic.speed) {
        (Some(true), Some(speed)) => format!("link at {speed} Mbit/s"),
        (Some(true), None) => "link".to_owned(),
        (Some(false), _) => "no link".to_owned(),
        (None, _) => "down".to_owned(),
    };
    let driver = if nic.driver.is_empty() { "no driver" } else { &nic.driver };
    let neighbour = nic.lldp.as_ref().map(|other| {
        let system = if other.system.is_empty() { &other.chassis } else { &other.system };
        format!(", at {} port {}", system.escape_debug(), other.port.escape_debug())
    });
    format!("{} {} {driver} {link}{}", nic.name, nic.mac, neighbour.unwrap_or_default())
}
