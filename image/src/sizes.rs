//! How large each artifact may be: `budget.toml`, checked after every build and by a test.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The budget, in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Largest ISO.
    pub iso: u64,
    /// Most that kernel and initrd may have together.
    pub kernel_and_initrd: u64,
    /// Largest root image, with its hash tree: it must fit its slot with room to grow.
    pub root: u64,
    /// Most that the boot loaders may have together: they lie on the ESP with two kernels and initrds.
    pub boot: u64,
}

/// One budget and what was used of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is for.
    pub what: &'static str,
    /// Bytes used.
    pub used: u64,
    /// Bytes allowed.
    pub allowed: u64,
}

impl Line {
    /// Whether more was used than allowed.
    #[must_use]
    pub fn over(&self) -> bool {
        self.used > self.allowed
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let (used, allowed) = (mb(self.used), mb(self.allowed));
        let verdict = if self.over() { "  OVER BUDGET" } else { "" };
        write!(f, "{:<18} {used:>7.1} MB of {allowed:>7.1} MB{verdict}", self.what)
    }
}

impl Budget {
    /// Parses `budget.toml`.
    ///
    /// # Errors
    /// What is wrong with it, with line and key.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Holds the sizes of a release's files, by path, and of its ISO against the budget.
    #[must_use]
    pub fn check(&self, files: &BTreeMap<String, u64>, iso: u64) -> Vec<Line> {
        let size = |path: &str| files.get(path).copied().unwrap_or(0);
        let boot = files.iter().filter(|(path, _)| path.starts_with("boot/")).map(|(_, size)| size).sum();
        let line = |what, used, allowed| Line { what, used, allowed };
        vec![
            line("ISO", iso, self.iso),
            line("kernel and initrd", size("vmlinuz") + size("initrd"), self.kernel_and_initrd),
            line("root", size("root"), self.root),
            line("boot loaders", boot, self.boot),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_held_against_the_shipped_budget() {
        let budget = Budget::parse(include_str!("../budget.toml")).unwrap();
        let files = |initrd| {
            BTreeMap::from([
                ("vmlinuz".to_owned(), 12_000_000),
                ("initrd".to_owned(), initrd),
                ("boot/a".to_owned(), 5),
            ])
        };
        assert!(budget.check(&files(60_000_000), 400_000_000).iter().all(|line| !line.over()));
        let lines = budget.check(&files(80_000_000), 500_000_000);
        let over: Vec<_> = lines.iter().filter(|line| line.over()).map(|line| line.what).collect();
        assert_eq!(over, ["ISO", "kernel and initrd"]);
        assert!(lines[0].to_string().contains("OVER BUDGET"));
    }

    #[test]
    fn the_root_budget_fits_its_slot() {
        let budget = Budget::parse(include_str!("../budget.toml")).unwrap();
        assert!(budget.root <= crate::layout::SYSTEM_SIZE);
        assert!(2 * (budget.kernel_and_initrd + budget.boot) <= crate::layout::ESP_SIZE);
    }
}
