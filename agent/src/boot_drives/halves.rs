//! What the halves of the running mirrors say about the drives. Pure.

use maekin_host::md_sysfs::{Member, MemberState};

use super::observe::{Disk, Seen};

/// Whether `places` have no drive for a half that is in use, and whose device is there. Pure.
pub(super) fn leaves_out(places: &[Option<Disk>; 2], seen: &Seen) -> bool {
    let listed = |name: &str| places.iter().flatten().any(|disk| disk.has_part(name));
    let members = seen.arrays.values().flat_map(|running| &running.members);
    members
        .filter(|m| m.state == MemberState::InSync)
        .any(|m| seen.names.contains(&m.name) && !listed(&m.name))
}

/// Members of mirrors that are lost: their device is gone, or is one of `dead`. Never the last good one. Pure.
pub(super) fn lost(seen: &Seen, dead: &[&Disk]) -> Vec<(String, String)> {
    let mut list = Vec::new();
    for (array, running) in &seen.arrays {
        let is_lost =
            |name: &String| !seen.names.contains(name) || dead.iter().any(|disk| disk.has_part(name));
        let good = |m: &&Member| m.state == MemberState::InSync && !is_lost(&m.name);
        if running.members.iter().any(|m| good(&m)) {
            let lost = running.members.iter().filter(|m| is_lost(&m.name));
            list.extend(lost.map(|m| (array.clone(), m.name.clone())));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_host::md_sysfs::Running;
    use std::collections::BTreeMap;

    /// A drive with one half on it.
    fn disk(name: &str) -> Disk {
        Disk {
            device: format!("/dev/{name}").into(),
            parts: BTreeMap::from([(maekin_image::layout::Part::State, format!("{name}5"))]),
            ..Disk::default()
        }
    }

    /// One mirror of these members, and the devices that there are.
    fn seen(members: &[(&str, MemberState)], names: &[&str]) -> Seen {
        let member = |(name, state): &(&str, MemberState)| Member { name: (*name).into(), state: *state };
        let running = Running { members: members.iter().map(member).collect(), ..Running::default() };
        Seen {
            arrays: BTreeMap::from([("maekin-state".to_owned(), running)]),
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn halves_that_are_gone_or_dead_are_given_up_but_never_the_last_good_one() {
        use MemberState::{Faulty, InSync, Spare};
        let (vda, vdb) = (disk("vda"), disk("vdb"));
        type Row<'a> = (&'a str, &'a [(&'a str, MemberState)], &'a [&'a str], &'a [&'a Disk], &'a [&'a str]);
        let both = [("vda5", InSync), ("vdb5", InSync)];
        let rows: [Row<'_>; 8] = [
            ("whole", &both, &["vda5", "vdb5"], &[], &[]),
            ("gone", &both, &["vdb5"], &[], &["vda5"]),
            ("gone, and known to be", &[("vda5", Faulty), ("vdb5", InSync)], &["vdb5"], &[], &["vda5"]),
            ("dead where it is", &both, &["vda5", "vdb5"], &[&vdb], &["vdb5"]),
            ("both dead", &both, &["vda5", "vdb5"], &[&vda, &vdb], &[]),
            ("all gone", &both, &[], &[], &[]),
            ("the other one is not up to date", &[("vda5", InSync), ("vdb5", Spare)], &["vdb5"], &[], &[]),
            ("given up, and still here", &[("vda5", Faulty), ("vdb5", InSync)], &["vda5", "vdb5"], &[], &[]),
        ];
        for (name, members, names, dead, want) in rows {
            let got: Vec<String> =
                lost(&seen(members, names), dead).into_iter().map(|(_, member)| member).collect();
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn a_list_without_what_the_node_runs_from_is_not_believed() {
        use MemberState::{Faulty, InSync};
        let (a, b) = (|| Some(disk("vda")), || Some(disk("vdb")));
        type Row<'a> = (&'a str, [Option<Disk>; 2], &'a [(&'a str, MemberState)], &'a [&'a str], bool);
        let (both, names) = ([("vda5", InSync), ("vdb5", InSync)], ["vda5", "vdb5"]);
        let rows: [Row<'_>; 6] = [
            ("all named", [a(), b()], &both, &names, false),
            ("none named yet", [None, None], &both, &names, true),
            ("one named yet", [a(), None], &both, &names, true),
            ("pulled", [a(), None], &both, &names[..1], false),
            ("given up", [a(), None], &[("vda5", InSync), ("vdb5", Faulty)], &names, false),
            ("no mirror runs", [None, None], &[], &names, false),
        ];
        for (name, places, members, names, want) in rows {
            assert_eq!(leaves_out(&places, &seen(members, names)), want, "{name}");
        }
    }
}
