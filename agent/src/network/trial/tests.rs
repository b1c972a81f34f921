use proptest::prelude::*;

use super::*;

fn network(n: u8) -> Network {
    toml::from_str(&format!("[[interface]]\nname = \"e0\"\naddresses = [\"10.0.0.{n}/24\"]\n")).unwrap()
}

fn at(boot: &str, boot_ms: u64) -> Moment {
    Moment { boot_id: boot.to_owned(), boot_ms, wall: 1_000 + boot_ms / 1000 }
}

fn begin(generation: u64, wanted: u8) -> Event {
    let (wanted, previous) = (network(wanted), network(1));
    Event::Begin(Begin { generation, origin: Origin::Settings, wanted, previous })
}

/// The trial of generation 7, begun at 100 s of boot `a`.
fn trying() -> Trial {
    let effects = step(None, begin(7, 2), &at("a", 100_000)).unwrap();
    match &effects[0] {
        Effect::Keep(trial) => trial.clone(),
        other => panic!("{other:?}"),
    }
}

fn confirm(generation: Option<u64>) -> Event {
    Event::Confirm { generation, by: "anna".to_owned() }
}

fn revert_by(generation: Option<u64>) -> Event {
    Event::Revert { generation, by: "anna".to_owned() }
}

/// What is done, in short.
fn short(effects: &[Effect]) -> String {
    let one = |effect: &Effect| match effect {
        Effect::Apply(network) => format!("apply {}", network.interfaces[0].addresses[0]),
        Effect::Commit(network) => format!("commit {}", network.interfaces[0].addresses[0]),
        Effect::Keep(trial) => match &trial.phase {
            Phase::Trying { .. } => "keep trying".to_owned(),
            Phase::Confirmed { by, .. } => format!("keep confirmed by {by}"),
            Phase::Reverted { why, .. } => format!("keep reverted {why:?}"),
        },
    };
    effects.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_state_has_an_answer_to_everything_that_happens() {
    let over = |phase: Phase| Some(Trial { phase, ..trying() });
    let reverted = || over(Phase::Reverted { at: 1, why: Why::Unconfirmed });
    let confirmed = || over(Phase::Confirmed { at: 1, by: "anna".to_owned() });
    let back = "apply 10.0.0.1/24, keep reverted";
    let rows: Vec<(&str, Option<Trial>, Event, Moment, String)> = vec![
        ("a first trial", None, begin(7, 2), at("a", 0), "keep trying, apply 10.0.0.2/24".into()),
        ("one at a time", Some(trying()), begin(8, 3), at("a", 101_000), "! being tried".into()),
        ("time goes by", Some(trying()), Event::Tick, at("a", 147_000), String::new()),
        ("time is over", Some(trying()), Event::Tick, at("a", 148_000), format!("{back} Unconfirmed")),
        ("a clock of another boot", Some(trying()), Event::Tick, at("b", 0), format!("{back} Unconfirmed")),
        ("nothing to watch", None, Event::Tick, at("a", 0), String::new()),
        (
            "confirmed",
            Some(trying()),
            confirm(Some(7)),
            at("a", 147_999),
            "commit 10.0.0.2/24, keep confirmed by anna".into(),
        ),
        (
            "confirmed, whichever",
            Some(trying()),
            confirm(None),
            at("a", 101_000),
            "commit 10.0.0.2/24, keep confirmed by anna".into(),
        ),
        ("confirmed too late", Some(trying()), confirm(Some(7)), at("a", 148_000), "! over".into()),
        ("another one confirmed", Some(trying()), confirm(Some(6)), at("a", 101_000), "! not 6".into()),
        ("confirmed twice", confirmed(), confirm(Some(7)), at("a", 101_000), "! no network".into()),
        ("nothing to confirm", None, confirm(None), at("a", 0), "! no network".into()),
        (
            "no, says a person",
            Some(trying()),
            revert_by(Some(7)),
            at("a", 101_000),
            format!("{back} Asked {{ by: \"anna\" }}"),
        ),
        (
            "no, late",
            Some(trying()),
            revert_by(None),
            at("a", 190_000),
            format!("{back} Asked {{ by: \"anna\" }}"),
        ),
        ("no to another one", Some(trying()), revert_by(Some(6)), at("a", 101_000), "! not 6".into()),
        (
            "not applied",
            Some(trying()),
            Event::Failed("x".into()),
            at("a", 101_000),
            format!("{back} Failed {{ error: \"x\" }}"),
        ),
        (
            "the agent ended",
            Some(trying()),
            Event::Started(network(1)),
            at("a", 101_000),
            format!("{back} AgentEnded"),
        ),
        (
            "the machine restarted",
            Some(trying()),
            Event::Started(network(1)),
            at("b", 5),
            format!("{back} Restarted"),
        ),
        (
            "it ended behind the decision",
            Some(trying()),
            Event::Started(network(2)),
            at("a", 101_000),
            "keep confirmed by unknown".into(),
        ),
        (
            "the machine too",
            Some(trying()),
            Event::Started(network(2)),
            at("b", 5),
            "keep confirmed by unknown".into(),
        ),
        ("a start without a trial", None, Event::Started(network(1)), at("a", 0), String::new()),
        ("a start after one", confirmed(), Event::Started(network(2)), at("b", 0), String::new()),
        ("not again by itself", reverted(), begin(7, 2), at("a", 200_000), "! tried already".into()),
        (
            "a newer generation",
            reverted(),
            begin(8, 2),
            at("a", 200_000),
            "keep trying, apply 10.0.0.2/24".into(),
        ),
        (
            "after one that was confirmed",
            confirmed(),
            begin(7, 3),
            at("a", 200_000),
            "keep trying, apply 10.0.0.3/24".into(),
        ),
    ];
    for (name, kept, event, now, want) in rows {
        match step(kept.as_ref(), event, &now) {
            Ok(effects) => assert_eq!(short(&effects), want, "{name}"),
            Err(e) => {
                let want = want.strip_prefix("! ").unwrap_or_else(|| panic!("{name}: {e}"));
                assert!(e.to_string().contains(want), "{name}: {e}");
            }
        }
    }
}

#[test]
fn what_a_person_asks_for_at_the_node_is_tried_again() {
    let kept = Trial { phase: Phase::Reverted { at: 1, why: Why::Unconfirmed }, ..trying() };
    let console = |kept: &Trial| {
        let begin =
            Begin { generation: 7, origin: Origin::Console, wanted: network(2), previous: network(1) };
        step(Some(kept), Event::Begin(begin), &at("a", 200_000)).map(|effects| short(&effects))
    };
    assert_eq!(console(&kept).unwrap(), "keep trying, apply 10.0.0.2/24");
    let kept = Trial { origin: Origin::Console, ..kept };
    assert_eq!(console(&kept).unwrap(), "keep trying, apply 10.0.0.2/24");
    // And says nothing about what the settings want.
    assert!(step(Some(&kept), begin(7, 2), &at("a", 200_000)).is_ok());
}

#[test]
fn what_is_kept_is_read_as_it_was_written_and_every_reason_has_a_remedy() {
    let whys = [
        Why::Unconfirmed,
        Why::Asked { by: "anna".to_owned() },
        Why::Failed { error: "no".to_owned() },
        Why::AgentEnded,
        Why::Restarted,
    ];
    let phases = whys.into_iter().map(|why| Phase::Reverted { at: 5, why });
    for phase in phases.chain([trying().phase, Phase::Confirmed { at: 5, by: "x".to_owned() }]) {
        let trial = Trial { phase, ..trying() };
        let text = serde_json::to_string(&trial).unwrap();
        assert_eq!(serde_json::from_str::<Trial>(&text).unwrap(), trial, "{text}");
        if let Phase::Reverted { why, .. } = &trial.phase {
            assert!(why.words().len() > 20);
        }
    }
}

/// A machine: what survives what.
struct Machine {
    /// On disk.
    node_file: Network,
    kept: Option<Trial>,
    /// In the kernel; a restart of the machine brings that of the node file.
    applied: Network,
    boot: u32,
    boot_ms: u64,
    /// Since when another network than that of the node file is applied, milliseconds in all.
    odd_since: Option<u64>,
    total_ms: u64,
}

/// How long an agent that ended takes to come back, and how long it takes to apply a network.
const RESTART: u64 = 5_000;
const APPLYING: u64 = 8_000;

impl Machine {
    fn new() -> Self {
        Self {
            node_file: network(1),
            kept: None,
            applied: network(1),
            boot: 0,
            boot_ms: 10_000,
            odd_since: None,
            total_ms: 0,
        }
    }

    fn now(&self) -> Moment {
        // The wall clock jumps with every boot, and nothing may depend on it.
        Moment { boot_id: self.boot.to_string(), boot_ms: self.boot_ms, wall: u64::from(self.boot % 2) << 30 }
    }

    fn pass(&mut self, ms: u64) -> Result<(), TestCaseError> {
        self.boot_ms += ms;
        self.total_ms += ms;
        self.look()
    }

    fn look(&mut self) -> Result<(), TestCaseError> {
        if self.applied == self.node_file {
            self.odd_since = None;
        } else {
            let since = *self.odd_since.get_or_insert(self.total_ms);
            prop_assert!(
                self.total_ms - since <= LIMIT,
                "an unconfirmed network for {} ms",
                self.total_ms - since
            );
        }
        Ok(())
    }

    /// Carries out at most `most` effects, then the agent ends; whether it went on to the end.
    fn happen(&mut self, event: Event, most: usize) -> Result<bool, TestCaseError> {
        let Ok(effects) = step(self.kept.as_ref(), event, &self.now()) else { return Ok(true) };
        let whole = effects.len() <= most;
        for effect in effects.into_iter().take(most) {
            match effect {
                Effect::Keep(trial) => self.kept = Some(trial),
                Effect::Apply(network) => {
                    self.pass(APPLYING)?;
                    self.applied = network;
                }
                Effect::Commit(network) => self.node_file = network,
            }
            self.look()?;
        }
        Ok(whole)
    }

    /// The agent comes back, and again, until a start goes through.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        self.pass(RESTART)?;
        self.happen(Event::Started(self.node_file.clone()), usize::MAX).map(drop)
    }

    fn reboot(&mut self) -> Result<(), TestCaseError> {
        self.boot += 1;
        self.boot_ms = 3_000;
        self.applied = self.node_file.clone();
        self.restart()
    }
}

#[derive(Debug, Clone)]
enum Act {
    Wait(u64),
    Begin(u64, u8, bool),
    Confirm(Option<u64>),
    Revert(Option<u64>),
    Kill,
    Reboot,
}

fn act() -> impl Strategy<Value = (Act, usize)> {
    let generation = || proptest::option::of(0..4_u64);
    let act = prop_oneof![
        4 => (0..70_u64).prop_map(Act::Wait),
        4 => (0..4_u64, 1..4_u8, any::<bool>()).prop_map(|(g, n, c)| Act::Begin(g, n, c)),
        2 => generation().prop_map(Act::Confirm),
        1 => generation().prop_map(Act::Revert),
        1 => Just(Act::Kill),
        1 => Just(Act::Reboot),
    ];
    // How many effects are carried out before the agent ends; most often all.
    (act, prop_oneof![4 => Just(usize::MAX), 1 => 0..3_usize])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Whatever happens, and wherever the agent ends, no network that nobody confirmed stays longer than a minute, and
    /// a machine that is left alone has the network of its node file in the end.
    #[test]
    fn no_unconfirmed_network_outlives_a_minute(acts in proptest::collection::vec(act(), 0..40)) {
        let mut machine = Machine::new();
        for (act, most) in acts {
            let (file, confirms) = (machine.node_file.clone(), matches!(act, Act::Confirm(_)));
            let whole = match act {
                Act::Wait(seconds) => {
                    for _ in 0..seconds {
                        machine.pass(1000)?;
                        machine.happen(Event::Tick, usize::MAX)?;
                    }
                    true
                }
                Act::Begin(generation, n, console) => {
                    let origin = if console { Origin::Console } else { Origin::Settings };
                    let previous = machine.node_file.clone();
                    let begin = Begin { generation, origin, wanted: network(n), previous };
                    machine.happen(Event::Begin(begin), most)?
                }
                Act::Confirm(generation) => machine.happen(confirm(generation), most)?,
                Act::Revert(generation) => machine.happen(revert_by(generation), most)?,
                Act::Kill => false,
                Act::Reboot => {
                    machine.reboot()?;
                    true
                }
            };
            prop_assert!(confirms || machine.node_file == file, "the node file changed without a confirmation");
            if !whole {
                machine.restart()?;
            }
        }
        for _ in 0..61 {
            machine.pass(1000)?;
            machine.happen(Event::Tick, usize::MAX)?;
        }
        prop_assert_eq!(&machine.applied, &machine.node_file);
        let over = machine.kept.is_none_or(|kept| !matches!(kept.phase, Phase::Trying { .. }));
        prop_assert!(over, "a trial that does not end");
    }
}
