//! Licences of all dependencies against a list.

use anyhow::{Context, bail};
use maekin_host::cmd::Cmd;
use serde::Deserialize;
use std::time::Duration;

use crate::workspace;

/// SPDX identifiers that may be linked into what is shipped under Apache-2.0.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

/// Checks every crate that Cargo.lock can bring in on this platform.
///
/// # Errors
/// Lists those whose licence is not allowed.
pub(crate) fn check() -> anyhow::Result<()> {
    let cargo = Cmd::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let metadata: Metadata = cargo
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .dir(workspace())
        .limit(Duration::from_secs(600))
        .json()
        .context("cannot list the dependencies")?;
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let verdict = match &package.license {
            None => Err("it names no licence".to_owned()),
            Some(text) => allowed(text),
        };
        if let Err(reason) = verdict {
            faults.push(format!("{} {}: {reason}", package.name, package.version));
        }
    }
    if !faults.is_empty() {
        bail!("licences to look at (the list is in xtask/src/licences.rs):\n{}", faults.join("\n"));
    }
    println!("{} crates, all under allowed licences", metadata.packages.len());
    Ok(())
}

/// Whether an SPDX expression (SPDX 2.3, annex D; Cargo's older `/` means OR) can be satisfied by [`ALLOWED`].
fn allowed(text: &str) -> Result<(), String> {
    let spaced = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words };
    match parser.any_of() {
        Some(true) if parser.words.is_empty() => Ok(()),
        Some(false) if parser.words.is_empty() => Err(format!("{text} is not on the list")),
        _ => Err(format!("{text:?} is not a licence expression")),
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn any_of(&mut self) -> Option<bool> {
        let mut good = self.all_of()?;
        while self.take("OR") {
            good |= self.all_of()?;
        }
        Some(good)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut good = self.one()?;
        while self.take("AND") {
            good &= self.one()?;
        }
        Some(good)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let good = self.any_of()?;
            return self.take(")").then_some(good);
        }
        let id = self.next().filter(|id| !matches!(*id, "OR" | "AND" | "WITH" | ")"))?;
        if self.take("WITH") {
            let exception = self.next()?;
            return Some(ALLOWED.contains(&format!("{id} WITH {exception}").as_str()));
        }
        Some(ALLOWED.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let rows = [
            ("one", "MIT", true),
            ("either", "GPL-3.0 OR MIT", true),
            ("both", "GPL-3.0 AND MIT", false),
            ("old style", "MIT/Apache-2.0", true),
            ("exception", "Apache-2.0 WITH LLVM-exception", true),
            ("unknown exception", "Apache-2.0 WITH Nothing", false),
            ("and binds closer", "MIT OR GPL-3.0 AND GPL-2.0", true),
            ("parentheses", "(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("copyleft alone", "LGPL-2.1-or-later", false),
            ("empty", "", false),
            ("unbalanced", "(MIT", false),
            ("dangling", "MIT OR", false),
            ("two without a word between", "MIT ISC", false),
        ];
        for (name, text, want) in rows {
            assert_eq!(allowed(text).is_ok(), want, "{name}: {:?}", allowed(text));
        }
    }
}
