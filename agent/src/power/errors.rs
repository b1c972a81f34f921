//! What can go wrong with power, in words for a person who stands before the rack: the thing, the reason, the remedy. No
//! text here has a secret in it.

use maekin_api::power::Action;

use crate::record::RecordError;
use crate::sealed::SealError;

/// A request about power was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PowerError {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// There are no settings.
    #[error("there are no power settings for machine {0}; set them with `maekin-agent power set`")]
    NotFound(String),
    /// Another action is under way.
    #[error("something else is being done to the power of machine {0}; try again when that has ended")]
    Busy(String),
    /// The machine is a node that works.
    #[error(
        "the machine is member {name}, which is alive: `{action}` would end everything that runs on it; say `force` if that is meant"
    )]
    Alive {
        /// The member.
        name: String,
        /// What was asked for.
        action: Action,
    },
    /// This node is no member yet.
    #[error("this node is not a member of a cluster yet, so it has no power settings")]
    NoMember,
    /// No key to seal with.
    #[error(
        "this node has no sealing key (it joined through a member that had none), so it can keep no passwords; ask another member"
    )]
    NoSealKey,
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The password could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The record changed all the time.
    #[error("the power settings changed under every try to write them; try again")]
    Contended,
    /// The controller.
    #[error(transparent)]
    Bmc(#[from] BmcError),
    /// A task of ours ended early.
    #[error("the action ended early: {0}; look at the machine before trying again")]
    Lost(String),
}

/// A management controller did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BmcError {
    /// No answer at all.
    #[error(
        "the management controller at {address} cannot be reached ({why}); are its address right, its own cable in, its power cord in, and is its network reachable from this node?"
    )]
    Unreachable {
        /// Whom.
        address: String,
        /// What happened instead.
        why: String,
    },
    /// Wrong user or password.
    #[error(
        "the management controller at {address} does not accept user {user} with this password ({why}); set both anew with `maekin-agent power set`. It was tried once only, so that the account is not locked"
    )]
    Credentials {
        /// Who refused.
        address: String,
        /// Whom.
        user: String,
        /// Its words.
        why: String,
    },
    /// No such system.
    #[error(
        "the management controller at {address} has {missing} ({}); set `system` to the one that is meant",
        if have.is_empty() { "it names none; is it still starting?".to_owned() } else { format!("it has {}", have.join(", ")) }
    )]
    NoSystem {
        /// Who.
        address: String,
        /// What it has not, e.g. `no system 7`.
        missing: String,
        /// Which there are.
        have: Vec<String>,
    },
    /// It said no.
    #[error("the management controller at {address} refuses to {what}: {why}")]
    Refused {
        /// Who.
        address: String,
        /// What it should have done.
        what: String,
        /// Its words, or ours about its status.
        why: String,
    },
    /// It said yes, and did not.
    #[error(
        "the management controller at {address} said that it would {what}, but afterwards {found}; a firmware update or a reset of the controller itself often cures that"
    )]
    Lied {
        /// Who.
        address: String,
        /// What it said it would do.
        what: String,
        /// What was found instead.
        found: String,
    },
    /// What it says makes no sense.
    #[error(
        "asked to {what}, the management controller at {address} answers what cannot be understood: {why}"
    )]
    Garbled {
        /// Who.
        address: String,
        /// What was asked.
        what: String,
        /// Why not.
        why: String,
    },
    /// It sends us elsewhere.
    #[error(
        "the management controller at {address} points to {target}, which is not itself; that is not followed, so that no password goes there. Is the address that of a proxy?"
    )]
    Elsewhere {
        /// Who.
        address: String,
        /// Where to.
        target: String,
    },
    /// Another certificate than before.
    #[error(
        "the management controller at {address} shows certificate {shown}, and {known} is the one to expect. The password was not sent. If the controller or its certificate was replaced, set the power settings anew; if not, somebody is in between"
    )]
    Certificate {
        /// Who.
        address: String,
        /// SHA-256 of what it shows.
        shown: String,
        /// SHA-256 of what we know.
        known: String,
    },
    /// It took too long.
    #[error(
        "the management controller at {address} had not ended {step} after {seconds} s; is it starting, or stuck?"
    )]
    TooSlow {
        /// Who.
        address: String,
        /// With what.
        step: String,
        /// How long it had.
        seconds: u64,
    },
    /// The method cannot do that.
    #[error("{0}")]
    Cannot(String),
    /// Something of this node is in the way.
    #[error("this node cannot ask the management controller: {0}")]
    Local(String),
}

/// Text from outside, made fit for a log line: one line, bounded, and without any of `secrets`.
pub(crate) fn told(text: &str, secrets: &[&str]) -> String {
    const LONGEST: usize = 300;
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        text = text.replace(secret, "(password)");
    }
    let words: Vec<_> = text.split_whitespace().collect();
    let mut text = words.join(" ");
    if text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST).chain(['…']).collect();
    }
    text
}
