//! `ipmitool` as it is, against OpenIPMI's simulator of a controller, and against nobody.

mod sim;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use maekin_api::power::Action;
use sim::{Sim, way};

use super::super::drive::{Pace, Steps, drive};
use super::*;

const PASSWORD: &str = "s3cret-of-bmc";
const PACE: Pace = Pace { looks: 5, pause: Duration::from_millis(20) };

fn ipmi(way: IpmiWay) -> Ipmi {
    Ipmi { patience: Patience { seconds: 1, again: 1 }, ..Ipmi::new(way) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_of_a_simulated_controller_is_switched() {
    let Some(sim) = Sim::start(true) else { return };
    // Action, words of the outcome, power and boot device afterwards, what was set.
    type Row<'a> = (&'a str, Action, &'a str, &'a str, &'a str, &'a [&'a str]);
    let rows: [Row<'_>; 7] = [
        ("ask", Action::Status, "is off", "0", "default", &[]),
        (
            "into the network",
            Action::Netboot,
            "switched on, to boot from the network once",
            "1",
            "pxe",
            &["boot pxe", "power 1"],
        ),
        ("on already", Action::On, "nothing was done", "1", "pxe", &[]),
        ("anew", Action::Cycle, "started anew", "1", "pxe", &["reset 1"]),
        ("off", Action::Off, "switched off", "0", "pxe", &["power 0"]),
        ("off already", Action::Off, "nothing was done", "0", "pxe", &[]),
        ("on", Action::On, "switched on", "1", "pxe", &["power 1"]),
    ];
    for (name, action, words, power, boot, sets) in rows {
        let done = drive(&mut sim.bmc(), action, &PACE, &Steps::default()).await;
        let done = done.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(done.outcome.contains(words), "{name}: {done:?}");
        assert_eq!((sim.read("power").as_str(), sim.read("boot").as_str()), (power, boot), "{name}");
        assert_eq!(sim.sets(), sets, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_errors_of_a_simulated_controller_are_told_apart() {
    let (Some(sim), Some(liar)) = (Sim::start(true), Sim::start(false)) else { return };
    let free = UdpSocket::bind("127.0.0.1:0").unwrap(); // bound, and never answers
    let good = way(sim.port);
    let rows = [
        (
            "wrong password",
            IpmiWay { password: "gu3ssed".to_owned().into(), ..good.clone() },
            Action::Status,
            "the password is another one",
        ),
        ("wrong user", IpmiWay { user: "nobody".into(), ..good.clone() }, Action::Status, "no such user"),
        (
            "wrong suite",
            IpmiWay { cipher_suite: Some(17), ..good.clone() },
            Action::Status,
            "set `cipher_suite` to 3",
        ),
        (
            "nobody there",
            IpmiWay { port: free.local_addr().unwrap().port(), ..good.clone() },
            Action::Status,
            "nothing answers IPMI there",
        ),
        (
            "no such name",
            IpmiWay { host: "no-such-bmc.invalid".into(), ..good },
            Action::Status,
            "name is not known",
        ),
        (
            "boot device does not take",
            way(liar.port),
            Action::Netboot,
            "its boot flags do not name the network",
        ),
        ("switch does not take", way(liar.port), Action::On, "still off"),
    ];
    for (name, way, action, words) in rows {
        let error = drive(&mut ipmi(way), action, &PACE, &Steps::default()).await.unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
        assert!(!error.contains(PASSWORD) && !error.contains("gu3ssed"), "{name} shows a password: {error}");
    }
    assert!(!liar.sets().is_empty() && liar.read("power") == "0", "the liar was asked");
}

/// A program in place of `ipmitool`.
fn instead(dir: &Path, script: &str) -> Ipmi {
    let path = dir.join("ipmitool");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Ipmi { program: path.display().to_string(), ..ipmi(way(623)) }
}

#[tokio::test]
async fn power_passwords_are_not_in_the_process_list() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let script = format!(
        "tr '\\0' ' ' </proc/$$/cmdline >{at}/line; echo \"$IPMI_PASSWORD\" >{at}/word; echo Chassis Power is on"
    );
    let mut bmc = instead(dir.path(), &script);
    assert_eq!(bmc.power().await.unwrap(), Power::On);
    let line = fs::read_to_string(dir.path().join("line")).unwrap();
    assert!(line.contains("chassis power status") && line.contains("-U admin -E"), "{line}");
    assert!(!line.contains(PASSWORD), "{line}");
    assert_eq!(fs::read_to_string(dir.path().join("word")).unwrap().trim(), PASSWORD, "it got it");
    let cmd = bmc.command(&["x"]);
    assert!(!format!("{cmd:?} {}", cmd.line()).contains(PASSWORD), "debug output");
}

#[tokio::test]
async fn power_answers_of_a_strange_ipmitool_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        ("nothing", "true", "cannot be understood"),
        ("another state", "echo Chassis Power is dancing", "cannot be understood"),
        ("a password in its complaint", "echo \"no: $IPMI_PASSWORD\" >&2; exit 1", "no: (password)"),
        ("many lines", "yes error | head -c 9999 >&2; exit 1", "refuses"),
    ];
    for (name, script, words) in rows {
        let error = instead(dir.path(), script).power().await.unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains(PASSWORD) && error.len() < 700, "{name}: {error}");
    }
    let mut absent = Ipmi { program: "/no/ipmitool".into(), ..ipmi(way(623)) };
    assert!(absent.power().await.unwrap_err().to_string().contains("ipmitool does not start"));
}

#[test]
fn power_flags_are_read_from_bytes_among_noise() {
    let pxe = BootFlags { valid: true, persistent: false, uefi: false, pxe: true };
    let rows = [
        ("simulator", " 01 05 00 04 00 00 00\n", Some(BootFlags { valid: false, ..pxe })),
        (
            "with -v",
            "RAW REQUEST (3 bytes)\n 05 00 00\nRAW RSP (7 bytes)\n 01 05 80 04 00 00 00\n",
            Some(pxe),
        ),
        ("UEFI", " 01 05 a0 04 00 00 00", Some(BootFlags { uefi: true, ..pxe })),
        ("for ever", " 01 05 c0 04 00 00 00", Some(BootFlags { persistent: true, ..pxe })),
        ("parameter locked", " 01 85 80 04 00 00 00", Some(pxe)),
        ("disk", " 01 05 80 08 00 00 00", Some(BootFlags { pxe: false, ..pxe })),
        ("another parameter", " 01 04 80 04 00 00 00", None),
        ("short", " 01 05", None),
        ("nothing", "", None),
        ("words", "Unable to send RAW command", None),
    ];
    for (name, text, want) in rows {
        assert_eq!(parse_flags(text), want, "{name}");
    }
    let checked = |flags, firmware| check_flags(flags, firmware).map(|notes| notes.len());
    assert_eq!(checked(pxe, None), Ok(0));
    assert_eq!(checked(pxe, Some(Firmware::Uefi)), Ok(1), "UEFI was not kept");
    assert_eq!(checked(BootFlags { valid: false, persistent: true, ..pxe }, None), Ok(2));
    assert!(checked(BootFlags { pxe: false, ..pxe }, None).is_err());
}

#[test]
fn power_complaints_of_ipmitool_have_a_meaning() {
    let noise = "Loading IANA PEN Registry...\nRunning Get VSO Capabilities my_addr 0x20\n\
                 Invalid completion code received: Invalid command\nDiscovered IPMB address 0x0\n";
    let no_session = "Error: Unable to establish IPMI v2 / RMCP+ session\n";
    let rows = [
        ("wrong password", format!("> RAKP 2 HMAC is invalid\n{no_session}"), "the password is another one"),
        (
            "no user",
            format!("RAKP 2 message indicates an error : unauthorized name\n{no_session}"),
            "no such user",
        ),
        (
            "role",
            format!("RAKP 4 message indicates an error : unauthorized role or privilege level\n{no_session}"),
            "role of operator",
        ),
        (
            "privilege",
            "Set Chassis Power Control to Up/On failed: Insufficient privilege level\n".into(),
            "role of operator",
        ),
        (
            "suite",
            format!("Error in open session response message : no matching cipher suite\n{no_session}"),
            "`cipher_suite`",
        ),
        (
            "sessions",
            format!(
                "Error in open session response message : insufficient resources for session\n{no_session}"
            ),
            "sessions are taken",
        ),
        ("silence", format!("Get Auth Capabilities error\n{no_session}"), "nothing answers"),
        (
            "silence later",
            format!("> Error: no response from RAKP 1 message\n{no_session}"),
            "nothing answers",
        ),
        (
            "old",
            format!("This BMC does not support IPMI v2 / RMCP+\n{no_session}"),
            "does not speak IPMI 2.0",
        ),
        ("no words", no_session.to_owned(), "is IPMI over LAN on"),
        (
            "state",
            "Set Chassis Power Control to Reset failed: Command not supported in present state\n".into(),
            "present state",
        ),
        ("command", "Set Boot Device failed: Invalid command\n".into(), "does not know this command"),
        ("other", "Something new\nin two lines\n".into(), "Something new; in two lines"),
    ];
    for (name, text, words) in rows {
        for text in [text.clone(), format!("{noise}{text}")] {
            let error = diagnose(&way(623), "switch", &text).to_string();
            assert!(error.contains(words), "{name}: {error}");
        }
    }
}
