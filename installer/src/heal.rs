//! Making boot drives whole again while the node runs from them: a drive that was away gets what it missed, a new one
//! becomes what the missing one was, a node with one drive becomes one with two, and boot files that are damaged are
//! mended. The agent calls it; a person can.
//!
//! Without consent it writes only to blank drives, to drives of this very node that are older than what runs, and to
//! those that it was interrupted on. It never writes to the drive that the node runs from, but for single files of its
//! ESP, and the machine starts from that drive whatever happens here.
//!
//! | module | job |
//! | --- | --- |
//! | [`observed`] | what is so, as plain data |
//! | [`observe`] | looking at the machine |
//! | [`esp`] | what is wrong with an ESP, and where the right bytes are |
//! | [`plan`] | what is done; pure |
//! | [`steps`] | what a step is |
//! | [`target`] | what a healing can do to a machine |
//! | [`real`] | ... to this one |
//! | [`apply`] | steps to effects |
//! | [`report`] | what was found and how it goes, for people and for the agent |

pub mod apply;
pub mod esp;
pub mod observe;
pub mod observed;
pub mod plan;
pub mod real;
pub mod report;
pub mod steps;
pub mod target;

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use maekin_host::file;
use maekin_image::manifest::PUBLIC_KEY_PATH;
use maekin_rootfs::heal::{Action, End, Line, RECEIPTS, Receipt};

use crate::apply::real::RealTarget;
use crate::plan::build::{BOOT_IMG, CORE_IMG};
use crate::source::{Release, Source, Stream};
use observed::Observed;
use plan::{Choice, Planned};
use report::Teller;

const LOCK: &str = "/run/maekin/heal.lock";

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints what was found, and what would be done about it.
///
/// # Errors
/// When the machine cannot be looked at.
pub fn show(choice: &Choice, form: Form) -> Result<()> {
    let _lock = lock()?;
    let seen = look()?;
    let findings = report::findings(&seen, &plan::plan(&seen, choice));
    match form {
        Form::Json => println!("{}", serde_json::to_string_pretty(&findings)?),
        Form::Text => print!("{}", report::text(&findings)),
    }
    Ok(())
}

/// Does what [`show`] tells.
///
/// # Errors
/// Why it was refused, or failed.
pub fn heal(choice: &Choice, form: Form) -> Result<()> {
    let mut teller = Teller::new(form);
    let outcome = heal_and_tell(choice, &mut teller);
    let end = match &outcome {
        Ok(()) => End::Ok,
        Err(e) => End::Failed { error: format!("{e:#}") },
    };
    teller.say(Line::End(end));
    outcome
}

fn heal_and_tell(choice: &Choice, teller: &mut Teller) -> Result<()> {
    let _lock = lock()?;
    let seen = look()?;
    let planned = plan::plan(&seen, choice);
    match planned.summary.action {
        Action::None => {
            teller.say(Line::Note { note: planned.summary.reason });
            return Ok(());
        }
        Action::Refuse => bail!("{}; {}", planned.summary.reason, planned.summary.remedy),
        _ => {}
    }
    let start = Instant::now();
    teller.say(Line::Note { note: planned.summary.reason.clone() });
    let steps = apply::apply(&planned.steps, &release(&seen)?, &mut RealTarget, teller)?;
    let receipt = receipt(&planned, steps, teller.notes(), start);
    let path = Path::new("/var").join(RECEIPTS).join(format!("{}.json", receipt.at));
    // The drive is whole without it.
    if let Err(e) = file::write_atomic(&path, serde_json::to_string_pretty(&receipt)?.as_bytes(), 0o600) {
        teller.say(Line::Note { note: format!("no receipt could be kept: {:#}", anyhow::Error::from(e)) });
    }
    Ok(())
}

/// Only one at a time looks and heals: both mount ESPs.
fn lock() -> Result<File> {
    let file = File::create(LOCK).with_context(|| format!("cannot create {LOCK}"))?;
    if file.try_lock().is_err() {
        bail!("the boot drives are being looked at or healed already; try again later");
    }
    Ok(file)
}

fn look() -> Result<Observed> {
    let key = file::read_text(Path::new(PUBLIC_KEY_PATH), 4096).context("this system has no release key")?;
    observe::observe(&key)
}

fn receipt(planned: &Planned, steps: Vec<(String, u64)>, notes: Vec<String>, start: Instant) -> Receipt {
    let plan = &planned.summary;
    Receipt {
        format: 1,
        at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        action: plan.action,
        place: plan.place,
        disk: planned.identity.clone(),
        reason: plan.reason.clone(),
        lost: plan.dies.clone(),
        took_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        steps,
        notes,
    }
}

/// What the steps of an installation take from a release: only what a BIOS needs.
fn release(seen: &Observed) -> Result<Release> {
    let (manifest, json, signature) = seen.releases.get(&seen.slot).with_context(|| {
        format!("no boot drive has a trusted manifest for slot {}; install anew", seen.slot)
    })?;
    let files =
        seen.bios.iter().flat_map(|bios| [(BOOT_IMG, bios.boot.clone()), (CORE_IMG, bios.core.clone())]);
    Ok(Release {
        manifest: manifest.clone(),
        json: json.clone(),
        signature: signature.clone(),
        source: Box::new(Held(files.collect())),
    })
}

/// Files in memory.
struct Held(Vec<(&'static str, Vec<u8>)>);

impl Source for Held {
    fn open(&self, path: &str, _size: Option<u64>) -> Result<Stream> {
        let found = self.0.iter().find(|(name, _)| *name == path);
        let (_, bytes) = found.with_context(|| format!("no boot drive has {path} whole"))?;
        Ok(Box::new(io::Cursor::new(bytes.clone())))
    }

    fn describe(&self) -> String {
        "the running boot drive".to_owned()
    }
}

#[cfg(test)]
mod tests;
