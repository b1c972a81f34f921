//! Cargo and image builds. Everything that is shipped, and every tool that is run by hand, is a release build.

use std::path::PathBuf;

use crate::{cargo, shown, step, workspace};

/// Packages that the image consists of and is built by.
const SHIPPED: [&str; 5] = ["maekin-agent", "maekin-cli", "maekin-image", "maekin-installer", "maekin-pxe"];

/// A program as it is shipped.
pub(crate) fn program(name: &str) -> PathBuf {
    workspace().join("target/release").join(name)
}

/// Compiles what is shipped.
pub(crate) fn binaries() -> anyhow::Result<()> {
    step::run("compile", || {
        let packages = SHIPPED.iter().flat_map(|p| ["-p", p]);
        Ok(cargo().args(["build", "--release", "--locked"]).args(packages).run()?)
    })
}

/// Compiles the `rack` program.
pub(crate) fn rack() -> anyhow::Result<()> {
    Ok(cargo()
        .args(["build", "--release", "--locked", "-q", "-p", "maekin-qemu-tests", "--bin", "rack"])
        .run()?)
}

/// Builds the image; what did not change since the last time is taken from the cache.
pub(crate) fn image(options: &[String]) -> anyhow::Result<()> {
    binaries()?;
    step::run("image", || Ok(shown(program("maekin-image")).arg("build").args(options).run()?))
}
