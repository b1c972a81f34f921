//! Local volumes: an LVM thin pool on the data mirror, made once, and only where nothing else is.

use std::path::Path;

use maekin_api::node::LocalPool;
use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::md;
use maekin_image::ids::Array;
use serde::Deserialize;

use crate::errors::chain;

/// Volume group.
const GROUP: &str = "maekin";
/// Thin pool in it.
const POOL: &str = "local";

/// What is on the data array.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    /// Type of what blkid finds on it; empty when it finds nothing.
    content: String,
    /// The volume group it belongs to, where it is a physical volume.
    group: Option<String>,
    /// Names of the volumes in [`GROUP`].
    volumes: Vec<String>,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    PhysicalVolume,
    Group,
    Pool,
}

/// Makes the pool where it is missing, and says how it is.
pub(crate) fn ensure() -> LocalPool {
    let device = md::device(Array::Data.name());
    if !device.exists() {
        return LocalPool::Failed { reason: format!("{} is not there", device.display()) };
    }
    match ensure_on(&device) {
        Ok(size) => LocalPool::Ready { size },
        Err(reason) => LocalPool::Failed { reason },
    }
}

fn ensure_on(device: &Path) -> Result<u64, String> {
    let text = |e: CmdError| chain(&e);
    let mut there = volumes(device).map_err(text)?;
    // At every start but the first it is there, and nothing else is asked.
    if !there.iter().any(|v| v.lv_name == POOL) {
        let facts = probe(device, &there).map_err(text)?;
        for step in plan(&facts)? {
            command(step, device).run().map_err(text)?;
        }
        there = volumes(device).map_err(text)?;
    }
    let pool = there.iter().find(|v| v.lv_name == POOL);
    let size = pool.and_then(|v| v.lv_size.parse().ok());
    let size = size.ok_or_else(|| format!("the pool {GROUP}/{POOL} has no size"))?;
    lvm("vgchange", device).args(["--activate", "y", GROUP]).run().map_err(text)?;
    Ok(size)
}

/// A command of LVM that looks at nothing but `device`: no other drive keeps it waiting, and no other group is meant.
fn lvm(program: &str, device: &Path) -> Cmd {
    Cmd::new(program).arg("--devices").arg(device)
}

/// What is missing. Anything on the array that is not ours is left alone. Pure.
fn plan(facts: &Facts) -> Result<Vec<Step>, String> {
    match (facts.content.as_str(), facts.group.as_deref()) {
        ("", None) => Ok(vec![Step::PhysicalVolume, Step::Group, Step::Pool]),
        // A crash between pvcreate and vgcreate leaves a volume that belongs to no group.
        ("LVM2_member", None | Some("")) => Ok(vec![Step::Group, Step::Pool]),
        ("LVM2_member", Some(GROUP)) if facts.volumes.iter().any(|v| v == POOL) => Ok(vec![]),
        ("LVM2_member", Some(GROUP)) => Ok(vec![Step::Pool]),
        ("LVM2_member", Some(other)) => Err(format!("the data array belongs to volume group {other}")),
        (content, _) => Err(format!("the data array carries {content}; it is left alone")),
    }
}

fn command(step: Step, device: &Path) -> Cmd {
    match step {
        Step::PhysicalVolume => lvm("pvcreate", device).args(["--yes", "--zero", "y"]).arg(device),
        Step::Group => lvm("vgcreate", device).arg(GROUP).arg(device),
        // Some room stays free: for the pool's own repair, and to let its metadata grow.
        Step::Pool => lvm("lvcreate", device).args([
            "--yes",
            "--type",
            "thin-pool",
            "--extents",
            "90%FREE",
            "--name",
            POOL,
            GROUP,
        ]),
    }
}

fn probe(device: &Path, there: &[Lv]) -> Result<Facts, CmdError> {
    // blkid exits with 2 when it finds nothing: that is an answer.
    let blkid = Cmd::new("blkid").args(["--probe", "--match-tag", "TYPE", "--output", "value"]).arg(device);
    let content = match blkid.text() {
        Ok(text) => text.trim().to_owned(),
        Err(CmdError::Failed { status, .. }) if status.code() == Some(2) => String::new(),
        Err(e) => return Err(e),
    };
    let group = if content == "LVM2_member" { Some(group_of(device)?) } else { None };
    let volumes = there.iter().map(|v| v.lv_name.clone()).collect();
    Ok(Facts { content, group, volumes })
}

#[derive(Deserialize)]
struct Reports<T> {
    report: Vec<T>,
}

#[derive(Deserialize)]
struct PvReport {
    pv: Vec<Pv>,
}

#[derive(Deserialize)]
struct Pv {
    vg_name: String,
}

#[derive(Deserialize)]
struct LvReport {
    lv: Vec<Lv>,
}

#[derive(Deserialize)]
struct Lv {
    vg_name: String,
    lv_name: String,
    lv_size: String,
}

fn group_of(device: &Path) -> Result<String, CmdError> {
    let pvs = lvm("pvs", device).args(["--reportformat", "json", "--options", "vg_name"]).arg(device);
    let reports: Reports<PvReport> = pvs.json()?;
    Ok(reports.report.into_iter().flat_map(|r| r.pv).next().map(|pv| pv.vg_name).unwrap_or_default())
}

/// The volumes of [`GROUP`] on `device`.
fn volumes(device: &Path) -> Result<Vec<Lv>, CmdError> {
    let lvs = lvm("lvs", device).args(["--reportformat", "json", "--units", "b", "--nosuffix"]);
    Ok(ours(lvs.args(["--options", "vg_name,lv_name,lv_size"]).json()?))
}

fn ours(reports: Reports<LvReport>) -> Vec<Lv> {
    reports.report.into_iter().flat_map(|r| r.lv).filter(|v| v.vg_name == GROUP).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_made_and_nothing_foreign_is_touched() {
        use Step::{Group, PhysicalVolume, Pool};
        /// Name, content, group, volumes, wanted steps.
        type Row<'a> = (&'a str, &'a str, Option<&'a str>, &'a [&'a str], Option<&'a [Step]>);
        let rows: [Row<'_>; 8] = [
            ("blank", "", None, &[], Some(&[PhysicalVolume, Group, Pool])),
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
            };
            assert_eq!(plan(&facts).ok().as_deref(), want, "{name}");
        }
    }

    #[test]
    fn reports_of_lvm_are_understood() {
        let pvs = r#"{"report":[{"pv":[{"vg_name":"maekin"}]}],"log":[]}"#;
        let lvs = r#"{"report":[{"lv":[{"vg_name":"ceph-1","lv_name":"osd","lv_size":"1"},
            {"vg_name":"maekin","lv_name":"local","lv_size":"5368709120"}]}]}"#;
        let pvs: Reports<PvReport> = serde_json::from_str(pvs).unwrap();
        assert_eq!(pvs.report[0].pv[0].vg_name, "maekin");
        let lvs = ours(serde_json::from_str(lvs).unwrap());
        let told: Vec<_> = lvs.iter().map(|v| (v.lv_name.as_str(), v.lv_size.as_str())).collect();
        assert_eq!(told, [("local", "5368709120")]);
        assert!(ours(serde_json::from_str(r#"{"report":[{"lv":[]}]}"#).unwrap()).is_empty(), "a blank drive");
    }
}
