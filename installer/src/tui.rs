//! The screens: one model ([`app`]), changed by keys and events, drawn by [`view`] for the size of each console, shown on
//! every console at once by [`screen`]. Plain keys only; what has not changed is not sent again, for serial lines.
//!
//! | module | job |
//! | --- | --- |
//! | [`app`] | which screen, what was typed, what happens next |
//! | [`event`] | what it is told, and what it wants done |
//! | [`draft`] | the answers as they are being typed, and their checked form |
//! | [`form`] | a list of fields |
//! | [`meter`] | how fast it goes, how long it will take |
//! | [`view`] | drawing |
//! | [`paint`] | the difference between two screens, in bytes |
//! | [`screen`] | consoles: each at its pace, log lines, lending one to a shell |

pub mod app;
pub mod draft;
pub mod event;
pub mod form;
pub mod meter;
pub mod paint;
pub mod screen;
pub mod view;

#[cfg(test)]
mod screens;
