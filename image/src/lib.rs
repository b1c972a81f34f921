//! Releases: what they consist of, how they are signed, and how they lie on a disk.
//!
//! The library is pure: it opens no file, runs no program and reads no clock. The builder of bundle and ISO
//! (`maekin-image`, `src/main.rs` and `src/build/`) is a thin program on top of it, with its effects in `maekin-host`.
//!
//! | module | job |
//! | --- | --- |
//! | [`manifest`] | the signed table of contents of a release |
//! | [`chunks`] | the digests of the root image's pieces |
//! | [`layout`] | partitions of a boot disk |
//! | [`ids`] | every UUID of an installed node, derived from one |
//! | [`gpt`] | the partition table, and the protective MBR |
//! | [`gpt_check`] | whether both tables of a disk are what they should be |
//! | [`bootcode`] | GRUB's BIOS boot code, made to fit a disk |
//! | [`grubenv`] | GRUB's environment block: which slot boots |
//! | [`esp`] | what lies on the EFI system partition |
//! | [`drivers`] | which devices an initrd can serve |
//! | [`fat`] | reading a FAT32 file system as firmware does |
//! | [`sign`] | signing a manifest, the same bytes every time |
//! | [`sums`] | `SHA256SUMS` |
//! | [`sizes`] | the budget of every artifact's size |
//! | [`medium`] | the bootable medium: its menu, its partitions |

pub mod bootcode;
pub mod chunks;
pub mod drivers;
pub mod esp;
pub mod fat;
pub mod gpt;
pub mod gpt_check;
pub mod grubenv;
pub mod ids;
pub mod layout;
pub mod manifest;
pub mod medium;
pub mod sign;
pub mod sizes;
pub mod sums;
