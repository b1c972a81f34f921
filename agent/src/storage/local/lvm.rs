//! LVM's commands, one for each step. Each takes its time on a slow node: there are few.

use std::path::PathBuf;
use std::time::Duration;

use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::md;
use maekin_image::ids::Array;

use super::care::Need;
use super::report::{self, FIELDS, Report};
use super::{GROUP, POOL};
use crate::volumes::engine::{Source, Step};

/// LVM keeps a copy of the group's description from before each command for 30 days, in `/etc/lvm`; `/etc` of a node is in
/// memory, and so would be all of them. What is kept is the last description, on the state's file system.
const CONFIG: &str = "backup { archive=0 backup=1 backup_dir=\"/var/lib/maekin/lvm\" }";
/// Where that one is: it is there from the moment on that there is a group.
pub(super) const BACKUP: &str = "/var/lib/maekin/lvm/maekin";
/// How long a command may take that changes something. It waits for all that was written to a volume to be on the drives,
/// or for a pool's tables to be checked; cut short, it may leave what it changes standing still.
const CHANGE: Duration = Duration::from_secs(30 * 60);
/// How long it may go on after it was told to end. LVM heeds that between changes, never within one.
const GRACE: Duration = Duration::from_secs(120);
/// Most bytes of a report.
const REPORT: usize = 16 << 20;

/// LVM's program.
#[derive(Debug, Clone)]
pub(super) struct Lvm {
    program: String,
    /// It looks at nothing but this: no other drive keeps it waiting, and no other group of that name is meant.
    /// `None`: of a node without a data mirror, and of tests.
    device: Option<PathBuf>,
}

impl Default for Lvm {
    fn default() -> Self {
        Self { program: "lvm".to_owned(), device: Some(md::device(Array::Data.name())) }
    }
}

impl Lvm {
    #[cfg(test)]
    pub(super) fn at(program: &std::path::Path) -> Self {
        Self { program: program.display().to_string(), device: None }
    }

    /// One of its commands. Numbers are written with a point, whatever the node's language.
    pub(super) fn run(&self, command: &str) -> Cmd {
        let cmd = Cmd::new(&self.program).arg(command).env("LC_ALL", "C");
        match &self.device {
            Some(device) => cmd.arg("--devices").arg(device).args(["--config", CONFIG]),
            None => cmd,
        }
    }

    /// One of them that changes something.
    pub(super) fn change(&self, command: &str) -> Cmd {
        self.run(command).limit(CHANGE).grace(GRACE)
    }

    /// Has the kernel have the pool. Volumes stay as they are: each is used only where it is attached.
    pub(super) fn activate(&self) -> Cmd {
        self.change("lvchange").args(["--activate", "y"]).arg(format!("{GROUP}/{POOL}"))
    }

    /// The group as it is; nothing where there is none.
    ///
    /// # Errors
    /// [`CmdError`].
    pub(super) fn report(&self) -> Result<Report, CmdError> {
        let lvs = self
            .run("lvs")
            .args(["--reportformat", "json", "--units", "b", "--nosuffix", "--options", FIELDS])
            .most(REPORT);
        let output = lvs.output()?;
        report::parse_report(&output).map_err(|source| CmdError::Output { line: lvs.line(), source })
    }

    /// What a step takes, in order. Pure.
    pub(super) fn commands(&self, step: &Step) -> Vec<Cmd> {
        let lv = |name: String| format!("{GROUP}/{name}");
        let bytes = |size: &u64| format!("{size}b");
        let deactivate =
            |id: &str| self.change("lvchange").args(["--activate", "n"]).arg(lv(report::volume(id)));
        // Nothing of them is active by itself after a start. lvcreate does not take that for thin volumes; one whose making
        // ended in between is active then, and given up at the first look.
        let passive =
            |id: &str| self.change("lvchange").args(["--setautoactivation", "n"]).arg(lv(report::volume(id)));
        let create = || self.change("lvcreate").arg("--yes");
        match step {
            Step::Create { id, size } => {
                let lvcreate = create().args(["--type", "thin", "--virtualsize"]).arg(bytes(size));
                let lvcreate =
                    lvcreate.args(["--thinpool", POOL, "--name"]).arg(report::volume(id)).arg(GROUP);
                vec![lvcreate, passive(id), deactivate(id)]
            }
            Step::Clone { id, from } => {
                let from = match from {
                    Source::Volume(id) => report::volume(id),
                    Source::Snapshot(id) => report::snapshot(id),
                };
                let lvcreate =
                    create().args(["--snapshot", "--permission", "rw", "--setactivationskip", "n"]);
                let lvcreate = lvcreate.arg("--name").arg(report::volume(id)).arg(lv(from));
                vec![lvcreate, passive(id), deactivate(id)]
            }
            Step::Snapshot { id, volume } => {
                // It has the activation skip flag by default, and stays inactive.
                let lvcreate = create().args(["--snapshot", "--permission", "r", "--setactivationskip", "y"]);
                vec![lvcreate.arg("--name").arg(report::snapshot(id)).arg(lv(report::volume(volume)))]
            }
            Step::Grow { id, size } => {
                vec![self.change("lvextend").arg("--size").arg(bytes(size)).arg(lv(report::volume(id)))]
            }
            Step::Attach { id, .. } => {
                vec![self.change("lvchange").args(["--activate", "y"]).arg(lv(report::volume(id)))]
            }
            Step::Detach { id } => vec![deactivate(id)],
            Step::DeleteSnapshot { id } => {
                vec![self.change("lvremove").arg("--yes").arg(lv(report::snapshot(id)))]
            }
            Step::Delete { id } => vec![self.change("lvremove").arg("--yes").arg(lv(report::volume(id)))],
        }
    }

    /// What the pool's need takes. Pure.
    pub(super) fn tend(&self, need: &Need) -> Cmd {
        let pool = format!("{GROUP}/{POOL}");
        match need {
            Need::Resume(name) => self.change("lvchange").arg("--refresh").arg(format!("{GROUP}/{name}")),
            Need::ErrorWhenFull => self.change("lvchange").args(["--errorwhenfull", "y"]).arg(pool),
            Need::Tables(more) => {
                self.change("lvextend").arg("--poolmetadatasize").arg(format!("+{more}b")).arg(pool)
            }
            Need::Room(more) => self.change("lvextend").arg("--size").arg(format!("+{more}b")).arg(pool),
        }
    }
}

/// What the kernel says of thin pools. Without `--noflush` it would write their tables to the drives for each question.
pub(super) fn status() -> Cmd {
    Cmd::new("dmsetup").args(["status", "--noflush", "--target", "thin-pool"]).env("LC_ALL", "C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_steps_are_commands_that_name_ids_only() {
        let (id, other) = ("a".repeat(32), "b".repeat(32));
        let lvm = Lvm { device: None, ..Lvm::default() };
        let (v, s) = (format!("vol-{id}"), format!("snap-{other}"));
        let own = || id.clone();
        let rows = [
            (
                Step::Create { id: own(), size: 4 << 20 },
                vec![
                    format!(
                        "lvm lvcreate --yes --type thin --virtualsize 4194304b --thinpool local --name {v} maekin"
                    ),
                    format!("lvm lvchange --setautoactivation n maekin/{v}"),
                    format!("lvm lvchange --activate n maekin/{v}"),
                ],
            ),
            (
                Step::Clone { id: own(), from: Source::Snapshot(other.clone()) },
                vec![
                    format!(
                        "lvm lvcreate --yes --snapshot --permission rw --setactivationskip n --name {v} maekin/{s}"
                    ),
                    format!("lvm lvchange --setautoactivation n maekin/{v}"),
                    format!("lvm lvchange --activate n maekin/{v}"),
                ],
            ),
            (
                Step::Snapshot { id: other.clone(), volume: own() },
                vec![format!(
                    "lvm lvcreate --yes --snapshot --permission r --setactivationskip y --name {s} maekin/{v}"
                )],
            ),
            (
                Step::Grow { id: own(), size: 8 << 20 },
                vec![format!("lvm lvextend --size 8388608b maekin/{v}")],
            ),
            (Step::Attach { id: own(), token: 1 }, vec![format!("lvm lvchange --activate y maekin/{v}")]),
            (Step::Detach { id: own() }, vec![format!("lvm lvchange --activate n maekin/{v}")]),
            (Step::DeleteSnapshot { id: other }, vec![format!("lvm lvremove --yes maekin/{s}")]),
            (Step::Delete { id: own() }, vec![format!("lvm lvremove --yes maekin/{v}")]),
        ];
        for (step, want) in rows {
            let lines: Vec<_> = lvm.commands(&step).iter().map(Cmd::line).collect();
            assert_eq!(lines, want, "{step:?}");
        }
        let needs = [
            (Need::Resume(v.clone()), format!("lvm lvchange --refresh maekin/{v}")),
            (Need::ErrorWhenFull, "lvm lvchange --errorwhenfull y maekin/local".to_owned()),
            (Need::Tables(4 << 20), "lvm lvextend --poolmetadatasize +4194304b maekin/local".to_owned()),
            (Need::Room(8 << 20), "lvm lvextend --size +8388608b maekin/local".to_owned()),
        ];
        for (need, want) in needs {
            assert_eq!(lvm.tend(&need).line(), want);
        }
        let line = Lvm::default().run("lvs").line();
        assert!(line.starts_with("lvm lvs --devices /dev/md/"), "no other drive is looked at: {line}");
    }

    #[test]
    fn local_a_glance_writes_nothing() {
        assert_eq!(status().line(), "dmsetup status --noflush --target thin-pool");
    }

    #[test]
    fn local_commands_leave_nothing_in_memory() {
        let lvm = Lvm::default();
        let id = || "a".repeat(32);
        let steps = [
            Step::Create { id: id(), size: 4 << 20 },
            Step::Clone { id: id(), from: Source::Volume(id()) },
            Step::Snapshot { id: id(), volume: id() },
            Step::Grow { id: id(), size: 8 << 20 },
            Step::Delete { id: id() },
        ];
        let commands = steps.iter().flat_map(|step| lvm.commands(step));
        for cmd in commands.chain([lvm.tend(&Need::Room(4 << 20)), lvm.run("vgcreate"), lvm.run("lvs")]) {
            let line = cmd.line();
            assert!(line.contains("archive=0"), "no copy of each description: {line}");
            assert!(line.contains(r#"backup_dir="/var/lib/maekin/lvm""#), "the last one stays: {line}");
        }
    }
}
