//! Small FAT file systems, always the same bytes for the same files.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};

use super::tools::Tools;

/// A FAT file system.
pub(crate) struct Volume {
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) label: &'static str,
    pub(crate) serial: u32,
}

impl Volume {
    /// Makes it at `path`, with these files, all of the time `epoch`.
    pub(crate) fn create(
        &self,
        tools: &Tools,
        path: &Path,
        epoch: u64,
        files: &[(&str, &Path)],
    ) -> Result<()> {
        let tool = |name: &str| tools.cmd(name).env("SOURCE_DATE_EPOCH", epoch.to_string());
        File::create(path)
            .and_then(|file| file.set_len(self.size))
            .with_context(|| format!("cannot create {}", path.display()))?;
        let serial = format!("{:08x}", self.serial);
        tool("usr/sbin/mkfs.fat")
            .args(["--invariant", "-F", "16", "-n", self.label, "-i", &serial])
            .arg(path)
            .run()?;
        let mut made: Vec<&str> = Vec::new();
        for (name, from) in files {
            for dir in name.match_indices('/').map(|(at, _)| &name[..at]) {
                if !made.contains(&dir) {
                    tool("usr/bin/mmd").arg("-i").arg(path).arg(format!("::/{dir}")).run()?;
                    made.push(dir);
                }
            }
            let stamped = path.with_extension("stamped");
            fs::copy(from, &stamped).with_context(|| format!("cannot read {}", from.display()))?;
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
            File::options().write(true).open(&stamped)?.set_modified(time)?;
            tool("usr/bin/mcopy")
                .args(["-m", "-o", "-i"])
                .arg(path)
                .arg(&stamped)
                .arg(format!("::/{name}"))
                .run()?;
            fs::remove_file(&stamped)?;
        }
        Ok(())
    }
}
