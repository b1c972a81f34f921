//! Finding everything that a plan needs: the release and its source, the answers, the facts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_api::boot::Report;
use maekin_host::{block, file};
use maekin_image::manifest::{KeyKind, PUBLIC_KEY_PATH};

use super::wait::{self, Waiting};
use super::{names, network};
use crate::answers::source::listen::listen;
use crate::answers::source::{self, Content};
use crate::answers::{self, Answers};
use crate::cmdline::{self, Cmdline};
use crate::facts::Facts;
use crate::facts::probe::probe_facts;
use crate::source::http::Master;
use crate::source::{Release, Source, medium, receipts};
use crate::trial::Carrier;
use crate::tui::event::Event;

/// How long the install master may take to answer: link, DHCP lease and its own start included.
const MASTER_LIMIT: Duration = Duration::from_secs(180);

/// Everything that a plan needs.
pub struct Gathered {
    /// The verified release.
    pub release: Arc<Release>,
    /// The install master, where it came from one.
    pub master: Option<Master>,
    /// The answer file's text, checked; `None`: a person is asked.
    pub answers: Option<Result<Answers, String>>,
    /// The machine.
    pub facts: Facts,
    /// The interface that carries this installation.
    pub carrier: Carrier,
}

/// Gathers it, telling what it waits for. A failure is told to the install master, where there is one.
///
/// # Errors
/// When there is no release to be found, or it is not trusted, or the machine cannot be looked at.
pub fn gather(note: &dyn Fn(&str), tell: &dyn Fn(Event)) -> Result<Gathered> {
    let mut words = cmdline::parse(&file::read_text(Path::new("/proc/cmdline"), 64 << 10)?);
    if words.ticket.is_none()
        && words.wait.is_some()
        && let Some(masters) = words.master.clone()
    {
        network::start(words.boot_mac.as_deref())?;
        let facts = probe(note)?;
        let waiting = Waiting::new(&masters, &facts, words.boot_mac.as_deref())?;
        let show = |waiting: &Waiting| tell(Event::Waiting(Box::new(waiting.clone())));
        let told = serde_json::to_value(&facts)?;
        let (ticket, masters) = wait::until_let_in(waiting, &told, &show)?;
        (words.ticket, words.master) = (Some(ticket), Some(masters));
        tell(Event::LetIn);
    }
    let Some(master) = master(&words)? else {
        note("looking for the install medium");
        let release = verified(Box::new(medium::find_release()?), note)?;
        let answer = answer(&words, None, None, note)?;
        let facts = probe(note)?;
        return Ok(complete(release, None, answer, facts, Carrier::Nobody, note));
    };
    let told = || -> Result<Gathered> {
        note(&format!("asking the install master {}", master.address()));
        if words.wait.is_none() {
            network::start(words.boot_mac.as_deref())?; // else it is up since the waiting began
        }
        let facts = probe(note)?; // while the network comes up
        let answer = answer(&words, Some(&master), Some(&facts), note)?;
        let release = verified(Box::new(master.clone()), note)?;
        let carrier = words.boot_mac.clone().map_or(Carrier::Unknown, Carrier::Port);
        Ok(complete(release, Some(master.clone()), answer, facts, carrier, note))
    };
    told().inspect_err(|e| {
        if let Err(e) = master.report(&Report::Failed { reason: format!("{e:#}") }) {
            tracing::warn!("the install master could not be told: {e:#}");
        }
    })
}

/// The answer file's text from the source that wins, if any speaks.
fn answer(
    words: &Cmdline,
    master: Option<&Master>,
    facts: Option<&Facts>,
    note: &dyn Fn(&str),
) -> Result<Option<String>> {
    if let Err(e) = block::settle() {
        note(&format!("some sticks and drives may not be seen yet: {e}"));
    }
    let (chosen, notes) = source::choose(listen(words))?;
    notes.iter().for_each(|line| note(line));
    let Some(offer) = chosen else { return Ok(None) };
    let text = match offer.content {
        Content::Ask => return Ok(None),
        Content::Text(text) => text,
        Content::Broken(reason) => bail!("the answers from {} cannot be used: {reason}", offer.place),
        Content::Ticket => {
            let facts = facts.context("the machine has not been looked at")?;
            let told = facts.told(words.boot_mac.as_deref())?;
            master.context("there is no install master")?.answer(&told, MASTER_LIMIT)?
        }
        Content::Url(url) => {
            if master.is_none() {
                network::start(None)?;
            }
            note(&format!("fetching {}", url.url));
            url.fetch(&names::refresh).with_context(|| format!("no answers from {}", offer.place))?
        }
    };
    Ok(Some(text))
}

fn verified(source: Box<dyn Source>, note: &dyn Fn(&str)) -> Result<Release> {
    let key = file::read_text(Path::new(PUBLIC_KEY_PATH), 4096).context("the initrd has no release key")?;
    let release = Release::load(source, &key)?;
    let manifest = &release.manifest;
    note(&format!("release {} from {}, signature verified", manifest.version, release.source.describe()));
    if manifest.key == KeyKind::ThrowAway {
        note("this release is signed with a throw-away key, for trying out only");
    }
    Ok(release)
}

fn probe(note: &dyn Fn(&str)) -> Result<Facts> {
    if let Err(e) = block::settle() {
        note(&format!("some sticks and drives may not be seen yet: {e}"));
    }
    note("looking at the drives");
    probe_facts()
}

fn complete(
    release: Release,
    master: Option<Master>,
    answer: Option<String>,
    mut facts: Facts,
    carrier: Carrier,
    note: &dyn Fn(&str),
) -> Gathered {
    note(match &answer {
        Some(_) => "answers found, installing without questions",
        None => "no answers used, asking on the consoles",
    });
    let answers = answer.map(|text| answers::parse(&text).map_err(|e| e.to_string()));
    if master.is_none() {
        facts.receipt = receipts::find_receipt(&facts.dmi.uuid);
    }
    Gathered { release: Arc::new(release), master, answers, facts, carrier }
}

fn master(words: &Cmdline) -> Result<Option<Master>> {
    match (&words.master, &words.ticket) {
        (Some(base), Some(ticket)) => Master::new(base, ticket).map(Some),
        (Some(_), None) => anyhow::bail!("the kernel command line has maekin.master= and no maekin.ticket="),
        _ => Ok(None),
    }
}
