//! What a node is doing, read off its serial line. Pure: lines and times in, steps out.

use std::time::Duration;

/// The prefix of what the installer says on every console.
pub const INSTALLER: &str = "maekin-install: ";
/// What the agent says on every console once its API answers and it is a member.
pub const READY: &str = "maekin-agent: ready";
/// What the installer says when it refuses or fails.
pub const REFUSED: [&str; 2] = ["refused", "failed"];

/// A step that began, and when, counted from power-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is being done.
    pub name: String,
    /// When it began.
    pub began: Duration,
}

/// How far a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it did, in order.
    pub steps: Vec<Step>,
    /// When the installer was reached, if it was.
    pub installer: Option<Duration>,
    /// When it was installed.
    pub installed: Option<Duration>,
    /// When its agent was ready.
    pub ready: Option<Duration>,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

impl Progress {
    /// A node switched on.
    #[must_use]
    pub fn start() -> Self {
        let mut progress = Self::default();
        progress.step("firmware", Duration::ZERO);
        progress
    }

    /// Takes in a line of the serial log; true when that changed what the node is doing.
    pub fn line(&mut self, line: &str, at: Duration) -> bool {
        if let Some(lost) = crate::serial::FATAL.iter().find(|f| line.contains(**f)) {
            self.failed.get_or_insert_with(|| (*lost).to_owned());
            return true;
        }
        if let Some(words) = after(line, INSTALLER) {
            return self.installer_says(words, at);
        }
        let name = if line.contains(READY) {
            self.ready.get_or_insert(at);
            "ready"
        } else if line.contains("Linux version ") {
            "kernel"
        } else if line.contains("iPXE") {
            "network boot"
        } else if line.contains("GRUB") || line.contains("Start PXE") {
            if line.contains("PXE") { "network boot" } else { "boot loader" }
        } else if line.contains("maekin-boot: ") || line.contains("Switch Root") {
            "system start"
        } else {
            return false;
        };
        self.step(name, at)
    }

    fn installer_says(&mut self, words: &str, at: Duration) -> bool {
        self.installer.get_or_insert(at);
        if REFUSED.iter().any(|r| words.starts_with(r)) {
            self.failed.get_or_insert_with(|| words.to_owned());
            return true;
        }
        if words.starts_with("done") {
            self.installed.get_or_insert(at);
            return self.step("restart", at);
        }
        // Figures that tick belong to the step, they are not a step of their own.
        self.step(&format!("install: {}", words.split([':', ';']).next().unwrap_or(words).trim()), at)
    }

    /// What it is doing now.
    #[must_use]
    pub fn current(&self) -> &str {
        self.steps.last().map_or("off", |s| s.name.as_str())
    }

    /// Since when it does that.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.steps.last().map_or(Duration::ZERO, |s| s.began)
    }

    /// Each step with how long it took; the last one up to `end`.
    #[must_use]
    pub fn durations(&self, end: Duration) -> Vec<(String, Duration)> {
        let ends = self.steps.iter().skip(1).map(|s| s.began).chain([end]);
        self.steps.iter().zip(ends).map(|(s, e)| (s.name.clone(), e.saturating_sub(s.began))).collect()
    }

    fn step(&mut self, name: &str, at: Duration) -> bool {
        let changed = self.current() != name && self.ready.is_none_or(|ready| ready == at);
        if changed {
            self.steps.push(Step { name: name.to_owned(), began: at });
        }
        changed
    }
}

fn after<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    line.find(prefix).map(|at| line[at + prefix.len()..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Progress {
        let mut progress = Progress::start();
        for (second, line) in (1..).zip(lines) {
            progress.line(line, Duration::from_secs(second));
        }
        progress
    }

    #[test]
    fn a_whole_life_is_followed() {
        let progress = read(&[
            "GNU GRUB  version 2.12",
            "[    0.000000] Linux version 6.12.107",
            "[    9.1] maekin-install: probing disks",
            "maekin-install: writing system",
            "maekin-install: writing system: 40%",
            "maekin-install: done in 61 s",
            "GNU GRUB  version 2.12",
            "[    0.000000] Linux version 6.12.107",
            "maekin-agent: ready, https://10.77.0.1:8443",
            "[  100.0] Linux version is not said again",
        ]);
        let names: Vec<&str> = progress.steps.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "firmware",
                "boot loader",
                "kernel",
                "install: probing disks",
                "install: writing system",
                "restart",
                "boot loader",
                "kernel",
                "ready"
            ]
        );
        let seconds = |d: Option<Duration>| d.map(|d| d.as_secs());
        assert_eq!(
            (seconds(progress.installer), seconds(progress.installed), seconds(progress.ready)),
            (Some(3), Some(6), Some(9))
        );
        assert_eq!(progress.durations(Duration::from_secs(10))[4].1, Duration::from_secs(2));
    }

    #[test]
    fn the_end_is_recognised() {
        let rows: [(&str, &str, &str); 4] = [
            ("refusal", "maekin-install: refused: disk vda is not blank", "refused: disk vda is not blank"),
            ("failure", "[   7.0] maekin-install: failed: no route", "failed: no route"),
            ("panic", "Kernel panic - not syncing: VFS", "Kernel panic - not syncing"),
            ("no first process", "[  363.7] systemd[1]: Freezing execution.", "Freezing execution."),
        ];
        for (name, line, want) in rows {
            assert_eq!(read(&[line]).failed.as_deref(), Some(want), "{name}");
        }
        assert_eq!(read(&["maekin-install: probing", "a line of the kernel"]).failed, None);
    }
}
