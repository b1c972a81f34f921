//! stub
pub mod accel;
pub mod args;
pub mod disk;
pub mod firmware;
pub mod node;
pub mod ports;
pub mod qmp;
pub mod serial;
pub mod switch;
/// The emulator.
pub const QEMU: &str = "qemu-system-x86_64";
