//! No agent: a person with a laptop, a release and one answer file, who says how many machines it is for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use maekin_api::boot::{Decision, Machine, Report};
use maekin_host::file::{self, FileError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Answer, Approver, ApproverError};

/// Largest state file read, in bytes.
const STATE_LIMIT: u64 = 16 << 20;
/// Replaced in the answer file by the machine's MAC without colons, so that one file gives each its own hostname.
const MAC_MARK: &str = "{mac}";

/// Installs the first so many machines that come, each once.
#[derive(Debug)]
pub struct StandaloneApprover {
    answer: String,
    count: usize,
    path: PathBuf,
    tickets: Mutex<BTreeMap<String, Ticket>>,
}

/// A machine's ticket, by its MAC in the map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ticket {
    ticket: String,
    done: bool,
}

impl StandaloneApprover {
    /// Serves `answer` to `count` machines, and keeps who was installed in the file at `path`.
    ///
    /// # Errors
    /// [`FileError`] when there is such a file and it cannot be read or understood.
    pub fn open(answer: String, count: usize, path: PathBuf) -> Result<Self, FileError> {
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
        Ok(Self { answer, count, path, tickets: Mutex::new(tickets) })
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
            if tickets.len() >= self.count {
                let reason = format!(
                    "the {} machines asked for were taken; serve again with a larger --count",
                    self.count
                );
                return Ok(Decision::Wait { code: machine.mac.clone(), reason });
            }
            let ticket = Uuid::new_v4().simple().to_string();
            tickets.insert(machine.mac.clone(), Ticket { ticket: ticket.clone(), done: false });
            Ok(Decision::Install { ticket })
        })
    }

    fn answer_now(&self, ticket: &str) -> Result<Bytes, ApproverError> {
        let tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let found = tickets.iter().find(|(_, t)| t.ticket == ticket && !t.done);
        let (mac, _) = found.ok_or(ApproverError::NoTicket)?;
        Ok(self.answer.replace(MAC_MARK, &mac.replace(':', "")).into())
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
                }
            }
            Ok(())
        })
    }
}

impl Approver for StandaloneApprover {
    fn decide<'a>(&'a self, machine: &'a Machine) -> Answer<'a, Decision> {
        Box::pin(async { self.decide_now(machine) })
    }

    fn answer<'a>(&'a self, ticket: &'a str) -> Answer<'a, Bytes> {
        Box::pin(async { self.answer_now(ticket) })
    }

    fn report<'a>(&'a self, ticket: &'a str, report: &'a Report) -> Answer<'a, ()> {
        Box::pin(async { self.report_now(ticket, report) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn machine(n: u8) -> Machine {
        Machine {
            mac: format!("52:54:00:00:00:{n:02x}"),
            uuid: None,
            arch: 0,
            address: None,
            server: Ipv4Addr::new(10, 0, 0, 1),
        }
    }

    #[test]
    fn a_machine_is_installed_once_and_no_more_than_were_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tickets.json");
        let open = || StandaloneApprover::open("hostname = \"n-{mac}\"".to_owned(), 1, path.clone()).unwrap();
        let approver = open();
        let Decision::Install { ticket } = approver.decide_now(&machine(1)).unwrap() else { panic!() };
        assert!(super::super::is_ticket(&ticket));
        assert_eq!(approver.decide_now(&machine(1)).unwrap(), Decision::Install { ticket: ticket.clone() });
        assert!(matches!(approver.decide_now(&machine(2)).unwrap(), Decision::Wait { .. }));
        assert_eq!(approver.answer_now(&ticket).unwrap(), "hostname = \"n-525400000001\"");
        assert!(matches!(approver.answer_now("0"), Err(ApproverError::NoTicket)));
        let failed = Report::Failed { reason: "no disk".to_owned() };
        approver.report_now(&ticket, &failed).unwrap();
        assert_eq!(approver.decide_now(&machine(1)).unwrap(), Decision::Install { ticket: ticket.clone() });
        approver.report_now(&ticket, &Report::Done { receipt: serde_json::Value::Null }).unwrap();
        let approver = open();
        assert_eq!(approver.decide_now(&machine(1)).unwrap(), Decision::Local, "also after a restart");
        assert!(
            matches!(approver.answer_now(&ticket), Err(ApproverError::NoTicket)),
            "a ticket installs once"
        );
    }
}
