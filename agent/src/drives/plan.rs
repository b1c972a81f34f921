//! What becomes of a drive: from what was seen of it, what the policy says and what people want of it. It is given to
//! storage only where nothing is on it, or somebody consented to the loss of exactly what is on it. Pure.

use maekin_api::drives::{DrivePolicy, State, Usage, Verdict};

use super::attached::Attached;
use super::health;
use super::observe::Seen;
use super::values::WishValue;

/// Smallest drive that storage has a use for, bytes.
pub(crate) const LEAST: u64 = 8 << 30;

/// How the boot drives of the node are: they come before storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Boot {
    /// One of two is missing: a blank drive may be meant for its place.
    pub(crate) lacks: bool,
    /// A drive is being made one.
    pub(crate) healing: bool,
    /// Whether the node cannot do without its boot drive 1 or 2, as things are.
    pub(crate) needed: [bool; 2],
    /// Whether its boot drive 1 or 2 was retired, or may have been.
    pub(crate) retired: [bool; 2],
}

impl Boot {
    /// Whether the node cannot do without the drive that is used so.
    fn needs(self, usage: &Usage) -> bool {
        place(usage).and_then(|at| self.needed.get(at).copied()).unwrap_or(false)
    }

    /// Whether the other boot drive than the one that is used so was retired: it still has everything, but goes.
    fn loses_other(self, usage: &Usage) -> bool {
        place(usage).is_some_and(|at| (0..).zip(self.retired).any(|(other, retired)| other != at && retired))
    }
}

/// In which place (0 or 1) a boot drive is; `None`: it is none.
fn place(usage: &Usage) -> Option<usize> {
    let Usage::BootMirror { number } = usage else { return None };
    usize::from(*number).checked_sub(1)
}

/// What is decided by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) seen: &'a Seen,
    /// Who uses it, by the word of [`super::users`].
    pub(crate) used: Option<&'a Usage>,
    pub(crate) policy: DrivePolicy,
    /// What people want of it, on this node.
    pub(crate) wish: Option<&'a WishValue>,
    /// They want something of it that this release does not understand.
    pub(crate) unclear: bool,
    pub(crate) boot: Boot,
    /// Another node that tells of the same drive.
    pub(crate) elsewhere: Option<&'a str>,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) state: State,
    pub(crate) usage: Usage,
    pub(crate) why: String,
    pub(crate) remedy: String,
}

impl Decision {
    fn new(state: State, usage: Usage, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state, usage, why: why.into(), remedy: remedy.into() }
    }
}

/// Decides.
pub(crate) fn decide(case: &Case<'_>) -> Decision {
    used(case).or_else(|| retired(case, &idle(case))).unwrap_or_else(|| unused(case))
}

/// One that is used, whatever else is so of it.
fn used(case: &Case<'_>) -> Option<Decision> {
    let usage = case.used?;
    if let Some(decision) = retired(case, usage) {
        return Some(decision);
    }
    let words = usage.words();
    Some(match failing(case.seen) {
        Some(why) => Decision::new(
            State::Failing,
            usage.clone(),
            format!("{why}; it is used as {words}"),
            "have a replacement at hand; `maekin drive retire` says whether it can be done without",
        ),
        None => Decision::new(State::InUse, usage.clone(), format!("used as {words}"), ""),
    })
}

/// One that somebody wants emptied.
fn retired(case: &Case<'_>, usage: &Usage) -> Option<Decision> {
    let retire = case.wish?.retire.as_ref()?;
    Some(if retire.done > 0 && case.boot.needs(usage) {
        // It could go when it was retired; the other one has failed since.
        let why =
            format!("{} had it retired, and now the other boot drive does not have everything", retire.by);
        Decision::new(State::Retiring, usage.clone(), why, "do not pull it; see `maekin get boot-drives`")
    } else if retire.done > 0 && case.boot.loses_other(usage) {
        let why = format!("{} had it retired, and the other boot drive was retired, too", retire.by);
        let remedy = "pull neither of them; `maekin drive take` keeps one, and then the other may be pulled";
        Decision::new(State::Retiring, usage.clone(), why, remedy)
    } else if retire.done > 0 {
        let why = format!("{} had it retired; nothing is lost when it is pulled", retire.by);
        Decision::new(State::Retired, usage.clone(), why, "pull it; `maekin drive locate` lets its bay blink")
    } else {
        let why = format!("{} wants it retired", retire.by);
        let remedy = "`maekin get tasks` says how far it is; `maekin drive take` takes it back";
        Decision::new(State::Retiring, usage.clone(), why, remedy)
    })
}

/// One that nobody uses.
fn unused(case: &Case<'_>) -> Decision {
    let seen = case.seen;
    let usage = idle(case);
    if let Some(why) = failing(seen) {
        return Decision::new(State::Failing, usage, format!("{why}; it is not taken"), "replace it");
    }
    if let Some(node) = case.elsewhere {
        let why = format!("{node} tells of the same drive: both nodes reach it, or one of them has a clone");
        let remedy = "cable it to one node; where it was moved here, start the other node without it, or remove that node";
        return Decision::new(State::Refused, usage, why, remedy);
    }
    if let Some((why, remedy)) = unfit(seen) {
        return Decision::new(State::Refused, usage, why, remedy);
    }
    if case.unclear {
        let why = "people want something of it that this release of the node does not understand";
        return Decision::new(
            State::Refused,
            usage,
            why,
            "upgrade this node: another member runs a newer release",
        );
    }
    let Some(found) = &seen.found else {
        return Decision::new(State::Refused, usage, "it was not looked at yet", "");
    };
    if case.boot.healing || (case.boot.lacks && found.blank) {
        let why = "the boot mirror comes first, and may need this drive";
        return Decision::new(State::Refused, usage, why, "see `maekin get boot-drives`");
    }
    if case.policy == DrivePolicy::Never {
        let why = "the policy of this node is to take no drive";
        return Decision::new(State::Refused, usage, why, "see `maekin get storage-policy`");
    }
    let consent = case.wish.and_then(|wish| wish.consent.as_ref());
    let consented = consent.filter(|consent| !found.token.is_empty() && consent.token == found.token);
    let spare = |why: String| Decision::new(State::Spare, Usage::Spare, why, "");
    match consented {
        Some(consent) => spare(format!("{} consented to the loss of what is on it", consent.by)),
        None if found.blank && case.policy == DrivePolicy::AutoBlank && seen.attached == Attached::Direct => {
            spare("it is blank".to_owned())
        }
        None => ask(case, &found.what, usage, consent.is_some()),
    }
}

/// It takes consent.
fn ask(case: &Case<'_>, what: &[String], usage: Usage, outdated: bool) -> Decision {
    let blank = case.seen.found.as_ref().is_some_and(|found| found.blank);
    let doubt = case.seen.attached.doubt();
    let why = match what.first() {
        _ if blank && case.policy == DrivePolicy::Ask => {
            "the policy of this node is to ask for every drive".to_owned()
        }
        _ if blank => "it is blank".to_owned(),
        Some(first) => format!("it holds {first}"),
        None => "it holds something unknown".to_owned(),
    };
    let why = if outdated { format!("{why}; consent was given to something else on it") } else { why };
    let why = doubt.into_iter().fold(why, |why, doubt| format!("{why}; {doubt}"));
    let remedy = format!("if that may be lost: `maekin drive take {}`", case.seen.id);
    Decision::new(State::WaitingForConsent, usage, why, remedy)
}

/// How a drive is used that nobody of ours uses.
fn idle(case: &Case<'_>) -> Usage {
    let blank = case.seen.found.as_ref().is_none_or(|found| found.blank);
    if blank && case.seen.held.is_empty() { Usage::Unused } else { Usage::Foreign }
}

/// Why it is said to be failing, where it is.
fn failing(seen: &Seen) -> Option<String> {
    let health = health::judge(seen.smart.as_ref()?);
    (health.verdict == Verdict::Failing).then_some(health.reason)
}

/// Why storage has no use for it, whoever consents, and what to do.
fn unfit(seen: &Seen) -> Option<(String, &'static str)> {
    let found = seen.found.as_ref();
    let unreadable = found.and_then(|found| found.unreadable.as_ref());
    let media = found.and_then(|found| found.virtual_media.as_ref());
    let gib = |bytes: u64| bytes >> 30;
    if seen.twin {
        let why = format!("two drives here say that they are {}: a clone, or two paths to one", seen.id);
        return Some((why, "pull one of them, or cable each drive once"));
    }
    if !seen.stable {
        let why = "it has neither a world-wide name nor a serial number, and could not be told from another";
        return Some((why.to_owned(), "give it a serial number where it is a virtual one"));
    }
    if let Some(whose) = media {
        return Some((format!("it is no drive, but media that {whose} shows"), ""));
    }
    if found.is_some_and(|found| found.medium) {
        return Some(("it is install media".to_owned(), ""));
    }
    if seen.removable || seen.transport == "usb" {
        return Some(("it can be taken out at any moment".to_owned(), ""));
    }
    if seen.read_only {
        return Some(("it cannot be written".to_owned(), ""));
    }
    if seen.size < LEAST {
        let why = format!("it is too small: {} GiB, and storage needs {}", gib(seen.size), gib(LEAST));
        return Some((why, ""));
    }
    if !seen.held.is_empty() {
        return Some((seen.held.clone(), "have that ended; then it is looked at again"));
    }
    unreadable.map(|why| (format!("it cannot be read: {why}"), "replace it, or look at its cable"))
}

#[cfg(test)]
mod tests;
