use maekin_api::access::Role;

use super::tokens::{Bad, judge, parse_id};
use super::users::{check_password, is_name};
use crate::record::values::{TokenValue, UserValue};

fn user(role: Role) -> UserValue {
    UserValue {
        name: "eva".into(),
        id: "u1".into(),
        role,
        hash: String::new(),
        created_at: 0,
        changed_at: 0,
        by: String::new(),
    }
}

#[test]
fn api_names_and_passwords_are_checked() {
    let rows = [
        ("plain", "eva", true),
        ("with all kinds", "e-v.a_2", true),
        ("longest", &"e".repeat(32), true),
        ("too long", &"e".repeat(33), false),
        ("empty", "", false),
        ("digit first", "2eva", false),
        ("capital", "Eva", false),
        ("another place in the record", "../eva", false),
        ("another user of basic auth", "eva:x", false),
        ("a node", "node:1", false),
        ("the node file's", "admin", false),
        ("the machine's", "root", false),
        ("not ASCII", "\u{e4}va", false),
    ];
    for (name, text, want) in rows {
        assert_eq!(is_name(text), want, "{name}");
    }
    for (length, want) in [(0, false), (7, false), (8, true), (1024, true), (1025, false)] {
        assert_eq!(check_password(&"x".repeat(length).into()).is_ok(), want, "{length}");
    }
}

#[test]
fn api_tokens_are_judged() {
    let token = format!("mk_0123456789ab_{}", "s".repeat(43));
    let value = TokenValue {
        id: "0123456789ab".into(),
        name: String::new(),
        user: "eva".into(),
        user_id: "u1".into(),
        role: Role::Operator,
        scopes: vec!["power".into()],
        sha256: maekin_image::manifest::sha256_hex(token.as_bytes()),
        created_at: 100,
        expires: 200,
    };
    let someone_else = UserValue { id: "u2".into(), ..user(Role::Admin) };
    let builtin = TokenValue { user: "admin".into(), user_id: String::new(), ..value.clone() };
    let forged = format!("{token}x");
    let rows = [
        ("good", &token, Some(&value), Some(user(Role::Admin)), 150, Ok(Role::Operator)),
        ("its user lost his role", &token, Some(&value), Some(user(Role::Viewer)), 150, Ok(Role::Viewer)),
        ("expired", &token, Some(&value), Some(user(Role::Admin)), 200, Err(Bad::Expired)),
        ("its user is gone", &token, Some(&value), None, 150, Err(Bad::Orphan)),
        ("another user has the name", &token, Some(&value), Some(someone_else), 150, Err(Bad::Orphan)),
        ("deleted", &token, None, None, 150, Err(Bad::Unknown)),
        ("another secret", &forged, Some(&value), Some(user(Role::Admin)), 150, Err(Bad::Forged)),
        ("of the node file's user", &token, Some(&builtin), None, 150, Ok(Role::Operator)),
    ];
    for (name, token, value, owner, now, want) in rows {
        let got = judge(token, value, owner.as_ref(), now);
        assert_eq!(got.map(|(role, _)| role), want, "{name}");
    }
    let rows = [
        ("good", token.as_str(), Some("0123456789ab")),
        ("underscores in its secret", "mk_0123456789ab_a_b", Some("0123456789ab")),
        ("another kind", "gh_0123456789ab_x", None),
        ("capital digits", "mk_0123456789AB_x", None),
        ("short id", "mk_0123_x", None),
        ("another place in the record", "mk_../../../users/eva", None),
        ("endless", &format!("mk_0123456789ab_{}", "x".repeat(200)), None),
        ("empty", "", None),
    ];
    for (name, text, want) in rows {
        assert_eq!(parse_id(text), want, "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn api_tokens_of_any_text_give_plain_ids_or_none(text in ".{0,200}") {
        if let Some(id) = parse_id(&text) {
            proptest::prop_assert!(id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}

mod https;
