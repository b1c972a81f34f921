use proptest::prelude::*;

use super::*;

fn sample() -> Token {
    Token {
        id: "0123456789".into(),
        secret: *b"0123456789abcdef",
        ca_sha256: "ab".repeat(32),
        made: 1_790_000_000,
        minutes: 60,
        masters: vec!["10.77.0.1:8443".parse().unwrap(), "[2001:db8::1]:8443".parse().unwrap()],
    }
}

fn tokens() -> impl Strategy<Value = Token> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(|a| IpAddr::from([10, a[1], a[2], a[3]])),
        any::<[u16; 6]>().prop_map(|a| IpAddr::from([0x2001, 0xdb8, a[0], a[1], a[2], a[3], a[4], a[5]])),
    ];
    let masters = prop::collection::vec((address, 1..u16::MAX), 1..=MOST_MASTERS);
    let most = u16::try_from(MOST_MINUTES).unwrap();
    (any::<[u8; 5]>(), any::<[u8; 16]>(), any::<[u8; 32]>(), any::<u32>(), 1..=most, masters).prop_map(
        |(id, secret, ca, made, minutes, masters)| Token {
            id: hex(&id),
            secret,
            ca_sha256: hex(&ca),
            made,
            minutes,
            masters: masters.into_iter().map(|(ip, port)| SocketAddr::new(ip, port)).collect(),
        },
    )
}

fn replaced(text: &str, at: usize, with: char) -> String {
    text.chars().enumerate().map(|(i, c)| if i == at { with } else { c }).collect()
}

proptest! {
    #[test]
    fn join_every_token_is_read_as_it_was_made(token in tokens()) {
        let text = token.render().unwrap();
        prop_assert!(text.len() <= LONGEST, "{}", text.len());
        prop_assert_eq!(parse_token(&text), Ok(token));
    }

    #[test]
    fn join_a_mistyped_character_is_named(token in tokens(), at in any::<prop::sample::Index>(), with in 0..32_usize) {
        let text = token.render().unwrap();
        let places: Vec<usize> = (PREFIX.len()..text.len()).filter(|at| text.as_bytes()[*at] != b'-').collect();
        let at = *at.get(&places);
        let (was, with) = (char::from(text.as_bytes()[at]), char::from(ALPHABET[with]));
        prop_assume!(was != with);
        let (group, at_group) = ((at - PREFIX.len()) / (GROUP + 1) + 1, (at - PREFIX.len()) % (GROUP + 1) + 1);
        let want = TokenError::Mistyped { group, at: at_group, found: with, meant: was };
        prop_assert_eq!(parse_token(&replaced(&text, at, with)), Err(want));
    }

    #[test]
    fn join_neighbours_that_changed_places_are_named(token in tokens(), at in any::<prop::sample::Index>()) {
        let text = token.render().unwrap().into_bytes();
        let ok = |at: &usize| text[*at] != b'-' && text[*at + 1] != b'-' && text[*at] != text[*at + 1];
        let places: Vec<usize> = (PREFIX.len()..text.len() - 1).filter(ok).collect();
        let at = *at.get(&places);
        let mut other = text.clone();
        other.swap(at, at + 1);
        let (group, at) = ((at - PREFIX.len()) / (GROUP + 1) + 1, (at - PREFIX.len()) % (GROUP + 1) + 1);
        match parse_token(&String::from_utf8(other).unwrap()) {
            Err(TokenError::Group { group: found, .. }) => prop_assert_eq!(found, group), // several pairs would do
            other => prop_assert_eq!(other, Err(TokenError::Swapped { group, at })),
        }
    }

    #[test]
    fn join_whatever_is_typed_is_read_or_refused(text in "(mjt1-)?[ -~\\PC]{0,420}") {
        if let Ok(token) = parse_token(&text) {
            prop_assert_eq!(token.render().unwrap(), text.trim());
        }
    }

    #[test]
    fn join_bytes_in_right_groups_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 5..150), first in 0..3_u8) {
        let mut bytes = bytes;
        bytes[0] = first;
        let groups: Vec<String> = bytes.chunks_exact(BYTES).map(render_group).collect();
        let text = format!("{PREFIX}{}", groups.join("-"));
        if let Ok(token) = parse_token(&text) {
            prop_assert_eq!(token.render().unwrap(), text);
        }
    }
}

#[test]
fn join_what_is_wrong_with_a_token_is_said() {
    let good = sample().render().unwrap();
    let groups: Vec<&str> = good[PREFIX.len()..].split('-').collect();
    let joined = |groups: &[&str]| format!("{PREFIX}{}", groups.join("-"));
    let mut exchanged = groups.clone();
    exchanged.swap(2, 3);
    let doubled: Vec<&str> = groups[..1].iter().chain(&groups).copied().collect();
    let twice = replaced(&replaced(&good, 6, 'z'), 9, 'z');
    let short = format!("{}-abc", joined(&groups[..2]));
    let rows: [(&str, String, &str); 11] = [
        ("nothing", String::new(), "begins with `mjt1-`"),
        ("something else", "hunter2".into(), "begins with `mjt1-`"),
        ("capitals", format!("{PREFIX}{}", good[PREFIX.len()..].to_uppercase()), "letters are small"),
        (
            "an o for a zero",
            replaced(&good, 5, 'o'),
            "character 1 of group 1 is `o`, which no join token has (a zero?)",
        ),
        ("two wrong ones", twice, "group 1"),
        ("a short group", short, "group 3 (`abc`) has 3 characters"),
        ("the end is missing", joined(&groups[..groups.len() - 1]), "missing, doubled"),
        ("groups exchanged", joined(&exchanged), "missing, doubled"),
        ("a group twice", joined(&doubled), ""),
        ("too long", format!("{good}{}", "-0000000000".repeat(40)), "at most 400"),
        ("a control character", replaced(&good, 7, '\u{1b}'), "is `?`"),
    ];
    for (name, text, want) in rows {
        let error = parse_token(&text).expect_err(name).to_string();
        assert!(error.contains(want) && !error.contains('\u{1b}'), "{name}: {error}");
    }
    assert!(parse_token(&format!("  {good}\n")).is_ok(), "blanks around it do not matter");
    assert!(!format!("{:?}", sample()).contains("secret"), "it is not in debug output");
}

#[test]
fn join_a_token_that_cannot_be_asked_with_is_not_made() {
    type Row = (&'static str, fn(&mut Token));
    let rows: [Row; 7] = [
        ("nobody to ask", |t| t.masters.clear()),
        ("too many", |t| t.masters = vec![t.masters[0]; MOST_MASTERS + 1]),
        ("port 0", |t| t.masters[0].set_port(0)),
        ("any address", |t| t.masters[0].set_ip([0, 0, 0, 0].into())),
        ("no time", |t| t.minutes = 0),
        ("too long", |t| t.minutes = u16::MAX),
        ("no CA", |t| t.ca_sha256.clear()),
    ];
    for (name, change) in rows {
        let mut token = sample();
        change(&mut token);
        assert!(matches!(token.render(), Err(TokenError::Content(_))), "{name}");
    }
}
