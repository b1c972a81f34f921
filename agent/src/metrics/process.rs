//! This process: memory, processor time, open files, as proc_pid_stat(5) and proc_pid_status(5) have it.

use std::fs;

/// Ticks of processor time in a second, as Linux tells it to programs (USER_HZ).
const TICKS: f64 = 100.0;

/// What the kernel says about this process; what it does not say is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// Bytes of memory that are in use.
    pub(super) resident: u64,
    /// Seconds of processor time, its own and the kernel's for it.
    pub(super) cpu: f64,
    /// Open files.
    pub(super) files: usize,
}

/// Reads that.
pub(super) fn probe() -> Process {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    Process {
        resident: parse_resident(&read("status")).unwrap_or_default(),
        cpu: parse_cpu(&read("stat")).unwrap_or_default(),
        files: fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default(),
    }
}

/// Bytes of `VmRSS`.
fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Seconds of fields 14 and 15. The second field is the program's name in parentheses, and may have anything in it.
fn parse_cpu(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(f64::from(next()?) / TICKS + f64::from(next()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_metrics_of_the_process_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 5 0 100 1 2 3";
        assert_eq!(parse_cpu(stat), Some(3.0), "a name with a parenthesis");
        assert_eq!(parse_resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        for hostile in ["", ")", "7 (a) S 1", "VmRSS: x"] {
            assert_eq!((parse_cpu(hostile), parse_resident(hostile)), (None, None), "{hostile}");
        }
        let own = probe();
        assert!(own.resident > 1 << 20 && own.files > 0, "{own:?}");
    }
}
