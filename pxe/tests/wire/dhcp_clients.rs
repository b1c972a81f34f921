//! The DHCP clients of Debian: a lease, its renewal, a reboot, a refusal, an address in use, and the end.

mod dhclient;
mod dhcpcd;
pub(crate) mod udhcpc;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a client may take for a step; it answers at once, but some of them like to wait first.
const LIMIT: Duration = Duration::from_secs(25);

/// Writes down what it is called for. udhcpc says it in $1 and $ip, the others in $reason and $new_ip_address. With
/// the address named in REFUSE it fails, which dhclient takes for an address in use.
const SCRIPT: &str = r#"#!/bin/sh
event="${1:-$reason}"
address="${ip:-$new_ip_address}"
case "$event" in
bound | renew | BOUND | RENEW | REBIND | REBOOT)
    [ "$address" != "$(cat "$(dirname "$0")/refuse")" ] || { echo "refused $address" >> "$(dirname "$0")/events"; exit 1; }
    ip address replace "$address/24" dev "$interface" ;;
esac
echo "$event $address ${router:-$new_routers} ${search:-$new_domain_search}" >> "$(dirname "$0")/events"
"#;

/// A place for a client: its script, what it wrote, and the client while it runs.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    child: Option<Child>,
    seen: usize,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // dhcpcd gives up its rights before it runs the script.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let place = Self { dir, child: None, seen: 0 };
        fs::write(place.path("script"), SCRIPT).expect("a file");
        fs::set_permissions(place.path("script"), fs::Permissions::from_mode(0o755)).expect("a mode");
        place.refuse("");
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Has the script say of this address that it is in use.
    pub(crate) fn refuse(&self, address: &str) {
        fs::write(self.path("refuse"), address).expect("a file");
    }

    /// Starts a client where the calling thread is.
    pub(crate) fn start(&mut self, client: &Cmd) {
        self.end();
        self.child = Some(client.spawn(Stdio::null(), Stdio::null(), Stdio::null()).expect("a client"));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).expect("a client");
        kill(Pid::from_raw(pid), signal).expect("a signal");
    }

    /// Waits for the next line that begins with `event`; what comes before it is passed over.
    pub(crate) fn next(&mut self, event: &str) -> String {
        let wanted = || {
            let text = fs::read_to_string(self.path("events")).unwrap_or_default();
            let lines = text.lines().enumerate().skip(self.seen);
            lines.filter(|(_, line)| line.starts_with(event)).map(|(n, line)| (n + 1, line.to_owned())).next()
        };
        let found = wait::until(event, LIMIT, Duration::from_millis(20), wanted);
        let (seen, line) = found.unwrap_or_else(|e| {
            panic!("{e}; so far:\n{}", fs::read_to_string(self.path("events")).unwrap_or_default())
        });
        self.seen = seen;
        line.trim().to_owned()
    }

    /// Ends the client without a chance to tidy up: the machine loses power.
    pub(crate) fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end();
    }
}

/// The address in a line that a client wrote.
pub(crate) fn address(line: &str) -> &str {
    line.split(' ').nth(1).unwrap_or_default()
}

/// Reserves an address for a machine that is not there.
fn reserved_for_another(address: &str) -> String {
    format!("[[reservation]]\nmac = \"02:00:00:00:00:99\"\naddress = \"{address}\"\n")
}
