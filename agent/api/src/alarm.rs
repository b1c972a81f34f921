//! What is wrong with a node, in words for a person.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that a person should know of, for as long as it is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alarm {
    /// Stable name of what is wrong, e.g. `boot-drive-1-missing`; one alarm of a name at a time.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// When it was first seen, by the node's clock.
    pub since: u64,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// How bad an [`Alarm`] is. The worse, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing is lost yet, and the next fault could be worse than it should.
    Warning,
    /// One fault more, and the node is lost.
    Critical,
}
