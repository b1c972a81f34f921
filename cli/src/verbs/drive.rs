//! Drives: found by their light, given to storage, emptied.

use clap::Subcommand;
use maekin_api::drives::State;
use serde_json::{Value, json};

use super::task;
use crate::fault::{Code, Fault};
use crate::resource::{fill, plain};
use crate::session::Session;
use crate::show::Look;
use crate::show::clean::clean;
use crate::stage::Stage;
use crate::wire::client::Ask;

/// What to do with a drive.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Drive {
    /// Let the light of its bay blink, so that a person finds it.
    Locate {
        /// Its id or its serial number.
        drive: String,
        /// No longer.
        #[arg(long)]
        off: bool,
    },
    /// Give it to storage, whatever is on it; also takes back that it was to be retired.
    Take {
        /// Its id or its serial number.
        drive: String,
        /// The token for what would be lost on it [default: asked for]
        #[arg(long)]
        consent: Option<String>,
    },
    /// Empty it, so that it can be pulled.
    Retire {
        /// Its id or its serial number.
        drive: String,
        /// Why, for others.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Wait until it may be pulled, and tell what is done meanwhile.
        #[arg(short, long)]
        wait: bool,
    },
}

/// `drive`.
pub(super) fn drive(session: &Session, what: &Drive, look: Look, stage: &mut Stage<'_>) -> Result<(), Fault> {
    match what {
        Drive::Locate { drive, off } => locate(session, drive, !off, stage),
        Drive::Take { drive, consent } => take(session, drive, consent.as_deref(), stage),
        Drive::Retire { drive, reason, wait } => {
            let path = fill("/v1/drives/{}/retire", drive);
            let wish = if reason.is_empty() { json!({}) } else { json!({ "reason": reason }) };
            let ask = Ask::with("POST", path, &wish);
            let (made, _) = session.ask(&ask, &format!("drive {drive}"), stage)?;
            task::begun(session, &made, *wait, look, stage)
        }
    }
}

fn locate(session: &Session, drive: &str, on: bool, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let ask = Ask::with("POST", fill("/v1/drives/{}/locate", drive), &json!({ "on": on }));
    let (lit, _) = session.ask(&ask, &format!("drive {drive}"), stage)?;
    let text = |at: &str| clean(&lit.pointer(at).map(plain).unwrap_or_default()).into_owned();
    let bay = [text("/slot/bay"), text("/slot/path")].into_iter().find(|place| !place.is_empty());
    let bay = bay.map_or_else(String::new, |bay| format!(", {bay},"));
    let blinks = if on { "blinks" } else { "does not blink any more" };
    writeln!(stage.out, "the bay of {}{bay} in {} {blinks}", text("/id"), text("/node"))?;
    Ok(())
}

fn take(session: &Session, name: &str, consent: Option<&str>, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let what = format!("drive {name}");
    let drive = session.get(&fill("/v1/drives/{}", name), &what, stage)?;
    let text = |at: &str| drive.pointer(at).map(plain).unwrap_or_default();
    let (id, node) = (text("/id"), text("/node"));
    let token = match consent {
        Some(token) => token.to_owned(),
        None if text("/state") == State::WaitingForConsent.word() => {
            let lost = lines(&drive);
            // Without a person the answer is no, and says how to consent in a program.
            if !stage.keys.is_person() {
                let fault = Fault::new(Code::Conflict, format!("{what} holds something"), lost.join("; "));
                let remedy = format!(
                    "if that may be lost: maekin drive take {id} --consent {}",
                    text("/content/token")
                );
                return Err(fault.remedy(remedy));
            }
            stage.confirm(&format!("give {id} in {node} to storage? This is lost: {}.", lost.join("; ")))?;
            text("/content/token")
        }
        None => String::new(),
    };
    let wish = json!({ "consent": token });
    // By its id: what was shown is what is meant.
    session.ask(&Ask::with("POST", fill("/v1/drives/{}/take", &id), &wish), &what, stage)?;
    writeln!(
        stage.out,
        "{} in {} may be taken; `maekin get drives` shows what becomes of it",
        clean(&id),
        clean(&node)
    )?;
    Ok(())
}

/// What is on a drive.
fn lines(drive: &Value) -> Vec<String> {
    let what = drive.pointer("/content/what").and_then(Value::as_array);
    what.into_iter().flatten().map(plain).collect()
}
