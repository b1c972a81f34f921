//! Keys, passwords and tokens taken out of a text. Pure. Rather too much is taken out than too little: what stands
//! behind a word like `password` goes, whatever it is.

/// What stands in their place.
const REMOVED: &str = "[removed]";
/// Words that make the value of a name that has them a secret, in small letters.
const WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "authorization",
    "credential",
    "private_key",
    "privatekey",
    "private-key",
    "cookie",
    "psk",
    "seal",
    "ticket",
    "community",
];
/// Beginnings of password hashes (crypt(5), PHC strings).
const HASHES: &[&str] =
    &["$argon2", "$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$7$", "$y$", "$gy$", "$scrypt$", "$pbkdf2"];
/// HTTP authentication schemes (RFC 7617, RFC 6750): what stands behind them goes.
const SCHEMES: &[&str] = &["basic ", "bearer "];
/// Lines of a key that is skipped until its end; one without an end hides no more.
const KEY_LINES: usize = 200;

/// `text` without what opens a door, and without any of `secrets`.
pub(super) fn redact(text: &str, secrets: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = 0;
    for line in text.split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
        if inside > 0 {
            inside = if body.contains("-----END") { 0 } else { inside - 1 };
            continue;
        }
        let body = match private_key(body) {
            (body, true) => {
                inside = KEY_LINES;
                body
            }
            (body, false) => body,
        };
        let mut body = line_of(&body);
        for secret in secrets {
            if body.contains(secret.as_str()) {
                body = body.replace(secret.as_str(), REMOVED);
            }
        }
        out.push_str(&body);
        out.push_str(end);
    }
    out
}

/// The line without the private keys in it, and whether one goes on below it.
fn private_key(line: &str) -> (String, bool) {
    let mut left = line;
    let mut out = String::new();
    while let Some(at) = left.find("-----BEGIN") {
        let (before, key) = left.split_at(at);
        out.push_str(before);
        let title = &key[..key["-----BEGIN".len()..].find("-----").map_or(key.len(), |n| n + 15)];
        if !title.contains("PRIVATE") {
            out.push_str(title);
            left = &key[title.len()..];
            continue;
        }
        out.push_str(REMOVED);
        let Some(end) = key.find("-----END") else { return (out, true) };
        let behind = &key[end + "-----END".len()..];
        left = behind.find("-----").map_or("", |n| &behind[n + 5..]);
    }
    out.push_str(left);
    (out, false)
}

/// One line without values behind secret names, hashes, and what authenticates.
fn line_of(line: &str) -> String {
    let small = line.to_ascii_lowercase(); // the same length, byte by byte
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    for word in WORDS {
        cuts.extend(small.match_indices(word).filter_map(|(at, _)| value(&small, at + word.len())));
    }
    for hash in HASHES {
        cuts.extend(small.match_indices(hash).map(|(at, _)| (at, word_end(line, at))));
    }
    for scheme in SCHEMES {
        let behind = small.match_indices(scheme).map(|(at, _)| at + scheme.len());
        cuts.extend(behind.map(|at| (at, word_end(line, at))).filter(|(from, to)| to - from >= 6));
    }
    // `scheme://user:password@host`
    cuts.extend(small.match_indices("://").filter_map(|(at, _)| {
        let from = at + 3;
        let rest = &line[from..word_end(line, from)];
        let rest = &rest[..rest.find('/').unwrap_or(rest.len())];
        rest.rfind('@').filter(|n| rest[..*n].contains(':')).map(|n| (from, from + n))
    }));
    apply(line, cuts)
}

fn apply(line: &str, mut cuts: Vec<(usize, usize)>) -> String {
    cuts.sort_unstable();
    let mut out = String::with_capacity(line.len());
    let mut at = 0;
    for (from, to) in cuts {
        if to <= at || from == to {
            continue;
        }
        if from > at {
            out.push_str(&line[at..from]);
        }
        if from >= at {
            out.push_str(REMOVED);
        }
        at = to;
    }
    out.push_str(&line[at..]);
    out
}

/// Where a word ends: at a blank, a quote, or what separates values.
fn word_end(line: &str, from: usize) -> usize {
    let stop = |c: char| c.is_whitespace() || "\"'`,;&)}]<>\\".contains(c);
    line[from..].find(stop).map_or(line.len(), |n| from + n)
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The value behind a name that goes on at `at`: `name = value`, `"name": "value"`, `--name value`.
fn value(line: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &line[at..];
    let name = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
    let mut from = at + name;
    // A quote that closes the name, also one that is itself quoted (JSON within JSON).
    from += line[from..].len() - line[from..].trim_start_matches(['\\', '"', '\'']).len();
    let blanks = line[from..].len() - line[from..].trim_start_matches([' ', '\t']).len();
    let start = line[..at].trim_end_matches(in_name).len();
    let option = line[start..at].starts_with("--");
    match line[from + blanks..].chars().next()? {
        ':' | '=' => from += blanks + 1,
        _ if option && blanks > 0 => from += blanks,
        _ => return None,
    }
    from += line[from..].len() - line[from..].trim_start_matches([' ', '\t', '=']).len();
    let quoted = line[from..].len() - line[from..].trim_start_matches('\\').len();
    match line[from + quoted..].chars().next()? {
        quote @ ('"' | '\'' | '`') => {
            let begin = from + quoted + 1;
            Some((begin, string_end(line, begin, quote, quoted > 0)))
        }
        // `Some("value")`, `Secret(value)`, and lists: all of the line.
        '(' | '[' | '{' | 's'
            if line[from..].starts_with(['(', '[', '{']) || line[from..].starts_with("some(") =>
        {
            Some((from, line.len()))
        }
        // `Authorization: Basic ...`
        _ if line[..at].ends_with("authorization") => Some((from, line.len())),
        _ => Some((from, word_end(line, from).max(from))),
    }
}

/// Where a quoted text ends; one without an end takes all of the line. Within `nested` quotes a backslash ends it too.
fn string_end(line: &str, from: usize, quote: char, nested: bool) -> usize {
    let mut escaped = false;
    for (n, c) in line[from..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if nested => return from + n,
            '\\' => escaped = true,
            c if c == quote => return from + n,
            _ => {}
        }
    }
    line.len()
}

#[cfg(test)]
mod tests;
