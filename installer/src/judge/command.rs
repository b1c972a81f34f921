//! `maekin-installer judge`.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use maekin_host::file;
use maekin_image::manifest::PUBLIC_KEY_PATH;
use serde::Deserialize;

use super::{Judgement, Outcome, judge};

/// What is judged.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The drives, or images of them, in the order in which firmware tries them.
    #[arg(required_unless_present = "batch")]
    drives: Vec<PathBuf>,
    /// The release's public key.
    #[arg(long, default_value = PUBLIC_KEY_PATH)]
    key: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Answer questions from standard input, a line of JSON each: {"drives": [...]}.
    #[arg(long, conflicts_with = "drives")]
    batch: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    drives: Vec<PathBuf>,
}

/// Judges and prints.
///
/// # Errors
/// When the key or a drive cannot be read.
pub fn run(args: &Args) -> Result<()> {
    let key = file::read_text(Path::new(&args.key), 4096)?;
    let mut out = std::io::stdout().lock();
    if !args.batch {
        let judgement = judge(&args.drives, &key)?;
        let text = if args.json { serde_json::to_string(&judgement)? } else { words(&judgement) };
        return writeln!(out, "{text}").context("cannot print");
    }
    for line in std::io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?).context("the question cannot be understood")?;
        let judgement = judge(&question.drives, &key)?;
        writeln!(out, "{}", serde_json::to_string(&judgement)?).context("cannot print")?;
        out.flush().context("cannot print")?;
    }
    Ok(())
}

fn words(judgement: &Judgement) -> String {
    let one = |outcome: &Outcome| match outcome {
        Outcome::Boots { install, from } => format!("starts installation {install} from drive {from}"),
        Outcome::Installs => "starts nothing from these drives; they are free to be installed on".to_owned(),
        Outcome::Asks { reason } => {
            format!("starts nothing from these drives; installing on them needs consent: {reason}")
        }
        Outcome::Half { reason } => format!("starts, and does not come up: {reason}"),
    };
    format!("BIOS: {}\nUEFI: {}", one(&judgement.bios), one(&judgement.uefi))
}
