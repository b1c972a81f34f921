//! Puts an answer file onto a medium: into its writable partition, of an ISO file or a flashed stick.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use maekin_host::cmd::{self, Cmd};
use maekin_image::medium::{AGAIN_DIR, ANSWER_FILE, ANSWER_LABEL, ANSWER_PARTITION, TABLE_LEN, partition};
use uuid::Uuid;

use super::tools::Tools;

/// Writes `toml` as the answer file of the medium `iso`, and the wish that the installation `again` may be replaced.
/// `out` is where a build may have left word of its tools.
pub(crate) fn put_answer(iso: &Path, toml: &Path, again: Option<Uuid>, out: &Path) -> Result<()> {
    let mut table = vec![0; TABLE_LEN];
    File::open(iso)
        .and_then(|mut file| file.read_exact(&mut table))
        .with_context(|| format!("cannot read {}", iso.display()))?;
    let (start, _) = partition(&table, ANSWER_PARTITION).with_context(|| {
        format!("{} has no partition {ANSWER_LABEL}; is it a Maekin medium?", iso.display())
    })?;
    File::open(toml).with_context(|| format!("cannot read the answer file {}", toml.display()))?;
    let mut image = iso.as_os_str().to_owned();
    image.push(format!("@@{start}"));
    let put = |file: &Path, name: &str| {
        let copied = mcopy(out)?.args(["-o", "-i"]).arg(&image).arg(file).arg(format!("::/{name}")).run();
        copied.with_context(|| format!("cannot write to the partition {ANSWER_LABEL} of {}", iso.display()))
    };
    put(toml, ANSWER_FILE)?;
    match again {
        Some(id) => put(Path::new("/dev/null"), &format!("{AGAIN_DIR}/{id}")),
        None => Ok(()),
    }
}

/// The host's mcopy, or that of an earlier build.
fn mcopy(out: &Path) -> Result<Cmd> {
    if cmd::exists("mcopy") {
        return Ok(Cmd::new("mcopy"));
    }
    let tools = Tools::left_by_build(out).context("mcopy is not there; install the package mtools")?;
    Ok(tools.cmd("usr/bin/mcopy"))
}
