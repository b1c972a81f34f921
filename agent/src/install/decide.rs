//! What shall this machine boot, and what is it told while it waits. Pure.

use std::collections::BTreeSet;

use maekin_api::boot::{Decision, Machine};
use maekin_api::install::{Progress, Rule, Terms, WindowState};
use maekin_api::machine::{Verdict, code};

use super::identity::{member_of, same_board};
use super::list::{self, Marks};
use super::terms;
use crate::record::values::{AgainValue, MachineValue, NodeValue, TicketValue, WindowValue};

const CLOSED: &str = "the install window is closed; approve this machine by its code, or open the window";

/// What to do about a machine that asks to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Say so; nothing is written.
    Say(Say),
    /// Let it go on with the ticket it has.
    Again {
        /// The ticket.
        ticket: String,
    },
    /// Install it anew, as the member that it was.
    Reinstall {
        /// The member's id.
        member: String,
        /// Its host name.
        hostname: String,
    },
    /// Let it in, under this name.
    LetIn {
        /// Host name.
        hostname: String,
        /// Why.
        by: By,
        /// On what terms.
        terms: Box<Terms>,
    },
}

/// What lets a machine in without asking further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The open window, which loses a place.
    Window,
    /// The list's rule of this number, from 1.
    List(usize),
}

/// What a machine is told that is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Say {
    /// It boots from its disk.
    Local,
    /// Not yet; somebody decided something that stands against it, or wants it installed.
    Wait(String),
    /// Not yet; nobody has said anything about it, and what is installed on its drives may be started.
    Idle(String),
    /// A person said no.
    Denied(String),
    /// It came too late.
    Expired(String),
}

impl Say {
    /// For the firmware, which knows no more than three answers: whoever is not let in waits, and hears why there.
    pub(crate) fn decision(self, machine: &Machine) -> Decision {
        match self {
            Self::Local => Decision::Local,
            Self::Wait(reason) | Self::Idle(reason) | Self::Denied(reason) | Self::Expired(reason) => {
                Decision::Wait { code: code(&machine.mac, machine.uuid.as_deref()), reason }
            }
        }
    }

    /// For the machine that waits; `tell`: what it is has not been heard yet.
    pub(crate) fn verdict(self, machine: &Machine, tell: bool) -> Verdict {
        let code = code(&machine.mac, machine.uuid.as_deref());
        match self {
            Self::Local => Verdict::Local,
            Self::Wait(reason) => Verdict::Wait { code, reason, tell, disk: false },
            Self::Idle(reason) => Verdict::Wait { code, reason, tell, disk: true },
            Self::Denied(reason) => Verdict::Denied { code, reason },
            Self::Expired(reason) => Verdict::Expired { code, reason },
        }
    }
}

/// The window as it counts at `now`.
pub(crate) fn window_state(window: Option<&WindowValue>, now: u64) -> WindowState {
    match window {
        Some(w) if w.left > 0 && now < w.until => WindowState { open: true, until: w.until, left: w.left },
        _ => WindowState::default(),
    }
}

/// What the record knows that a decision depends on.
pub(crate) struct Known<'a> {
    pub(crate) tickets: &'a [TicketValue],
    pub(crate) members: &'a [NodeValue],
    /// Ids of the members that are alive.
    pub(crate) alive: &'a BTreeSet<String>,
    /// Whom a person wants installed anew.
    pub(crate) again: &'a [AgainValue],
    /// Who is let in without asking further.
    pub(crate) rules: &'a [Rule],
    pub(crate) window: Option<&'a WindowValue>,
}

impl<'a> Known<'a> {
    /// Host names that are in use or promised.
    pub(crate) fn names(&self, now: u64) -> BTreeSet<&'a str> {
        let members = self.members.iter().map(|m| m.name.as_str());
        let promised = self.tickets.iter().filter(|t| t.lives(now) || t.retired());
        promised.map(|t| t.hostname.as_str()).chain(members).collect()
    }
}

/// Decides. `told` is what is known of the machine itself.
pub(crate) fn plan_boot(machine: &Machine, told: &MachineValue, known: &Known<'_>, now: u64) -> Plan {
    let wait = |reason: String| Plan::Say(Say::Wait(reason));
    let found = ticket_of(machine, known.tickets);
    if let Some((ticket, fit)) = found.filter(|(t, _)| t.lives(now)) {
        return match fit {
            Fit::Own => Plan::Again { ticket: ticket.ticket.clone() },
            Fit::Twin => wait(format!(
                "it says it has the UUID of {}, which is let in and has other network ports; if both are right, \
                 approve this one by its code",
                ticket.mac
            )),
        };
    }
    if let Some(member) = member_of(machine, known.members) {
        let name = &member.name;
        return match known.again.iter().any(|a| a.id == member.id && now < a.until) {
            false => Plan::Say(Say::Local),
            true if known.alive.contains(&member.id) => {
                wait(format!("it shall be installed anew as {name}, and {name} was alive a moment ago"))
            }
            true => Plan::Reinstall { member: member.id.clone(), hostname: name.clone() },
        };
    }
    if found.is_some_and(|(t, _)| t.retired()) {
        return Plan::Say(Say::Local);
    }
    if let Some(denied) = told.denied(now) {
        let why = if denied.reason.is_empty() { String::new() } else { format!(": {}", denied.reason) };
        return Plan::Say(Say::Denied(format!("{} said no{why}", denied.by)));
    }
    if let Some((number, rule)) = list::find(known.rules, &marks(machine, told)) {
        return match name_for(&rule.hostname, machine, told, &known.names(now)) {
            Ok(hostname) => {
                let terms = Box::new(list::terms_of(rule));
                Plan::LetIn { hostname, by: By::List(number), terms }
            }
            Err(why) => wait(format!("rule {number} of the list fits it, but {why}")),
        };
    }
    if window_state(known.window, now).open {
        return match name_for(terms::NAMES, machine, told, &known.names(now)) {
            Ok(hostname) => Plan::LetIn { hostname, by: By::Window, terms: Box::default() },
            Err(why) => wait(why),
        };
    }
    if let Some((ticket, _)) = found.filter(|(t, _)| t.expired(now)) {
        let hours = ticket.expires.saturating_sub(ticket.created_at).div_ceil(3600);
        let by = &ticket.by;
        return Plan::Say(Say::Expired(format!("let in by {by}, it did not finish within {hours} h")));
    }
    let reason = match known.window {
        None => CLOSED,
        Some(w) if w.until == 0 => CLOSED,
        Some(w) if w.left == 0 => "the install window has let in as many machines as it was opened for",
        Some(_) => "the time of the install window is over",
    };
    Plan::Say(Say::Idle(reason.to_owned()))
}

/// The host name for a machine.
pub(crate) fn name_for(
    pattern: &str,
    machine: &Machine,
    told: &MachineValue,
    taken: &BTreeSet<&str>,
) -> Result<String, String> {
    let serial = told.inventory.as_ref().map_or("", |i| i.dmi.serial.as_str());
    terms::host_name(pattern, taken, &machine.mac, serial)
}

/// What the list's rules are held against.
fn marks<'a>(machine: &'a Machine, told: &'a MachineValue) -> Marks<'a> {
    let inventory = told.inventory.as_ref();
    let mut macs = BTreeSet::from([machine.mac.as_str()]);
    macs.extend(inventory.iter().flat_map(|i| &i.nics).map(|nic| nic.mac.as_str()));
    let uuids = machine.uuid.as_deref().into_iter().chain(inventory.map(|i| i.dmi.uuid.as_str()));
    Marks { macs, uuids: uuids.collect(), serial: inventory.map_or("", |i| i.dmi.serial.as_str()) }
}

/// How a ticket fits a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It was cut for it.
    Own,
    /// Only the UUID is the same, and the ticket is bound to other ports.
    Twin,
}

/// The ticket that a machine has: by its hardware addresses, else by its UUID (it may boot from another port). One that
/// lets in goes before one that does not.
pub(crate) fn ticket_of<'a>(machine: &Machine, tickets: &'a [TicketValue]) -> Option<(&'a TicketValue, Fit)> {
    let fit = |ticket: &'a TicketValue| {
        let bound = ticket.identity.as_ref();
        if ticket.mac == machine.mac || bound.is_some_and(|own| own.macs.contains(&machine.mac)) {
            return Some((ticket, Fit::Own, 0));
        }
        let uuid = machine.uuid.as_deref().unwrap_or_default();
        let own = ticket.uuid.as_deref().or(bound.map(|own| own.uuid.as_str())).unwrap_or_default();
        if !same_board(own, uuid) {
            return None;
        }
        let fit = if bound.is_some() { Fit::Twin } else { Fit::Own };
        Some((ticket, fit, 1))
    };
    let over = |ticket: &TicketValue| ticket.progress == Progress::Denied;
    let all = tickets.iter().filter(|t| !over(t)).filter_map(fit);
    all.min_by_key(|(t, _, order)| (*order, t.retired(), u64::MAX - t.created_at)).map(|(t, fit, _)| (t, fit))
}

#[cfg(test)]
mod tests;
