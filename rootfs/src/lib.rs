//! placeholder
pub mod boot_state;
pub mod cidr;
pub mod node;
pub mod render;
pub mod validate;
