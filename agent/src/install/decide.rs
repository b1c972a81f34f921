//! What shall this machine boot. Pure.

use std::collections::BTreeSet;

use maekin_api::boot::{Decision, Machine};
use maekin_api::install::WindowState;
use sha2::{Digest, Sha256};

use super::identity::{member_of, same_board};
use crate::record::values::{AgainValue, NodeValue, TicketValue, WindowValue};

const CLOSED: &str = "the install window is closed; open it on the console or with POST /v1/install-window";

/// What to do about a machine that asks to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Say so; nothing is written.
    Say(Decision),
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
    /// Let it in, under this name, and take one from the window.
    LetIn {
        /// Host name.
        hostname: String,
    },
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
    pub(crate) window: Option<&'a WindowValue>,
}

/// Decides.
pub(crate) fn plan_boot(machine: &Machine, known: &Known<'_>, now: u64) -> Plan {
    let wait = |reason: String| Plan::Say(Decision::Wait { code: code(machine), reason });
    let ticket = ticket_of(machine, known.tickets);
    if let Some(ticket) = ticket.filter(|t| !t.retired()) {
        return Plan::Again { ticket: ticket.ticket.clone() };
    }
    if let Some(member) = member_of(machine, known.members) {
        let name = &member.name;
        return match known.again.iter().any(|a| a.id == member.id && now < a.until) {
            false => Plan::Say(Decision::Local),
            true if known.alive.contains(&member.id) => {
                wait(format!("it shall be installed anew as {name}, and {name} was alive a moment ago"))
            }
            true => Plan::Reinstall { member: member.id.clone(), hostname: name.clone() },
        };
    }
    if ticket.is_some() {
        return Plan::Say(Decision::Local);
    }
    if window_state(known.window, now).open {
        let members = known.members.iter().map(|m| m.name.as_str());
        let names = known.tickets.iter().map(|t| t.hostname.as_str()).chain(members).collect();
        return Plan::LetIn { hostname: free_name(&names) };
    }
    let reason = match known.window {
        None => CLOSED,
        Some(w) if w.until == 0 => CLOSED,
        Some(w) if w.left == 0 => "the install window has let in as many machines as it was opened for",
        Some(_) => "the time of the install window is over",
    };
    wait(reason.to_owned())
}

/// The ticket that a machine has: by its hardware address, else by its UUID (it may boot from another port).
pub(crate) fn ticket_of<'a>(machine: &Machine, tickets: &'a [TicketValue]) -> Option<&'a TicketValue> {
    let by_mac = tickets.iter().find(|t| t.mac == machine.mac);
    let uuid = machine.uuid.as_deref().unwrap_or_default();
    by_mac.or_else(|| tickets.iter().find(|t| t.uuid.as_deref().is_some_and(|have| same_board(have, uuid))))
}

/// `node-N` with the lowest N that is free.
fn free_name(names: &BTreeSet<&str>) -> String {
    let mut n = 1_u64;
    loop {
        let name = format!("node-{n}");
        if !names.contains(name.as_str()) {
            return name;
        }
        n += 1;
    }
}

/// Six digits by which a person tells machines apart: the same on the machine's screen and in the list of machines.
pub(crate) fn code(machine: &Machine) -> String {
    let mut hash = Sha256::new();
    hash.update(b"maekin machine code\0");
    hash.update(machine.mac.as_bytes());
    hash.update(machine.uuid.as_deref().unwrap_or_default().to_ascii_lowercase().as_bytes());
    let digest = hash.finalize();
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 1_000_000;
    format!("{:03}-{:03}", number / 1000, number % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_api::install::Progress;

    fn machine(mac: &str, uuid: Option<&str>) -> Machine {
        let ip = "10.77.0.1".parse().unwrap();
        Machine { mac: mac.into(), uuid: uuid.map(Into::into), arch: 7, address: None, server: ip }
    }

    fn ticket(mac: &str, uuid: Option<&str>, progress: Progress) -> TicketValue {
        TicketValue {
            ticket: format!("ticket-of-{mac}"),
            hostname: "node-2".into(),
            mac: mac.into(),
            uuid: uuid.map(Into::into),
            address: None,
            secret: None,
            progress,
            created_at: 0,
            updated_at: 0,
            receipt: serde_json::Value::Null,
            replaces: None,
        }
    }

    fn member(name: &str, mac: &str) -> NodeValue {
        NodeValue { id: format!("id-of-{name}"), name: name.into(), mac: mac.into(), ..NodeValue::default() }
    }

    /// A member boots from its disk, whatever else is going on, until a person names it.
    #[test]
    fn a_member_is_installed_anew_only_when_named_and_not_alive() {
        let open = WindowValue { until: 100, left: 2 };
        let joined = vec![ticket("a", None, Progress::Joined)];
        let again = |until| vec![AgainValue { id: "id-of-node-2".into(), until }];
        let other = vec![AgainValue { id: "id-of-node-9".into(), until: 100 }];
        let dead = BTreeSet::new();
        let alive = BTreeSet::from(["id-of-node-2".to_owned()]);
        let local = || Some(Plan::Say(Decision::Local));
        let anew = || Some(Plan::Reinstall { member: "id-of-node-2".into(), hostname: "node-2".into() });
        let working = vec![ticket("a", None, Progress::Booting)];
        let goes_on = Some(Plan::Again { ticket: "ticket-of-a".into() });
        type Row<'a> = (&'a str, Vec<TicketValue>, &'a BTreeSet<String>, Vec<AgainValue>, Option<Plan>);
        let rows: Vec<Row<'_>> = vec![
            ("restarts, window open for others", joined.clone(), &dead, vec![], local()),
            ("joined from a stick, boots the network first", vec![], &dead, vec![], local()),
            ("named", joined.clone(), &dead, again(51), anew()),
            ("named, joined from a stick", vec![], &dead, again(51), anew()),
            ("named, and alive: somebody has its address", joined.clone(), &alive, again(51), None),
            ("named too long ago", joined.clone(), &dead, again(50), local()),
            ("another is named", joined, &dead, other, local()),
            ("its new installation was interrupted", working, &dead, vec![], goes_on),
        ];
        for (name, tickets, alive, again, want) in rows {
            let members = [member("node-2", "a")];
            let known =
                Known { tickets: &tickets, members: &members, alive, again: &again, window: Some(&open) };
            let got = plan_boot(&machine("a", None), &known, 50);
            match want {
                Some(want) => assert_eq!(got, want, "{name}"),
                None => assert!(matches!(got, Plan::Say(Decision::Wait { .. })), "{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn machines_boot_what_the_record_says() {
        let failed = Progress::Failed { reason: "disk".into() };
        let working = Progress::Installing { step: "x".into(), percent: 3 };
        let open = WindowValue { until: 100, left: 2 };
        let used_up = WindowValue { until: 100, left: 0 };
        let again = || Plan::Again { ticket: "ticket-of-a".into() };
        let local = || Plan::Say(Decision::Local);
        let let_in = |name: &str| Plan::LetIn { hostname: name.into() };
        let dull = "03000200-0400-0500-0006-000700080009";
        let u1 = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
        let upper = u1.to_uppercase();
        type Row<'a> = (&'a str, Machine, Vec<TicketValue>, Option<&'a WindowValue>, u64, Option<Plan>);
        let rows: Vec<Row<'_>> = vec![
            ("unknown, never opened", machine("a", None), vec![], None, 50, None),
            ("unknown, open", machine("a", None), vec![], Some(&open), 50, Some(let_in("node-3"))),
            ("unknown, time over to the second", machine("a", None), vec![], Some(&open), 100, None),
            ("unknown, last second", machine("a", None), vec![], Some(&open), 99, Some(let_in("node-3"))),
            ("unknown, used up", machine("a", None), vec![], Some(&used_up), 50, None),
            (
                "has ticket, window closed",
                machine("a", None),
                vec![ticket("a", None, Progress::Booting)],
                None,
                50,
                Some(again()),
            ),
            (
                "installing, reset",
                machine("a", None),
                vec![ticket("a", None, working)],
                None,
                50,
                Some(again()),
            ),
            (
                "failed before",
                machine("a", None),
                vec![ticket("a", None, failed)],
                Some(&used_up),
                50,
                Some(again()),
            ),
            (
                "installed, window open",
                machine("a", None),
                vec![ticket("a", None, Progress::Installed)],
                Some(&open),
                50,
                Some(local()),
            ),
            (
                "joined",
                machine("a", None),
                vec![ticket("a", None, Progress::Joined)],
                None,
                50,
                Some(local()),
            ),
            (
                "other port, same board",
                machine("b", Some(&upper)),
                vec![ticket("a", Some(u1), Progress::Installed)],
                Some(&open),
                50,
                Some(local()),
            ),
            (
                "other board, dull uuid",
                machine("b", Some(dull)),
                vec![ticket("a", Some(dull), Progress::Installed)],
                Some(&open),
                50,
                Some(let_in("node-3")),
            ),
            (
                "address goes before uuid",
                machine("a", Some(u1)),
                vec![ticket("b", Some(u1), Progress::Installed), ticket("a", None, Progress::Booting)],
                None,
                50,
                Some(again()),
            ),
        ];
        let members = ["node-1", "node-2", "other"].map(|name| member(name, ""));
        let (alive, again) = (BTreeSet::new(), []);
        for (name, machine, tickets, window, now, want) in rows {
            let known = Known { tickets: &tickets, members: &members, alive: &alive, again: &again, window };
            let got = plan_boot(&machine, &known, now);
            match want {
                Some(want) => assert_eq!(got, want, "{name}"),
                None => assert!(matches!(got, Plan::Say(Decision::Wait { .. })), "{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn gaps_in_names_are_filled() {
        assert_eq!(free_name(&BTreeSet::new()), "node-1");
        assert_eq!(free_name(&["node-1", "node-3"].into()), "node-2");
    }

    #[test]
    fn codes_are_short_stable_and_differ() {
        let code_a = code(&machine("a", Some("ABC")));
        assert_eq!(code_a, code(&machine("a", Some("abc"))));
        assert_ne!(code_a, code(&machine("b", Some("abc"))));
        assert_eq!(code_a.len(), 7);
    }
}
