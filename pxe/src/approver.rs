//! Whoever decides what a machine shall boot: the node's agent, or this program by itself on a laptop.

use std::future::Future;
use std::pin::Pin;

use axum::body::Bytes;
use maekin_api::boot::{Decision, Inventory, Machine, Report};
use maekin_api::machine::Verdict;

mod agent;
mod first_node;
mod policy;
mod standalone;

pub use agent::AgentApprover;
pub use first_node::FirstNode;
pub use policy::{Policy, Window};
pub use standalone::{Answers, StandaloneApprover, Waiting};

/// A boxed future, so that approvers can be chosen at run time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApproverError>> + Send + 'a>>;

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum ApproverError {
    /// There is no such ticket, or it is not valid any more.
    #[error("there is no such ticket")]
    NoTicket,
    /// The machine is not the one that the ticket was cut for, or what it told is no good: why.
    #[error("{0}")]
    Refused(String),
    /// The approver cannot be asked.
    #[error("{0}")]
    Unavailable(String),
}

/// Decides about machines and keeps their tickets.
pub trait Approver: Send + Sync {
    /// What `machine` shall boot.
    fn decide<'a>(&'a self, machine: &'a Machine) -> Answer<'a, Decision>;

    /// What a machine that waits is told; asked every few seconds for each of them.
    fn verdict<'a>(&'a self, machine: &'a Machine) -> Answer<'a, Verdict> {
        Box::pin(async {
            Ok(match self.decide(machine).await? {
                Decision::Install { ticket } => Verdict::Install { ticket },
                Decision::Local => Verdict::Local,
                Decision::Wait { code, reason } => Verdict::Wait { code, reason, tell: false, disk: false },
            })
        })
    }

    /// Takes what a machine that waits found out about itself.
    fn inventory<'a>(&'a self, inventory: &'a Inventory) -> Answer<'a, ()> {
        let _ = inventory; // an approver that shows it to nobody keeps nothing of it
        Box::pin(async { Ok(()) })
    }

    /// The answer file of a ticket's installation, TOML, for the machine that is what `inventory` says.
    fn answer<'a>(&'a self, ticket: &'a str, inventory: &'a Inventory) -> Answer<'a, Bytes>;

    /// Takes a report of a ticket's installation.
    fn report<'a>(&'a self, ticket: &'a str, report: &'a Report) -> Answer<'a, ()>;
}

/// Whether `ticket` looks like one: 32 lower-case hex digits.
#[must_use]
pub fn is_ticket(ticket: &str) -> bool {
    ticket.len() == 32 && ticket.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
