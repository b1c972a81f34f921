use super::*;

/// A controller with a memory, which fails where it is told to.
struct Fake {
    power: Power,
    /// Looks until a switch is seen; none: never.
    after: Option<u32>,
    target: Option<Power>,
    asked: Vec<&'static str>,
    netboot: Result<Vec<String>, BmcError>,
}

impl Controller for Fake {
    fn address(&self) -> String {
        "bmc:1".to_owned()
    }

    async fn power(&mut self) -> Result<Power, BmcError> {
        match (self.target, self.after) {
            (Some(target), Some(0)) => self.power = target,
            (Some(_), Some(n)) => self.after = Some(n - 1),
            _ => {}
        }
        Ok(self.power)
    }

    async fn netboot_once(&mut self) -> Result<Vec<String>, BmcError> {
        self.asked.push("netboot");
        self.netboot.clone()
    }

    async fn switch(&mut self, to: Switch) -> Result<(), BmcError> {
        let (word, target) = match to {
            Switch::On => ("on", Power::On),
            Switch::Off => ("off", Power::Off),
            Switch::Restart => ("restart", Power::On),
        };
        self.asked.push(word);
        self.target = Some(target);
        Ok(())
    }
}

fn lied() -> BmcError {
    BmcError::Lied { address: "bmc:1".into(), what: "x".into(), found: "y".into() }
}

#[tokio::test]
async fn power_actions_do_what_is_needed_and_look_afterwards() {
    use Action::{Cycle, Netboot, Off, On, Status};
    use Power::{Off as IsOff, On as IsOn, Unknown};
    let note = || Ok(vec!["a note".to_owned()]);
    type Row<'a> = (
        &'a str,
        Action,
        Power,
        Option<u32>,
        Result<Vec<String>, BmcError>,
        &'a [&'a str],
        Result<(Power, &'a str), &'a str>,
    );
    let rows: [Row<'_>; 15] = [
        ("status, on", Status, IsOn, None, note(), &[], Ok((IsOn, "the machine is on"))),
        ("status, unknown", Status, Unknown, None, note(), &[], Ok((Unknown, "unknown"))),
        ("on from off", On, IsOff, Some(0), note(), &["on"], Ok((IsOn, "switched on"))),
        ("on, slowly", On, IsOff, Some(2), note(), &["on"], Ok((IsOn, "switched on"))),
        ("on when on", On, IsOn, None, note(), &[], Ok((IsOn, "nothing was done"))),
        ("on from unknown", On, Unknown, Some(0), note(), &["on"], Ok((IsOn, "switched on"))),
        ("off from on", Off, IsOn, Some(1), note(), &["off"], Ok((IsOff, "switched off"))),
        ("off when off", Off, IsOff, None, note(), &[], Ok((IsOff, "nothing was done"))),
        ("cycle from on", Cycle, IsOn, Some(0), note(), &["restart"], Ok((IsOn, "started anew"))),
        ("cycle from off", Cycle, IsOff, Some(0), note(), &["on"], Ok((IsOn, "switched on"))),
        (
            "netboot from off",
            Netboot,
            IsOff,
            Some(0),
            note(),
            &["netboot", "on"],
            Ok((IsOn, "switched on, to boot from the network once; a note")),
        ),
        (
            "netboot from on",
            Netboot,
            IsOn,
            Some(0),
            note(),
            &["netboot", "restart"],
            Ok((IsOn, "started anew")),
        ),
        // Nothing is switched when the boot device did not take: the machine would boot what it has.
        (
            "netboot that did not take",
            Netboot,
            IsOff,
            Some(0),
            Err(lied()),
            &["netboot"],
            Err("afterwards y"),
        ),
        ("on, never seen", On, IsOff, None, note(), &["on"], Err("still off after 3 looks")),
        ("off, never seen", Off, IsOn, None, note(), &["off"], Err("still on after 3 looks")),
    ];
    let pace = Pace { looks: 3, pause: Duration::from_millis(1) };
    for (name, action, power, after, netboot, asked, want) in rows {
        let mut fake = Fake { power, after, target: None, asked: vec![], netboot };
        let got = drive(&mut fake, action, &pace, &Steps::default()).await;
        assert_eq!(fake.asked, asked, "{name}");
        match (want, got) {
            (Ok((power, text)), Ok(done)) => {
                assert!(done.power == power && done.outcome.contains(text), "{name}: {done:?}");
            }
            (Err(text), Err(e)) => assert!(e.to_string().contains(text), "{name}: {e}"),
            (_, got) => panic!("{name}: {got:?}"),
        }
    }
}
