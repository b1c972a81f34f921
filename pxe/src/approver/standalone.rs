//! No agent: a person with a laptop and a release, who says which machines it is for, or types their codes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use maekin_api::boot::{Decision, Inventory, Machine, Report};
use maekin_host::file::{self, FileError};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::boot;

use super::first_node::FirstNode;
use super::policy::{self, Policy};
use super::{Answer, Approver, ApproverError};

/// Largest state file read, in bytes.
const STATE_LIMIT: u64 = 16 << 20;
/// Replaced in the answer file by the machine's MAC without colons, so that one file gives each its own hostname.
const MAC_MARK: &str = "{mac}";

/// Most machines that wait at once; more are told to wait, but cannot be named.
const MAX_WAITING: usize = 1024;
/// Characters of a code, and of one that would be another machine's.
const CODE: [usize; 3] = [4, 5, 6];

/// What machines are installed with.
#[derive(Debug)]
pub enum Answers {
    /// This file, for all of them.
    File(String),
    /// None was given: the first machine becomes the first node, which installs the others.
    First(FirstNode),
}

/// Installs each machine that is let in once.
#[derive(Debug)]
pub struct StandaloneApprover {
    answers: Answers,
    policy: Policy,
    path: PathBuf,
    tickets: Mutex<BTreeMap<String, Ticket>>,
    /// Machines that wait, by their codes.
    waiting: Mutex<BTreeMap<String, Machine>>,
    finished: Notify,
}

/// A machine's ticket, by its MAC in the map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ticket {
    ticket: String,
    done: bool,
    /// What it was leased when it was let in.
    #[serde(default)]
    address: Option<Ipv4Addr>,
}

/// A machine that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its code.
    pub code: String,
    /// Who it is, as a person reads it.
    pub what: String,
}

impl StandaloneApprover {
    /// Serves `answers` to whom `policy` lets in, and keeps who was installed in the file at `path`.
    ///
    /// # Errors
    /// [`FileError`] when there is such a file and it cannot be read or understood.
    pub fn open(answers: Answers, policy: Policy, path: PathBuf) -> Result<Self, FileError> {
        let tickets = if path.exists() {
            let text = file::read_text(&path, STATE_LIMIT)?;
            serde_json::from_str(&text).map_err(|e| FileError {
                action: "cannot understand",
                path: path.clone(),
                source: e.into(),
            })?
        } else {
            BTreeMap::new()
        };
        let (waiting, finished) = (Mutex::default(), Notify::new());
        Ok(Self { answers, policy, path, tickets: Mutex::new(tickets), waiting, finished })
    }

    /// The machines that wait.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().map(|(code, machine)| Waiting { code: code.clone(), what: what(machine) }).collect()
    }

    /// Lets the machine with this code in; `None` when none has it.
    ///
    /// # Errors
    /// [`ApproverError`] when that cannot be kept, and then it is not let in.
    pub fn approve(&self, code: &str) -> Result<Option<Waiting>, ApproverError> {
        let code = code.trim().to_ascii_uppercase();
        let found = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&code).cloned();
        let Some(machine) = found else { return Ok(None) };
        self.change(|tickets| {
            if matches!(self.answers, Answers::First(_)) && !tickets.is_empty() {
                let reason = "the first node is chosen already, and installs the others";
                return Err(ApproverError::Unavailable(reason.to_owned()));
            }
            admit(tickets, &machine);
            Ok(())
        })?;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&code);
        Ok(Some(Waiting { code, what: what(&machine) }))
    }

    /// Returns when there is nothing left to do: the first node is installed, and installs the others.
    pub async fn finished(&self) {
        self.finished.notified().await;
    }

    /// Applies a change, and keeps it only when it is on disk.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Ticket>) -> Result<T, ApproverError>,
    ) -> Result<T, ApproverError> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = tickets.clone();
        let result = change(&mut changed)?;
        if changed != *tickets {
            let unavailable = |e: &dyn std::error::Error| ApproverError::Unavailable(e.to_string());
            let text = serde_json::to_vec_pretty(&changed).map_err(|e| unavailable(&e))?;
            file::write_atomic(&self.path, &text, 0o600).map_err(|e| unavailable(&e))?;
            *tickets = changed;
        }
        Ok(result)
    }

    fn decide_now(&self, machine: &Machine) -> Result<Decision, ApproverError> {
        self.change(|tickets| {
            if let Some(ticket) = tickets.get(&machine.mac) {
                return Ok(match ticket.done {
                    true => Decision::Local,
                    false => Decision::Install { ticket: ticket.ticket.clone() },
                });
            }
            if matches!(self.answers, Answers::First(_)) && !tickets.is_empty() {
                let reason = "the first node is being installed; it installs the others".to_owned();
                return Ok(Decision::Wait { code: self.wait(machine, false), reason });
            }
            match self.policy.admits(tickets.len(), Instant::now()) {
                Ok(()) => Ok(Decision::Install { ticket: admit(tickets, machine) }),
                Err(reason) => {
                    let code = self.wait(machine, self.policy == Policy::Ask);
                    Ok(Decision::Wait { code, reason })
                }
            }
        })
    }

    /// Notes that a machine waits, and says so the first time; its code.
    fn wait(&self, machine: &Machine, ask: bool) -> String {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let codes = CODE.map(|len| policy::code(&machine.mac, len));
        let free = |code: &&String| waiting.get(*code).is_none_or(|other| other.mac == machine.mac);
        let [.., longest] = &codes;
        let code = codes.iter().find(free).unwrap_or(longest).clone();
        if waiting.len() < MAX_WAITING && waiting.insert(code.clone(), machine.clone()).is_none() && ask {
            tracing::warn!("{} waits; to install it, type {code}", what(machine));
        }
        code
    }

    fn answer_now(&self, ticket: &str) -> Result<Bytes, ApproverError> {
        let tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let found = tickets.iter().find(|(_, t)| t.ticket == ticket && !t.done);
        let (mac, ticket) = found.ok_or(ApproverError::NoTicket)?;
        Ok(match &self.answers {
            Answers::File(text) => text.replace(MAC_MARK, &mac.replace(':', "")).into(),
            Answers::First(first) => first.answer(mac, ticket.address).into(),
        })
    }

    fn report_now(&self, ticket: &str, report: &Report) -> Result<(), ApproverError> {
        self.change(|tickets| {
            let found = tickets.iter_mut().find(|(_, t)| t.ticket == ticket && !t.done);
            let (mac, entry) = found.ok_or(ApproverError::NoTicket)?;
            match report {
                Report::Progress { step, percent } => tracing::info!(client = %mac, percent, "{step}"),
                Report::Failed { reason } => tracing::error!(client = %mac, "installation failed: {reason}"),
                Report::Done { .. } => {
                    tracing::info!(client = %mac, "installed; from now on it boots from its disk");
                    entry.done = true;
                    if let Answers::First(_) = self.answers {
                        tracing::info!(
                            "the first node creates the cluster when it has started, and installs the others: \
                             open its console, and let them in there"
                        );
                        self.finished.notify_one();
                    }
                }
            }
            Ok(())
        })
    }
}

/// Cuts a ticket.
fn admit(tickets: &mut BTreeMap<String, Ticket>, machine: &Machine) -> String {
    let ticket = Uuid::new_v4().simple().to_string();
    let entry = Ticket { ticket: ticket.clone(), done: false, address: machine.address };
    tickets.insert(machine.mac.clone(), entry);
    ticket
}

fn what(machine: &Machine) -> String {
    let arch = boot::arch_name(machine.arch);
    let address = machine.address.map(|ip| format!(" at {ip}")).unwrap_or_default();
    let uuid = machine.uuid.as_ref().map(|uuid| format!(", UUID {uuid}")).unwrap_or_default();
    format!("{} ({arch}{uuid}){address}", machine.mac)
}

impl Approver for StandaloneApprover {
    fn decide<'a>(&'a self, machine: &'a Machine) -> Answer<'a, Decision> {
        Box::pin(async { self.decide_now(machine) })
    }

    fn answer<'a>(&'a self, ticket: &'a str, _: &'a Inventory) -> Answer<'a, Bytes> {
        Box::pin(async { self.answer_now(ticket) })
    }

    fn report<'a>(&'a self, ticket: &'a str, report: &'a Report) -> Answer<'a, ()> {
        Box::pin(async { self.report_now(ticket, report) })
    }
}

#[cfg(test)]
mod tests;
