use super::entry::LONGEST;
use super::*;
use crate::console::model::Console;
use crate::console::policy::Policy;
use maekin_api::boot_drives::BootDrives;
use maekin_api::node::{Boot, LocalPool, Node};

fn node(membership: Membership) -> Node {
    Node {
        install_master: maekin_api::node::InstallMaster::default(),
        quorum: maekin_api::node::Quorum::default(),
        id: "id".into(),
        name: "node-1".into(),
        version: "0.1.0".into(),
        key: "release".into(),
        slot: "a".into(),
        firmware: "uefi".into(),
        secure_boot: None,
        urls: vec![],
        interfaces: vec![],
        boot_drives: BootDrives::default(),
        alarms: vec![],
        boot: Boot::default(),
        local_pool: LocalPool::Pending,
        storage: None,
        membership,
        maintenance: None,
        tasks: vec![],
        uptime_s: 0,
        time: 0,
    }
}

fn model(locked: bool) -> Model {
    let working = Membership::Working { step: "x".into(), last_error: String::new() };
    let snapshot = Snapshot { node: Some(node(working)), locked, ..Snapshot::default() };
    Model { snapshot, ..Model::default() }
}

fn press(model: &mut Model, console: usize, keys: &str) -> Vec<String> {
    let mut done = Vec::new();
    for c in keys.chars() {
        let key = match c {
            '\n' => Key::Enter,
            '\x1b' => Key::Esc,
            '\x08' => Key::Backspace,
            '>' => Key::Right,
            c => Key::Char(c),
        };
        done.extend(update(model, Event::Key { console, key }).iter().map(|e| format!("{e:?}")));
    }
    done
}

#[test]
fn keys_do_what_the_menu_says() {
    type Row = (&'static str, bool, &'static str, &'static [&'static str], Page);
    let rows: &[Row] = &[
        ("network by digit", false, "2", &[], Page::Network),
        ("no network without the agent", false, "2e", &[], Page::Network),
        ("nothing to keep", false, "2c", &[], Page::Network),
        ("cluster by arrows", false, ">>\n", &[], Page::Cluster),
        ("arrows go round", false, ">>>>>>>>>>>>>\n", &[], Page::Status),
        ("time looks at the clock", false, "9", &["Ask(Clock)"], Page::Time),
        ("support looks for sticks", false, "s", &["Ask(Sticks)"], Page::Support),
        ("and again", false, "sr", &["Ask(Sticks)", "Ask(Sticks)"], Page::Support),
        ("no stick, no bundle", false, "sw", &["Ask(Sticks)"], Page::Support),
        ("the clock is not set before it was looked at", false, "9t", &["Ask(Clock)"], Page::Time),
        ("a token of one who is no member", false, "0k", &[], Page::Join),
        ("what is no token", false, "0jabc\n", &[], Page::Join),
        ("a password from afar", false, "pn", &[], Page::Password),
        ("help", false, "?", &[], Page::Help),
        ("escape leads back", false, "?\x1b", &["Repaint"], Page::Status),
        ("logs are read", false, "5", &["Ask(Logs)"], Page::Logs),
        (
            "window opens",
            false,
            "4o\n\n",
            &["Ask(OpenWindow(OpenWindow { minutes: 60, count: 16 }))"],
            Page::Window,
        ),
        (
            "window opens as typed",
            false,
            "4o90\n3\n",
            &["Ask(OpenWindow(OpenWindow { minutes: 90, count: 3 }))"],
            Page::Window,
        ),
        ("window not for two days", false, "4o2880\n", &[], Page::Window),
        ("window not for nobody", false, "4o\n0\n", &[], Page::Window),
        ("window left", false, "4o\n\x1b", &[], Page::Window),
        ("window closes", false, "4c", &["Ask(CloseWindow)"], Page::Window),
        (
            "tickets: a machine is let in by typing its code",
            false,
            "4a123-456\n",
            &["Ask(Decide { code: \"123-456\", yes: true })"],
            Page::Window,
        ),
        (
            "tickets: and told no",
            false,
            "4n123-456\n",
            &["Ask(Decide { code: \"123-456\", yes: false })"],
            Page::Window,
        ),
        ("tickets: no code, nothing done", false, "4a\n", &[], Page::Window),
        ("tickets: a does nothing elsewhere", false, "1a", &["Repaint"], Page::Status),
        ("o does nothing elsewhere", false, "1o", &["Repaint"], Page::Status),
        ("shell without a password", false, "6", &["Shell { console: 1 }"], Page::Status),
        (
            "shell with one",
            true,
            "6pq\x08w\n",
            &["Ask(Password { console: 1, password: \"pw\" })"],
            Page::Status,
        ),
        ("digits are text while typing", true, "6123\x1b", &[], Page::Status),
        ("reboot confirmed", false, "7reboot\n", &["Power(\"reboot\")"], Page::Status),
        ("reboot not confirmed", false, "7yes\n", &[], Page::Status),
        ("reboot left", false, "7reboot\x1b", &[], Page::Status),
        ("power off needs its own word", false, "8reboot\n", &[], Page::Status),
        ("power off", false, "8poweroff\n", &["Power(\"poweroff\")"], Page::Status),
        ("escape draws anew", false, "\x1b", &["Repaint"], Page::Status),
    ];
    for (name, locked, keys, effects, page) in rows {
        let mut model = model(*locked);
        assert_eq!(press(&mut model, 1, keys), *effects, "{name}");
        assert_eq!(model.page, *page, "{name}");
    }
}

#[test]
fn a_prompt_hears_only_its_own_console() {
    let mut model = model(true);
    press(&mut model, 0, "6se");
    assert!(press(&mut model, 1, "x\n\x1b7").is_empty());
    assert_eq!(press(&mut model, 0, "t\n"), ["Ask(Password { console: 0, password: \"set\" })"]);
    assert_eq!(model.checking, Some(0));
    let denied = update(&mut model, Event::Password { console: 0, right: false });
    assert!(denied.is_empty() && model.checking.is_none());
    let granted = update(&mut model, Event::Password { console: 0, right: true });
    assert!(matches!(granted[..], [Effect::Shell { console: 0 }]));
}

#[test]
fn before_the_agent_answers_a_shell_asks_for_the_password() {
    let mut model = Model::default();
    assert!(press(&mut model, 0, "6").is_empty());
    assert!(matches!(model.prompt, Some(Prompt { kind: PromptKind::Password, .. })));
}

#[test]
fn typed_text_is_bounded() {
    let mut model = model(true);
    press(&mut model, 0, "6");
    press(&mut model, 0, &"x".repeat(1000));
    assert_eq!(model.prompt.map(|p| p.typed.len()), Some(LONGEST));
}

#[test]
fn becoming_a_member_draws_anew_once() {
    let mut model = model(false);
    let member = Membership::Member { cluster_id: "c".into(), cluster: "rack".into() };
    let news = || Box::new(Snapshot { node: Some(node(member.clone())), ..Snapshot::default() });
    assert!(matches!(update(&mut model, Event::Snapshot(news()))[..], [Effect::Repaint]));
    assert!(update(&mut model, Event::Snapshot(news())).is_empty());
}

#[test]
fn scrolling_stays_within_what_there_is() {
    let mut model = model(false);
    press(&mut model, 0, "5");
    update(&mut model, Event::Logs((0..40).map(|n| n.to_string()).collect()));
    for (name, key, want) in [
        ("back a page", Key::PageUp, 15),
        ("back to the first", Key::PageUp, 23),
        ("forward a line", Key::Down, 22),
        ("back a line", Key::Up, 23),
        ("forward a page", Key::PageDown, 8),
    ] {
        update(&mut model, Event::Key { console: 0, key });
        assert_eq!(model.scroll, want, "{name}");
    }
}

/// Consoles: one of the machine, and one of a login over the network.
fn two_consoles() -> Model {
    let console = |path: &str, local| Console { path: path.into(), local };
    Model { consoles: vec![console("/dev/pts/1", false), console("/dev/ttyS0", true)], ..model(false) }
}

#[test]
fn console_reset_a_password_is_set_by_its_steps_only() {
    let typed = "correct horse\ncorrect horse\nreset\n";
    let rows: &[(&str, usize, &str, bool, &str)] = &[
        ("all of them", 1, typed, true, ""),
        ("from afar", 0, "", false, "Not from here"),
        ("too short", 1, "horse\n", false, "at least 8"),
        ("not the same", 1, "correct horse\ncorrect house\n", false, "not the same"),
        ("not confirmed", 1, "correct horse\ncorrect horse\nyes\n", false, "not typed"),
        ("left", 1, "correct horse\n\x1b", false, ""),
    ];
    for (name, console, keys, begun, message) in rows {
        let mut model = two_consoles();
        press(&mut model, *console, "pn");
        let done = press(&mut model, *console, keys);
        let asked = done.iter().any(|e| e.contains("Reset") && e.contains("/dev/ttyS0"));
        assert_eq!((asked, model.presence.is_some()), (*begun, *begun), "{name}: {done:?}");
        assert!(model.message.contains(message), "{name}: {}", model.message);
    }
}

#[test]
fn console_reset_while_the_button_is_waited_for_nothing_else_is_heard() {
    let mut model = two_consoles();
    press(&mut model, 1, "pncorrect horse\ncorrect horse\nreset\n");
    assert!(update(&mut model, Event::Presence(News::Waiting { until: 60 })).is_empty());
    assert!(press(&mut model, 1, "7reboot\n").is_empty() && press(&mut model, 0, "\x1b7").is_empty());
    assert_eq!(model.presence, Some(Presence { console: 1, until: 60 }));
    assert_eq!(press(&mut model, 1, "\x1b"), ["CallOff"]);
    let late = update(&mut model, Event::Presence(News::Waiting { until: 60 }));
    assert!(matches!(late[..], [Effect::CallOff]), "left before the button was held");
    update(&mut model, Event::Presence(News::Over("Nothing was changed.".into())));
    assert!(model.presence.is_none() && model.message.contains("Nothing"));
}

#[test]
fn console_time_is_set_only_where_no_server_sets_it() {
    let keys = "t2026-11-20 22:00\nset\n";
    let rows: &[(&str, bool, &str, &[&str])] = &[
        ("by hand", false, keys, &["Ask(SetClock { at: 1795212000 })"]),
        ("not confirmed", false, "t2026-11-20 22:00\nyes\n", &[]),
        ("no time", false, "ttomorrow\n", &[]),
    ];
    for (name, synchronised, keys, want) in rows {
        let mut model = Model { page: Page::Time, ..model(false) };
        model.clock = Some(Clock { synchronised: *synchronised, ..Clock::default() });
        assert_eq!(press(&mut model, 0, keys), *want, "{name}");
    }
    let mut model = Model { page: Page::Time, ..model(false) };
    model.clock = Some(Clock { synchronised: true, ..Clock::default() });
    press(&mut model, 0, "t");
    assert!(model.prompt.is_none() && model.message.contains("A server sets"), "{}", model.message);
}

#[test]
fn console_support_a_bundle_goes_to_the_stick_that_is_meant() {
    let stick = |name: &str| crate::support::stick::Stick {
        device: name.into(),
        fstype: "vfat".into(),
        label: String::new(),
        model: "m".into(),
        size: 1,
    };
    let one = vec![stick("/dev/sdb1")];
    let two = vec![stick("/dev/sdb1"), stick("/dev/sdc1")];
    let rows: &[(&str, &[crate::support::stick::Stick], &str, Option<&str>)] = &[
        ("none", &[], "w", None),
        ("the only one", &one, "w", Some("/dev/sdb1")),
        ("the first", &two, "w\n", Some("/dev/sdb1")),
        ("the second", &two, "w2\n", Some("/dev/sdc1")),
        ("there is no third", &two, "w3\n", None),
        ("none at all", &two, "w0\n", None),
        ("left", &two, "w\x1b", None),
        ("one at a time", &one, "ww", Some("/dev/sdb1")),
    ];
    for (name, sticks, keys, want) in rows {
        let mut model = Model { page: Page::Support, ..model(false) };
        update(&mut model, Event::Sticks(Sticks { sticks: sticks.to_vec(), ..Sticks::default() }));
        let done = press(&mut model, 0, keys);
        let want: Vec<String> = want.iter().map(|d| format!("Ask(Bundle {{ device: {d:?} }})")).collect();
        assert_eq!(done, want, "{name}");
    }
}

#[test]
fn console_policy_a_locked_shell_is_not_asked_for() {
    let mut model = model(true);
    model.snapshot.policy = Policy { shell: false };
    assert!(press(&mut model, 0, "6").is_empty() && model.prompt.is_none());
    assert!(model.message.contains("locked by policy"), "{}", model.message);
}

#[test]
fn console_join_a_token_that_was_made_is_gone_with_the_page() {
    let mut model = model(false);
    let member = Membership::Member { cluster_id: "c".into(), cluster: "rack".into() };
    model.snapshot.node = Some(node(member));
    assert_eq!(press(&mut model, 0, "0k"), ["Ask(MakeToken)"]);
    update(&mut model, Event::Token("maekin-abc".into()));
    assert!(model.token.is_some());
    press(&mut model, 0, "1");
    assert!(model.token.is_none());
    update(&mut model, Event::Token("maekin-abc".into()));
    assert!(model.token.is_none(), "it came when nobody looked any more");
}

fn pairing(code: &str) -> maekin_api::trust::PairingInfo {
    maekin_api::trust::PairingInfo {
        code: code.into(),
        side: maekin_api::trust::PairingSide::Member,
        name: "node-9".into(),
        address: "10.77.0.9:8443".into(),
        sha256: String::new(),
        approved: false,
        at: 1,
    }
}

fn waiting(id: &str) -> maekin_api::discovery::Discovered {
    let wire = serde_json::json!({
        "id": id, "name": "node-9", "state": "waiting", "release": "0.1.0", "addresses": ["10.77.0.9:8443"],
        "interface": "ens3", "cluster": "", "ca": "", "since": 1, "last": 2, "by": "node-1",
    });
    serde_json::from_value(wire).unwrap()
}

#[test]
fn console_codes_are_compared_and_clusters_left_by_keys() {
    type Row = (&'static str, bool, bool, usize, usize, &'static str, &'static [&'static str], &'static str);
    const BEGIN: &str = "Ask(BeginPairing { node: \"0123456789ab\" })";
    const YES: &str = "Ask(Pair { code: \"000001\", yes: true })";
    // Member, locked, codes, nodes that wait.
    let rows: [Row; 13] = [
        ("the only node that waits", true, false, 0, 1, "3b\n", &[BEGIN], ""),
        (
            "one of two is named",
            true,
            false,
            0,
            2,
            "3bnode-9\n",
            &["Ask(BeginPairing { node: \"node-9\" })"],
            "",
        ),
        (
            "which one is not clear",
            true,
            false,
            0,
            2,
            "3b\n",
            &[],
            "Nothing was begun: which node is not clear.",
        ),
        ("not by who is no member", false, false, 0, 0, "3b", &[], "Only a member can let others in."),
        ("the only code", true, false, 1, 0, "3y", &[YES], ""),
        ("on the node that waits", false, false, 1, 0, "0y", &[YES], ""),
        ("no", false, false, 1, 0, "0n", &["Ask(Pair { code: \"000001\", yes: false })"], ""),
        ("one of two codes", true, false, 2, 0, "3y000001\n", &[YES], ""),
        (
            "a code that is not here",
            true,
            false,
            2,
            0,
            "3y999999\n",
            &[],
            "Nothing was said: there is no such code here. Do they differ, deny it: n.",
        ),
        ("no code", true, false, 0, 0, "3y", &[], "There is no code to compare."),
        (
            "leaving takes the word",
            true,
            false,
            0,
            0,
            "0lleave\n",
            &["Ask(Leave)"],
            "Leaving; this takes a moment.",
        ),
        ("another word", true, false, 0, 0, "0lyes\n", &[], "Nothing was done: `leave` was not typed."),
        (
            "nobody leaves who is no member",
            false,
            true,
            0,
            0,
            "0l",
            &[],
            "This node is no member of a cluster.",
        ),
    ];
    for (name, is_member, locked, codes, nodes, keys, effects, message) in rows {
        let mut model = model(locked);
        if is_member {
            let membership = Membership::Member { cluster_id: "c".into(), cluster: "rack".into() };
            model.snapshot.node = Some(node(membership));
        }
        model.snapshot.pairings = (1..=codes).map(|n| pairing(&format!("{n:06}"))).collect();
        model.snapshot.discovered =
            ["0123456789ab", "ba9876543210"][..nodes].iter().map(|id| waiting(id)).collect();
        assert_eq!(press(&mut model, 0, keys), effects, "{name}");
        assert_eq!(model.message, message, "{name}");
    }
    let mut locked = model(true);
    locked.snapshot.node = Some(node(Membership::Member { cluster_id: "c".into(), cluster: "rack".into() }));
    let asked = press(&mut locked, 0, "0lsecret\n");
    assert!(asked[0].contains("LeavePassword"), "{asked:?}");
    update(&mut locked, Event::MayLeave { console: 0, right: false });
    assert!(locked.prompt.is_none() && locked.message.contains("another one"), "a wrong password");
    update(&mut locked, Event::MayLeave { console: 0, right: true });
    assert_eq!(press(&mut locked, 1, "leave\n"), [""; 0], "another console is not listened to");
    assert_eq!(press(&mut locked, 0, "leave\n"), ["Ask(Leave)"]);
}

#[test]
fn console_a_node_goes_on_alone_by_the_name_of_the_lost_one() {
    let mut model = model(false);
    model.snapshot.node = Some(node(Membership::Member { cluster_id: "c".into(), cluster: "rack".into() }));
    assert_eq!(press(&mut model, 0, "3g"), ["Ask(LookAlone { console: 0 })"]);
    let found = |name: &str| Event::Promotable {
        console: 0,
        found: Ok(Promotion { name: name.into(), ..Promotion::default() }),
    };
    update(&mut model, Event::Promotable { console: 0, found: Err("a quorum answers".into()) });
    assert!(model.prompt.is_none() && model.message.contains("a quorum answers"), "{}", model.message);
    // Name; what is typed; what is asked for.
    let rows: [(&str, &str, &[&str]); 4] = [
        ("the name", "node-1\n", &["Ask(GoOnAlone { name: \"node-1\" })"]),
        ("another name", "node-2\n", &[]),
        ("nothing", "\n", &[]),
        ("yes", "yes\n", &[]),
    ];
    for (name, keys, want) in rows {
        update(&mut model, found("node-1"));
        assert!(model.prompt.is_some(), "{name}");
        assert_eq!(press(&mut model, 0, keys), want, "{name}");
        assert!(model.prompt.is_none(), "{name}");
    }
    press(&mut model, 0, "1");
    update(&mut model, found("node-1"));
    assert!(model.prompt.is_none(), "nobody is asked who turned away");

    model.snapshot.locked = true;
    let asked = press(&mut model, 0, "3gsecret\n");
    assert!(asked.iter().any(|effect| effect.contains("PromotePassword")), "{asked:?}");
    update(&mut model, Event::MayPromote { console: 0, right: false });
    assert!(model.message.contains("another one"), "a wrong password");
    let effects = update(&mut model, Event::MayPromote { console: 0, right: true });
    assert_eq!(effects.len(), 1, "{effects:?}");
}
