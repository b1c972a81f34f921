//! The HTTP server: boot scripts, the release, and the installer's questions to the approver.

pub mod file;
pub mod range;
pub mod routes;
pub mod serve;
pub mod stall;
