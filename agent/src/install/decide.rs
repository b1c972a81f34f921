//! What shall this machine boot. Pure.

use std::collections::BTreeSet;

use maekin_api::boot::{Decision, Machine};
use maekin_api::install::WindowState;
use sha2::{Digest, Sha256};

use crate::record::values::{TicketValue, WindowValue};

/// SMBIOS UUIDs that boards are sold with by the thousand: they name nobody.
const NOBODY: [&str; 4] = [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
];

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

/// Decides. `names` are the host names that are taken.
pub(crate) fn plan_boot(
    machine: &Machine,
    tickets: &[TicketValue],
    names: &BTreeSet<String>,
    window: Option<&WindowValue>,
    now: u64,
) -> Plan {
    if let Some(ticket) = ticket_of(machine, tickets) {
        return if ticket.retired() {
            Plan::Say(Decision::Local)
        } else {
            Plan::Again { ticket: ticket.ticket.clone() }
        };
    }
    if window_state(window, now).open {
        return Plan::LetIn { hostname: free_name(names) };
    }
    let reason = match window {
        None => CLOSED,
        Some(w) if w.until == 0 => CLOSED,
        Some(w) if w.left == 0 => "the install window has let in as many machines as it was opened for",
        Some(_) => "the time of the install window is over",
    };
    Plan::Say(Decision::Wait { code: code(machine), reason: reason.to_owned() })
}

/// The ticket that a machine has: by its hardware address, else by its UUID (it may boot from another port).
fn ticket_of<'a>(machine: &Machine, tickets: &'a [TicketValue]) -> Option<&'a TicketValue> {
    let by_mac = tickets.iter().find(|t| t.mac == machine.mac);
    let uuid = machine.uuid.as_deref().filter(|uuid| !NOBODY.contains(&uuid.to_ascii_lowercase().as_str()));
    by_mac.or_else(|| {
        let uuid = uuid?;
        tickets.iter().find(|t| t.uuid.as_deref().is_some_and(|have| have.eq_ignore_ascii_case(uuid)))
    })
}

/// `node-N` with the lowest N that is free.
fn free_name(names: &BTreeSet<String>) -> String {
    let mut n = 1_u64;
    loop {
        let name = format!("node-{n}");
        if !names.contains(&name) {
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
        let names = ["node-1", "node-2", "other"].map(String::from).into();
        for (name, machine, tickets, window, now, want) in rows {
            let got = plan_boot(&machine, &tickets, &names, window, now);
            match want {
                Some(want) => assert_eq!(got, want, "{name}"),
                None => assert!(matches!(got, Plan::Say(Decision::Wait { .. })), "{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn gaps_in_names_are_filled() {
        assert_eq!(free_name(&BTreeSet::new()), "node-1");
        assert_eq!(free_name(&["node-1", "node-3"].map(String::from).into()), "node-2");
    }

    #[test]
    fn codes_are_short_stable_and_differ() {
        let code_a = code(&machine("a", Some("ABC")));
        assert_eq!(code_a, code(&machine("a", Some("abc"))));
        assert_ne!(code_a, code(&machine("b", Some("abc"))));
        assert_eq!(code_a.len(), 7);
    }
}
