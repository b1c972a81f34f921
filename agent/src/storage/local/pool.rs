//! The pool: an LVM thin pool on the data mirror, made once, and only where nothing else is.

use std::io;
use std::path::{Path, PathBuf};

use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::direct::Direct;
use serde::Deserialize;

use super::lvm::{BACKUP, Lvm};
use super::report::Report;
use super::{GROUP, POOL, text};

/// Bytes that have to be readable before something is made.
const BEGINNING: usize = 2 << 20;
/// Bytes that LVM's label is within, and that have to be zeros.
const LABEL: usize = 4096;

/// What is on the data array.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    /// Type of what blkid finds on it; empty when it finds nothing.
    content: String,
    /// The volume group it belongs to, where it is a physical volume.
    group: Option<String>,
    /// Names of the volumes in [`GROUP`].
    volumes: Vec<String>,
    /// Where nothing is found: whether its first bytes were read, and are zeros.
    zeros: bool,
    /// This installation has had a group on it.
    had: bool,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    PhysicalVolume,
    Group,
    Pool,
}

/// The pool cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum PoolError {
    /// A program failed.
    #[error(transparent)]
    Cmd(#[from] CmdError),
    /// Something else is on the array.
    #[error("{0}")]
    Foreign(String),
    /// It cannot be read.
    #[error("cannot read {}", device.display())]
    Read {
        /// The array.
        device: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not there after all, or LVM does not say how large it is.
    #[error("the pool {GROUP}/{POOL} has no size")]
    NoSize,
}

/// The pool, once the kernel has it.
#[derive(Debug)]
pub(super) struct Ensured {
    /// Bytes in all.
    pub(super) size: u64,
    /// The group as it is; `None` where it was seen before the kernel had the pool, which knows how full it is.
    pub(super) report: Option<Report>,
}

/// Makes the pool where it is missing, and has the kernel know it. `backup` is where LVM keeps the group's description.
///
/// # Errors
/// [`PoolError`].
pub(super) fn ensure(lvm: &Lvm, device: &Path, backup: &Path) -> Result<Ensured, PoolError> {
    let mut report = lvm.report()?;
    // At every start but the first it is there, and nothing else is asked.
    if report.pool.is_none() {
        let facts = probe(lvm, device, &report, backup)?;
        for step in plan(&facts).map_err(PoolError::Foreign)? {
            command(lvm, step, device).run()?;
        }
        report = lvm.report()?;
    }
    let Some(pool) = report.pool.as_ref().filter(|pool| pool.size > 0) else {
        return Err(PoolError::NoSize);
    };
    let (size, active) = (pool.size, pool.active);
    if !active {
        lvm.activate().run()?;
    }
    Ok(Ensured { size, report: active.then_some(report) })
}

/// What is missing. Anything on the array that is not ours is left alone. Pure.
fn plan(facts: &Facts) -> Result<Vec<Step>, String> {
    let group = facts.group.as_deref();
    if facts.had && group.unwrap_or_default().is_empty() {
        // Drives that do not answer for a moment look the same; and so does a label that was written over.
        return Err(format!(
            "the data array had the volume group {GROUP} and does not show it any more; nothing is made in its place. Where \
             the drives are whole and the array can be read, `pvcreate --restorefile` and `vgcfgrestore --file` with \
             {BACKUP} bring it back; where what was on it is given up, remove that file"
        ));
    }
    match (facts.content.as_str(), group) {
        ("", None) if !facts.zeros => Err(
            "the data array carries something that is not known: its first bytes are no zeros; it is left alone. Where \
             nothing on it is needed, `wipefs` and `blkdiscard --zeroout --length 1M` on it make it usable"
                .to_owned(),
        ),
        ("", None) => Ok(vec![Step::PhysicalVolume, Step::Group, Step::Pool]),
        // A crash between pvcreate and vgcreate leaves a volume that belongs to no group.
        ("LVM2_member", None | Some("")) => Ok(vec![Step::Group, Step::Pool]),
        ("LVM2_member", Some(GROUP)) if facts.volumes.iter().any(|v| v == POOL) => Ok(vec![]),
        ("LVM2_member", Some(GROUP)) => Ok(vec![Step::Pool]),
        ("LVM2_member", Some(other)) => Err(format!("the data array belongs to volume group {other}")),
        (content, _) => Err(format!("the data array carries {content}; it is left alone")),
    }
}

fn command(lvm: &Lvm, step: Step, device: &Path) -> Cmd {
    match step {
        Step::PhysicalVolume => {
            // It cannot be made larger later.
            let area = format!("{}b", text::AREA);
            // Without `--yes`: where it sees a signature after all, it asks, hears no answer, and fails.
            lvm.change("pvcreate").args(["--zero", "y", "--metadatasize", &area]).arg(device)
        }
        Step::Group => lvm.change("vgcreate").arg(GROUP).arg(device),
        // Some room stays free: for the pool's own repair, and to let it and its tables grow. What it does when it is full is
        // said as soon as it is looked after: lvcreate does not take `--errorwhenfull` for a pool alone.
        Step::Pool => lvm.change("lvcreate").args([
            "--yes",
            "--type",
            "thin-pool",
            "--extents",
            "90%FREE",
            "--discards",
            "passdown",
            "--name",
            POOL,
            GROUP,
        ]),
    }
}

fn probe(lvm: &Lvm, device: &Path, report: &Report, backup: &Path) -> Result<Facts, PoolError> {
    // blkid exits with 2 when it finds nothing; and where it cannot open or read the device, so that is no answer alone.
    let blkid = Cmd::new("blkid").args(["--probe", "--match-tag", "TYPE", "--output", "value"]).arg(device);
    let content = match blkid.text() {
        Ok(text) => text.trim().to_owned(),
        Err(CmdError::Failed { status, .. }) if status.code() == Some(2) => String::new(),
        Err(e) => return Err(e.into()),
    };
    let group = if content == "LVM2_member" { Some(group_of(lvm, device)?) } else { None };
    let zeros = content.is_empty() && {
        let read = begins_with_zeros(device);
        read.map_err(|source| PoolError::Read { device: device.to_owned(), source })?
    };
    Ok(Facts { content, group, volumes: report.names.clone(), zeros, had: backup.exists() })
}

/// Whether a device begins with zeros, where LVM's label would be; the whole beginning has to be readable.
fn begins_with_zeros(device: &Path) -> io::Result<bool> {
    let mut direct = Direct::open(device, false)?;
    let read = direct.read(BEGINNING)?;
    if read.len() < BEGINNING {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    // Behind the label a pvcreate that was cut short may have begun its area.
    Ok(read[..LABEL].iter().all(|byte| *byte == 0))
}

#[derive(Deserialize)]
struct Reports {
    report: Vec<PvReport>,
}

#[derive(Deserialize)]
struct PvReport {
    pv: Vec<Pv>,
}

#[derive(Deserialize)]
struct Pv {
    vg_name: String,
}

fn group_of(lvm: &Lvm, device: &Path) -> Result<String, CmdError> {
    let pvs = lvm.run("pvs").args(["--reportformat", "json", "--options", "vg_name"]).arg(device);
    let reports: Reports = pvs.json()?;
    Ok(reports.report.into_iter().flat_map(|r| r.pv).next().map(|pv| pv.vg_name).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_only_what_is_missing_is_made_and_nothing_foreign_is_touched() {
        use Step::{Group, PhysicalVolume, Pool};
        /// Name, content, group, volumes, wanted steps.
        type Row<'a> = (&'a str, &'a str, Option<&'a str>, &'a [&'a str], Option<&'a [Step]>);
        let all: &[Step] = &[PhysicalVolume, Group, Pool];
        let rows: [Row<'_>; 8] = [
            ("blank", "", None, &[], Some(all)),
            ("crash after pvcreate", "LVM2_member", Some(""), &[], Some(&[Group, Pool])),
            ("crash after vgcreate", "LVM2_member", Some("maekin"), &[], Some(&[Pool])),
            ("whole", "LVM2_member", Some("maekin"), &["local"], Some(&[])),
            ("whole, with volumes", "LVM2_member", Some("maekin"), &["vm1", "local"], Some(&[])),
            ("another group", "LVM2_member", Some("ceph-1"), &[], None),
            ("a file system", "ext4", None, &[], None),
            ("an OSD", "ceph_bluestore", None, &[], None),
        ];
        for (name, content, group, volumes, want) in rows {
            let facts = Facts {
                content: content.into(),
                group: group.map(Into::into),
                volumes: volumes.iter().map(|v| (*v).to_owned()).collect(),
                zeros: true,
                had: false,
            };
            assert_eq!(plan(&facts).ok().as_deref(), want, "{name}");
            // What finds no group where there was one makes none: the drives may not answer for a moment.
            let had = Facts { had: true, ..facts.clone() };
            let want = want.filter(|_| group == Some("maekin"));
            assert_eq!(plan(&had).ok().as_deref(), want, "{name}, and there was a group");
            let noise = Facts { zeros: false, ..facts };
            let want = want.filter(|_| !content.is_empty());
            if content.is_empty() {
                assert_eq!(plan(&noise).ok().as_deref(), want, "{name}, but no zeros");
            }
        }
    }

    #[test]
    fn local_blank_is_what_was_read_and_is_zeros() {
        let dir = tempfile::tempdir_in(".").unwrap(); // a file system that takes direct reads
        let file = dir.path().join("data");
        assert!(begins_with_zeros(&file).is_err(), "what cannot be opened is not blank");
        let write = |bytes: &[u8]| std::fs::write(&file, bytes).unwrap();
        write(&vec![0; BEGINNING / 2]);
        assert!(begins_with_zeros(&file).is_err(), "what cannot be read to its end is not blank");
        let mut bytes = vec![0; BEGINNING];
        write(&bytes);
        assert!(begins_with_zeros(&file).unwrap());
        bytes[8192] = 1;
        write(&bytes);
        assert!(begins_with_zeros(&file).unwrap(), "a pvcreate that was cut short");
        bytes[512..520].copy_from_slice(b"LABELONE");
        write(&bytes);
        assert!(!begins_with_zeros(&file).unwrap());
        let line = command(&Lvm::default(), Step::PhysicalVolume, Path::new("/dev/md/x")).line();
        assert!(!line.contains("--yes"), "{line}");
    }

    #[test]
    fn local_the_pool_is_made_with_some_room_left_beside_it() {
        let line = command(&Lvm::default(), Step::Pool, Path::new("/dev/md/x")).line();
        for part in ["--discards passdown", "90%FREE"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    #[test]
    fn local_the_group_is_made_with_room_for_the_description_of_its_volumes() {
        let line = command(&Lvm::default(), Step::PhysicalVolume, Path::new("/dev/md/x")).line();
        assert!(line.contains("--metadatasize 67108864b"), "{line}");
    }

    #[test]
    fn local_reports_of_physical_volumes_are_understood() {
        let pvs = r#"{"report":[{"pv":[{"vg_name":"maekin"}]}],"log":[]}"#;
        let pvs: Reports = serde_json::from_str(pvs).unwrap();
        assert_eq!(pvs.report[0].pv[0].vg_name, "maekin");
    }
}
