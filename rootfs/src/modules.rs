//! Which kernel modules go into an image: rules by directory and name, closed over what they depend on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// Rules that choose modules. An entry is a directory or a module's path without suffix, below `kernel/`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Taken; all, where there is no such list.
    pub include: Option<Vec<String>>,
    /// Not taken, unless a module that is taken depends on it.
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// A rule names a module or directory that this kernel does not have, as module or built in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel has no module or directory {}; take it out of the rules in packages.toml", .0.join(", "))]
pub struct Unknown(pub Vec<String>);

/// Parses `modules.dep`: path of each module to the paths that it depends on (all of them, not only the next).
#[must_use]
pub fn parse_dep(text: &str) -> BTreeMap<String, Vec<String>> {
    let split = |line: &str| {
        let (path, deps) = line.split_once(':')?;
        Some((path.to_owned(), deps.split_whitespace().map(str::to_owned).collect()))
    };
    text.lines().filter_map(split).collect()
}

/// The modules that `rules` choose from `dep`, with what they depend on. `builtin` is the kernel's list of what is
/// built in, so that a rule for something that may be either is not an error.
///
/// # Errors
/// [`Unknown`]: a name that does not exist is a driver that silently would be missing.
pub fn select(
    rules: &Rules,
    dep: &BTreeMap<String, Vec<String>>,
    builtin: &[String],
) -> Result<BTreeSet<String>, Unknown> {
    let named = rules.include.iter().flatten().chain(&rules.exclude);
    let exists = |rule: &str| dep.keys().chain(builtin).any(|path| rule_covers(rule, path));
    let unknown: Vec<String> = named.filter(|rule| !exists(rule)).cloned().collect();
    if !unknown.is_empty() {
        return Err(Unknown(unknown));
    }
    let taken = |path: &str| {
        let by = |rules: &[String]| rules.iter().any(|rule| rule_covers(rule, path));
        rules.include.as_deref().is_none_or(by) && !by(&rules.exclude)
    };
    let chosen = dep.iter().filter(|(path, _)| taken(path));
    Ok(chosen.flat_map(|(path, deps)| std::iter::once(path).chain(deps)).cloned().collect())
}

/// Whether a rule is for the module at `path`; `-` and `_` are the same in names of modules.
fn rule_covers(rule: &str, path: &str) -> bool {
    let path = path.strip_prefix("kernel/").unwrap_or(path);
    let stem = path.find(".ko").map_or(path, |at| &path[..at]);
    let plain = |s: &str| s.replace('-', "_");
    let (rule, stem) = (plain(rule), plain(stem));
    stem == rule || stem.strip_prefix(&rule).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dep() -> BTreeMap<String, Vec<String>> {
        parse_dep(
            "kernel/drivers/md/raid1.ko.xz: kernel/drivers/md/md-mod.ko.xz\n\
             kernel/drivers/md/md-mod.ko.xz:\n\
             kernel/drivers/net/wireless/core.ko.xz:\n\
             kernel/drivers/net/a/card.ko.xz: kernel/drivers/net/wireless/core.ko.xz\n\
             kernel/drivers/net/abc/other.ko.xz:\n",
        )
    }

    #[test]
    fn rules_choose_and_dependencies_follow() {
        let all = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        type Row<'a> = (&'a str, Option<&'a [&'a str]>, &'a [&'a str], &'a [&'a str]);
        let rows: [Row<'_>; 5] = [
            ("a module by name", Some(&["drivers/md/raid1"]), &[], &["md-mod", "raid1"]),
            ("underscore for hyphen", Some(&["drivers/md/md_mod"]), &[], &["md-mod"]),
            ("a directory, not its namesake", Some(&["drivers/net/a"]), &[], &["card", "core"]),
            (
                "excluded, but needed",
                None,
                &["drivers/net/wireless", "drivers/md"],
                &["card", "core", "other"],
            ),
            ("built in is fine and adds nothing", Some(&["fs/built", "drivers/net/abc"]), &[], &["other"]),
        ];
        for (name, include, exclude, wanted) in rows {
            let rules = Rules { include: include.map(all), exclude: all(exclude) };
            let got = select(&rules, &dep(), &["kernel/fs/built.ko".to_owned()]).unwrap();
            let mut got: Vec<_> =
                got.iter().filter_map(|p| p.rsplit('/').next()?.strip_suffix(".ko.xz")).collect();
            got.sort_unstable();
            assert_eq!(got, wanted, "{name}");
        }
    }

    #[test]
    fn a_rule_for_nothing_is_an_error() {
        let rules = Rules { include: None, exclude: vec!["drivers/md".to_owned(), "drivers/mdd".to_owned()] };
        assert_eq!(select(&rules, &dep(), &[]), Err(Unknown(vec!["drivers/mdd".to_owned()])));
    }
}
