use super::*;
use maekin_api::install::Disks;

const U1: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
const U1_SWAPPED: &str = "ba284e1b-a12f-d211-883f-0016d3cca427";

fn rule(mac: &str, uuid: &str, serial: &str) -> Rule {
    Rule { mac: mac.into(), uuid: uuid.into(), serial: serial.into(), ..Rule::default() }
}

#[test]
fn tickets_rules_fit_by_all_that_they_name() {
    let marks = || Marks { macs: ["m1", "m2"].into(), uuids: vec![U1_SWAPPED], serial: "CZ3100ABC" };
    let rows = [
        ("address of the booting port", rule("m1", "", ""), true),
        ("address of another port", rule("m2", "", ""), true),
        ("another address", rule("m3", "", ""), false),
        ("UUID, told in the other byte order", rule("", U1, ""), true),
        ("another UUID", rule("", "2b4e28ba-2fa1-11d2-883f-0016d3cca427", ""), false),
        ("serial number", rule("", "", "cz3100abc"), true),
        ("its beginning", rule("", "", "CZ31*"), true),
        ("its end", rule("", "", "*ABC"), true),
        ("its middle", rule("", "", "C*10*BC"), true),
        ("not its middle", rule("", "", "C*99*BC"), false),
        ("longer than it", rule("", "", "CZ3100ABC*D"), false),
        ("all three", rule("m1", U1, "CZ*"), true),
        ("two of three", rule("m1", U1, "XX*"), false),
        ("nothing named", rule("", "", ""), false),
    ];
    for (name, rule, want) in rows {
        assert_eq!(fits(&rule, &marks()), want, "{name}");
    }
    let unknown = Marks { serial: "", ..marks() };
    assert!(!fits(&rule("", "", "*"), &unknown), "a machine that has told nothing fits no serial number");
    let rules = [rule("x", "", ""), rule("m1", "", ""), rule("m2", "", "")];
    assert_eq!(find(&rules, &marks()).map(|(n, _)| n), Some(2), "the first one counts");
}

const GOOD: &str = "\u{feff}Hostname,MAC,serial,roles,mirror\r\n\
    rack1-{n:02},AA-BB-CC-00-00-01,,compute storage,auto\r\n\
    \r\n\
    \"db\",aabb.cc00.0002,,,\"serial:A, B serial:C\"\r\n\
    ,,\"CZ31*\",,\r\n";

#[test]
fn tickets_lists_of_spreadsheets_are_read_and_written() {
    // A drive's serial number with a blank in it cannot be written here: the list of the API can hold it.
    let text = GOOD.replace("serial:A, B serial:C", "serial:A serial:C");
    let rules = csv::parse(&text).unwrap();
    assert_eq!(rules.len(), 3);
    assert_eq!(rules[0].mac, "aa:bb:cc:00:00:01");
    assert_eq!((rules[0].hostname.as_str(), rules[0].roles.len()), ("rack1-{n:02}", 2));
    assert_eq!(rules[1].mac, "aa:bb:cc:00:00:02");
    assert_eq!(rules[1].disks, Disks { mirror: vec!["serial:A".into(), "serial:C".into()], consent: vec![] });
    assert_eq!(rules[2].serial, "CZ31*");
    let written = csv::render(&rules);
    assert!(written.starts_with("mac,uuid,serial,hostname,roles,mirror,consent\r\n"), "{written}");
    assert_eq!(csv::parse(&written).unwrap(), rules, "what is written can be read");
    let odd = [Rule { serial: "A,\"B\"".into(), ..rules[0].clone() }];
    assert_eq!(csv::parse(&csv::render(&odd)).unwrap(), odd);
}

#[test]
fn tickets_lists_with_errors_are_refused_line_by_line() {
    let rows: [(&str, &str, &[&str]); 9] = [
        ("nothing", "", &["line 1: the head line is missing: mac,uuid"]),
        ("no head line", "aa:bb:cc:00:00:01,x\n", &["line 1: there is no column `aa:bb:cc:00:00:01`"]),
        ("a column twice", "mac,mac\n", &["line 1: the column mac is there twice"]),
        ("too few fields", "mac,serial\nx\n", &["line 2: 1 fields instead of 2"]),
        ("not an address", "mac\n\nxx:yy\n", &["line 3: mac: `xx:yy` is no hardware address"]),
        (
            "several",
            "mac,uuid,serial,hostname\nz,,,\n,q,*,Bad\n",
            &[
                "line 2: mac: `z`",
                "line 3: uuid: `q`",
                "line 3: serial: fits every machine",
                "line 3: hostname: ",
            ],
        ),
        ("a machine that is none", "mac,hostname\n,db\n", &["line 2: names no machine"]),
        ("quotes not closed", "mac\n\"aa\n", &["line 2: a \" is not closed"]),
        ("a drive that is none", "mac,mirror\naa:bb:cc:00:00:01,sda\n", &["line 2: mirror: `sda`"]),
    ];
    for (name, text, wants) in rows {
        let got = csv::parse(text).unwrap_err().to_string();
        for want in wants {
            assert!(got.lines().any(|line| line.starts_with(want)), "{name}: {want}: {got}");
        }
    }
    let endless = format!("mac\n{}\n", "a".repeat(1 << 20));
    assert!(csv::parse(&endless).unwrap_err().to_string().contains("longer than"));
    let many = format!("serial\n{}", "S1\n".repeat(MOST + 1));
    assert!(csv::parse(&many).unwrap_err().to_string().contains("more than 5000"));
    let bad = format!("mac\n{}", "x\n".repeat(1000));
    assert_eq!(csv::parse(&bad).unwrap_err().to_string().lines().count(), 51, "errors are bounded too");
}
