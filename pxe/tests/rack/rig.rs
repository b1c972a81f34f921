//! A rack in network namespaces: a switch, the master, and machines, each behind a link of its own of limited speed
//! (tc-tbf(8) at both ends), with the real `maekin-pxe` at the master's.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::wait;
use maekin_image::chunks::{ChunkList, ROOT_CHUNKS};
use maekin_image::manifest::{FileEntry, KeyKind, Manifest, RootImage, sha256_hex};
use nix::sched::{CloneFlags, unshare};

/// The master's address; machine `n` has [`address`]`(n)`.
pub(crate) const MASTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Its HTTP server.
pub(crate) const HTTP: &str = "http://10.77.0.1:8480";
/// How long anything may take on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(120);

/// Address of machine `n`, from 0.
pub(crate) fn address(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 128 + u8::try_from(n).expect("at most 64 machines"))
}

type Job = Box<dyn FnOnce() + Send>;

/// A namespace, and the thread that lives in it and does what it is sent. Nobody waits for its end: a machine whose cable
/// was pulled takes its time.
pub(crate) struct Host {
    jobs: mpsc::Sender<Job>,
    id: i32,
}

impl Host {
    fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (told, id) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a namespace");
            let _ = told.send(nix::unistd::gettid().as_raw());
            queue.into_iter().for_each(|job| job());
        });
        let id = id.recv_timeout(LIMIT).expect("a namespace");
        Self { jobs, id }
    }

    /// Begins `job` there, after what was begun before.
    pub(crate) fn start<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (done, result) = mpsc::channel();
        let job = Box::new(move || drop(done.send(job())));
        self.jobs.send(job).expect("the thread of a namespace");
        result
    }

    /// Runs `job` there and waits for it.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.start(job).recv_timeout(LIMIT).expect("a job in a namespace")
    }
}

/// See the module.
pub(crate) struct Rack {
    pub(crate) machines: Vec<Host>,
    pub(crate) master: Host,
    switch: Host,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) image: Vec<u8>,
    child: Option<Child>,
}

/// Whether there can be such a rack here; says why not.
///
/// # Panics
/// Where there can be none, and everything is to be tested.
pub(crate) fn possible(test: &str) -> bool {
    maekin_lab::root(test) && maekin_lab::has(test, &["ip", "tc"])
}

fn batch(program: &'static str, dir: &Path, name: &str, lines: &[String]) {
    let path = dir.join(name);
    fs::write(&path, lines.join("\n") + "\n").expect("a file");
    Cmd::new(program).arg("-batch").arg(&path).run().expect(program);
}

fn limited(device: &str, mbit: u32) -> String {
    format!("qdisc replace dev {device} root tbf rate {mbit}mbit burst 64k latency 100ms")
}

impl Rack {
    /// A rack of `n` machines, every link of `mbit`, and an image of `size` bytes in chunks of `chunk`.
    pub(crate) fn new(n: usize, mbit: u32, size: usize, chunk: u32) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let image = write_bundle(dir.path(), size, chunk);
        let (switch, master) = (Host::new(), Host::new());
        let machines: Vec<Host> = (0..n).map(|_| Host::new()).collect();
        let hosts: Vec<(i32, Ipv4Addr)> = std::iter::once((master.id, MASTER))
            .chain(machines.iter().enumerate().map(|(n, m)| (m.id, address(n))))
            .collect();
        let (at, ids) = (dir.path().to_owned(), hosts.clone());
        switch.run(move || {
            let mut ip = vec!["link add b0 type bridge".to_owned(), "link set b0 up".to_owned()];
            let mut tc = Vec::new();
            for (i, (id, _)) in ids.iter().enumerate() {
                ip.push(format!("link add p{i} type veth peer name e0 netns {id}"));
                ip.push(format!("link set p{i} master b0 up"));
                tc.push(limited(&format!("p{i}"), mbit));
            }
            batch("ip", &at, "switch.ip", &ip);
            batch("tc", &at, "switch.tc", &tc);
        });
        for (i, host) in std::iter::once(&master).chain(&machines).enumerate() {
            let (at, address) = (dir.path().to_owned(), hosts[i].1);
            host.run(move || {
                let ip = ["link set lo up", "link set e0 up"].map(str::to_owned);
                let ip = [ip.to_vec(), vec![format!("address add {address}/24 brd + dev e0")]].concat();
                batch("ip", &at, &format!("{i}.ip"), &ip);
                batch("tc", &at, &format!("{i}.tc"), &[limited("e0", mbit)]);
            });
        }
        let mut rack = Self { machines, master, switch, dir, image, child: None };
        rack.start();
        rack
    }

    fn start(&mut self) {
        let dir = self.dir.path().to_owned();
        let child = self.master.run(move || {
            Cmd::new(env!("CARGO_BIN_EXE_maekin-pxe"))
                .args(["serve", "--interface", "e0", "--address", "10.77.0.1/24", "--release"])
                .arg(&dir)
                .arg("--answer")
                .arg(dir.join("answer.toml"))
                .arg("--state")
                .arg(dir.join("state"))
                .env("RUST_LOG", "warn")
                .spawn(Stdio::null(), Stdio::null(), Stdio::inherit())
                .expect("the master")
        });
        self.child = Some(child);
        self.master.run(|| {
            wait::until("the master to listen", LIMIT, Duration::from_millis(20), || {
                TcpStream::connect((MASTER, 8480)).ok()
            })
            .expect("the master listens");
        });
    }

    /// Ends the master without a chance to tidy up, and starts it again.
    pub(crate) fn restart_master(&mut self) {
        self.kill();
        self.start();
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Pulls the cable of machine `n`.
    pub(crate) fn unplug(&self, n: usize) {
        let port = format!("p{}", n + 1);
        self.switch.run(move || Cmd::new("ip").args(["link", "set", &port, "down"]).run().expect("ip(8)"));
    }

    /// Gives machine `n` another speed to send at.
    pub(crate) fn slow_down(&self, n: usize, mbit: u32) {
        let at = self.dir.path().to_owned();
        self.machines[n].run(move || batch("tc", &at, &format!("slow{n}.tc"), &[limited("e0", mbit)]));
    }

    /// Lets machine `n` talk with the master only.
    pub(crate) fn cut_off(&self, n: usize) {
        self.machines[n].run(|| {
            Cmd::new("ip").args(["route", "add", "blackhole", "10.77.0.128/25"]).run().expect("ip(8)");
        });
    }

    /// The digest of the image.
    pub(crate) fn digest(&self) -> String {
        sha256_hex(&self.image)
    }

    /// The chunk list, as served.
    pub(crate) fn list(&self) -> ChunkList {
        let text = fs::read_to_string(self.dir.path().join(ROOT_CHUNKS)).expect("the list");
        ChunkList::parse(&text).expect("a list")
    }

    /// Where machine `n` keeps what it fetches.
    pub(crate) fn disk(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("disk{n}"))
    }

    /// Bytes that left the master's interface, of all kinds.
    pub(crate) fn sent_by_master(&self) -> u64 {
        self.master.run(|| {
            let text = fs::read_to_string("/proc/thread-self/net/dev").expect("counters");
            let line = text.lines().find_map(|l| l.trim().strip_prefix("e0:")).expect("e0");
            line.split_whitespace().nth(8).and_then(|n| n.parse().ok()).expect("a count of bytes sent")
        })
    }

    /// A counter of the master.
    pub(crate) fn counter(&self, name: &'static str) -> u64 {
        let text = self.master.run(|| request("GET /metrics", "").1);
        let line = text.lines().find_map(|l| l.strip_prefix(name)).expect(name);
        line.trim().parse().expect("a number")
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One request to the master, in whose reach the calling thread is: status and body.
pub(crate) fn request(what: &str, body: &str) -> (u16, String) {
    let to = SocketAddr::from((MASTER, 8480));
    let mut stream = TcpStream::connect_timeout(&to, LIMIT).expect("the master");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    let length = body.len();
    let text =
        format!("{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

/// Bytes that no compression and no repetition makes alike.
fn noise(len: usize) -> Vec<u8> {
    let mut random = maekin_swarm::Random::new(7);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend(random.next_u64().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn write_bundle(dir: &Path, size: usize, chunk: u32) -> Vec<u8> {
    let root = noise(size);
    let list = ChunkList::of(&root[..], chunk).expect("a list").text();
    let files: [(&str, &[u8]); 6] = [
        ("root", &root),
        (ROOT_CHUNKS, list.as_bytes()),
        ("boot/efi/shimx64.efi", b"shim"),
        ("boot/net/grubnetx64.efi", b"grub"),
        ("boot/net/ipxe.efi", b"uefi loader"),
        ("boot/net/undionly.kpxe", b"bios loader"),
    ];
    let mut manifest = Manifest {
        format: 1,
        version: "0.1.0".to_owned(),
        epoch: 0,
        kernel: "6.12".to_owned(),
        key: KeyKind::ThrowAway,
        root: RootImage { hash_offset: 0, root_hash: String::new() },
        files: [].into(),
    };
    for (name, bytes) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, bytes).expect("a file");
        let entry = FileEntry { size: bytes.len() as u64, sha256: sha256_hex(bytes) };
        manifest.files.insert(name.to_owned(), entry);
    }
    fs::write(dir.join("manifest.json"), serde_json::to_vec(&manifest).expect("JSON")).expect("a file");
    fs::write(dir.join("manifest.json.minisig"), "none\n").expect("a file");
    fs::write(dir.join("answer.toml"), "version = 1\n").expect("a file");
    root
}
