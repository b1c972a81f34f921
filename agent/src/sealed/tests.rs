use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

fn key(n: u8) -> SealKey {
    SealKey::new([n; KEY])
}

/// What kind of answer opening gave.
fn kind(result: &Result<Vec<u8>, SealError>) -> &'static str {
    match result {
        Ok(_) => "opens",
        Err(SealError::Form { .. }) => "form",
        Err(SealError::OtherKey { .. }) => "other key",
        Err(SealError::Broken { .. }) => "broken",
        Err(_) => "something else",
    }
}

#[test]
fn sealed_texts_open_in_their_place_only() {
    let ours = key(1);
    let good = ours.seal("/power/a", b"hunter2").unwrap();
    let cipher = good.rsplit_once('.').unwrap().1.to_owned();
    let bytes = STANDARD.decode(&cipher).unwrap();
    let with = |bytes: &[u8]| format!("v1.{}.{}", ours.id, STANDARD.encode(bytes));
    let rows = [
        ("as it was", "/power/a", good.clone(), "opens"),
        ("moved to another place", "/power/b", good.clone(), "broken"),
        ("no place", "", good.clone(), "broken"),
        ("another version", "/power/a", good.replacen("v1", "v2", 1), "form"),
        ("sealed under another key", "/power/a", key(2).seal("/power/a", b"x").unwrap(), "other key"),
        ("id of another key", "/power/a", format!("v1.{}.{cipher}", key(2).id), "other key"),
        (
            "id of ours on another's",
            "/power/a",
            {
                let other = key(2).seal("/power/a", b"x").unwrap();
                format!("v1.{}.{}", ours.id, other.rsplit_once('.').unwrap().1)
            },
            "broken",
        ),
        ("not base64", "/power/a", format!("v1.{}.###", ours.id), "form"),
        ("no id", "/power/a", format!("v1.{cipher}"), "form"),
        ("id that is none", "/power/a", format!("v1.zzzzzzzz.{cipher}"), "form"),
        ("shorter than a nonce", "/power/a", with(&bytes[..11]), "form"),
        ("nonce and nothing", "/power/a", with(&bytes[..12]), "broken"),
        ("cut in the tag", "/power/a", with(&bytes[..bytes.len() - 1]), "broken"),
        ("longer", "/power/a", with(&[bytes.as_slice(), b"x"].concat()), "broken"),
        ("huge", "/power/a", format!("v1.{}.{}", ours.id, "A".repeat(1 << 20)), "form"),
        ("a plain password", "/power/a", "hunter2".to_owned(), "form"),
        ("empty", "/power/a", String::new(), "form"),
    ];
    for (name, context, text, want) in rows {
        let got = ours.open(context, &text);
        assert_eq!(kind(&got), want, "{name}");
        if let Err(e) = got {
            assert!(e.to_string().contains(context) && !e.to_string().contains("hunter2"), "{name}: {e}");
        }
    }
    assert!(matches!(ours.seal("x", &vec![0; LARGEST + 1]), Err(SealError::TooLarge(_))));
    let largest = ours.seal("x", &vec![7; LARGEST]).unwrap();
    assert_eq!(ours.open("x", &largest).unwrap(), vec![7; LARGEST], "the largest comes back");
}

#[test]
fn the_key_is_made_once_for_root_alone_and_handed_over() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(SealKey::load(first.path()).unwrap().is_none());
    let made = SealKey::ensure(first.path()).unwrap();
    let path = first.path().join("seal.key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(SealKey::ensure(first.path()).unwrap().bytes, made.bytes, "made once");
    assert_ne!(SealKey::ensure(second.path()).unwrap().bytes, made.bytes, "random");
    SealKey::parse(made.to_secret().expose()).unwrap().store(second.path()).unwrap();
    let handed = SealKey::load(second.path()).unwrap().unwrap();
    assert_eq!(handed.open("k", &made.seal("k", b"x").unwrap()).unwrap(), b"x");
    for (name, text) in
        [("empty", ""), ("short", "AAAA"), ("not base64", "!"), ("long", &*"A".repeat(100)), ("key", "key")]
    {
        fs::write(&path, text).unwrap();
        let error = SealKey::ensure(first.path()).unwrap_err().to_string();
        assert!(error.contains("seal.key") && !error.contains(made.to_secret().expose()), "{name}: {error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name}: a damaged key is not replaced");
    }
}

#[test]
fn debug_output_shows_no_key() {
    let text = format!("{:?}", key(7));
    assert_eq!(text, format!("SealKey({})", key(7).id), "its id alone, a digest");
}

proptest! {
    #[test]
    fn whatever_is_sealed_comes_back_and_no_two_texts_are_alike(context in ".{0,40}", plain in proptest::collection::vec(any::<u8>(), 0..300)) {
        let one = key(3).seal(&context, &plain).unwrap();
        let two = key(3).seal(&context, &plain).unwrap();
        prop_assert_ne!(&one, &two);
        prop_assert_eq!(key(3).open(&context, &one).unwrap(), plain);
    }

    #[test]
    fn one_changed_bit_anywhere_is_noticed(plain in proptest::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let sealed = key(3).seal("k", &plain).unwrap();
        let mut bytes = STANDARD.decode(sealed.rsplit_once('.').unwrap().1).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let changed = format!("v1.{}.{}", key(3).id, STANDARD.encode(bytes));
        prop_assert_eq!(kind(&key(3).open("k", &changed)), "broken");
    }

    #[test]
    fn no_text_makes_opening_panic(context in ".{0,20}", text in ".{0,200}") {
        prop_assert!(key(3).open(&context, &text).is_err());
        let prefixed = format!("v1.{}.{text}", key(3).id);
        prop_assert!(key(3).open(&context, &prefixed).is_err());
    }
}
