//! The HTTP server: boot scripts, the release, and the installer's questions to the approver.

pub mod file;
mod grub;
pub mod machine;
mod metrics;
pub mod outgoing;
pub mod range;
pub mod routes;
pub mod serve;
pub mod stall;
pub mod who;
