//! On what terms a machine is let in: what a person or a list wrote, checked, and the host name that follows. Pure.

use std::collections::BTreeSet;

use maekin_api::install::{Disks, Terms};
use maekin_rootfs::validate::is_label;

/// Longest of a few texts that are kept in the record.
const LONGEST: usize = 200;
/// Most roles, or consent tokens.
const MOST: usize = 32;
/// Longest validity, minutes: a month.
const LATEST: u32 = 43_200;
/// Host names where nobody said otherwise.
pub(crate) const NAMES: &str = "node-{n}";

/// What is wrong with terms; one line each, with the field's name first.
pub(crate) fn problems(terms: &Terms) -> Vec<String> {
    let mut found = Vec::new();
    if let Err(why) = example(&terms.hostname) {
        found.push(format!("hostname: {why}"));
    }
    if terms.roles.len() > MOST {
        found.push(format!("roles: more than {MOST}"));
    }
    for role in terms.roles.iter().filter(|role| !is_label(role)) {
        found.push(format!("roles: `{}` is no label: 1 to 63 of a-z, 0-9 and -", shown(role)));
    }
    let Disks { mirror, consent } = &terms.disks;
    if mirror.len() > 2 {
        found.push("mirror: more than two drives; a boot mirror has one or two".to_owned());
    }
    for drive in mirror {
        let known = ["serial:", "wwn:", "path:/dev/"];
        let good =
            known.iter().any(|form| drive.strip_prefix(form).is_some_and(|name| !name.trim().is_empty()));
        if !good || drive.len() > LONGEST || drive.contains(char::is_control) {
            let drive = shown(drive);
            found.push(format!(
                "mirror: `{drive}` names no drive; write serial:XYZ, wwn:0x5000 or path:/dev/disk/by-path/..."
            ));
        }
    }
    if consent.len() > MOST {
        found.push(format!("consent: more than {MOST} tokens"));
    }
    for token in consent.iter().filter(|token| !is_token(token)) {
        found.push(format!("consent: `{}` is no token like 0a1b-2c3d-4e5f-6071", shown(token)));
    }
    if terms.minutes > LATEST {
        found.push(format!("minutes: {} is more than {LATEST}, which is a month", terms.minutes));
    }
    found
}

/// As the answer file has it: `^([0-9a-f]{4}-){3}[0-9a-f]{4}$`.
fn is_token(text: &str) -> bool {
    text.len() == 19
        && text.bytes().enumerate().all(|(i, b)| match i % 5 {
            4 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        })
}

/// A stranger's text in a message: short and printable.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// What a pattern becomes for some machine.
fn example(pattern: &str) -> Result<String, String> {
    host_name(pattern, &BTreeSet::new(), "52:54:00:00:00:01", "S1")
}

/// The host name that `pattern` gives to a machine, where `taken` are in use.
///
/// # Errors
/// What is wrong with the pattern, or that the name is taken.
pub(crate) fn host_name(
    pattern: &str,
    taken: &BTreeSet<&str>,
    mac: &str,
    serial: &str,
) -> Result<String, String> {
    let pattern = if pattern.is_empty() { NAMES } else { pattern };
    if pattern.len() > LONGEST {
        return Err(format!("longer than {LONGEST} characters"));
    }
    let most = taken.len() as u64 + 1; // of so many numbers one is free
    for n in 1..=most {
        let (name, counted) = fill(pattern, n, mac, serial)?;
        if !is_label(&name) {
            return Err(format!(
                "`{}` becomes `{}`, which is no host name: 1 to 63 of a-z, 0-9 and -",
                shown(pattern),
                shown(&name)
            ));
        }
        if !taken.contains(name.as_str()) {
            return Ok(name);
        }
        if !counted {
            return Err(format!("the name {name} is taken; choose another, or one with {{n}}"));
        }
    }
    Err("no number is free".to_owned())
}

/// The pattern with number `n`, and whether it has one.
fn fill(pattern: &str, n: u64, mac: &str, serial: &str) -> Result<(String, bool), String> {
    let (mut name, mut rest, mut counted) = (String::new(), pattern, false);
    while let Some((before, after)) = rest.split_once('{') {
        let (what, behind) =
            after.split_once('}').ok_or_else(|| format!("`{}` has {{ without }}", shown(pattern)))?;
        name.push_str(before);
        match (what, what.strip_prefix("n:0").and_then(|width| width.parse::<usize>().ok())) {
            ("n", _) => name.push_str(&n.to_string()),
            (_, Some(width)) if width <= 9 => name.push_str(&format!("{n:0width$}")),
            ("mac", _) => name.push_str(&mac.replace(':', "")),
            ("serial", _) => {
                let label = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
                name.push_str(serial.chars().map(label).collect::<String>().trim_matches('-'));
            }
            _ => {
                return Err(format!(
                    "`{{{}}}` is not known; there are {{n}}, {{n:02}}, {{mac}} and {{serial}}",
                    shown(what)
                ));
            }
        }
        counted |= what.starts_with('n');
        rest = behind;
    }
    name.push_str(rest);
    Ok((name, counted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_patterns_become_names() {
        let mac = "52:54:00:00:00:0a";
        type Row<'a> = (&'a str, &'a str, &'a [&'a str], Result<&'a str, &'a str>);
        let rows: [Row<'_>; 11] = [
            ("nothing said", "", &["node-1", "node-3"], Ok("node-2")),
            ("two digits", "rack1-{n:02}", &["rack1-01"], Ok("rack1-02")),
            ("the address", "n{mac}", &[], Ok("n52540000000a")),
            ("the serial number", "srv-{serial}", &[], Ok("srv-ab-7")),
            ("a plain name", "db", &["node-1"], Ok("db")),
            ("a plain name that is taken", "db", &["db"], Err("db is taken")),
            ("an address that is taken", "n{mac}", &["n52540000000a"], Err("is taken")),
            ("upper case", "Node", &[], Err("no host name")),
            ("unknown mark", "{x}", &[], Err("is not known")),
            ("not closed", "a{n", &[], Err("without }")),
            ("endless", "{n:099}", &[], Err("is not known")),
        ];
        for (name, pattern, taken, want) in rows {
            let got = host_name(pattern, &taken.iter().copied().collect(), mac, "AB/7 ");
            match want {
                Ok(want) => assert_eq!(got.as_deref(), Ok(want), "{name}"),
                Err(want) => assert!(got.as_ref().is_err_and(|e| e.contains(want)), "{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn tickets_terms_are_checked_field_by_field() {
        let good = Terms {
            hostname: "rack1-{n:02}".into(),
            roles: vec!["compute".into()],
            disks: Disks {
                mirror: vec!["serial:A".into(), "wwn:0x5".into()],
                consent: vec!["0a1b-2c3d-4e5f-6071".into()],
            },
            minutes: 60,
        };
        assert_eq!(problems(&good), Vec::<String>::new());
        assert_eq!(problems(&Terms::default()), Vec::<String>::new(), "all may be left out");
        let bad = Terms {
            hostname: "x{".into(),
            roles: vec!["Compute\u{1b}".into()],
            disks: Disks {
                mirror: vec!["sda".into(), "serial:".into(), "path:/etc/passwd".into()],
                consent: vec!["yes".into()],
            },
            minutes: u32::MAX,
        };
        let found = problems(&bad);
        for want in ["hostname: ", "roles: `Compute`", "mirror: more", "mirror: `sda`", "mirror: `serial:`"] {
            assert!(found.iter().any(|line| line.starts_with(want)), "{want}: {found:?}");
        }
        assert_eq!(found.len(), 8, "{found:?}");
    }
}
