//! Two network namespaces with a wire between, and the server in one of them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::wait;
use maekin_image::manifest::{FileEntry, KeyKind, Manifest, RootImage, sha256_hex};
use maekin_pxe::dhcp::options::MessageType;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::{dhcp, http};
use crate::namespace::{Namespace, ip};

/// The client's end of the wire.
pub(crate) const CLIENT: &str = "c0";
/// The server's end of the wire.
pub(crate) const SERVER: &str = "s0";
const FILES: [(&str, usize); 7] = [
    ("vmlinuz", 1000),
    ("initrd", 5000),
    ("root", 14),
    ("boot/efi/shimx64.efi", 100_000),
    ("boot/net/grubnetx64.efi", 200_000),
    ("boot/net/ipxe.efi", 300_000),
    ("boot/net/undionly.kpxe", 70_000),
];

/// A running server, as seen from the client's namespace, in which the calling thread is.
pub(crate) struct Rig {
    dir: tempfile::TempDir,
    server: Namespace,
    child: Option<Child>,
    /// What the configuration file says of other DHCP servers.
    beside: String,
}

/// Runs `test` in a fresh rig, on a thread of its own, whose namespace ends with it.
pub(crate) fn in_rig(test: impl FnOnce(&mut Rig) + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: network namespaces of its own take root");
        return;
    }
    let run = move || {
        let mut rig = Rig::new();
        rig.start();
        test(&mut rig);
    };
    if let Err(panic) = thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

impl Rig {
    fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("a namespace for the client");
        let client = nix::unistd::gettid();
        let dir = tempfile::tempdir().expect("a directory");
        let mut rig = Self {
            dir,
            server: Namespace::new(),
            child: None,
            beside: "[beside]\nmode = \"server\"\n".to_owned(),
        };
        write_bundle(rig.dir.path());
        rig.on_server(move || {
            ip(&format!("link add {SERVER} type veth peer name {CLIENT} netns {client}"));
            ip(&format!("address add 10.77.0.1/24 dev {SERVER}"));
            ip(&format!("link set {SERVER} up"));
        });
        ip(&format!("link set {CLIENT} up"));
        rig.take_address(Ipv4Addr::new(10, 77, 0, 50));
        rig
    }

    /// Runs `job` in the server's namespace and waits for it.
    pub(crate) fn on_server<T: Send + 'static>(&mut self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.server.run(job)
    }

    /// Starts the server with an IPv6 address too, in place of the one that runs.
    pub(crate) fn restart_with_ipv6(&mut self, address: std::net::Ipv6Addr) {
        self.kill();
        self.on_server(move || ip(&format!("-6 address add {address}/64 dev {SERVER} nodad")));
        let serve = self.alone().arg("--address6").arg(format!("{address}/64"));
        self.start_by(serve);
    }

    fn start(&mut self) {
        let serve = self.alone();
        self.start_by(serve);
    }

    fn alone(&self) -> Cmd {
        let dir = self.dir.path();
        Cmd::new(env!("CARGO_BIN_EXE_maekin-pxe"))
            .args(["serve", "--dhcp", "server", "--count", "1", "--interface", SERVER, "--release"])
            .arg(dir)
            .arg("--answer")
            .arg(dir.join("answer.toml"))
            .arg("--state")
            .arg(dir.join("state"))
    }

    /// Starts the server from an ISO image and nothing else, in place of the one that runs.
    pub(crate) fn restart_by_iso(&mut self, iso: &Path, more: &[&str]) {
        self.kill();
        let serve = Cmd::new(env!("CARGO_BIN_EXE_maekin-pxe"))
            .args(["serve", "--interface", SERVER, "--iso"])
            .arg(iso)
            .arg("--state")
            .arg(self.dir.path().join("iso-state"))
            .args(more);
        self.start_by(serve);
    }

    /// Ends the server that runs and shows what another would answer; what it shows comes into the file.
    pub(crate) fn dry_run(&mut self, into: &Path) {
        self.kill();
        let out = fs::File::create(into).expect("a file");
        let serve =
            Cmd::new(env!("CARGO_BIN_EXE_maekin-pxe")).args(["serve", "--dry-run", "--interface", SERVER]);
        let child = self.on_server(move || {
            serve.spawn(Stdio::null(), Stdio::from(out), Stdio::inherit()).expect("the dry run")
        });
        self.child = Some(child);
    }

    /// Starts the server as the agent does, by a configuration file, in place of the one that runs.
    pub(crate) fn restart_by_config(&mut self) {
        self.restart_with("");
    }

    /// The same with `more` at the configuration file's end.
    pub(crate) fn restart_with(&mut self, more: &str) {
        self.kill();
        self.write_config(more);
        let serve = Cmd::new(env!("CARGO_BIN_EXE_maekin-pxe")).args(["serve", "--config"]);
        self.start_by(serve.arg(self.dir.path().join("pxe.toml")));
    }

    /// The same, with what is done about other DHCP servers.
    pub(crate) fn restart_beside(&mut self, beside: &str) {
        self.beside = beside.to_owned();
        self.restart_by_config();
    }

    /// Writes the configuration file, with `more` at its end.
    fn write_config(&self, more: &str) {
        let dir = self.dir.path().display();
        let text = format!(
            "interface = \"{SERVER}\"\naddress = \"10.77.0.1/24\"\npool_start = \"10.77.0.100\"\n\
             pool_end = \"10.77.0.199\"\nrelease_dir = \"{dir}\"\nroot_path = \"{dir}/root\"\n\
             agent_socket = \"{dir}/agent.sock\"\nlease_file = \"{dir}/state/leases\"\n{more}{}",
            self.beside
        );
        fs::write(self.dir.path().join("pxe.toml"), text).expect("a file");
    }

    /// Has the running server read its configuration again.
    pub(crate) fn reload_with(&self, more: &str) {
        self.write_config(more);
        let pid = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).expect("a server");
        kill(Pid::from_raw(pid), Signal::SIGHUP).expect("SIGHUP");
    }

    fn start_by(&mut self, serve: Cmd) {
        let child = self.on_server(move || {
            serve
                .env("RUST_LOG", "warn")
                .spawn(Stdio::null(), Stdio::null(), Stdio::inherit())
                .expect("the server")
        });
        self.child = Some(child);
        let limit = Duration::from_secs(20);
        wait::until("the server to listen", limit, Duration::from_millis(20), || {
            http::reachable().then_some(())
        })
        .expect("the server listens");
    }

    /// Ends the server without a chance to tidy up, and starts it again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.start();
    }

    /// Ends the server without a chance to tidy up, and starts it again by the configuration it had.
    pub(crate) fn kill_and_restart_by_config(&mut self) {
        self.kill();
        let serve = Cmd::new(env!("CARGO_BIN_EXE_maekin-pxe")).args(["serve", "--config"]);
        self.start_by(serve.arg(self.dir.path().join("pxe.toml")));
    }

    /// Waits until a machine is offered this address, which tells that a new configuration was taken up.
    pub(crate) fn wait_offered(&self, mac: [u8; 6], address: &str) {
        let client = dhcp::Client::open(CLIENT);
        let wanted = || client.ask(mac, MessageType::Discover, &[]).filter(|o| o.ip.to_string() == address);
        let limit = Duration::from_secs(20);
        wait::until("the offer", limit, Duration::from_millis(20), wanted).expect("the new configuration");
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Gives the client this address and no other.
    pub(crate) fn take_address(&self, address: Ipv4Addr) {
        ip(&format!("address flush dev {CLIENT}"));
        ip(&format!("address add {address}/24 dev {CLIENT}"));
    }

    /// The same on another interface of the client.
    pub(crate) fn take_address_on(&self, interface: &str, address: Ipv4Addr) {
        ip(&format!("address flush dev {interface}"));
        ip(&format!("address add {address}/24 dev {interface}"));
    }

    /// Lays a second wire, on which the server has another address.
    pub(crate) fn second_wire(&mut self) {
        let client = nix::unistd::gettid();
        self.on_server(move || {
            ip(&format!("link add s1 type veth peer name c1 netns {client}"));
            ip("address add 10.78.0.1/24 dev s1");
            ip("link set s1 up");
        });
        ip("link set c1 up");
        ip("address add 10.78.0.50/24 dev c1");
    }

    /// Leads all of the client's traffic over the second wire.
    pub(crate) fn only_second_wire(&self) {
        ip(&format!("address flush dev {CLIENT}"));
        ip("route add 10.77.0.0/24 via 10.78.0.1");
    }

    /// A client on another thread of the same namespace.
    pub(crate) fn spawn_client<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        thread::spawn(job) // a thread inherits its parent's namespace
    }

    /// Where the bundle lies.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file of the bundle.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).expect("a file of the bundle")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill();
    }
}

fn write_bundle(dir: &Path) {
    let content = |name: &str, len: usize| match name {
        "root" => b"the root image".to_vec(),
        name => name.bytes().cycle().zip(0u32..).map(|(b, i)| b ^ i.to_le_bytes()[1]).take(len).collect(),
    };
    for name in ["boot/net", "boot/efi"] {
        fs::create_dir_all(dir.join(name)).expect("a directory");
    }
    let mut manifest = Manifest {
        format: 1,
        version: "0.1.0".to_owned(),
        epoch: 0,
        kernel: "6.12".to_owned(),
        key: KeyKind::ThrowAway,
        root: RootImage { hash_offset: 0, root_hash: String::new() },
        files: [].into(),
    };
    for (name, len) in FILES {
        let bytes = content(name, len);
        fs::write(dir.join(name), &bytes).expect("a file");
        let entry = FileEntry { size: bytes.len() as u64, sha256: sha256_hex(&bytes) };
        manifest.files.insert(name.to_owned(), entry);
    }
    let json = serde_json::to_vec(&manifest).expect("JSON");
    fs::write(dir.join("manifest.json"), json).expect("a file");
    fs::write(dir.join("manifest.json.minisig"), "none\n").expect("a file");
    fs::write(dir.join("private"), "not served").expect("a file");
    fs::write(dir.join("answer.toml"), "hostname = \"n{mac}\"\n").expect("a file");
}
