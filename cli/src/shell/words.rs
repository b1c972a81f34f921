//! A line as words: blanks part them, quotes and backslashes keep them together. No variables, no wildcards. Pure.

/// The words of a line.
///
/// # Errors
/// A quote is not closed, or a backslash is the end.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        None => return Err(format!("a quote {c} is not closed")),
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => word.extend(letters.next()),
                        Some(inner) => word.push(inner),
                    }
                }
            }
            '\\' => match letters.next() {
                None => return Err("a backslash is the end of the line".to_owned()),
                Some(next) => word.get_or_insert_default().push(next),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cli_lines_are_split_as_in_a_shell() {
        let rows: [(&str, Result<&[&str], &str>); 8] = [
            ("  get   nodes ", Ok(&["get", "nodes"])),
            ("a 'b c' \"d \\\" e\"", Ok(&["a", "b c", "d \" e"])),
            ("x=\"a b\"'c'", Ok(&["x=a bc"])),
            ("''", Ok(&[""])),
            ("a\\ b", Ok(&["a b"])),
            ("", Ok(&[])),
            ("'a", Err("quote")),
            ("a\\", Err("backslash")),
        ];
        for (line, want) in rows {
            match (split(line), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{line}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{line}: {got}"),
                (got, _) => panic!("{line}: {got:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn cli_any_line_is_split_or_refused(line in any::<String>()) {
            let _ = split(&line);
        }
    }
}
