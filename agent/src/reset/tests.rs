use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::http::auth::verify_password;

const NODE: &str = "version = 1\ninstall_id = \"12f07768-21c8-5fbc-ba5c-2473ab2f6ef4\"\n\
    machine_id = \"0123456789abcdef0123456789abcdef\"\nhostname = \"node-1\"\n[admin]\n\
    password_hash = \"$argon2id$old\"\nssh_keys = [\"ssh-ed25519 AAAA me\"]\n[time]\nntp = [\"a.example\"]\n\
    [cluster]\nmode = \"create\"\nname = \"rack\"\n[[disks]]\nserial = \"A\"\nmodel = \"M\"\nsize = 9\n";

#[test]
fn console_reset_only_consoles_of_the_machine_are_local() {
    let rows = [
        ("/dev/tty1", true),
        ("/dev/ttyS0", true),
        ("/dev/hvc0", true),
        ("/dev/pts/3", false),
        ("/dev/tty", false),
        ("/dev/ttyUSB0", false),
        ("/dev/../dev/pts/3", false),
        ("tty1", false),
        ("/tmp/tty1", false),
        ("", false),
    ];
    for (path, want) in rows {
        assert_eq!(is_local(Path::new(path)), want, "{path}");
    }
}

#[test]
fn console_reset_changes_the_hash_and_nothing_else() {
    let new = plan(NODE, "$argon2id$new").unwrap();
    let parse = |text: &str| toml::from_str::<NodeConfig>(text).unwrap();
    let mut want = parse(NODE);
    want.admin.password_hash = Some("$argon2id$new".to_owned());
    assert_eq!(parse(&new), want);
    let rows = [
        ("no node file", "", "missing field"),
        ("of another release", "version = 2\nfuture = 1\n", "unknown field"),
        ("no hash", NODE, "password_hash"),
    ];
    for (name, text, reason) in rows {
        let e = plan(text, "no hash").unwrap_err();
        assert!(e.contains(reason), "{name}: {e}");
    }
}

#[test]
fn console_reset_sets_the_password_and_is_told_for_a_week() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { systemctl: "true".into(), ..Settings::below(dir.path()) };
    fs::create_dir_all(&settings.state).unwrap();
    assert!(apply(&settings, "/dev/tty1", "correct horse", 1_000).is_err(), "there is no node file");
    assert!(alarms(&settings, 1_000).is_empty(), "nothing was done, nothing is told");
    fs::write(settings.node_file(), NODE).unwrap();
    let text = apply(&settings, "/dev/tty1", "correct horse", 1_000).unwrap();
    assert!(text.contains("starts anew"), "{text}");
    let config: NodeConfig = toml::from_str(&fs::read_to_string(settings.node_file()).unwrap()).unwrap();
    assert!(verify_password(&config.admin.password_hash.unwrap(), "correct horse"));
    assert_eq!(fs::metadata(settings.node_file()).unwrap().permissions().mode() & 0o777, 0o600);
    let told = alarms(&settings, 1_000 + 86_400);
    assert_eq!(told.len(), 1);
    assert!(told[0].since == 1_000 && told[0].what.contains("/dev/tty1"), "{told:?}");
    assert!(alarms(&settings, 1_000 + 8 * 86_400).is_empty());
    let broken = Settings { systemctl: "false".into(), ..settings };
    let text = apply(&broken, "/dev/ttyS0", "another horse", 2_000).unwrap();
    assert!(text.contains("next start"), "{text}");
}
