//! placeholder
pub mod boot;
