//! placeholder
pub mod cidr;
pub mod node;
pub mod render;
pub mod validate;
