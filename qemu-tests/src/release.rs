//! The built image under test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use maekin_host::cmd::Cmd;

/// The version of the workspace, and so of the image.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The image and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The hybrid ISO.
    pub iso: PathBuf,
    /// The bundle: `manifest.json` and everything it lists.
    pub bundle: PathBuf,
    /// The program that builds, verifies and fills in answers.
    pub tool: PathBuf,
}

/// The root of the checkout.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where everything that is built or run goes.
#[must_use]
pub fn out() -> PathBuf {
    workspace().join("out")
}

impl Release {
    /// Finds the built image.
    ///
    /// # Errors
    /// Names what is missing and the command that makes it.
    pub fn find() -> anyhow::Result<Self> {
        let release = Self {
            iso: out().join(format!("maekin-{VERSION}-amd64.iso")),
            bundle: out().join("release"),
            tool: workspace().join("target/release/maekin-image"),
        };
        for part in [&release.iso, &release.bundle, &release.tool] {
            if !part.exists() {
                bail!("{} is missing: build the image with `cargo xtask image`", part.display());
            }
        }
        Ok(release)
    }

    /// Copies the ISO to `to` and writes the answer file into the copy.
    ///
    /// # Errors
    /// What the copy or the tool says.
    pub fn copy_with_answer(&self, answer: &str, to: &Path) -> anyhow::Result<()> {
        // By cp, which clones where the file system can.
        Cmd::new("cp")
            .args(["--reflink=auto", "--"])
            .arg(&self.iso)
            .arg(to)
            .limit(Duration::from_secs(300))
            .run()?;
        self.write_answer(answer, None, to)
    }

    /// Writes the answer file into the ISO or stick `to`, and the wish that the installation `again` be replaced.
    ///
    /// # Errors
    /// What the tool says.
    pub fn write_answer(&self, answer: &str, again: Option<&str>, to: &Path) -> anyhow::Result<()> {
        let toml = to.with_extension("toml");
        std::fs::write(&toml, answer).with_context(|| format!("cannot write {}", toml.display()))?;
        let wish = again.iter().flat_map(|id| ["--again", id]);
        self.tool("answer").arg("--iso").arg(to).arg("--toml").arg(&toml).args(wish).run()?;
        Ok(())
    }

    /// A command of the image tool, run from the checkout's root, as it is typed.
    #[must_use]
    pub fn tool(&self, command: &str) -> Cmd {
        Cmd::new(&self.tool).arg(command).dir(workspace()).limit(Duration::from_secs(600))
    }

    /// SHA-256 of the ISO, in hex.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self) -> anyhow::Result<String> {
        let text = Cmd::new("sha256sum").arg(&self.iso).limit(Duration::from_secs(300)).text()?;
        let digest = text.split_whitespace().next().context("sha256sum said nothing")?;
        Ok(digest.to_owned())
    }
}
