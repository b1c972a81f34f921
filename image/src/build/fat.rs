//! Small FAT file systems, always the same bytes for the same files.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};

use super::tools::Tools;

/// Makes a FAT file system of `size` bytes at `path`, with these files.
pub(crate) fn create(
    tools: &Tools,
    path: &Path,
    size: u64,
    label: &str,
    serial: u32,
    epoch: u64,
    files: &[(&str, &Path)],
) -> Result<()> {
    File::create(path)
        .and_then(|file| file.set_len(size))
        .with_context(|| format!("cannot create {}", path.display()))?;
    let image = || path.as_os_str();
    tools
        .cmd("usr/sbin/mkfs.fat")
        .args(["--invariant", "-F", "16", "-n", label, "-i", &format!("{serial:08x}")])
        .arg(path)
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .run()?;
    let mut made: Vec<&str> = Vec::new();
    for (name, from) in files {
        for (at, _) in name.match_indices('/') {
            if !made.contains(&&name[..at]) {
                let dir = format!("::/{}", &name[..at]);
                tools
                    .cmd("usr/bin/mmd")
                    .arg("-i")
                    .arg(image())
                    .arg(dir)
                    .env("SOURCE_DATE_EPOCH", epoch.to_string())
                    .run()?;
                made.push(&name[..at]);
            }
        }
        let stamped = path.with_extension("stamped");
        fs::copy(from, &stamped).with_context(|| format!("cannot read {}", from.display()))?;
        File::options()
            .write(true)
            .open(&stamped)?
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(epoch))?;
        tools
            .cmd("usr/bin/mcopy")
            .args(["-m", "-o", "-i"])
            .arg(image())
            .arg(&stamped)
            .arg(format!("::/{name}"))
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .run()?;
        fs::remove_file(&stamped)?;
    }
    Ok(())
}
