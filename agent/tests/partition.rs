//! A cluster whose network is cut, in namespaces, with the built agent and the real etcd: who has no quorum knows it, says
//! it, and refuses writes; the others go on; and it heals by itself.

#![allow(clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use maekin_api::INSTALL_WINDOW;
use maekin_api::install::OpenWindow;
use maekin_api::problem::Problem;
use maekin_lab::api::Api;
use maekin_lab::node::Node;
use maekin_lab::pace;
use maekin_lab::rack::{EVERY, Rack};
use maekin_lab::seeded::Seeded;
use maekin_lab::writer::Writers;

/// How long a cluster may take to become whole where the machine does nothing else.
const LIMIT: Duration = Duration::from_secs(180);
/// Within this time, those who have a quorum go on: an election of the record's, and of who is asked.
const GO_ON: Duration = Duration::from_secs(45);
/// Within this time, one who has none says so: it takes two looks at the record that fail, 15 s each (docs/cluster.md).
const KNOW: Duration = Duration::from_secs(90);
/// Within this time, one who has none has asked every voter, 5 s each at most, and refuses a change.
const REFUSE: Duration = Duration::from_secs(45);
/// Within this time, all is as it was.
const HEAL: Duration = Duration::from_secs(60);

/// Which ways are cut.
#[derive(Debug, Clone)]
enum Cut {
    /// Both ways between these and the others.
    Off(Vec<usize>),
    /// What these send to the others; they hear everything.
    Mute(Vec<usize>),
    /// What the others send to these; these are heard.
    Deaf(Vec<usize>),
    /// Between the first and the second; all others hear both.
    Pair(usize, usize),
    /// Everything.
    All,
}

fn raised(nodes: usize, seed: u64) -> Rack {
    Rack::raised(Path::new(env!("CARGO_BIN_EXE_maekin-agent")), nodes, seed, LIMIT).expect("a whole rack")
}

fn apply(rack: &Rack, cut: &Cut) {
    let others = |these: &[usize]| (0..rack.nodes.len()).filter(|n| !these.contains(n)).collect::<Vec<_>>();
    let done = match cut {
        Cut::Off(these) => rack.switch.cut(these, &others(these)),
        Cut::Mute(these) => rack.switch.cut_one_way(these, &others(these)),
        Cut::Deaf(these) => rack.switch.cut_one_way(&others(these), these),
        Cut::Pair(one, other) => rack.switch.cut(&[*one], &[*other]),
        Cut::All => rack.switch.cut_one_way(&others(&[]), &others(&[])),
    };
    done.expect("the switch cuts");
}

/// Demands that a node refuses a change, and says why, as a program understands it: nobody who waits for an answer is left
/// without one.
fn refuses_a_change(rack: &Rack, name: &str, n: usize) {
    let api = Api::new(rack.nodes[n].address, pace::limit(REFUSE));
    let change = serde_json::to_string(&OpenWindow { minutes: 1, count: 1 }).expect("plain fields");
    let answer = api.ask("POST", INSTALL_WINDOW, None, &change);
    let answer =
        answer.unwrap_or_else(|e| panic!("{name}: node {n} does not answer: {e:#}\n{}", rack.said()));
    let problem: Problem = serde_json::from_str(&answer.body)
        .unwrap_or_else(|e| panic!("{name}: node {n}: {e}: {} {}", answer.status, answer.body));
    let told = (answer.status, problem.kind.as_str());
    assert_eq!(told, (503, "urn:maekin:record-unreachable"), "{name}: node {n}: {}", problem.detail);
}

/// What a node says of itself.
fn has_quorum(node: &Node) -> Option<bool> {
    node.api().nodes().ok()?.into_iter().find(|info| info.own)?.quorum
}

/// Waits until these nodes say that of themselves.
fn say(rack: &Rack, nodes: &[usize], quorum: bool, limit: Duration) -> Duration {
    let begun = Instant::now();
    let said = || nodes.iter().all(|n| has_quorum(&rack.nodes[*n]) == Some(quorum)).then_some(());
    let what = format!("{nodes:?} to say that their quorum is {quorum}");
    pace::until(&what, limit, EVERY, said).unwrap_or_else(|e| panic!("{e}\n{}", rack.said()));
    begun.elapsed()
}

/// Cuts, looks that `minority` knows and the others go on, heals, looks that all is whole.
fn partition(rack: &Rack, name: &str, cut: &Cut, minority: &[usize], seed: u64) {
    let majority: Vec<usize> = (0..rack.nodes.len()).filter(|n| !minority.contains(n)).collect();
    let goes_on = majority.len() > rack.nodes.len() / 2;
    let asked = if goes_on { &majority } else { &minority.to_vec() };
    let apis: Vec<_> = asked.iter().map(|n| rack.nodes[*n].api()).collect();
    let writers = Writers::start(3, &apis, seed);
    writers.progress(10, LIMIT).expect("writes before the cut");
    apply(rack, cut);
    let begun = Instant::now();
    if goes_on {
        // What was under way in the moment of the cut may count still; a few more cannot.
        writers.progress(20, GO_ON).unwrap_or_else(|e| panic!("{name}: {e}\n{}", rack.said()));
    }
    let went_on = begun.elapsed();
    let knew = say(rack, minority, false, KNOW);
    for n in minority {
        refuses_a_change(rack, name, *n);
        let alarms = rack.nodes[*n].api().node().expect("it answers for itself").alarms;
        assert!(alarms.iter().any(|alarm| alarm.id == "quorum-lost"), "{name}: {alarms:?}");
    }
    if goes_on {
        say(rack, &majority, true, GO_ON);
        writers.progress(10, GO_ON).unwrap_or_else(|e| panic!("{name}: {e}\n{}", rack.said()));
    }
    rack.switch.heal().expect("the switch heals");
    let begun = Instant::now();
    rack.whole(HEAL).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    say(rack, minority, true, HEAL);
    let healed = begun.elapsed();
    writers.progress(10, GO_ON).expect("writes after it healed");
    let last = rack.nodes.last().expect("nodes");
    let verdict = writers.finish(&last.api()).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    eprintln!(
        "{name}: on after {went_on:.1?}, known after {knew:.1?} more, healed after {healed:.1?}; {verdict:?}"
    );
}

/// The node whose voter leads the record's others, and the one that leads the cluster.
fn leaders(rack: &Rack) -> (usize, usize) {
    let find = || {
        let api = rack.nodes[0].api();
        let (cluster, record) =
            (api.cluster().ok()?, api.get::<maekin_api::record::Record>(maekin_api::RECORD).ok()?);
        let name = |id: String| cluster.nodes.iter().find(|node| node.id == id).map(|node| node.name.clone());
        let place = |id: Option<String>| {
            let name = name(id?)?;
            rack.nodes.iter().position(|node| node.name == name)
        };
        Some((place(record.leader)?, place(cluster.leader.clone())?))
    };
    pace::until("somebody to lead", LIMIT, EVERY, find).expect("leaders")
}

/// Something that happens to a rack: how many nodes it has, which ways are cut, and who has no quorum then.
struct Row {
    name: &'static str,
    nodes: usize,
    plan: fn(&Rack) -> (Cut, Vec<usize>),
}

const fn row(name: &'static str, nodes: usize, plan: fn(&Rack) -> (Cut, Vec<usize>)) -> Row {
    Row { name, nodes, plan }
}

/// One that leads neither the record nor the cluster.
fn follower(rack: &Rack) -> usize {
    let (record, cluster) = leaders(rack);
    (0..rack.nodes.len()).find(|n| *n != record && *n != cluster).expect("three nodes")
}

/// The leader of the record, and of five one that has no vote: three of five vote, and these two must not be a majority.
fn leader_and_one_more(rack: &Rack) -> (Cut, Vec<usize>) {
    let (record, cluster) = leaders(rack);
    let members = rack.nodes[0].api().cluster().expect("a cluster").nodes;
    let votes = |node: &Node| members.iter().any(|info| info.name == node.name && info.voter);
    let plain = (0..rack.nodes.len()).find(|n| !votes(&rack.nodes[*n]) && *n != cluster);
    let two = vec![record, plain.expect("two do not vote")];
    (Cut::Off(two.clone()), two)
}

fn off(these: Vec<usize>) -> (Cut, Vec<usize>) {
    (Cut::Off(these.clone()), these)
}

/// Raises the rack of each row and cuts it, three rows beside each other: each has a thread and a network of its own.
fn cut_all(rows: &[Row]) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, SeqCst);
                    let Some(row) = rows.get(n) else { return };
                    let seed = 200 + n as u64;
                    let rack = raised(row.nodes, seed);
                    let (cut, minority) = (row.plan)(&rack);
                    partition(&rack, row.name, &cut, &minority, seed);
                }
            });
        }
    });
}

#[test]
fn partition_minority_stops_majority_goes_on() {
    if !maekin_lab::possible("partition_minority_stops_majority_goes_on") {
        return;
    }
    cut_all(&[
        row("the leader of the record and one more of five", 5, leader_and_one_more),
        row("a follower, mute", 3, |rack| {
            let one = vec![follower(rack)];
            (Cut::Mute(one.clone()), one)
        }),
        row("two followers that miss each other", 3, |rack| {
            let (record, _) = leaders(rack);
            (Cut::Pair((record + 1) % 3, (record + 2) % 3), vec![])
        }),
        row("nobody hears anybody", 3, |_| (Cut::All, vec![0, 1, 2])),
    ]);
}

#[test]
#[ignore = "long: three more cuts, two minutes"]
fn partition_minority_stops_majority_goes_on_in_more_ways() {
    if !maekin_lab::possible("partition_minority_stops_majority_goes_on_in_more_ways") {
        return;
    }
    cut_all(&[
        row("a follower", 3, |rack| off(vec![follower(rack)])),
        row("the leader of the record", 3, |rack| off(vec![leaders(rack).0])),
        row("the leader of the cluster", 3, |rack| off(vec![leaders(rack).1])),
        row("a follower, deaf", 3, |rack| {
            let one = vec![follower(rack)];
            (Cut::Deaf(one.clone()), one)
        }),
    ]);
}

#[test]
fn partition_that_flaps_loses_nothing() {
    if !maekin_lab::possible("partition_that_flaps_loses_nothing") {
        return;
    }
    let rack = raised(3, 26);
    let mut seeded = Seeded::new(26);
    let writers = Writers::start(3, &rack.apis(), 26);
    for _ in 0..8 {
        let one = seeded.index(3);
        apply(&rack, &if seeded.below(2) == 0 { Cut::Off(vec![one]) } else { Cut::Mute(vec![one]) });
        pause(500 + seeded.below(4000));
        rack.switch.heal().expect("the switch heals");
        pause(200 + seeded.below(2000));
    }
    let healed = rack.whole(HEAL).unwrap_or_else(|e| panic!("{e:#}"));
    writers.progress(10, GO_ON).expect("writes after it healed");
    let verdict = writers.finish(&rack.nodes[1].api()).expect("one history");
    eprintln!("flapping: healed after {healed:.1?}; {verdict:?}");
}

/// Lets so many milliseconds go by: what is tested here happens meanwhile.
fn pause(ms: u64) {
    let (begun, time) = (Instant::now(), Duration::from_millis(ms));
    let over = || (begun.elapsed() >= time).then_some(());
    pace::until("time to go by", time * 2, Duration::from_millis(20), over).expect("time goes by");
}

#[test]
fn partition_a_node_comes_back_at_another_address() {
    if !maekin_lab::possible("partition_a_node_comes_back_at_another_address") {
        return;
    }
    let mut rack = raised(3, 27);
    let writers = Writers::start(2, &[rack.nodes[0].api(), rack.nodes[1].api()], 27);
    for (place, away) in [(11, 1000), (12, 20_000)] {
        rack.cut_power(2);
        rack.readdress(2, place).expect("another address");
        pause(away);
        rack.power_on(2).expect("it starts");
        let there = rack.whole(LIMIT).unwrap_or_else(|e| panic!("{e:#}"));
        let address = rack.nodes[2].address.to_string();
        let known = || {
            let cluster = rack.nodes[0].api().cluster().ok()?;
            cluster
                .nodes
                .iter()
                .any(|node| node.name == "node-3" && node.address == address && node.voter)
                .then_some(())
        };
        pace::until("the others to know its address", HEAL, EVERY, known)
            .unwrap_or_else(|e| panic!("{e}\n{}", rack.said()));
        eprintln!("at {address}: whole after {there:.1?}");
    }
    // Its voter counts: another one may fail.
    rack.cut_power(0);
    writers.progress(20, Duration::from_secs(60)).unwrap_or_else(|e| panic!("{e}\n{}", rack.said()));
    rack.power_on(0).expect("it starts");
    rack.whole(LIMIT).unwrap_or_else(|e| panic!("{e:#}"));
    let verdict = writers.finish(&rack.nodes[2].api()).expect("one history");
    eprintln!("{verdict:?}");
}

/// Whether a node takes a change.
fn takes_a_change(node: &Node) -> bool {
    let window: Result<serde_json::Value, _> =
        node.api().post(INSTALL_WINDOW, &OpenWindow { minutes: 1, count: 1 });
    window.is_ok()
}

/// Waits until the second of two copies the record.
fn copies(rack: &Rack) {
    let copies = || {
        let record: maekin_api::record::Record = rack.nodes[0].api().get(maekin_api::RECORD).ok()?;
        record.voters.iter().any(|voter| voter.learner && !voter.node.is_empty()).then_some(())
    };
    pace::until("the second one to copy the record", HEAL, EVERY, copies).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn partition_the_second_of_two_finds_the_first_at_another_address() {
    if !maekin_lab::possible("partition_the_second_of_two_finds_the_first_at_another_address") {
        return;
    }
    let mut rack = raised(2, 28);
    copies(&rack);
    // While the second one is up; then while it is off, too.
    for (place, both) in [(11, false), (12, true)] {
        rack.cut_power(0);
        if both {
            rack.cut_power(1);
        }
        rack.readdress(0, place).expect("another address");
        rack.power_on(0).expect("it starts");
        rack.power_on(1).expect("it starts");
        let there = rack.whole(LIMIT).unwrap_or_else(|e| panic!("{e:#}"));
        let address = rack.nodes[0].address.to_string();
        let known = || {
            let nodes = rack.nodes[1].api().cluster().ok()?.nodes;
            let first = nodes.iter().find(|node| node.name == "node-1")?;
            (first.address == address && takes_a_change(&rack.nodes[1])).then_some(())
        };
        pace::until("the second one to know where the first is", HEAL, EVERY, known)
            .unwrap_or_else(|e| panic!("{e}\n{}", rack.said()));
        eprintln!("at {address}: whole after {there:.1?}");
    }
}

#[test]
fn partition_two_that_are_both_at_other_addresses_find_each_other() {
    if !maekin_lab::possible("partition_two_that_are_both_at_other_addresses_find_each_other") {
        return;
    }
    let mut rack = raised(2, 29);
    // The one that votes is back first; then it is back last, when the other one has looked for it for a while.
    for (places, first, away) in [([11, 12], 0, 3000), ([13, 14], 1, 20_000)] {
        copies(&rack);
        for n in [0, 1] {
            rack.cut_power(n);
        }
        for (n, place) in places.into_iter().enumerate() {
            rack.readdress(n, place).expect("another address");
        }
        rack.power_on(first).expect("it starts");
        pause(away);
        rack.power_on(1 - first).expect("it starts");
        let there = rack.whole(LIMIT).unwrap_or_else(|e| panic!("{e:#}"));
        let addresses = [0, 1].map(|n| rack.nodes[n].address.to_string());
        let known = || {
            let both = [0, 1].map(|n| {
                let nodes = rack.nodes[n].api().cluster().ok()?.nodes;
                let told: Vec<_> = nodes.iter().map(|node| node.address.clone()).collect();
                (told == addresses && takes_a_change(&rack.nodes[n])).then_some(())
            });
            both.into_iter().collect::<Option<Vec<()>>>()
        };
        pace::until("both to know where the other one is", HEAL, EVERY, known)
            .unwrap_or_else(|e| panic!("{e}\n{}", rack.said()));
        eprintln!("at {addresses:?}: whole after {there:.1?}");
    }
    // The copy follows at its new place.
    let place = format!("https://{}:", rack.nodes[1].address);
    let moved = || {
        let record: maekin_api::record::Record = rack.nodes[0].api().get(maekin_api::RECORD).ok()?;
        record.voters.iter().any(|voter| voter.learner && voter.url.starts_with(&place)).then_some(())
    };
    pace::until("the copy to be there", HEAL, EVERY, moved).unwrap_or_else(|e| panic!("{e}"));
}
