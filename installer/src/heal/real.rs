//! The running machine.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_host::md::change::{self, Sync};
use maekin_host::mount::{self, Access};
use maekin_host::{file, md, wait};
use maekin_image::ids::Array;
use maekin_rootfs::node::NODE_FILE;

use super::target::HealTarget;
use crate::apply::real::{RealTarget, mount_point};

/// How long bringing a half up to date may stand still before that is a failure.
const STALL: Duration = Duration::from_secs(180);
/// Where the state is mounted.
const VAR: &str = "/var";
const NODE_LIMIT: u64 = 1 << 20;

impl HealTarget for RealTarget {
    fn take_out(&mut self, array: Array, member: &str) -> Result<()> {
        Ok(change::take_out(&sysfs(array)?, member)?)
    }

    fn join(&mut self, array: Array, member: &Path, by_bitmap: bool) -> Result<()> {
        let node = md::device(array.name());
        if by_bitmap {
            match change::re_add(&node, member) {
                Ok(()) => return Ok(()),
                // The array has moved on too far since: then all of it is copied.
                Err(e) => tracing::info!("{} is copied as a whole: {e:#}", member.display()),
            }
        }
        Ok(change::add(&node, member)?)
    }

    fn await_sync(&mut self, arrays: &[Array], moved: &mut dyn FnMut(u64)) -> Result<()> {
        let dirs = arrays.iter().map(|array| sysfs(*array)).collect::<Result<Vec<_>>>()?;
        let sizes: Vec<u64> = dirs.iter().map(|dir| size(dir)).collect();
        let mut last = None;
        loop {
            let what = "the halves of the mirrors to come up to date";
            let now = wait::until(what, STALL, Duration::from_millis(500), || {
                let states: Vec<Sync> = dirs.iter().map(|dir| change::sync(dir)).collect();
                (Some(&states) != last.as_ref()).then_some(states)
            })
            .context("nothing moves any more: look at /proc/mdstat and the kernel's log")?;
            let done = now.iter().zip(&sizes).map(|(state, size)| match state {
                Sync::Whole => *size,
                Sync::Running(bytes) => *bytes,
                Sync::Idle => 0,
            });
            moved(done.sum());
            if now.iter().all(|state| *state == Sync::Whole) {
                return Ok(());
            }
            for (array, dir) in arrays.iter().zip(&dirs) {
                let faulty =
                    change::members(dir, Path::new("/sys/class/block")).into_iter().find(|m| m.faulty);
                if let Some(member) = faulty {
                    bail!("{} failed while {} was brought up to date: replace it", member.name, array.name());
                }
            }
            last = Some(now);
        }
    }

    fn mount_to_read(&mut self, device: &Path) -> Result<()> {
        let source = device.display().to_string();
        mount::attach(&source, "vfat", &mount_point(device), Access::ReadOnly, "nosuid,nodev,noexec")?;
        Ok(())
    }

    fn open_file(&mut self, device: &Path, path: &str) -> Result<Box<dyn Read>> {
        let path = mount_point(device).join(path);
        Ok(Box::new(File::open(&path).with_context(|| format!("cannot open {}", path.display()))?))
    }

    fn change_node(&mut self, change: &mut dyn FnMut(&str) -> Result<String>) -> Result<()> {
        let path = Path::new(VAR).join(NODE_FILE);
        let text = file::read_text(&path, NODE_LIMIT)?;
        let changed = change(&text).with_context(|| path.display().to_string())?;
        file::write_atomic(&path, changed.as_bytes(), 0o600)?;
        Ok(())
    }
}

fn sysfs(array: Array) -> Result<std::path::PathBuf> {
    change::sysfs(&md::device(array.name()))
        .with_context(|| format!("the mirror {} does not run", array.name()))
}

/// Bytes of the array at a directory like `/sys/block/md127`.
fn size(dir: &Path) -> u64 {
    let text = std::fs::read_to_string(dir.join("size")).unwrap_or_default();
    text.trim().parse::<u64>().unwrap_or(0) * 512
}
