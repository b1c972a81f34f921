use super::*;
use crate::config::parse_config;

fn told(machine: &Machine, scene: Scene) -> String {
    let config = parse_config(
        "interface = \"x\"\naddress = \"10.0.0.1/24\"\npool_start = \"10.0.0.100\"\npool_end = \"10.0.0.199\"\n\
         release_dir = \"/r\"\nroot_path = \"/r/root\"\nagent_socket = \"/a\"\nlease_file = \"/l\"\n",
    )
    .unwrap();
    simulate(&mut Leases::new(config.plan.clone()), &config.settings, machine, scene)
}

fn machine(stage: Stage, arch: u16) -> Machine {
    let hw = "52:54:00:00:00:01".parse().unwrap();
    Machine { hw, arch, stage, uuid: None, user_class: None, relay: None }
}

/// Questions and answers, whatever is in them.
fn talks(text: &str) -> Vec<&str> {
    text.lines().filter(|l| l.starts_with("->") || l.starts_with("<-")).collect()
}

#[test]
fn firmware_is_told_its_loader_and_ipxe_the_script() {
    let rows = [
        (Stage::Pxe, 7, "\"boot.efi-or-shim\""),
        (Stage::Pxe, 0, "\"undionly.kpxe\\x00\""),
        (Stage::Http, 16, "\"http://10.0.0.1:8480/"),
        (Stage::Ipxe, 7, "/boot.ipxe?mac=52:54:00:00:00:01&uuid=${uuid}&arch=7\\x00\""),
        (Stage::System, 0, "yiaddr  10.0.0.100"),
        (Stage::Pxe, 11, "nothing to boot: it is 64-bit ARM UEFI"),
    ];
    let loader = format!("\"{}\\x00\"", boot::UEFI_LOADER);
    for (stage, arch, wanted) in rows {
        let wanted = wanted.replace("\"boot.efi-or-shim\"", &loader);
        let text = told(&machine(stage, arch), Scene::Alone);
        assert!(text.contains(&wanted), "{stage:?} {arch}: {text}");
        assert_eq!(talks(&text).len(), 4, "{text}");
        assert!(text.contains("     0000  01010600"), "the bytes too: {text}");
    }
}

#[test]
fn beside_another_server_uefi_asks_on_port_4011_and_bios_does_not() {
    let other = Ipv4Addr::new(10, 0, 0, 200);
    let rows: &[(Stage, u16, &[&str])] = &[
        (
            Stage::Pxe,
            7,
            &[
                "-> to port 67",
                "<- to 255.255.255.255:68 from port 67",
                "-> to port 67",
                "<- nothing: the client took another server's offer",
                "-> to port 4011",
                "<- to 10.0.0.201:68 from port 4011",
            ],
        ),
        (
            Stage::Pxe,
            0,
            &[
                "-> to port 67",
                "<- to 255.255.255.255:68 from port 67",
                "-> to port 67",
                "<- nothing: the client took another server's offer",
            ],
        ),
    ];
    for (stage, arch, wanted) in rows {
        let text = told(&machine(*stage, *arch), Scene::Beside(other));
        assert_eq!(talks(&text), *wanted, "{text}");
        assert!(!text.contains("yiaddr"), "never an address: {text}");
        assert!(text.contains("== this REQUEST tells that 10.0.0.200 gives addresses here"), "{text}");
    }
}

#[test]
fn uuid_user_class_and_relay_are_in_the_packet() {
    let machine = Machine {
        uuid: Some("4c4c4544-0031-3510-8053-b4c04f333732".parse().unwrap()),
        user_class: Some("iPXE".to_owned()),
        relay: Some(Ipv4Addr::new(10, 0, 0, 250)),
        ..machine(Stage::Pxe, 7)
    };
    let text = told(&machine, Scene::Alone);
    for wanted in [
        "97      4c4c4544-0031-3510-8053-b4c04f333732 (17 bytes)",
        "77      \"iPXE\"",
        "giaddr  10.0.0.250",
        "<- to 10.0.0.250:67 from port 67",
        "/boot.ipxe?",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let text = told(&self::machine(Stage::Pxe, 7), Scene::Alone);
    assert!(text.contains("(names nobody)"), "a machine without a UUID: {text}");
}
