//! The page of figures, of which every measurement writes its own sections and leaves the others as they are.

use std::path::PathBuf;

use maekin_host::file;

use crate::workspace;

/// Puts the sections of `new` into `docs/performance.md`.
pub(super) fn write(new: &str) -> anyhow::Result<PathBuf> {
    let path = workspace().join("docs/performance.md");
    let old = if path.exists() { file::read_text(&path, 1 << 20)? } else { String::new() };
    file::write_atomic(&path, merge(&old, new).as_bytes(), 0o644)?;
    println!("written to {}", path.display());
    Ok(path)
}

/// `old` with the sections of `new` in place of those of the same heading, and those it has not at its end. What stands
/// before the first heading is `new`'s where it has something there.
fn merge(old: &str, new: &str) -> String {
    let (mut pages, fresh) = (sections(old), sections(new));
    for section in fresh {
        let heading = section.lines().next().unwrap_or_default().to_owned();
        let is_preamble = !section.starts_with("## ");
        let same = |other: &&mut String| match is_preamble {
            true => !other.starts_with("## "),
            false => other.lines().next() == Some(&heading),
        };
        match pages.iter_mut().find(same) {
            Some(other) => *other = section,
            None if is_preamble => pages.insert(0, section),
            None => pages.push(section),
        }
    }
    let mut text: Vec<&str> = pages.iter().map(|page| page.trim_end()).collect();
    text.retain(|page| !page.is_empty());
    text.join("\n\n") + "\n"
}

/// The text before the first heading of the second order, if any, and each such heading with what follows it.
fn sections(text: &str) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for line in text.lines() {
        match sections.last_mut() {
            Some(section) if !line.starts_with("## ") => {
                section.push('\n');
                section.push_str(line);
            }
            _ => sections.push(line.to_owned()),
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_replaced_by_heading() {
        let old = "# Page\n\nold words\n\n## A\n\n1\n\n## B\n\n2\n";
        let rows = [
            ("one in the middle", "## A\n\n9\n", "# Page\n\nold words\n\n## A\n\n9\n\n## B\n\n2\n"),
            ("a new one", "## C\n\n3\n", "# Page\n\nold words\n\n## A\n\n1\n\n## B\n\n2\n\n## C\n\n3\n"),
            (
                "with the page's head",
                "# Page\n\nnew\n\n## B\n\n8\n",
                "# Page\n\nnew\n\n## A\n\n1\n\n## B\n\n8\n",
            ),
            ("nothing", "", old),
        ];
        for (name, new, wanted) in rows {
            assert_eq!(merge(old, new), wanted, "{name}");
        }
        assert_eq!(merge("", "## A\n\n1\n"), "## A\n\n1\n");
    }
}
