use super::*;

fn url(n: u64) -> String {
    format!("https://10.77.0.{n}:2380")
}

fn node(n: u64) -> NodeValue {
    NodeValue { id: format!("n{n}"), peer_url: url(n), joined_at: n, ..NodeValue::default() }
}

fn voter(n: u64) -> Voter {
    Voter { id: n, peer_url: url(n), name: format!("n{n}"), learner: false }
}

fn learner(n: u64) -> Voter {
    Voter { learner: true, ..voter(n) }
}

/// The voter that an earlier installation had at this address.
fn before(n: u64) -> Voter {
    Voter { name: format!("before-n{n}"), ..voter(n) }
}

fn unstarted(n: u64) -> Voter {
    Voter { name: String::new(), ..learner(n) }
}

fn add(n: u64) -> Option<Step> {
    Some(Step::Add { node: format!("n{n}"), peer_url: url(n) })
}

fn promote(id: u64) -> Option<Step> {
    Some(Step::Promote { id })
}

fn remove(id: u64) -> Option<Step> {
    Some(Step::Remove { id })
}

#[test]
fn the_record_gets_its_voters_one_step_at_a_time() {
    /// Name; voters; members; of these alive; of these gone for long; step.
    type Row = (&'static str, Vec<Voter>, &'static [u64], &'static [u64], &'static [u64], Option<Step>);
    let three = || vec![voter(1), voter(2), voter(3)];
    let rows: Vec<Row> = vec![
        ("one node", vec![voter(1)], &[1], &[1], &[], None),
        ("two nodes: the second copies the record", vec![voter(1)], &[1, 2], &[1, 2], &[], add(2)),
        ("two nodes, the second copies", vec![voter(1), learner(2)], &[1, 2], &[1, 2], &[], None),
        ("two nodes, the second is away", vec![voter(1)], &[1, 2], &[1], &[], None),
        (
            "the second is away for long: its copy stays its",
            vec![voter(1), learner(2)],
            &[1, 2],
            &[1],
            &[2],
            None,
        ),
        ("a third comes", vec![voter(1), learner(2)], &[1, 2, 3], &[1, 2, 3], &[], promote(2)),
        ("three nodes", vec![voter(1)], &[1, 2, 3], &[1, 2, 3], &[], add(2)),
        ("three, one of them away: a copy", vec![voter(1)], &[1, 2, 3], &[1, 2], &[], add(2)),
        (
            "three, one of them away: two voters would be worse",
            vec![voter(1), learner(2)],
            &[1, 2, 3],
            &[1, 2],
            &[],
            None,
        ),
        (
            "the copy is gone for long, and nobody to take its place",
            vec![voter(1), unstarted(2)],
            &[1, 2, 3],
            &[1],
            &[2, 3],
            None,
        ),
        (
            "seven nodes, the others away: four voters would be worse than three",
            vec![voter(1), voter(2), voter(3), learner(4)],
            &[1, 2, 3, 4, 5, 6, 7],
            &[1, 2, 3, 4],
            &[],
            None,
        ),
        (
            "one of the three is gone: the copy will take its place",
            vec![voter(1), voter(2), voter(3), learner(4)],
            &[1, 2, 3, 4, 5, 6, 7],
            &[1, 2, 4],
            &[3],
            remove(3),
        ),
        (
            "after that",
            vec![voter(1), voter(2), learner(4)],
            &[1, 2, 3, 4, 5, 6, 7],
            &[1, 2, 4],
            &[3],
            promote(4),
        ),
        ("a learner that was not started", vec![voter(1), unstarted(2)], &[1, 2, 3], &[1, 2, 3], &[], None),
        ("a learner that runs", vec![voter(1), learner(2)], &[1, 2, 3], &[1, 2, 3], &[], promote(2)),
        ("a learner whose node just died", vec![voter(1), learner(2)], &[1, 2, 3], &[1, 3], &[], None),
        (
            "a learner whose node died long ago",
            vec![voter(1), unstarted(2)],
            &[1, 2, 3],
            &[1, 3],
            &[2],
            remove(2),
        ),
        ("a learner of nobody's", vec![voter(1), learner(9)], &[1, 2, 3], &[1, 2, 3], &[], remove(9)),
        ("two voters, the third to come", vec![voter(1), voter(2)], &[1, 2, 3], &[1, 2, 3], &[], add(3)),
        ("two voters, the third away", vec![voter(1), voter(2)], &[1, 2, 3], &[1, 2], &[], None),
        ("three voters", three(), &[1, 2, 3], &[1, 2, 3], &[], None),
        ("one of three just died", three(), &[1, 2, 3], &[2, 3], &[], None),
        ("one of three is gone, nobody to replace it", three(), &[1, 2, 3], &[2, 3], &[1], None),
        ("one of three is gone, a fourth is there", three(), &[1, 2, 3, 4], &[2, 3, 4], &[1], remove(1)),
        ("after that", vec![voter(2), voter(3)], &[1, 2, 3, 4], &[2, 3, 4], &[1], add(4)),
        (
            "two of three are gone: no quorum to change anything with",
            three(),
            &[1, 2, 3, 4],
            &[3, 4],
            &[1, 2],
            None,
        ),
        ("a voter whose node was installed anew", three(), &[2, 3, 4], &[2, 3, 4], &[], remove(1)),
        ("the same, and another one is away", three(), &[2, 3, 4], &[2, 4], &[], None),
        (
            "a member's machine was installed anew, and has its address again",
            vec![voter(1), voter(2), before(3)],
            &[1, 2, 3],
            &[1, 2, 3],
            &[],
            remove(3),
        ),
        ("after that", vec![voter(1), voter(2)], &[1, 2, 3], &[1, 2, 3], &[], add(3)),
        (
            "the same, and another one is away: nothing is added at a taken address",
            vec![voter(1), voter(2), before(3)],
            &[1, 2, 3],
            &[1, 3],
            &[],
            None,
        ),
        (
            "the same for a learner",
            vec![voter(1), Voter { learner: true, ..before(2) }],
            &[1, 2, 3],
            &[1, 2, 3],
            &[],
            remove(2),
        ),
        ("seven nodes", three(), &[1, 2, 3, 4, 5, 6, 7], &[1, 2, 3, 4, 5, 6, 7], &[], add(4)),
        (
            "from seven down to six",
            vec![voter(1), voter(2), voter(3), voter(4), voter(5)],
            &[1, 2, 3, 4, 5, 6],
            &[1, 2, 3, 4, 5, 6],
            &[],
            None,
        ),
    ];
    for (name, voters, members, alive, gone, want) in rows {
        let nodes: Vec<_> = members.iter().map(|n| node(*n)).collect();
        let ids = |ns: &[u64]| ns.iter().map(|n| format!("n{n}")).collect::<BTreeSet<_>>();
        let seen = Seen {
            voters: &voters,
            nodes: &nodes,
            alive: &ids(alive),
            gone: &ids(gone),
            domains: &BTreeMap::new(),
            witnesses: &BTreeSet::new(),
            own: "n1",
            settled: false,
        };
        assert_eq!(plan_voters(&seen), want, "{name}");
    }
}

#[test]
fn record_two_voters_that_are_left_become_one_and_a_copy() {
    let learning = vec![voter(2), learner(1)];
    /// Name; voters; of the two members alive; the members are the same for long; the leading one; step.
    type Row = (&'static str, Vec<Voter>, &'static [u64], bool, u64, Option<Step>);
    let two = || vec![voter(1), voter(2)];
    let rows: [Row; 7] = [
        ("the third was removed a moment ago", two(), &[1, 2], false, 1, None),
        ("for long: the other's voter goes", two(), &[1, 2], true, 1, remove(2)),
        ("led by the other", two(), &[1, 2], true, 2, remove(1)),
        ("one of them is away", two(), &[1], true, 1, None),
        ("then it copies", vec![voter(2)], &[1, 2], true, 2, add(1)),
        ("and that is all", learning, &[1, 2], true, 2, None),
        ("a copy beside two voters", vec![voter(1), voter(2), unstarted(2)], &[1, 2], true, 1, None),
    ];
    for (name, voters, alive, settled, own, want) in rows {
        let nodes = [node(1), node(2)];
        let alive = alive.iter().map(|n| format!("n{n}")).collect();
        let seen = Seen {
            voters: &voters,
            nodes: &nodes,
            alive: &alive,
            gone: &BTreeSet::new(),
            domains: &BTreeMap::new(),
            witnesses: &BTreeSet::new(),
            own: &format!("n{own}"),
            settled,
        };
        assert_eq!(plan_voters(&seen), want, "{name}");
    }
}

#[test]
fn record_a_witness_is_the_first_to_get_a_vote() {
    let roles = BTreeMap::from([
        ("n2".to_owned(), vec!["storage".to_owned()]),
        ("n4".to_owned(), vec!["witness".to_owned(), "rack=r1".to_owned()]),
    ]);
    assert_eq!(witnesses(&roles), BTreeSet::from(["n4".to_owned()]));
    // Name; members; voters; step.
    let rows = [
        ("two nodes and a witness", 4, vec![voter(1)], add(4)),
        ("the witness votes", 4, vec![voter(1), voter(4)], add(2)),
        ("three vote", 4, vec![voter(1), voter(2), voter(3)], None),
    ];
    for (name, members, voters, want) in rows {
        let nodes: Vec<_> = (1..=members).map(node).collect();
        let alive = nodes.iter().map(|n| n.id.clone()).collect();
        let seen = Seen {
            voters: &voters,
            nodes: &nodes,
            alive: &alive,
            gone: &BTreeSet::new(),
            domains: &domains(&roles),
            witnesses: &witnesses(&roles),
            own: "n1",
            settled: true,
        };
        assert_eq!(plan_voters(&seen), want, "{name}");
    }
}

#[test]
fn record_the_members_are_the_same_for_long_only_without_a_change() {
    let mut watched = Watched::default();
    let alive = BTreeSet::from(["n1".to_owned()]);
    assert_eq!(watched.see(&[node(1), node(2)], &alive), (BTreeSet::new(), false));
    let long_ago = Instant::now().checked_sub(GONE).expect("this machine runs for longer");
    watched.members.as_mut().expect("was seen").1 = long_ago;
    watched.away.insert("n2".to_owned(), long_ago);
    assert_eq!(watched.see(&[node(1), node(2)], &alive), (BTreeSet::from(["n2".to_owned()]), true));
    assert!(!watched.see(&[node(1), node(3)], &alive).1, "another one came");
}

#[test]
fn no_plan_ever_leaves_fewer_than_a_quorum_alive() {
    // Every cluster of up to five members, every set of voters, and every set of those alive and gone.
    for members in 1..=5_u64 {
        let nodes: Vec<_> = (1..=members).map(node).collect();
        let sets = 1_u64 << members;
        let pick = |set: u64| (1..=members).filter(move |n| set & (1 << (n - 1)) != 0);
        for (voting, alive) in (1..sets).flat_map(|v| (0..sets).map(move |a| (v, a))) {
            let voters: Vec<_> = pick(voting).map(voter).collect();
            let living: BTreeSet<_> = pick(alive).map(|n| format!("n{n}")).collect();
            let gone = pick(!alive & (sets - 1)).map(|n| format!("n{n}")).collect();
            let seen = Seen {
                voters: &voters,
                nodes: &nodes,
                alive: &living,
                gone: &gone,
                domains: &BTreeMap::new(),
                witnesses: &BTreeSet::new(),
                own: "n1",
                settled: false,
            };
            if let Some(Step::Remove { id }) = plan_voters(&seen) {
                assert!(
                    !living.contains(&format!("n{id}")),
                    "{voting:b} {alive:b}: a living voter is removed"
                );
                let up = voters.iter().filter(|v| living.contains(&v.name)).count();
                assert!(up > (voters.len() - 1) / 2, "{voting:b} {alive:b}: {id} is removed");
            }
        }
    }
}

#[test]
fn a_member_runs_the_voter_that_it_has_in_the_list() {
    let initial = "n1=https://10.77.0.1:2380,n2=https://10.77.0.2:2380";
    let file = |id: u64| VoterFile { id: format!("{id:016x}"), initial: initial.into(), learner: false };
    let copy = |id: u64| VoterFile { learner: true, ..file(id) };
    let list = || vec![voter(1), voter(2)];
    /// Name, what is written down, whether there is data, the list, step.
    type Row = (&'static str, Option<VoterFile>, bool, Vec<Voter>, OwnStep);
    let rows: [Row; 18] = [
        ("no voter", None, false, vec![voter(1)], OwnStep::Nothing),
        ("an earlier installation's is there", None, false, vec![voter(1), before(2)], OwnStep::Nothing),
        (
            "an earlier installation's that learned",
            None,
            false,
            vec![voter(1), Voter { learner: true, ..before(2) }],
            OwnStep::Nothing,
        ),
        (
            "ours is elsewhere, and somebody else's is where we are now",
            Some(file(7)),
            true,
            vec![Voter { name: "n2".into(), ..voter(7) }, before(2)],
            OwnStep::Run(file(7)),
        ),
        ("added", None, false, vec![voter(1), unstarted(2)], OwnStep::Fresh(copy(2))),
        (
            "added, and died before it was written down",
            None,
            true,
            vec![voter(1), unstarted(2)],
            OwnStep::Fresh(copy(2)),
        ),
        (
            "written down, and died before it was started",
            Some(copy(2)),
            false,
            vec![voter(1), unstarted(2)],
            OwnStep::Run(copy(2)),
        ),
        ("got its vote", Some(copy(2)), true, list(), OwnStep::Run(file(2))),
        ("runs", Some(file(2)), true, list(), OwnStep::Run(file(2))),
        ("made the record", None, true, list(), OwnStep::Run(file(2))),
        (
            "taken out and added again",
            Some(file(7)),
            true,
            vec![voter(1), unstarted(2)],
            OwnStep::Fresh(copy(2)),
        ),
        ("taken out", Some(file(2)), true, vec![voter(1)], OwnStep::End),
        ("taken out, and its id was lost", None, true, vec![voter(1)], OwnStep::End),
        (
            "restored: it has another id now, and all that there is",
            Some(file(7)),
            true,
            list(),
            OwnStep::Run(file(2)),
        ),
        (
            "another address now, and its id was lost",
            None,
            true,
            vec![voter(1), Voter { peer_url: url(9), ..voter(2) }],
            OwnStep::Run(VoterFile { initial: initial.replace("0.2", "0.9"), ..file(2) }),
        ),
        ("votes, and has nothing", Some(file(7)), false, list(), OwnStep::Fresh(file(2))),
        (
            "copies the record, and its id was lost",
            None,
            true,
            vec![voter(1), learner(2)],
            OwnStep::Run(copy(2)),
        ),
        (
            "the node has another address now",
            Some(file(9)),
            true,
            vec![voter(1), voter(9)],
            OwnStep::Run(file(9)),
        ),
    ];
    for (name, have, data, voters, want) in rows {
        assert_eq!(plan_own(have.as_ref(), data, ("n2", &url(2)), &voters), want, "{name}");
    }
}

#[test]
fn the_own_voter_is_asked_first() {
    let at = |n: u64, record_url: &str| NodeValue { record_url: record_url.into(), ..node(n) };
    let nodes = [at(1, "https://a"), at(2, "https://b"), at(3, "")];
    assert_eq!(plan_endpoints(Some("https://l".into()), "n1", &nodes), ["https://l", "https://b"]);
    assert_eq!(plan_endpoints(None, "n3", &nodes), ["https://a", "https://b"]);
}

#[test]
fn record_voters_are_spread_over_the_racks_that_are_known() {
    let racks = |text: &str| -> BTreeMap<String, String> {
        // One letter a member, `-` where its rack is not known.
        let named = text.chars().enumerate().filter(|(_, rack)| *rack != '-');
        named.map(|(n, rack)| (format!("n{}", n + 1), rack.to_string())).collect()
    };
    // Name; racks of the members; voters; step.
    let rows: [(&str, &str, Vec<Voter>, Option<Step>); 13] = [
        ("no racks", "----", vec![voter(1)], add(2)),
        ("the second voter goes to another rack", "aabb", vec![voter(1)], add(3)),
        ("the third to the third rack", "aabc", vec![voter(1), voter(3)], add(4)),
        ("the third where it must", "aabb", vec![voter(1), voter(3)], add(2)),
        ("not known is better than crowded", "aa-b", vec![voter(1), voter(4)], add(3)),
        ("nobody there is better than not known", "a-bb", vec![voter(1)], add(3)),
        ("two racks, as good as can be", "aabb", vec![voter(1), voter(2), voter(3)], None),
        ("all in one rack: one is added elsewhere", "aaab", vec![voter(1), voter(2), voter(3)], add(4)),
        ("and then one taken out", "aaab", vec![voter(1), voter(2), voter(3), voter(4)], remove(3)),
        ("after that", "aaab", vec![voter(1), voter(2), voter(4)], None),
        ("all in one rack, and nobody elsewhere", "aaaa", vec![voter(1), voter(2), voter(3)], None),
        ("all in one rack, and one not known where", "aaa-", vec![voter(1), voter(2), voter(3)], None),
        ("one voter stays where it is", "ab", vec![voter(1), learner(2)], None),
    ];
    for (name, places, voters, want) in rows {
        let nodes: Vec<_> = (1..=places.len() as u64).map(node).collect();
        let alive = nodes.iter().map(|n| n.id.clone()).collect();
        let (gone, domains) = (BTreeSet::new(), racks(places));
        let seen = Seen {
            voters: &voters,
            nodes: &nodes,
            alive: &alive,
            gone: &gone,
            domains: &domains,
            witnesses: &BTreeSet::new(),
            own: "n1",
            settled: true,
        };
        assert_eq!(plan_voters(&seen), want, "{name}");
    }
}

#[test]
fn record_spreading_ends() {
    // Every way to put five to seven members into three racks, and every first voter.
    for members in 3..=7_u32 {
        let nodes: Vec<_> = (1..=u64::from(members)).map(node).collect();
        let alive: BTreeSet<_> = nodes.iter().map(|n| n.id.clone()).collect();
        for code in 0..3_u32.pow(members) {
            let rack =
                |n: u64| ["a", "b", "c"][(code / 3_u32.pow(u32::try_from(n).unwrap() - 1) % 3) as usize];
            let domains: BTreeMap<_, _> =
                (1..=u64::from(members)).map(|n| (format!("n{n}"), rack(n).to_owned())).collect();
            let mut voters = vec![voter(1)];
            let gone = BTreeSet::new();
            for step in 0.. {
                let seen = Seen {
                    voters: &voters,
                    nodes: &nodes,
                    alive: &alive,
                    gone: &gone,
                    domains: &domains,
                    witnesses: &BTreeSet::new(),
                    own: "n1",
                    settled: true,
                };
                match plan_voters(&seen) {
                    None => break,
                    Some(Step::Add { node, .. }) => voters.push(learner(node[1..].parse().unwrap())),
                    Some(Step::Promote { id }) => {
                        voters.iter_mut().filter(|v| v.id == id).for_each(|v| v.learner = false);
                    }
                    Some(Step::Remove { id }) => voters.retain(|v| v.id != id),
                }
                assert!(step < 20, "{members} members in {domains:?}: no end");
            }
            assert_eq!(voters.len(), wanted(nodes.len()), "{domains:?}");
            let racks = |ids: &mut dyn Iterator<Item = u64>| ids.map(rack).collect::<BTreeSet<_>>().len();
            let possible = racks(&mut (1..=u64::from(members))).min(voters.len());
            assert_eq!(racks(&mut voters.iter().map(|v| v.id)), possible, "{domains:?}");
        }
    }
}

#[test]
fn record_a_label_names_the_rack() {
    let roles = |text: &[&str]| text.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>();
    let of = BTreeMap::from([
        ("n1".to_owned(), roles(&["storage", "rack=r1"])),
        ("n2".to_owned(), roles(&["storage"])),
    ]);
    assert_eq!(domains(&of), BTreeMap::from([("n1".to_owned(), "r1".to_owned())]));
}
