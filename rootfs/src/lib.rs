//! What is inside the OS: packages with a lock, kernel modules, file trees, and the node's own settings rendered
//! into files.
//!
//! The library is pure: it opens no file, runs no program, reads no clock. `packages.toml` and `packages.lock` say
//! what Debian gives, `files/root` and `files/initrd` hold our own files at their places; the builder (`maekin-image`)
//! brings them together.
//!
//! | module | job |
//! | --- | --- |
//! | [`packages`] | `packages.toml`: sets of packages, what is enabled and what is left out |
//! | [`lock`] | `packages.lock`: exact versions and digests, and what changed between two locks |
//! | [`archive`] | what apt and its files say |
//! | [`modules`] | which kernel modules go where |
//! | [`glob`] | patterns of paths |
//! | [`tree`] | file trees in memory and in tar |
//! | [`cpio`] | file trees as initramfs |
//! | [`var`] | `/var`, made anew by tmpfiles.d |
//! | [`node`] | the node file: what an installed node is told about itself |
//! | [`boot_state`] | what the initrd tells the agent |
//! | [`drives`] | what the agent is told of what is on drives |
//! | [`heal`] | what the agent and the healing of a boot drive tell each other |
//! | [`render`] | the node file as configuration files |
//! | [`cidr`], [`validate`] | checks of what people write |

pub mod archive;
pub mod boot_state;
pub mod cidr;
pub mod cpio;
pub mod drives;
pub mod glob;
pub mod heal;
pub mod lock;
pub mod modules;
pub mod node;
pub mod packages;
pub mod render;
pub mod tree;
pub mod validate;
pub mod var;
