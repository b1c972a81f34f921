//! A machine that nobody has let in yet: it tells the install master what it is, and asks until a person, a list or an
//! open window lets it in. Masters may go away and come back, and another one may take over: it goes on asking them in
//! turn, and shows what it knows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use maekin_api::machine::{Ask, DISK, HOLD, TELL, Told, Verdict, WAIT, code};
use maekin_host::wait;
use ureq::Agent;

use crate::facts::detail::printable;
use crate::facts::{Facts, PreviousNode, size_text};
use crate::source::http::check_base;

/// How long a machine waits for a person.
const LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Pause between two questions; the master holds each while nothing changes.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a master may take to accept a connection, or to send more.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often facts are sent that the master did not take.
const TELL_AGAIN: Duration = Duration::from_secs(15);
/// Longest verdict that is read, bytes.
const LONGEST: u64 = 16 << 10;
/// Longest reason that is shown.
const REASON: usize = 400;
/// Most masters that are asked.
const MASTERS: usize = 8;

/// What a machine that waits shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// By which a person tells it from others.
    pub code: String,
    /// Whom it asks, the one that answered last first.
    pub masters: Vec<String>,
    /// As whom it asks.
    pub ask: Ask,
    /// What it is, for a person who compares.
    pub machine: String,
    /// What is installed on its drives, where that is one installation, in words.
    pub installed: Option<String>,
    /// What it was told last.
    pub verdict: Option<Verdict>,
    /// Why it hears nothing.
    pub problem: Option<String>,
}

impl Waiting {
    /// A machine that has asked nobody yet.
    ///
    /// # Errors
    /// When an address cannot be one.
    pub fn new(masters: &str, facts: &Facts, boot_mac: Option<&str>) -> Result<Self> {
        let ask = facts.ask(boot_mac);
        let masters: Vec<String> =
            masters.split(',').take(MASTERS).map(|base| base.trim_end_matches('/').to_owned()).collect();
        masters.iter().try_for_each(|base| check_base(base))?;
        let code = code(&ask.mac, ask.uuid.as_deref());
        let installed = installed(facts).map(PreviousNode::words);
        Ok(Self { code, masters, machine: describe(facts), ask, installed, ..Self::default() })
    }

    /// Whether what is installed may be started without a person: a master was heard, and nobody wants this machine
    /// installed. Where it was to be, and did not come to its end, what is on its drives may be half of something.
    #[must_use]
    pub fn may_start(&self) -> bool {
        let open = matches!(self.verdict, Some(Verdict::Wait { disk: true, .. } | Verdict::Denied { .. }));
        open && self.installed.is_some() && self.problem.is_none()
    }

    /// What it shows, as a line of the log.
    #[must_use]
    pub fn line(&self) -> String {
        let code = &self.code;
        match (&self.problem, &self.verdict) {
            (Some(problem), _) => format!("code {code}, {problem}"),
            (None, None) => format!("code {code}, asking {}", self.master()),
            (None, Some(Verdict::Wait { reason, .. })) => format!("code {code}, waiting: {reason}"),
            (None, Some(Verdict::Denied { reason, .. })) => format!("code {code}, denied: {reason}"),
            (None, Some(Verdict::Expired { reason, .. })) => format!("code {code}, expired: {reason}"),
            (None, Some(Verdict::Install { .. })) => format!("code {code}, let in"),
            (None, Some(Verdict::Local)) => format!("code {code}, installed already"),
        }
    }

    /// The master that is asked.
    #[must_use]
    pub fn master(&self) -> &str {
        self.masters.first().map_or("", String::as_str)
    }

    /// Takes what a master said, cleaned: it is shown on every console.
    fn hear(&mut self, verdict: Verdict) {
        let clean = |text: String| printable(&text, REASON);
        self.problem = None;
        self.verdict = Some(match verdict {
            Verdict::Wait { code, reason, tell, disk } => {
                Verdict::Wait { code, reason: clean(reason), tell, disk }
            }
            Verdict::Denied { code, reason } => Verdict::Denied { code, reason: clean(reason) },
            Verdict::Expired { code, reason } => Verdict::Expired { code, reason: clean(reason) },
            other => other,
        });
    }

    /// Takes that the master gave no answer: the next one is asked.
    fn miss(&mut self, why: &str) {
        self.problem = Some(format!("no word from {}: {}", self.master(), printable(why, REASON)));
        self.masters.rotate_left(1);
    }
}

/// The one installation that is on the machine's own drives.
fn installed(facts: &Facts) -> Option<&PreviousNode> {
    let own = facts.disks.iter().filter(|disk| !disk.removable && !disk.holds_medium);
    let mut found = own.filter_map(|disk| disk.contents.previous.as_ref());
    let first = found.next()?;
    found.all(|other| other.install_id == first.install_id).then_some(first)
}

/// The machine in a line: as a person would recognise it.
fn describe(facts: &Facts) -> String {
    let dmi = &facts.dmi;
    let mut parts: Vec<String> =
        [&dmi.vendor, &dmi.product].into_iter().filter(|text| !text.is_empty()).cloned().collect();
    if !dmi.serial.is_empty() {
        parts.push(format!("serial {}", dmi.serial));
    }
    let drives = facts.disks.iter().filter(|disk| !disk.removable).count();
    parts.push(format!("{} of memory, {drives} drives", size_text(facts.memory)));
    parts.join(", ")
}

/// Asks until the machine is let in; returns its ticket and the masters, the one that let it in first. `show` is told
/// whatever changes.
///
/// # Errors
/// When it is installed already, or nobody decides in a month.
pub fn until_let_in(
    mut waiting: Waiting,
    facts: &serde_json::Value,
    show: &dyn Fn(&Waiting),
) -> Result<(String, String)> {
    show(&waiting);
    let agent = agent();
    let mut told_at: Option<Instant> = None;
    let what = "somebody to let this machine in";
    let over = wait::until(what, LIMIT, PAUSE, || {
        let before = waiting.clone();
        let ask = Ask { known: waiting.verdict.clone(), ..waiting.ask.clone() };
        match post(&agent, waiting.master(), WAIT, &ask).and_then(read) {
            Ok(verdict) => waiting.hear(verdict),
            Err(e) => waiting.miss(&format!("{e:#}")),
        }
        let wanted = matches!(waiting.verdict, Some(Verdict::Wait { tell: true, .. }));
        if wanted && waiting.problem.is_none() && told_at.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            told_at = Some(Instant::now());
            let told = Told { who: waiting.ask.clone(), facts: facts.clone() };
            if let Err(e) = post(&agent, waiting.master(), TELL, &told) {
                tracing::warn!("the install master did not take what this machine is: {e:#}");
            }
        }
        if waiting != before {
            show(&waiting);
        }
        match &waiting.verdict {
            Some(Verdict::Install { ticket }) if waiting.problem.is_none() => Some(Ok(ticket.clone())),
            Some(Verdict::Local) if waiting.problem.is_none() => Some(Err(anyhow::anyhow!(
                "{} says that this machine is installed; restart it, and it boots from its disk",
                waiting.master()
            ))),
            _ => None,
        }
    });
    Ok((over.context("restart the machine to ask anew")??, waiting.masters.join(",")))
}

/// Tells the master that the machine shall boot from its disk the next time.
///
/// # Errors
/// When no master could be told.
pub fn to_disk(waiting: &Waiting) -> Result<()> {
    let agent = agent();
    let mut last = None;
    for base in &waiting.masters {
        match post(&agent, base, DISK, &waiting.ask) {
            Ok(_) => return Ok(()),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("there is no install master")))
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(Duration::from_secs(HOLD) + PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .build();
    config.into()
}

fn post(
    agent: &Agent,
    base: &str,
    path: &str,
    body: &impl serde::Serialize,
) -> Result<ureq::http::Response<ureq::Body>> {
    let mut response = agent.post(format!("{base}{path}")).send_json(body)?;
    if !response.status().is_success() {
        let status = response.status();
        let why = response.body_mut().with_config().limit(LONGEST).read_to_string().unwrap_or_default();
        bail!("it answered {status} {}", why.trim());
    }
    Ok(response)
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Verdict> {
    let text = response.body_mut().with_config().limit(LONGEST).read_to_string()?;
    serde_json::from_str(&text).context("its answer cannot be understood")
}

#[cfg(test)]
mod tests;
