//! Redfish against a controller of our own, with one quirk after another.

mod hostile;
pub(in crate::power) mod mock;

use maekin_api::power::Firmware;
use mock::{Quirks, start};

use super::*;

const UUID: &str = "11112222-3333-4444-5555-666677778888";
const PACE: Pace = Pace { looks: 3, pause: Duration::from_millis(2) };

async fn run(way: &RedfishWay, action: Action) -> Result<Done, BmcError> {
    act(way, Some(UUID), action, &PACE, &Steps::default()).await
}

#[tokio::test]
async fn power_by_redfish_gets_along_with_quirks() {
    let q = Quirks::default;
    let uefi = Some(Firmware::Uefi);
    let bios = Some(Firmware::Bios);
    const OTHER: &str = "99992222-3333-4444-5555-666677778888";
    type Row<'a> = (&'a str, Quirks, Option<Firmware>, &'a str, &'a str, &'a str);
    // Quirk, what the controller is, kind of start asked for, what is in the outcome, reset that it got, boot override.
    let rows: [Row<'_>; 26] = [
        ("none", q(), None, "switched on, to boot from the network once", "On", "Once"),
        ("PATCH answers 204", Quirks { patch_status: 204, ..q() }, None, "once", "On", "Once"),
        ("PATCH answers 202", Quirks { patch_status: 202, ..q() }, None, "once", "On", "Once"),
        ("wants the ETag", Quirks { etag: true, ..q() }, None, "once", "On", "Once"),
        ("wants If-Match, has no ETag", Quirks { star: true, ..q() }, None, "once", "On", "Once"),
        (
            "system elsewhere",
            Quirks { systems: &[("System.Embedded.1", "")], ours: "System.Embedded.1", ..q() },
            None,
            "once",
            "On",
            "Once",
        ),
        (
            "the sled with our UUID",
            Quirks { systems: &[("Node1", OTHER), ("Node2", UUID)], ours: "Node2", ..q() },
            None,
            "once",
            "On",
            "Once",
        ),
        (
            "UUID in capitals",
            Quirks {
                systems: &[("A", OTHER), ("B", "11112222-3333-4444-5555-666677778888")],
                ours: "B",
                ..q()
            },
            None,
            "once",
            "On",
            "Once",
        ),
        (
            "other reset types",
            Quirks { resets: Some(&["ForceOn", "ForceOff", "PowerCycle"]), ..q() },
            None,
            "once",
            "ForceOn",
            "Once",
        ),
        (
            "only a button",
            Quirks { resets: Some(&["PushPowerButton", "ForceOff"]), ..q() },
            None,
            "once",
            "PushPowerButton",
            "Once",
        ),
        (
            "reset types in an ActionInfo",
            Quirks { action_info: true, resets: Some(&["ForceOn"]), ..q() },
            None,
            "once",
            "ForceOn",
            "Once",
        ),
        ("tells no reset types", Quirks { resets: None, ..q() }, None, "once", "On", "Once"),
        ("tells no boot devices", Quirks { targets: None, ..q() }, None, "once", "On", "Once"),
        ("UEFI already", q(), uefi, "once", "On", "Once"),
        ("BIOS is set", q(), bios, "once", "On", "Once"),
        (
            "BIOS cannot be set",
            Quirks { refuses_mode: true, ..q() },
            bios,
            "does not let the kind of start",
            "On",
            "Once",
        ),
        ("only for ever", Quirks { only_continuous: true, ..q() }, None, "for ever", "On", "Continuous"),
        ("at a settings object", Quirks { settings_object: true, ..q() }, None, "once", "On", "Once"),
        (
            "at a settings object with ETag",
            Quirks { settings_object: true, etag: true, ..q() },
            None,
            "once",
            "On",
            "Once",
        ),
        ("slow task", Quirks { task: Some(3), ..q() }, None, "once", "On", "Once"),
        ("task that does not end", Quirks { task: Some(99), ..q() }, None, "once", "On", "Once"),
        ("starting", Quirks { busy: 4, ..q() }, None, "once", "On", "Once"),
        ("no session service", Quirks { sessions: 0, ..q() }, None, "once", "On", "Once"),
        ("all sessions taken", Quirks { sessions: 503, ..q() }, None, "once", "On", "Once"),
        ("password for the root", Quirks { locked_root: true, ..q() }, None, "once", "On", "Once"),
        ("PoweringOn", Quirks { powering_on: true, ..q() }, None, "once", "On", "Once"),
    ];
    for (name, quirks, firmware, words, reset, enabled) in rows {
        let mock = start(quirks, None).await;
        let way = RedfishWay { firmware, ..mock.way() };
        let done = run(&way, Action::Netboot).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(done.outcome.contains(words) && done.power == Power::On, "{name}: {done:?}");
        let machine = mock.machine();
        assert_eq!(machine.resets, [reset], "{name}");
        let boot = &machine.boot;
        assert_eq!(
            (&boot["BootSourceOverrideTarget"], &boot["BootSourceOverrideEnabled"]),
            (&json!("Pxe"), &json!(enabled)),
            "{name}"
        );
        if name == "BIOS is set" {
            assert_eq!(boot["BootSourceOverrideMode"], "Legacy");
        }
        assert_eq!(machine.sessions, 0, "{name}: a session is left");
    }
}

#[tokio::test]
async fn power_by_redfish_is_switched_and_asked() {
    let mock = start(Quirks::default(), None).await;
    let rows: [(&str, Action, &str, &[&str]); 7] = [
        ("ask", Action::Status, "is off", &[]),
        ("on", Action::On, "switched on", &["On"]),
        ("on again", Action::On, "nothing was done", &[]),
        ("anew", Action::Cycle, "started anew", &["ForceRestart"]),
        (
            "into the network",
            Action::Netboot,
            "started anew, to boot from the network once",
            &["ForceRestart"],
        ),
        ("off", Action::Off, "switched off", &["ForceOff"]),
        ("anew when off", Action::Cycle, "switched on", &["On"]),
    ];
    for (name, action, words, resets) in rows {
        let done = run(&mock.way(), action).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(done.outcome.contains(words), "{name}: {done:?}");
        assert_eq!(std::mem::take(&mut mock.machine().resets), resets, "{name}");
    }
    assert_eq!(mock.machine().sessions, 0);
}

#[tokio::test]
async fn power_by_redfish_says_why_not() {
    let q = Quirks::default;
    let two: &[(&str, &str)] = &[("A", ""), ("B", "")];
    type Change = fn(&mut RedfishWay);
    let same: Change = |_| {};
    let rows: [(&str, Quirks, Change, &str); 16] = [
        (
            "boot device does not take",
            Quirks { forgets_boot: true, ..q() },
            same,
            "its boot override reads None, Disabled",
        ),
        ("switch does not take", Quirks { forgets_power: true, ..q() }, same, "still off"),
        ("no network boot", Quirks { targets: Some(&["Hdd", "Cd"]), ..q() }, same, "it offers Hdd, Cd"),
        ("no reset that fits", Quirks { resets: Some(&["Nmi"]), ..q() }, same, "it offers Nmi"),
        ("wrong password", q(), |w| w.password = "guess".to_owned().into(), "does not accept user root"),
        (
            "wrong password, Basic",
            Quirks { sessions: 0, ..q() },
            |w| w.password = "guess".to_owned().into(),
            "does not accept user root",
        ),
        (
            "wrong password, root",
            Quirks { locked_root: true, ..q() },
            |w| w.password = "guess".to_owned().into(),
            "does not accept user root",
        ),
        (
            "not allowed",
            Quirks { forbidden: true, ..q() },
            same,
            "privilege ConfigureComponents is needed (HTTP 403)",
        ),
        (
            "password must be changed",
            Quirks { sessions: 403, ..q() },
            same,
            "refuses to log in: no session today",
        ),
        ("always busy", Quirks { busy: 999, ..q() }, same, "busy or still starting"),
        ("failing task", Quirks { task: Some(1), task_fails: true, ..q() }, same, "the fan is stuck"),
        (
            "several systems, none ours",
            Quirks { systems: two, ours: "A", ..q() },
            same,
            "it has /redfish/v1/Systems/A, /redfish/v1/Systems/B",
        ),
        ("no such system", q(), |w| w.system = "7".into(), "has no system 7"),
        ("no system", Quirks { systems: &[], ..q() }, same, "still starting?"),
        ("nobody listens", q(), |w| w.port = 1, "cannot be reached (Connection refused"),
        ("no such name", q(), |w| w.host = "no-such-bmc.invalid".into(), "cannot be reached"),
    ];
    for (name, quirks, change, words) in rows {
        let mock = start(quirks, None).await;
        let mut way = mock.way();
        change(&mut way);
        let error = run(&way, Action::Netboot).await.unwrap_err();
        assert!(error.to_string().contains(words), "{name}: {error}");
        let machine = mock.machine();
        assert_eq!(machine.sessions, 0, "{name}: a session is left");
        let wrong = name.starts_with("wrong password");
        assert!(!wrong || machine.trusted <= 1, "{name}: tried {} times, and accounts lock", machine.trusted);
        let too_late = ["switch does not take", "failing task"].contains(&name);
        assert!(too_late || machine.resets.is_empty(), "{name}: switched all the same");
    }
}

#[tokio::test]
async fn a_system_is_chosen_by_name_path_or_number() {
    let quirks = || Quirks { systems: &[("A", ""), ("B", "")], ours: "B", ..Quirks::default() };
    for wanted in ["B", "/redfish/v1/Systems/B"] {
        let mock = start(quirks(), None).await;
        let way = RedfishWay { system: wanted.into(), ..mock.way() };
        assert_eq!(run(&way, Action::On).await.unwrap().power, Power::On, "{wanted}");
    }
}
