//! QEMU's machine protocol: one short connection for each request, so that several programs may ask in turn.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// How long QEMU may take to answer; it answers between two slices of the guest's work.
const LIMIT: Duration = Duration::from_secs(30);

/// The control socket of one guest.
#[derive(Debug, Clone)]
pub struct Qmp {
    socket: PathBuf,
}

impl Qmp {
    /// Names the socket; nothing is connected yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Executes one command and returns what it answers.
    ///
    /// # Errors
    /// When the guest is not there, does not answer in time, or refuses.
    pub fn execute(&self, command: &str, arguments: &Value) -> anyhow::Result<Value> {
        let mut connection = Connection::open(&self.socket)
            .with_context(|| format!("cannot reach QEMU at {}", self.socket.display()))?;
        connection.call("qmp_capabilities", &json!({})).context("QEMU refuses to negotiate")?;
        connection.call(command, arguments).with_context(|| format!("QEMU command {command}"))
    }

    /// The run state, e.g. `running` or `shutdown`.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn status(&self) -> anyhow::Result<String> {
        let answer = self.execute("query-status", &json!({}))?;
        Ok(answer["status"].as_str().unwrap_or("unknown").to_owned())
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn reset(&self) -> anyhow::Result<()> {
        self.execute("system_reset", &json!({})).map(drop)
    }

    /// Presses the power button, which a running system takes as a request.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn power_button(&self) -> anyhow::Result<()> {
        self.execute("system_powerdown", &json!({})).map(drop)
    }

    /// Cuts the power: QEMU ends.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn quit(&self) -> anyhow::Result<()> {
        self.execute("quit", &json!({})).map(drop)
    }

    /// Freezes the guest.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.execute("stop", &json!({})).map(drop)
    }

    /// Lets a frozen guest go on.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.execute("cont", &json!({})).map(drop)
    }

    /// Asks the guest to let go of a device, e.g. `disk0`. [`Qmp::has_device`] tells when it has.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn unplug(&self, id: &str) -> anyhow::Result<()> {
        self.execute("device_del", &json!({"id": id})).map(drop)
    }

    /// Whether the guest still has the device `id`.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn has_device(&self, id: &str) -> anyhow::Result<bool> {
        let devices = self.execute("qom-list", &json!({"path": "/machine/peripheral"}))?;
        Ok(devices.as_array().is_some_and(|list| list.iter().any(|d| d["name"] == id)))
    }

    /// Plugs a device in, as [`crate::args::drive_device`] describes it; its file is opened first.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn plug(&self, backend: &Value, device: &Value) -> anyhow::Result<()> {
        self.execute("blockdev-add", backend)?;
        self.execute("device_add", device).map(drop)
    }

    /// Closes the file `node` of a drive that has been pulled.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn close(&self, node: &str) -> anyhow::Result<()> {
        self.execute("blockdev-del", &json!({"node-name": node})).map(drop)
    }

    /// From now on the drive `id` answers every request with an I/O error; it stays where it is.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn break_drive(&self, id: &str, size: u64) -> anyhow::Result<()> {
        let node = format!("broken-{id}");
        let errors = json!([{"event": "none", "errno": 5, "once": false}]);
        let image = json!({"driver": "null-co", "size": size});
        let broken = json!({"node-name": node, "driver": "blkdebug", "image": image, "inject-error": errors});
        self.execute("blockdev-add", &broken)?;
        let path = format!("/machine/peripheral/{id}");
        self.execute("qom-set", &json!({"path": path, "property": "drive", "value": node})).map(drop)
    }

    /// Gives the device `id` another place in the boot order, which counts from the next reset on; `None`: none.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn set_boot_index(&self, id: &str, index: Option<usize>) -> anyhow::Result<()> {
        let value = index.map_or(json!(-1), |index| json!(index));
        let path = format!("/machine/peripheral/{id}");
        self.execute("qom-set", &json!({"path": path, "property": "bootindex", "value": value})).map(drop)
    }

    /// Plugs or pulls the cable of a network interface, e.g. `nic0`, as its guest sees it.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn set_link(&self, nic: &str, up: bool) -> anyhow::Result<()> {
        self.execute("set_link", &json!({"name": nic, "up": up})).map(drop)
    }

    /// Writes what is on the screen to `file`, as PNG.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn screendump(&self, file: &Path) -> anyhow::Result<()> {
        self.execute("screendump", &json!({"filename": file, "format": "png"})).map(drop)
    }

    /// Presses keys together on the keyboard, by QEMU's names, e.g. `["ctrl", "alt", "f2"]`.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn press(&self, keys: &[&str]) -> anyhow::Result<()> {
        let keys: Vec<Value> = keys.iter().map(|k| json!({"type": "qcode", "data": k})).collect();
        self.execute("send-key", &json!({"keys": keys})).map(drop)
    }
}

struct Connection {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    deadline: Instant,
}

impl Connection {
    fn open(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        let lines = BufReader::new(stream.try_clone()?);
        let mut connection = Self { stream, lines, deadline: Instant::now() + LIMIT };
        let greeting = connection.message().context("QEMU did not greet; is someone else connected?")?;
        if greeting.get("QMP").is_none() {
            bail!("QEMU greeted with {greeting}");
        }
        Ok(connection)
    }

    fn call(&mut self, command: &str, arguments: &Value) -> anyhow::Result<Value> {
        let mut request = json!({"execute": command, "arguments": arguments}).to_string();
        request.push('\n');
        self.stream.write_all(request.as_bytes())?;
        loop {
            match parse_reply(self.message()?) {
                Reply::Done(value) => return Ok(value),
                Reply::Refused(reason) => bail!("{reason}"),
                Reply::Event => {}
            }
        }
    }

    fn message(&mut self) -> anyhow::Result<Value> {
        if Instant::now() >= self.deadline {
            bail!("no answer within {} s", LIMIT.as_secs());
        }
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("QEMU closed the connection");
        }
        serde_json::from_str(&line).with_context(|| format!("QEMU said {line:?}"))
    }
}

#[derive(Debug, PartialEq)]
enum Reply {
    Done(Value),
    Refused(String),
    Event,
}

fn parse_reply(mut message: Value) -> Reply {
    if let Some(value) = message.get_mut("return") {
        return Reply::Done(value.take());
    }
    match message.get("error") {
        Some(error) => Reply::Refused(error["desc"].as_str().unwrap_or("unnamed error").to_owned()),
        None => Reply::Event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies() {
        let rows = [
            ("answer", json!({"return": {"status": "running"}}), Reply::Done(json!({"status": "running"}))),
            (
                "refusal",
                json!({"error": {"class": "X", "desc": "no such disk"}}),
                Reply::Refused("no such disk".into()),
            ),
            ("event", json!({"event": "RESET", "timestamp": {}}), Reply::Event),
        ];
        for (name, message, want) in rows {
            assert_eq!(parse_reply(message), want, "{name}");
        }
    }

    #[test]
    fn a_guest_that_is_not_there_is_named() {
        let err = Qmp::new(Path::new("/nonexistent/qmp.sock")).status().unwrap_err();
        assert!(err.to_string().contains("/nonexistent/qmp.sock"), "{err}");
    }
}
