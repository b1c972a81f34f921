//! Finding everything that a plan needs: the release and its source, the answers, the facts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use maekin_host::{block, file};
use maekin_image::manifest::PUBLIC_KEY_PATH;

use super::network;
use crate::answers::{self, Answers};
use crate::cmdline::{self, Cmdline};
use crate::facts::Facts;
use crate::facts::probe::probe_facts;
use crate::source::http::Master;
use crate::source::{Release, medium};

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
}

/// Gathers it, telling what it waits for.
///
/// # Errors
/// When there is no release to be found, or it is not trusted, or the machine cannot be looked at.
pub fn gather(note: &dyn Fn(&str)) -> Result<Gathered> {
    let words = cmdline::parse(&file::read_text(Path::new("/proc/cmdline"), 64 << 10)?);
    let key = file::read_text(Path::new(PUBLIC_KEY_PATH), 4096).context("the initrd has no release key")?;
    note("looking at the drives");
    block::settle()?;
    let (release, master, answer) = match master(&words)? {
        Some(master) => {
            note(&format!("asking the install master {}", master.address()));
            network::start(words.boot_mac.as_deref())?;
            let answer = master.answer(MASTER_LIMIT)?;
            (Release::load(Box::new(master.clone()), &key)?, Some(master), Some(answer))
        }
        None => {
            note("looking for the install medium");
            let source = medium::find_release()?;
            (Release::load(Box::new(source), &key)?, None, medium::find_answer()?)
        }
    };
    let manifest = &release.manifest;
    note(&format!("release {} from {}, signature verified", manifest.version, release.source.describe()));
    if manifest.key == maekin_image::manifest::KeyKind::ThrowAway {
        note("this release is signed with a throw-away key: it is for trying out only");
    }
    note(match &answer {
        Some(_) => "answer file found, installing without questions",
        None => "no answer file, asking on the consoles",
    });
    let answers = answer.map(|text| answers::parse(&text).map_err(|e| e.to_string()));
    Ok(Gathered { release: Arc::new(release), master, answers, facts: probe_facts()? })
}

fn master(words: &Cmdline) -> Result<Option<Master>> {
    match (&words.master, &words.ticket) {
        (Some(base), Some(ticket)) => Master::new(base, ticket).map(Some),
        (Some(_), None) => anyhow::bail!("the kernel command line has maekin.master= and no maekin.ticket="),
        _ => Ok(None),
    }
}
