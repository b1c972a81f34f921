//! A third machine on the wire, on which another server runs: dnsmasq, or a master of ours.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::wait;
use nix::sched::{CloneFlags, unshare};

use crate::namespace::ip;
use crate::rig::CLIENT;

/// The client's interface once there are three machines: a bridge.
pub(crate) const BRIDGE: &str = "b0";
/// The third machine's interface.
pub(crate) const INTERFACE: &str = "f0";
/// Its address.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

type Job = Box<dyn FnOnce() + Send>;

/// The third machine.
pub(crate) struct Neighbour {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    child: Option<Child>,
}

impl Neighbour {
    /// Puts it on the wire; the client's interface is a bridge from then on, with the address 10.77.0.50.
    pub(crate) fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let client = nix::unistd::gettid();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a namespace for the third machine");
            ip(&format!("link add {INTERFACE} type veth peer name p0 netns {client}"));
            ip(&format!("address add {ADDRESS}/24 dev {INTERFACE}"));
            ip(&format!("link set {INTERFACE} up"));
            ready.send(()).expect("the test waits");
            for job in queue {
                job();
            }
        });
        is_ready.recv_timeout(Duration::from_secs(20)).expect("the third machine");
        ip(&format!("link add {BRIDGE} type bridge forward_delay 0"));
        ip(&format!("address flush dev {CLIENT}"));
        for port in [CLIENT, "p0"] {
            ip(&format!("link set {port} master {BRIDGE}"));
            ip(&format!("link set {port} up"));
        }
        ip(&format!("link set {BRIDGE} up"));
        ip(&format!("address add 10.77.0.50/24 dev {BRIDGE}"));
        Self { jobs: Some(jobs), thread: Some(thread), child: None }
    }

    /// Starts dnsmasq as DHCP server for 10.77.0.210 to .240.
    pub(crate) fn start_dnsmasq(&mut self, dir: &Path) {
        let leases = dir.join("dnsmasq.leases");
        let dnsmasq = Cmd::new("dnsmasq")
            .args(["--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file="])
            .args(["--interface=f0", "--dhcp-range=10.77.0.210,10.77.0.240,1h", "--no-ping"])
            .arg(format!("--dhcp-leasefile={}", leases.display()));
        self.start(dnsmasq);
    }

    /// Starts another master of ours, by a configuration file.
    pub(crate) fn start_master(&mut self, config: &Path) {
        self.start(Cmd::new(env!("CARGO_BIN_EXE_maekin-pxe")).args(["serve", "--config"]).arg(config));
    }

    fn start(&mut self, server: Cmd) {
        let (done, started) = mpsc::channel();
        let job: Job = Box::new(move || {
            let child = server.env("RUST_LOG", "warn").spawn(Stdio::null(), Stdio::null(), Stdio::inherit());
            done.send(child.expect("the other server")).expect("the test waits");
        });
        self.jobs.as_ref().expect("until drop").send(job).expect("the third machine's thread");
        self.child = Some(started.recv_timeout(Duration::from_secs(20)).expect("the other server"));
    }

    /// Ends its server.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.stop();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits until a counter of the master at `server` has come to `least`.
pub(crate) fn wait_for_counter(server: Ipv4Addr, name: &str, least: u64) {
    let line = format!("maekin_pxe_{name}_total ");
    let what = format!("{name} of {server} to be {least}");
    let value = || {
        let text = crate::client::http::metrics(server)?;
        let value: u64 = text.lines().find_map(|l| l.strip_prefix(line.as_str()))?.trim().parse().ok()?;
        (value >= least).then_some(())
    };
    wait::until(&what, Duration::from_secs(20), Duration::from_millis(50), value).expect("in time");
}
