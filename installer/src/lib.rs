//! The installer: facts and answers become a plan, or refusals; a plan becomes a node. And the start of an installed
//! node in the same initrd, because what could install must be able to boot.
//!
//! It never writes to a disk that holds anything without consent to exactly that content, never uses a byte that was
//! not verified against the manifest's signature, and never leaves a disk that boots half an installation: the step
//! that makes it bootable is the last one. No decision is made while a plan is carried out.
//!
//! | module | job |
//! | --- | --- |
//! | [`facts`] | what the machine is, and what is on its drives |
//! | [`answers`] | what the person wants: answer file, checked |
//! | [`plan`] | facts and answers to steps or refusals; pure |
//! | [`apply`] | steps to effects, through one trait: the machine, or a simulation |
//! | [`source`] | the release: install medium, or install master over HTTP, and neighbours |
//! | [`run`] | `run`: the installer as the initrd's job |
//! | [`receipt`] | what stays of an installation, signed |
//! | [`tui`] | its screens |
//! | [`trial`] | trying a network before it is installed |
//! | [`boot`] | `boot`: starting the installed system |
//! | [`heal`] | `heal`: making boot drives whole again while the node runs |
//! | [`drives`] | `drives`: what is on drives of a running node |
//! | [`judge`] | what a machine with these drives would do |
//! | [`cmdline`] | our words on the kernel command line |
//! | `digest` | digests of files |

pub mod answers;
pub mod apply;
pub mod boot;
pub mod cmdline;
mod digest;
pub mod drives;
pub mod facts;
pub mod heal;
pub mod judge;
pub mod plan;
pub mod receipt;
pub mod run;
pub mod source;
pub mod trial;
pub mod tui;
