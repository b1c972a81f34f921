//! What a word may be completed to: verbs and flags out of the command line's own description, resources and fields out of
//! the table, names from the cluster where it answers quickly. One completer serves the interactive shell and, through
//! the hidden verb `complete`, bash, zsh and fish; `clap_complete` would know the first half only.

use clap::{CommandFactory, ValueEnum};

use crate::args::Args;
use crate::resource::{Kind, Resource, rows};

/// A shell that has a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Script {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

impl Script {
    /// What the shell has to read, e.g. by `source <(maekin completion bash)`.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Bash => BASH,
            Self::Zsh => ZSH,
            Self::Fish => FISH,
        }
    }
}

// Hardware addresses have colons, at which bash breaks words: the words are joined again, and what stands before the last
// colon is taken off what is offered.
const BASH: &str = r#"# bash completion of maekin
_maekin() {
    local line="${COMP_LINE:0:COMP_POINT}" word prefix
    read -r -a words <<<"$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    word="${words[${#words[@]}-1]}"
    mapfile -t COMPREPLY < <(maekin complete -- "${words[@]:1}" 2>/dev/null)
    if [[ "$word" == *[:=]* ]]; then
        prefix="${word%"${word##*[:=]}"}"
        COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    fi
    [[ "${#COMPREPLY[@]}" == 1 && "${COMPREPLY[0]}" == *= ]] && compopt -o nospace
}
complete -F _maekin maekin
"#;

const ZSH: &str = r#"#compdef maekin
# zsh completion of maekin
_maekin() {
    local -a found
    found=("${(@f)$(maekin complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    [[ -n "${found[1]}" ]] && compadd -Q -- "${found[@]}"
}
compdef _maekin maekin
"#;

const FISH: &str = r#"# fish completion of maekin
function __maekin_complete
    set -l words (commandline -opc)
    maekin complete -- $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c maekin -f -a '(__maekin_complete)'
"#;

/// Verbs whose first word is a resource that fits.
fn takes(verb: &str) -> Option<fn(&Resource) -> bool> {
    match verb {
        "get" | "describe" | "watch" => Some(|_| true),
        "create" => Some(|r| r.create.is_some()),
        "apply" => Some(|r| r.apply.is_some()),
        "delete" | "rm" => Some(|r| r.delete.is_some()),
        _ => None,
    }
}

/// What the last of `words` may become. `names` gives the names of things, and may give none.
pub(crate) fn complete(words: &[String], names: &dyn Fn(&'static Resource) -> Vec<String>) -> Vec<String> {
    let Some((part, before)) = words.split_last() else { return Vec::new() };
    let mut found = candidates(before, part, names);
    found.retain(|candidate| {
        candidate.starts_with(part.as_str()) && !candidate.chars().any(crate::show::clean::acts)
    });
    found.sort();
    found.dedup();
    found
}

fn candidates(
    before: &[String],
    part: &str,
    names: &dyn Fn(&'static Resource) -> Vec<String>,
) -> Vec<String> {
    let mut command = Args::command();
    command.build();
    let mut path = Vec::new();
    let mut plain = Vec::new();
    let mut waits: Option<clap::Arg> = None;
    for word in before {
        let here = path
            .iter()
            .try_fold(&command, |command, name: &String| command.find_subcommand(name))
            .unwrap_or(&command);
        if waits.take().is_some() {
            continue;
        }
        if word.starts_with('-') {
            waits = flag(here, word).filter(|arg| arg.get_action().takes_values() && !word.contains('='));
        } else if plain.is_empty() && here.find_subcommand(word).is_some() {
            path.push(word.clone());
        } else {
            plain.push(word.clone());
        }
    }
    let here = path
        .iter()
        .try_fold(&command, |command, name: &String| command.find_subcommand(name))
        .unwrap_or(&command);
    if let Some(arg) = waits {
        return values(&arg);
    }
    if part.starts_with('-') {
        let long =
            |arg: &clap::Arg| arg.get_long().filter(|_| !arg.is_hide_set()).map(|name| format!("--{name}"));
        return here.get_arguments().filter_map(long).collect();
    }
    let mut found: Vec<String> = Vec::new();
    if plain.is_empty() {
        let shown = here.get_subcommands().filter(|sub| !sub.is_hide_set());
        found.extend(shown.map(|sub| sub.get_name().to_owned()));
    }
    let verb = path.first().map(String::as_str).unwrap_or_default();
    if let Some(fits) = takes(verb) {
        return found.into_iter().chain(things(verb, fits, &plain, names)).collect();
    }
    let of: &[&str] = match (verb, plain.len()) {
        ("approve" | "deny", _) => &["machines"],
        ("power", 1..) => &["power", "machines"],
        ("reinstall" | "drain", _) => &["nodes"],
        ("maintenance", _) if path.len() > 1 => &["nodes"],
        ("task", _) if path.last().is_some_and(|verb| verb != "run") && path.len() > 1 => &["tasks"],
        ("network", _) if path.len() > 1 => &["nodes"],
        ("drive", _) if path.len() > 1 => &["drives"],
        ("pair", _) if path.get(1).is_some_and(|verb| verb == "begin") => &["discovered"],
        ("pair", _) if path.len() > 1 => &["pairings"],
        _ => &[],
    };
    let resources = rows().filter(|r| of.contains(&r.name));
    found.extend(resources.flat_map(names));
    if of.is_empty() {
        let arg = here.get_positionals().nth(plain.len());
        found.extend(arg.into_iter().flat_map(values));
    }
    found
}

/// Resources, then names or fields of the one that was named.
fn things(
    verb: &str,
    fits: fn(&Resource) -> bool,
    plain: &[String],
    names: &dyn Fn(&'static Resource) -> Vec<String>,
) -> Vec<String> {
    let Some(word) = plain.first() else {
        return rows().filter(|r| fits(r)).map(|r| r.name.to_owned()).collect();
    };
    let Ok(resource) = Resource::find(word) else { return Vec::new() };
    match (&resource.create, verb) {
        (Some(create), "create") => {
            let field = |field: &crate::resource::Field| match field.kind {
                Kind::Word(words) => words.iter().map(|word| format!("{}={word}", field.name)).collect(),
                Kind::Secret => Vec::new(),
                _ => vec![format!("{}=", field.name)],
            };
            create.fields.iter().flat_map(field).collect()
        }
        _ if resource.list.is_none() => Vec::new(),
        _ => names(resource).into_iter().filter(|name| !plain[1..].contains(name)).collect(),
    }
}

fn flag(command: &clap::Command, word: &str) -> Option<clap::Arg> {
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    let is = |arg: &&clap::Arg| {
        if word.starts_with("--") {
            arg.get_long() == Some(name)
        } else {
            arg.get_short().is_some_and(|short| name.chars().eq([short]))
        }
    };
    command.get_arguments().find(is).cloned()
}

fn values(arg: &clap::Arg) -> Vec<String> {
    arg.get_possible_values()
        .iter()
        .filter(|v| !v.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_words_are_completed_by_where_they_stand() {
        let rows: [(&[&str], &[&str], &[&str]); 25] = [
            (&["desc"], &["describe"], &[]),
            (&["get", "bo"], &["boot-drives", "boot-settings"], &[]),
            (&["delete", ""], &["installs", "users"], &["machines", "audit"]),
            (&["create", "us"], &["users"], &[]),
            (&["create", "user", "anna", "role="], &["role=admin", "role=operator", "role=viewer"], &[]),
            (&["create", "window", "mi"], &["minutes="], &[]),
            (&["get", "users", ""], &["users-1", "users-2"], &[]),
            (&["get", "users", "users-1", ""], &["users-2"], &["users-1"]),
            (&["get", "-o", "ja"], &[], &[]),
            (&["get", "-o", "j"], &["json"], &[]),
            (&["get", "--output", "y"], &["yaml"], &[]),
            (&["get", "--no-h"], &["--no-headers"], &[]),
            (&["-o", "json", "get", "prov"], &["provision"], &[]),
            (&["approve", "machines-"], &["machines-1", "machines-2"], &[]),
            (&["window", "o"], &["open"], &[]),
            (&["power", "on", "power-"], &["power-1", "power-2"], &[]),
            (&["drain", "nodes-"], &["nodes-1", "nodes-2"], &[]),
            (&["maintenance", "on", ""], &["nodes-1"], &["off"]),
            (&["task", "log", ""], &["tasks-1"], &["nodes-1"]),
            (&["task", ""], &["cancel", "log", "run", "wait"], &[]),
            (&["drive", "retire", "dr"], &["drives-1", "drives-2"], &[]),
            (&["drive", ""], &["locate", "retire", "take"], &["drives-1"]),
            (&["pair", "approve", ""], &["pairings-1"], &["begin"]),
            (&["pair", "begin", ""], &["discovered-1"], &["pairings-1"]),
            (&["power", ""], &["cycle", "netboot", "off", "on", "status"], &[]),
        ];
        let names = |resource: &'static Resource| {
            vec![format!("{}-1", resource.name), format!("{}-2", resource.name), "evil\u{1b}".to_owned()]
        };
        for (words, has, has_not) in rows {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let got = complete(&words, &names);
            assert!(has.iter().all(|want| got.iter().any(|g| g == want)), "{words:?}: {got:?}");
            assert!(!has_not.iter().any(|not| got.iter().any(|g| g == not)), "{words:?}: {got:?}");
            assert!(!got.iter().any(|g| g.contains('\u{1b}') || g == "complete"), "{words:?}: {got:?}");
            assert_eq!(has.is_empty(), got.is_empty(), "{words:?}: {got:?}");
        }
    }

    #[test]
    fn cli_scripts_ask_the_completer() {
        for script in Script::value_variants() {
            assert!(script.text().contains("maekin complete -- "), "{script:?}");
        }
    }
}
