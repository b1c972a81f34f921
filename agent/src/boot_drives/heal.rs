//! Healing with no command typed: what to do about what `maekin-installer heal --json` found (pure), starting it as a
//! unit of its own, so that it outlives this agent and never runs twice at once, and following what it says.

use std::path::Path;

use maekin_api::boot_drives::{Heal, HealPolicy, StartHeal};
use maekin_rootfs::heal::{Action, Candidate, End, Findings, Line};

use super::memory::Healed;

/// The unit; `rootfs` has its file.
pub(crate) const UNIT: &str = "maekin-heal.service";
/// Pauses after failures, seconds: the last one for all that follow.
const PAUSES: [u64; 4] = [60, 300, 1800, 7200];

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing.
    Nothing,
    /// Heal, with these arguments.
    Start(StartHeal),
    /// Wait for a person.
    Ask(Heal),
    /// Tell why not.
    Stuck(Heal),
    /// It failed; try again then.
    Later(u64),
}

/// What is decided by.
#[derive(Debug, Clone)]
pub(crate) struct Case<'a> {
    pub(crate) policy: HealPolicy,
    pub(crate) findings: &'a Findings,
    /// What a person said.
    pub(crate) asked: Option<&'a StartHeal>,
    pub(crate) last: Option<&'a Healed>,
    /// Names ([`name`]) of drives that were there while all was well: spares for something else.
    pub(crate) known: &'a [String],
    /// Device nodes of drives that do not answer.
    pub(crate) failing: &'a [String],
    pub(crate) now: u64,
}

/// How an action is called.
pub(crate) fn action_name(action: Action) -> String {
    // A unit variant serializes as its name.
    serde_json::to_value(action).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Decides. Pure.
pub(crate) fn decide(case: &Case<'_>) -> Decision {
    let plan = &case.findings.plan;
    if let Some(asked) = case.asked {
        return Decision::Start(asked.clone());
    }
    let disk = plan.disk.as_ref().map(|d| d.display().to_string()).unwrap_or_default();
    match plan.action {
        Action::None => return Decision::Nothing,
        Action::Refuse => return refused(case),
        Action::ReAdd | Action::Rebuild | Action::AddMirror | Action::ResyncEsp => {}
    }
    if case.failing.contains(&disk) || case.policy == HealPolicy::Never {
        return Decision::Nothing;
    }
    let taken = case.findings.candidates.iter().find(|c| c.disk.display().to_string() == disk);
    // A drive that was there while all was well was put in for something else: it is not taken unasked.
    let spare = taken.is_some_and(|c| case.known.contains(&name(c)));
    if case.policy == HealPolicy::Ask || spare || !plan.dies.is_empty() || plan.token.is_some() {
        let reason = if spare && plan.dies.is_empty() {
            format!("{}; it was in before, so it may be meant for something else", plan.reason)
        } else {
            lost(&plan.reason, &plan.dies)
        };
        let token = plan.token.clone().unwrap_or_default();
        return Decision::Ask(Heal::Asks { action: action_name(plan.action), disk, reason, token });
    }
    match case.last.filter(|last| last.error.is_some()).map(next_try) {
        Some(next) if case.now < next => Decision::Later(next),
        _ => Decision::Start(StartHeal { disk: Some(disk).filter(|d| !d.is_empty()), consent: None }),
    }
}

/// What a drive is known by: its serial number, or what else there is.
pub(crate) fn name(candidate: &Candidate) -> String {
    if candidate.serial.is_empty() { candidate.title.clone() } else { candidate.serial.clone() }
}

/// What cannot be done by itself: a drive that could be taken with consent, one that cannot, or none at all.
fn refused(case: &Case<'_>) -> Decision {
    let findings = case.findings;
    let free = |c: &&Candidate| c.action != Action::Refuse && !case.known.contains(&name(c));
    if let Some(candidate) = findings.candidates.iter().find(free) {
        return Decision::Ask(Heal::Asks {
            action: action_name(candidate.action),
            disk: candidate.disk.display().to_string(),
            reason: lost(&candidate.reason, &candidate.dies),
            token: candidate.token.clone().unwrap_or_default(),
        });
    }
    let candidate = findings.candidates.iter().find(|c| !case.known.contains(&name(c)));
    if candidate.is_none() && findings.plan.disk.is_none() {
        return Decision::Nothing; // no drive to do anything with: that one is missing is said already
    }
    Decision::Stuck(Heal::Stuck {
        reason: findings.plan.reason.clone(),
        remedy: findings.plan.remedy.clone(),
    })
}

fn lost(reason: &str, dies: &[String]) -> String {
    if dies.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason}; this would be lost: {}", dies.join(", "))
    }
}

/// When a healing that failed is tried again.
pub(crate) fn next_try(last: &Healed) -> u64 {
    let at = (last.failures.max(1) as usize - 1).min(PAUSES.len() - 1);
    last.at + PAUSES[at]
}

/// The unit's environment for `start`.
///
/// # Errors
/// Names what is neither a device nor a token.
pub(crate) fn environment(start: &StartHeal) -> Result<String, String> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.:".contains(&b));
    let mut arguments = String::new();
    for (flag, value) in [("--disk", &start.disk), ("--consent", &start.consent)] {
        if let Some(value) = value.as_ref().filter(|v| !v.is_empty()) {
            if !plain(value) || value.starts_with('-') {
                return Err(format!("{value:?} is no device and no token"));
            }
            arguments.push_str(&format!(" {flag} {value}"));
        }
    }
    Ok(format!("HEAL_ARGUMENTS=\"{}\"\n", arguments.trim_start()))
}

/// What a healing has said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) step: String,
    pub(crate) percent: u8,
    pub(crate) end: Option<End>,
    pub(crate) notes: Vec<String>,
}

/// Reads what it said. A line that is cut off or not understood is passed over.
pub(crate) fn parse_said(text: &str) -> Said {
    let mut said = Said { step: "starting".to_owned(), ..Said::default() };
    for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        match line {
            Line::Progress(p) => {
                let percent = p.done.saturating_mul(100).checked_div(p.work).unwrap_or(0);
                said.percent = u8::try_from(percent).unwrap_or(100).min(100);
                said.step = p.step;
            }
            Line::Note { note } => said.notes.push(note),
            Line::End(end) => said.end = Some(end),
        }
    }
    said
}

/// Where it says it.
pub(crate) fn output(run: &Path) -> std::path::PathBuf {
    run.join("heal.jsonl")
}

#[cfg(test)]
mod tests;
