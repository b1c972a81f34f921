//! What the person wants: the answer file as it is written ([`wire`]), where its keys are ([`locate`]), and the checked
//! form that a plan is made from ([`Answers`]); and where it comes from ([`source`]). A wrong file is refused with every problem's line, key and remedy.

pub mod check;
pub mod drives;
pub mod locate;
pub mod report;
pub mod schema;
pub mod size;
pub mod source;
pub mod wire;

use std::collections::BTreeSet;
use std::fmt;

use maekin_rootfs::node::{ClusterIntent, Network, Provision, Time};

use crate::facts::size_text;
pub use wire::{After, Transport};

/// Answers that contradict neither themselves nor the rules of the node file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Host name; empty with `keep_identity`.
    pub hostname: String,
    /// The node becomes who the machine was.
    pub keep_identity: bool,
    /// Password of user `admin`.
    pub password: Option<Password>,
    /// Keys that may log in by ssh.
    pub ssh_keys: Vec<String>,
    /// Which drives.
    pub mirror: Mirror,
    /// Tokens of contents that may be destroyed.
    pub consent: BTreeSet<String>,
    /// Interfaces and addresses.
    pub network: Network,
    /// Time servers.
    pub time: Time,
    /// New cluster, or which one to join.
    pub cluster: ClusterIntent,
    /// Installing further machines.
    pub provision: Option<Provision>,
    /// What to do at the end.
    pub after: After,
}

/// A password as it was given.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// In clear; it is hashed before anything is written.
    Plain(String),
    /// As an Argon2id hash, PHC string format.
    Hash(String),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Which drives become the boot mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// Those that leave no doubt.
    Auto,
    /// One or two, by name or by rules.
    Named(Vec<Selector>),
}

/// One drive by a name that the person knows, or drives by rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `serial:`: its serial number.
    Serial(String),
    /// `wwn:`: its world-wide name.
    Wwn(String),
    /// `path:`: its node or a link to it under `/dev`.
    Path(String),
    /// By what they are like.
    Rules(Box<Rules>),
}

/// What drives must be like: all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Model, with `*` for any characters.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World-wide name.
    pub wwn: Option<String>,
    /// Node or link.
    pub path: Option<String>,
    /// Transport.
    pub transport: Option<Transport>,
    /// Least size in bytes.
    pub min: Option<u64>,
    /// Greatest size in bytes.
    pub max: Option<u64>,
    /// How many drives must fit.
    pub count: usize,
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: &Option<u64>| bytes.map(size_text);
        let rules = [
            ("model", self.model.clone()),
            ("serial", self.serial.clone()),
            ("wwn", self.wwn.clone()),
            ("path", self.path.clone()),
            ("transport", self.transport.map(|t| t.to_string())),
            ("min", size(&self.min)),
            ("max", size(&self.max)),
        ];
        let rules = rules.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
        f.write_str(&rules.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(s) => write!(f, "serial:{s}"),
            Self::Wwn(s) => write!(f, "wwn:{s}"),
            Self::Path(s) => write!(f, "path:{s}"),
            Self::Rules(rules) => write!(f, "{rules}"),
        }
    }
}

/// One thing wrong with an answer file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1, where there is one.
    pub line: Option<usize>,
    /// Key, e.g. `disks.mirror`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Problem {
    /// What may stand at its key, from the schema; empty for the file as a whole.
    #[must_use]
    pub fn allowed(&self) -> String {
        schema::allowed(&self.key)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if self.key.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.key, self.reason)
        }
    }
}

/// Everything wrong with an answer file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer file cannot be used:\n{}", .0.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// Largest answer file that is read, in bytes.
pub const LIMIT: u64 = 256 << 10;

/// What stands in for wrong values that a file cannot do without, so that the rest can be read.
const STAND_INS: [(&str, &str); 3] =
    [("version", "1"), ("node.hostname", "\"node\""), ("cluster.mode", "\"join\"")];
/// Most problems that are looked for: a file with more is no answer file.
const MOST: usize = 50;

/// Parses and checks an answer file.
///
/// # Errors
/// [`Problems`]: all of them, in order of lines.
pub fn parse(text: &str) -> Result<Answers, Problems> {
    let (file, mut problems) = read(text);
    let wrong: Vec<String> = problems.iter().map(|p| p.key.clone()).collect();
    let checked = file.map(Answers::try_from);
    if let Some(Err(more)) = &checked {
        // What follows only from an entry that was left out is no problem of its own.
        let follows = |p: &&Problem| {
            let by_mode = p.key.starts_with("cluster.") && wrong.iter().any(|key| key == "cluster.mode");
            by_mode || wrong.iter().any(|key| *key == p.key || key.starts_with(&format!("{}.", p.key)))
        };
        problems.extend(more.0.iter().filter(|p| !follows(p)).cloned().map(|mut problem| {
            problem.line = locate::line_of(text, &problem.key);
            problem
        }));
    }
    match checked {
        Some(Ok(answers)) if problems.is_empty() => Ok(answers),
        _ => {
            problems.sort_by_key(|p| p.line.unwrap_or(usize::MAX));
            Err(Problems(problems))
        }
    }
}

/// The file as far as it has the right form, and what has not. The reader gives up at the first wrong entry: that one is
/// left out, and the rest is read again.
fn read(text: &str) -> (Option<wire::AnswerFile>, Vec<Problem>) {
    let mut problems: Vec<Problem> = Vec::new();
    let mut rest = text.to_owned();
    loop {
        let error = match toml::from_str(&rest) {
            Ok(file) => return (Some(file), problems),
            Err(error) => error,
        };
        let problem = locate::explain(&rest, &error);
        if let Some(name) = problem.reason.strip_prefix("missing field `") {
            let key = format!("{}.{}", problem.key, name.trim_end_matches('`'));
            if !problems.iter().any(|p| p.key == key.trim_start_matches('.')) {
                problems.push(problem); // else it is missing because it was left out
            }
            return (None, problems);
        }
        let stand_in = STAND_INS.iter().find(|(key, _)| *key == problem.key).map(|(_, value)| *value);
        problems.push(problem);
        match locate::without(&rest, &error, stand_in) {
            Some(shorter) if problems.len() < MOST => rest = shorter,
            _ => return (None, problems),
        }
    }
}

#[cfg(test)]
mod tests;
