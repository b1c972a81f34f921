//! Whoever decides what a machine shall boot: the node's agent, or this program by itself on a laptop.

use std::future::Future;
use std::pin::Pin;

use axum::body::Bytes;
use maekin_api::boot::{Decision, Machine, Report};

mod agent;
mod standalone;

pub use agent::AgentApprover;
pub use standalone::StandaloneApprover;

/// A boxed future, so that approvers can be chosen at run time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApproverError>> + Send + 'a>>;

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum ApproverError {
    /// There is no such ticket, or it is not valid any more.
    #[error("there is no such ticket")]
    NoTicket,
    /// The approver cannot be asked.
    #[error("{0}")]
    Unavailable(String),
}

/// Decides about machines and keeps their tickets.
pub trait Approver: Send + Sync {
    /// What `machine` shall boot.
    fn decide<'a>(&'a self, machine: &'a Machine) -> Answer<'a, Decision>;

    /// The answer file of a ticket's installation, TOML.
    fn answer<'a>(&'a self, ticket: &'a str) -> Answer<'a, Bytes>;

    /// Takes a report of a ticket's installation.
    fn report<'a>(&'a self, ticket: &'a str, report: &'a Report) -> Answer<'a, ()>;
}

/// Whether `ticket` looks like one: 32 lower-case hex digits.
#[must_use]
pub fn is_ticket(ticket: &str) -> bool {
    ticket.len() == 32 && ticket.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
