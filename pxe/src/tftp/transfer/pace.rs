//! How much of a window is sent in one go. All of it, until the client's card or a switch shows that it cannot take
//! that: the end of a window is lost again and again, so that the client has nothing to answer. A window cannot be made
//! smaller once it is agreed (the client answers whole ones), but it can be sent in parts.

/// Least blocks in one go: the window that every EDK2 asks for and takes.
const LEAST: u16 = 4;
/// A second silence within so many windows is no accident.
const SOON: u16 = 8;
/// So many windows in a row that begin badly are no accident either.
const SHORT: u8 = 4;
/// After so many whole windows, twice as much is tried.
const CALM: u16 = 32;

#[derive(Debug)]
pub(super) struct Pace {
    window: u16,
    burst: u16,
    /// Windows answered whole since the last silence, or since more was tried.
    since: u16,
    /// Windows in a row of which less than half of the first part arrived.
    short: u8,
}

impl Pace {
    pub(super) fn new(window: u16) -> Self {
        Self { window, burst: window, since: SOON, short: 0 }
    }

    /// A window was answered with silence.
    pub(super) fn stalled(&mut self) {
        if self.since < SOON {
            self.slow_down();
        }
        self.since = 0;
    }

    /// The client got further by so many blocks, and then has a gap. One loss may be an accident; where always the
    /// same few arrive, it cannot take more.
    pub(super) fn gap(&mut self, blocks: u64) {
        self.short = if blocks <= u64::from(self.burst / 2) { self.short + 1 } else { 0 };
        if self.short == SHORT {
            self.slow_down();
            self.since = 0;
        }
    }

    fn slow_down(&mut self) {
        self.burst = (self.burst / 2).max(LEAST).min(self.window);
        self.short = 0;
    }

    /// The client has a window whole.
    pub(super) fn answered(&mut self) {
        self.short = 0;
        self.since = self.since.saturating_add(1);
        if self.since >= CALM && self.is_slow() {
            self.burst = self.burst.saturating_mul(2).min(self.window);
            self.since = 0;
        }
    }

    /// Most blocks in one go.
    pub(super) fn burst(&self) -> u16 {
        self.burst
    }

    /// Whether windows are sent in parts.
    pub(super) fn is_slow(&self) -> bool {
        self.burst < self.window
    }
}
