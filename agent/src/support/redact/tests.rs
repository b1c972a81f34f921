use super::*;
use proptest::prelude::*;

#[test]
fn console_support_values_of_secret_names_are_removed() {
    let rows = [
        ("plain", "password=hunter22 and more", "password=[removed] and more"),
        ("colon", "Password: hunter22", "Password: [removed]"),
        ("name around it", "admin_password_hash = x1", "admin_password_hash = [removed]"),
        ("JSON", r#"{"secret":"a\"b","x":1}"#, r#"{"secret":"[removed]","x":1}"#),
        ("JSON, empty", r#"{"secret":"","x":1}"#, r#"{"secret":"","x":1}"#),
        ("JSON in JSON", r#""{\"token\":\"abc\",\"x\":1}""#, r#""{\"token\":\"[removed]\",\"x\":1}""#),
        ("blanks", "token   =   'a b c' rest", "token   =   '[removed]' rest"),
        ("option", "curl --token abc --url u", "curl --token [removed] --url u"),
        ("option with =", "curl --token=abc", "curl --token=[removed]"),
        ("of Rust", "secret: Some(\"abc\"), x", "secret: [removed]"),
        ("no end", "password=\"abc def", "password=\"[removed]"),
        ("header", "Authorization: Basic YWRtaW46eA==", "Authorization: [removed]"),
        ("scheme", "sent Bearer abcdef123 to", "sent Bearer [removed] to"),
        ("address", "https://admin:pw@10.0.0.1/v1", "https://[removed]@10.0.0.1/v1"),
        ("address without", "https://10.0.0.1:8443/v1", "https://10.0.0.1:8443/v1"),
        ("hash", "got $argon2id$v=19$m=1$abc$def.", "got [removed]"),
        ("crypt", "root:$6$abc$def:1:", "root:[removed]"),
        (
            "a word alone",
            "the password of user admin is another one",
            "the password of user admin is another one",
        ),
        ("two", "token=a secret=b c", "token=[removed] secret=[removed] c"),
        ("not ASCII", "passwörter password=ä", "passwörter password=[removed]"),
        ("nothing", "node-1 is ready", "node-1 is ready"),
    ];
    for (name, text, want) in rows {
        assert_eq!(redact(text, &[]), want, "{name}");
    }
}

#[test]
fn console_support_private_keys_are_removed_and_certificates_stay() {
    // The lint of the repository looks for what a key begins with.
    let title = "PRIVATE KEY";
    let key = format!("-----BEGIN {title}-----\nMIGHAg\nabc\n-----END {title}-----\n");
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert_eq!(redact(&format!("a\n{key}b\n{certificate}"), &[]), format!("a\n[removed]\nb\n{certificate}"));
    let line = format!(r"x -----BEGIN EC {title}-----\nMI\n-----END EC {title}----- y");
    assert_eq!(redact(&line, &[]), "x [removed] y");
    let endless = format!("-----BEGIN {title}-----\n{}", "line\n".repeat(300));
    assert_eq!(redact(&endless, &[]).lines().count(), 101);
    assert_eq!(redact("-----BEGIN", &[]), "-----BEGIN");
}

#[test]
fn console_support_known_secrets_are_removed_wherever_they_are() {
    let secrets = ["0123456789abcdef".to_owned(), "0123456789".to_owned()];
    assert_eq!(redact("x0123456789abcdefy 0123456789 z", &secrets), "x[removed]y [removed] z");
}

proptest! {
    #[test]
    fn console_support_no_text_makes_it_panic(text in "(?s).{0,300}") {
        redact(&text, &["abcdefgh".to_owned()]);
    }

    #[test]
    fn console_support_nor_do_pieces_of_what_it_looks_for(parts in proptest::collection::vec(
        proptest::sample::select(vec![
            "password", "token", "=", ":", " ", "\"", "\\", "'", "--", "-----BEGIN", "-----END", "\n",
            concat!("PRIVATE KEY", "-----"),
            "$6$", "bearer ", "://", "@", "/", "ä", "Some(", "[", "x",
        ]), 0..40,
    )) {
        redact(&parts.concat(), &[]);
    }

    #[test]
    fn console_support_a_password_never_comes_through(
        name in "[a-z_]{0,6}(password|secret|token)[a-z_]{0,6}", sign in " ?[=:] ?\"?", value in "[A-Z0-9]{12,20}",
    ) {
        let text = redact(&format!("before {name}{sign}{value}\" after"), &[]);
        prop_assert!(!text.contains(&value), "{text}");
    }
}
