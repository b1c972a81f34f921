//! Which member a machine is, and when a new installation may take that member's place. Pure.
//!
//! A machine is known by the hardware addresses and the SMBIOS UUID that its member wrote down. Neither proves anything,
//! so a name goes to a new installation only where a person asked for it (naming the member, or handing out a secret),
//! and never while the member that has it is alive.

use std::collections::BTreeSet;

use maekin_api::boot::Machine;
use maekin_api::join::JoinRequest;
use maekin_api::machine::canonical_uuid;

use super::admit::Refusal;
use crate::record::values::NodeValue;

/// Whether two SMBIOS UUIDs name the same machine.
pub(crate) fn same_board(a: &str, b: &str) -> bool {
    canonical_uuid(a).is_some_and(|one| Some(one) == canonical_uuid(b))
}

/// The member that this machine is or was: by its hardware address on the cluster's network, else by its UUID (it may boot
/// from another port), else by that of any of its ports, where no other member has one of that address.
pub(crate) fn member_of<'a>(machine: &Machine, members: &'a [NodeValue]) -> Option<&'a NodeValue> {
    let by_mac = members.iter().find(|m| m.mac == machine.mac);
    let uuid = machine.uuid.as_deref().unwrap_or_default();
    let by_board = || members.iter().find(|m| same_board(&m.machine, uuid));
    let by_port = || {
        let mut with = members.iter().filter(|m| m.macs.contains(&machine.mac));
        with.next().filter(|_| with.next().is_none())
    };
    by_mac.or_else(by_board).or_else(by_port)
}

/// Which member, by its id, a node that asks to be let in takes the place of; `None`: nobody's. `ticket_of` is the
/// member that its ticket names.
///
/// # Errors
/// [`Refusal::NameTaken`], where its name is another machine's or the member that has it is alive.
pub(crate) fn plan_place(
    request: &JoinRequest,
    ticket_of: Option<&str>,
    members: &[NodeValue],
    alive: &BTreeSet<String>,
) -> Result<Option<String>, Refusal> {
    let in_the_way = |m: &&NodeValue| {
        m.id != request.node_id && (m.name == request.name || Some(m.id.as_str()) == ticket_of)
    };
    let mut place = None;
    for member in members.iter().filter(in_the_way) {
        let is_it = Some(member.id.as_str()) == ticket_of || same_board(&member.machine, &request.machine);
        if !is_it || alive.contains(&member.id) || place.is_some() {
            return Err(Refusal::NameTaken);
        }
        place = Some(member.id.clone());
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const U1: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    const DULL: &str = "03000200-0400-0500-0006-000700080009";

    fn member(id: &str, name: &str, mac: &str, machine: &str) -> NodeValue {
        NodeValue {
            id: id.into(),
            name: name.into(),
            mac: mac.into(),
            machine: machine.into(),
            ..NodeValue::default()
        }
    }

    #[test]
    fn machines_are_known_by_address_then_by_board() {
        let mut members =
            [member("1", "node-1", "a", ""), member("2", "node-2", "b", U1), member("3", "node-3", "", DULL)];
        for (member, ports) in members.iter_mut().zip([["a", "a2"], ["b", "same"], ["c", "same"]]) {
            member.macs = ports.map(str::to_owned).to_vec();
        }
        let upper = U1.to_uppercase();
        let rows = [
            ("address", "b", None, Some("2")),
            ("board, from another port", "x", Some(upper.as_str()), Some("2")),
            ("address goes before board", "a", Some(U1), Some("1")),
            ("a board like thousands", "x", Some(DULL), None),
            ("another of its ports", "a2", None, Some("1")),
            ("another of its ports, on a board like thousands", "c", Some(DULL), Some("3")),
            ("its board goes before another's port", "a2", Some(U1), Some("2")),
            ("a port that two members have, as those of management controllers", "same", None, None),
            ("unknown", "x", None, None),
        ];
        for (name, mac, uuid, want) in rows {
            let server = "10.77.0.1".parse().unwrap();
            let uuid = uuid.map(Into::into);
            let machine = Machine { mac: mac.into(), uuid, arch: 7, address: None, server };
            assert_eq!(member_of(&machine, &members).map(|m| m.id.as_str()), want, "{name}");
        }
    }

    #[test]
    fn a_name_goes_to_nobody_else_and_never_from_the_living() {
        let two = || member("2", "node-2", "b", U1);
        let request = |name: &str, machine: &str| JoinRequest {
            secret: String::new(),
            csr: String::new(),
            node_id: "new".into(),
            name: name.into(),
            addresses: vec![],
            machine: machine.into(),
            token: None,
        };
        let alive = || BTreeSet::from(["2".to_owned()]);
        type Row<'a> = (
            &'a str,
            JoinRequest,
            Option<&'a str>,
            Vec<NodeValue>,
            BTreeSet<String>,
            Result<Option<&'a str>, Refusal>,
        );
        let taken = || Err(Refusal::NameTaken);
        let rows: Vec<Row<'_>> = vec![
            ("a new name", request("node-3", U1), None, vec![two()], alive(), Ok(None)),
            (
                "the ticket names the member",
                request("node-2", ""),
                Some("2"),
                vec![two()],
                BTreeSet::new(),
                Ok(Some("2")),
            ),
            ("and it is alive", request("node-2", ""), Some("2"), vec![two()], alive(), taken()),
            (
                "same name, same board",
                request("node-2", U1),
                None,
                vec![two()],
                BTreeSet::new(),
                Ok(Some("2")),
            ),
            ("same name, same board, alive", request("node-2", U1), None, vec![two()], alive(), taken()),
            ("same name, another board", request("node-2", "x"), None, vec![two()], BTreeSet::new(), taken()),
            ("same name, no board told", request("node-2", ""), None, vec![two()], BTreeSet::new(), taken()),
            (
                "same name, a board like thousands",
                request("node-2", DULL),
                None,
                vec![member("2", "node-2", "b", DULL)],
                BTreeSet::new(),
                taken(),
            ),
            (
                "its own entry is in nobody's way",
                request("node-2", ""),
                None,
                vec![member("new", "node-2", "b", "")],
                BTreeSet::from(["new".to_owned()]),
                Ok(None),
            ),
            (
                "the member is gone already",
                request("node-2", ""),
                Some("2"),
                vec![],
                BTreeSet::new(),
                Ok(None),
            ),
        ];
        for (name, request, ticket, members, alive, want) in rows {
            let got = plan_place(&request, ticket, &members, &alive);
            assert_eq!(got, want.map(|id| id.map(str::to_owned)), "{name}");
        }
    }
}
