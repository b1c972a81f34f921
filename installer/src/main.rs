//! `maekin-installer`: see the library's documentation.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use maekin_host::kmsg::{self, Level};
use maekin_host::{file, tty};
use maekin_image::manifest::PUBLIC_KEY_PATH;
use maekin_installer::facts::Facts;
use maekin_installer::facts::probe::probe_facts;
use maekin_installer::facts::table::table;
use maekin_installer::heal::plan::Choice;
use maekin_installer::heal::{self, Form};
use maekin_installer::plan::{describe, plan};
use maekin_installer::source::{DirSource, Release};
use maekin_installer::{answers, boot, drives, judge, receipt, run};
use uuid::Uuid;

/// Installs Maekin on this machine, and starts it where it is installed.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install: unattended with an answer file, else asking on all consoles (the job of the install medium).
    Run {
        /// Only print the plan; the same as `plan`.
        #[arg(long, requires = "answers")]
        dry_run: bool,
        #[command(flatten)]
        input: OptionalInput,
    },
    /// Print what would be done and the consent tokens, without writing anything.
    Plan(Input),
    /// Print what this machine is and what is on its drives.
    Probe {
        /// As JSON, for `plan --facts`.
        #[arg(long)]
        json: bool,
    },
    /// Print what is on drives, and the tokens for consent to its loss. Writes nothing.
    Drives {
        /// Their nodes, e.g. /dev/sdb; none: all.
        devices: Vec<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check an answer file; the exit status is 1 when anything is wrong with it.
    Check {
        /// The file.
        file: PathBuf,
        /// Facts captured by `probe --json` on the machine that it is for: is there anything against installing it so?
        #[arg(long)]
        facts: Option<PathBuf>,
    },
    /// Print the answer file's JSON Schema.
    Schema,
    /// Go on with a start that could not decide which boot drive is right: with this one.
    Keep {
        /// 0, 1, or its serial number.
        drive: String,
    },
    /// Make this node's boot drives whole again, while it runs; without --apply, only say what would be done.
    Heal {
        /// Do it.
        #[arg(long)]
        apply: bool,
        /// What was found and what would be done, as JSON.
        #[arg(long, conflicts_with = "apply")]
        json: bool,
        /// How it goes as JSON, one line each.
        #[arg(long, requires = "apply")]
        json_progress: bool,
        /// Take this drive.
        #[arg(long)]
        disk: Option<PathBuf>,
        /// Consent to lose exactly what this token stands for.
        #[arg(long)]
        consent: Vec<String>,
    },
    /// Check a receipt against its signature.
    Receipt {
        /// The receipt; its signature is beside it, with `.minisig` behind its name.
        file: PathBuf,
        /// The public key, from somewhere that you trust; else the one beside the receipt, which came along with it.
        #[arg(long)]
        key: Option<PathBuf>,
    },
    /// Say what a machine with these drives would do, and why it does not start. Writes nothing.
    Judge(judge::command::Args),
    /// Start the installed system that the kernel command line names (the job of the initrd).
    Boot,
}

#[derive(clap::Args)]
struct Input {
    /// Answer file.
    #[arg(long)]
    answers: PathBuf,
    #[command(flatten)]
    rest: Rest,
}

#[derive(clap::Args)]
struct OptionalInput {
    /// Answer file, for --dry-run.
    #[arg(long)]
    answers: Option<PathBuf>,
    #[command(flatten)]
    rest: Rest,
}

#[derive(clap::Args)]
struct Rest {
    /// Directory of the release bundle.
    #[arg(long, default_value = "/run/maekin/medium/release")]
    release: PathBuf,
    /// The release's public key.
    #[arg(long, default_value = PUBLIC_KEY_PATH)]
    key: PathBuf,
    /// Facts captured by `probe --json`, instead of this machine's.
    #[arg(long)]
    facts: Option<PathBuf>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let args = Args::parse();
    let outcome = match args.command {
        Command::Run { dry_run: true, input } => {
            print_plan(input.answers.as_deref().unwrap_or(Path::new("")), &input.rest)
        }
        Command::Run { dry_run: false, .. } => told(run::TAG, run::run()),
        Command::Plan(input) => print_plan(&input.answers, &input.rest),
        Command::Probe { json } => print_facts(json),
        Command::Drives { devices, json } => drives::show(devices, json),
        Command::Check { file, facts } => check(&file, facts.as_deref()),
        Command::Schema => {
            print!("{}", answers::schema::json());
            Ok(())
        }
        Command::Keep { drive } => boot::keep(&drive),
        Command::Heal { apply, json, json_progress, disk, consent } => {
            let form = if json || json_progress { Form::Json } else { Form::Text };
            let choice = Choice { disk, consent };
            if apply { heal::heal(&choice, form) } else { heal::show(&choice, form) }
        }
        Command::Receipt { file, key } => verify_receipt(&file, key.as_deref()),
        Command::Judge(args) => judge::command::run(&args),
        Command::Boot => told(boot::TAG, boot::boot()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("maekin-installer: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tells a failure on every console: whoever looks, looks there.
fn told(tag: &str, outcome: Result<()>) -> Result<()> {
    if let Err(e) = &outcome {
        let text = format!("failed: {e:#}");
        kmsg::say(Level::Error, tag, &text);
        tty::announce(&tty::active(), &format!("{tag}: {}", text.replace('\n', "\r\n")));
    }
    outcome
}

fn read_answers(path: &Path) -> Result<answers::Answers> {
    let text = file::read_text(path, answers::LIMIT)?;
    answers::parse(&text).with_context(|| path.display().to_string())
}

fn check(path: &Path, facts: Option<&Path>) -> Result<()> {
    let text = file::read_text(path, answers::LIMIT)?;
    let facts = facts.map(read_facts).transpose()?;
    let name = path.display().to_string();
    match answers::report::report(&name, &text, facts.as_ref()) {
        Ok(line) => println!("{line}"),
        Err(problems) => {
            print!("{problems}");
            anyhow::bail!("{name} cannot be used");
        }
    }
    Ok(())
}

fn read_facts(path: &Path) -> Result<Facts> {
    serde_json::from_str(&file::read_text(path, 16 << 20)?)
        .with_context(|| format!("{} holds no facts", path.display()))
}

fn print_plan(answers: &Path, rest: &Rest) -> Result<()> {
    let answers = read_answers(answers)?;
    let key = file::read_text(&rest.key, 4096)?;
    let release = Release::load(Box::new(DirSource(rest.release.clone())), &key)?;
    let facts = match &rest.facts {
        Some(path) => read_facts(path)?,
        None => probe_facts()?,
    };
    // A plan that is only shown needs no randomness: its identifiers will be others.
    match plan(&facts, &answers, &release.manifest, Uuid::nil()) {
        Ok(plan) => print!("{}", describe::full(&plan)),
        Err(refusals) => {
            print!("{}", table(&facts));
            return Err(refusals.into());
        }
    }
    Ok(())
}

fn verify_receipt(path: &Path, key: Option<&Path>) -> Result<()> {
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    let came_along = beside(".pub");
    let named = key.unwrap_or(&came_along);
    let comment = receipt::verify(
        &file::read_bytes(path, 16 << 20)?,
        &file::read_text(&beside(".minisig"), 4096)?,
        &file::read_text(named, 4096)?,
    )
    .with_context(|| path.display().to_string())?;
    println!("{}: signed by the key in {}: {comment}", path.display(), named.display());
    if key.is_none() {
        println!("That key came along with it: this proves only that both belong together.");
    }
    Ok(())
}

fn print_facts(json: bool) -> Result<()> {
    let facts = probe_facts()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&facts)?);
    } else {
        print!("{}", table(&facts));
    }
    Ok(())
}
