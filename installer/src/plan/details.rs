//! A step in full: every sector range, identifier and digest that it will use, for whoever wants to check a plan before
//! it is carried out.

use std::path::Path;

use maekin_image::manifest::FileEntry;

use super::{Plan, Step};
use crate::facts::size_text;

/// What `step` will use, one thing a line; none where its label says it all.
#[must_use]
pub fn details(plan: &Plan, step: &Step) -> Vec<String> {
    match step {
        Step::Mark { disk, install, .. } => vec![format!("{} sector 0, installation {install}", name(disk))],
        Step::Unboot { disk, ranges } | Step::Erase { disk, ranges } => {
            ranges.iter().map(|range| sectors(plan, disk, *range)).collect()
        }
        Step::Table { disk, guid, parts, .. } => {
            let part = |p: &maekin_image::gpt::TablePart| {
                format!(
                    "{} is {}, partition {} {}",
                    sectors(plan, disk, (p.start, p.size)),
                    p.name,
                    p.number,
                    p.guid
                )
            };
            [format!("{} has the GUID {guid}", name(disk))]
                .into_iter()
                .chain(parts.iter().map(part))
                .collect()
        }
        Step::BiosCore { lba, source, entry, .. } => {
            vec![format!("from sector {lba}: {}", file(source, entry))]
        }
        Step::Zero { members, size, .. } => {
            members.iter().map(|member| format!("{}, all {size} bytes", member.display())).collect()
        }
        Step::CreateArray(array) => {
            let member = |m: &Option<std::path::PathBuf>| {
                m.as_ref().map_or_else(|| "missing".to_owned(), |m| m.display().to_string())
            };
            let members: Vec<String> = array.members.iter().map(member).collect();
            let resync = if array.assume_clean { "equal already" } else { "resynced afterwards" };
            vec![format!("UUID {}, of {}, {resync}", array.uuid, members.join(" and "))]
        }
        Step::WriteRoot { source, entry, .. } => vec![file(source, entry)],
        Step::ZeroRest { from, .. } => vec![format!("from byte {from} to the end")],
        Step::ZeroHead { len, .. } => vec![format!("its first {len} bytes")],
        Step::Compare { entry, .. } => vec![format!("{} bytes, SHA-256 {}", entry.size, entry.sha256)],
        Step::MakeEsp { serial, label, .. } => {
            vec![format!("FAT \"{label}\", serial {:04X}-{:04X}", serial >> 16, serial & 0xffff)]
        }
        Step::FillEsp { files, manifest, texts, .. } => {
            let bundle = files.iter().map(|f| format!("{} = {}", f.path, file(&f.source, &f.entry)));
            let signed = manifest.iter().map(|path| format!("{path}, as it was verified"));
            let own =
                texts.iter().map(|text| format!("{}, {} bytes made here", text.path, text.content.len()));
            bundle.chain(signed).chain(own).collect()
        }
        Step::MakeState { uuid, .. } => vec![format!("ext4, UUID {uuid}")],
        Step::WriteState { files, .. } => {
            files.iter().map(|text| format!("{}, {} bytes", text.path, text.content.len())).collect()
        }
        Step::CommitEsp { file: f, .. } => vec![format!("{} = {}", f.path, file(&f.source, &f.entry))],
        Step::CommitMbr { disk, core_lba, source, entry, .. } => vec![match core_lba {
            Some(lba) => {
                format!("{} sector 0: {}, which starts sector {lba}", name(disk), file(source, entry))
            }
            None => format!("{} sector 0: no boot code, a BIOS cannot boot this drive", name(disk)),
        }],
        Step::MarkInstalled { mark, .. } => vec![format!("{}, {} bytes", mark.path, mark.content.len())],
        Step::BootEntry { part, label, loader, .. } => {
            vec![format!("\"{label}\": partition {part}, {loader}; its failure is told and not fatal")]
        }
        Step::Release { .. } | Step::VerifyEsp { .. } | Step::CheckDrivers { .. } => Vec::new(),
    }
}

fn name(disk: &Path) -> String {
    disk.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn file(source: &str, entry: &FileEntry) -> String {
    format!("{source}, {} bytes, SHA-256 {}", entry.size, entry.sha256)
}

/// A byte range of a drive of the plan, in the drive's sectors.
fn sectors(plan: &Plan, disk: &Path, (start, len): (u64, u64)) -> String {
    let sector = plan.drives.iter().find(|d| d.path == disk).map_or(512, |d| d.sector);
    let last = (start + len) / sector - 1;
    format!("{} sectors {} to {last} ({})", name(disk), start / sector, size_text(len))
}
