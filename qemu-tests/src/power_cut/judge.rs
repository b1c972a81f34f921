//! The product's own judgement of drives, asked of the installer program (`maekin-installer judge --batch`): what
//! firmware and initrd would make of them. One process answers many questions.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::Context;
use maekin_host::cmd::Cmd;
use serde::{Deserialize, Serialize};

use crate::release::workspace;

/// What a machine would do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Start this installation.
    Boots {
        /// Its id.
        install: String,
        /// The drive that firmware starts, 0 or 1.
        from: usize,
    },
    /// Start nothing from the drives; the installer would take them without asking.
    Installs,
    /// Start nothing from the drives; the installer would ask first.
    Asks {
        /// For what.
        reason: String,
    },
    /// Start something that does not come up.
    Half {
        /// Why not.
        reason: String,
    },
}

/// Under both kinds of firmware.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Judgement {
    /// Under BIOS.
    pub bios: Outcome,
    /// Under UEFI.
    pub uefi: Outcome,
}

#[derive(Serialize)]
struct Question<'a> {
    drives: &'a [PathBuf],
}

/// A judge at work.
pub struct Judge {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Judge {
    /// Starts the installer program of the image under test; `scratch` is a directory for its copies.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(scratch: &Path) -> anyhow::Result<Self> {
        let program = workspace().join("target/release/maekin-installer");
        let key = workspace().join("keys/throw-away.pub");
        let command = Cmd::new(&program).args(["judge", "--batch", "--key"]).arg(key).env("TMPDIR", scratch);
        let mut child = command.spawn(Stdio::piped(), Stdio::piped(), Stdio::inherit())?;
        let (input, output) =
            child.stdin.take().zip(child.stdout.take()).context("the judge has no pipes")?;
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    /// What a machine with these drives (raw images, in their order) would do.
    ///
    /// # Errors
    /// When the judge ended, or cannot be understood.
    pub fn ask(&mut self, drives: &[PathBuf]) -> anyhow::Result<Judgement> {
        let question = serde_json::to_string(&Question { drives })?;
        writeln!(self.input, "{question}").context("the judge does not listen")?;
        let mut line = String::new();
        self.output.read_line(&mut line).context("the judge does not speak")?;
        serde_json::from_str(&line).with_context(|| format!("cannot understand the judge's {line:?}"))
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // It ends by itself when its questions end; this only makes sure of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
