//! The installer: facts and answers become a plan or refusals, and a plan becomes a node. See the module table below.
pub mod answers;
pub mod apply;
pub mod facts;
pub mod plan;
pub mod source;
