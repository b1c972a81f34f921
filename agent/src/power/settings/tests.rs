use super::*;

const MAC: &str = "52:54:00:00:00:01";

fn way(change: impl FnOnce(&mut PowerSettings), method: Method, password: &str) -> Result<Way, PowerError> {
    let mut settings = PowerSettings::new(method);
    if method != Method::WakeOnLan {
        settings.address = "10.0.0.5".to_owned();
        settings.user = "admin".to_owned();
    }
    change(&mut settings);
    plan_way(MAC, &settings, &password.to_owned().into())
}

#[test]
fn what_may_be_set_is_bounded_and_fields_belong_to_their_method() {
    use Method::{Ipmi, Redfish, WakeOnLan};
    type Change = fn(&mut PowerSettings);
    let rows: [(&str, Method, &str, Change, Option<&str>); 26] = [
        ("ipmi", Ipmi, "pw", |_| {}, None),
        ("ipmi, longest password", Ipmi, "12345678901234567890", |_| {}, None),
        ("ipmi, password too long", Ipmi, "123456789012345678901", |_| {}, Some("password: is 21")),
        ("ipmi, no password", Ipmi, "", |_| {}, Some("password")),
        ("ipmi, password of two lines", Ipmi, "a\nb", |_| {}, Some("control character")),
        ("ipmi, user too long", Ipmi, "pw", |s| s.user = "12345678901234567".into(), Some("user: is 17")),
        ("ipmi, suite", Ipmi, "pw", |s| s.cipher_suite = Some(17), None),
        ("ipmi, no such suite", Ipmi, "pw", |s| s.cipher_suite = Some(18), Some("cipher_suite")),
        ("ipmi, suite without integrity", Ipmi, "pw", |s| s.cipher_suite = Some(0), Some("cipher_suite")),
        ("ipmi with a system", Ipmi, "pw", |s| s.system = "1".into(), Some("system: does not belong")),
        ("an option for an address", Ipmi, "pw", |s| s.address = "-I".into(), Some("address")),
        ("no address", Ipmi, "pw", |s| s.address.clear(), Some("address")),
        ("address of two words", Ipmi, "pw", |s| s.address = "a b".into(), Some("address")),
        ("address with a path", Redfish, "pw", |s| s.address = "bmc/x".into(), Some("address")),
        ("address with a user", Redfish, "pw", |s| s.address = "a@b".into(), Some("address")),
        ("address as a URL", Redfish, "pw", |s| s.address = "https://bmc".into(), Some("address")),
        ("redfish", Redfish, "long password of more than twenty bytes", |_| {}, None),
        ("redfish, user with a colon", Redfish, "pw", |s| s.user = "a:b".into(), Some("colon")),
        ("redfish, pin", Redfish, "pw", |s| s.certificate_sha256 = "a".repeat(64), None),
        ("redfish, short pin", Redfish, "pw", |s| s.certificate_sha256 = "abc".into(), Some("64")),
        ("redfish with a suite", Redfish, "pw", |s| s.cipher_suite = Some(3), Some("cipher_suite")),
        ("wake", WakeOnLan, "", |_| {}, None),
        ("wake, six bytes", WakeOnLan, "01:02:03:0A:0b:0c", |_| {}, None),
        ("wake, nonsense for a password", WakeOnLan, "secret", |_| {}, Some("SecureOn")),
        ("wake with an address", WakeOnLan, "", |s| s.address = "10.0.0.1".into(), Some("address")),
        ("wake, interface with a slash", WakeOnLan, "", |s| s.interface = "a/b".into(), Some("interface")),
    ];
    for (name, method, password, change, want) in rows {
        let got = way(change, method, password);
        match (want, &got) {
            (None, Ok(_)) => {}
            (Some(want), Err(e)) => assert!(e.to_string().contains(want), "{name}: {e}"),
            _ => panic!("{name}: {got:?}"),
        }
    }
}

#[test]
fn power_addresses_have_a_port_or_the_usual_one() {
    let rows = [
        ("name", "bmc-7", Some(("bmc-7", 623))),
        ("long name", "bmc.rack.example", Some(("bmc.rack.example", 623))),
        ("upper case", "BMC7", Some(("BMC7", 623))),
        ("name and port", "bmc-7:6230", Some(("bmc-7", 6230))),
        ("IPv4", "10.0.0.5", Some(("10.0.0.5", 623))),
        ("IPv4 and port", "10.0.0.5:1", Some(("10.0.0.5", 1))),
        ("IPv6", "fd00::5", Some(("fd00::5", 623))),
        ("IPv6 in brackets", "[fd00::5]", Some(("fd00::5", 623))),
        ("IPv6 and port", "[fd00::5]:65535", Some(("fd00::5", 65535))),
        ("port 0", "bmc:0", None),
        ("port too large", "bmc:65536", None),
        ("port with a sign", "bmc:+1", None),
        ("no port after the colon", "bmc:", None),
        ("open bracket", "[fd00::5", None),
        ("name in brackets", "[bmc]:1", None),
        ("rest after brackets", "[fd00::5]x", None),
        ("dots only", "..", None),
        ("ends with a dash", "bmc-", None),
        ("empty", "", None),
        ("very long", &"a.".repeat(200), None),
        ("line end", "bmc\r\nX: y", None),
    ];
    for (name, text, want) in rows {
        let got = parse_address(text, 623).ok();
        assert_eq!(got.as_ref().map(|(host, port)| (host.as_str(), *port)), want, "{name}");
    }
}

#[test]
fn hardware_addresses_are_written_in_one_way() {
    for bad in ["", "52:54:00:00:00", "52:54:00:00:00:0G", "52:54:00:00:00:AA", "../x", "52-54-00-00-00-01"] {
        assert!(check_mac(bad).is_err(), "{bad}");
    }
    assert!(check_mac(MAC).is_ok());
}
