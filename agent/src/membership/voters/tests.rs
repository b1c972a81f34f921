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
        ("two nodes", vec![voter(1)], &[1, 2], &[1, 2], &[], None),
        ("three nodes", vec![voter(1)], &[1, 2, 3], &[1, 2, 3], &[], add(2)),
        (
            "three, one of them away: two voters would be worse",
            vec![voter(1)],
            &[1, 2, 3],
            &[1, 2],
            &[],
            None,
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
        let seen = Seen { voters: &voters, nodes: &nodes, alive: &ids(alive), gone: &ids(gone) };
        assert_eq!(plan_voters(&seen), want, "{name}");
    }
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
            let seen = Seen { voters: &voters, nodes: &nodes, alive: &living, gone: &gone };
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
    let file = |id: u64| VoterFile { id: format!("{id:016x}"), initial: initial.into() };
    let list = || vec![voter(1), voter(2)];
    /// Name, what is written down, whether there is data, the list, step.
    type Row = (&'static str, Option<VoterFile>, bool, Vec<Voter>, OwnStep);
    let rows: [Row; 9] = [
        ("no voter", None, false, vec![voter(1)], OwnStep::Nothing),
        ("added", None, false, vec![voter(1), unstarted(2)], OwnStep::Fresh(file(2))),
        (
            "added, and died before it was written down",
            None,
            true,
            vec![voter(1), unstarted(2)],
            OwnStep::Fresh(file(2)),
        ),
        (
            "written down, and died before it was started",
            Some(file(2)),
            false,
            vec![voter(1), unstarted(2)],
            OwnStep::Run(file(2)),
        ),
        ("runs", Some(file(2)), true, list(), OwnStep::Run(file(2))),
        ("made the record", None, true, list(), OwnStep::Run(file(2))),
        (
            "taken out and added again",
            Some(file(7)),
            true,
            vec![voter(1), unstarted(2)],
            OwnStep::Fresh(file(2)),
        ),
        ("taken out", Some(file(2)), true, vec![voter(1)], OwnStep::End),
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
