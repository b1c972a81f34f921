//! Where this agent keeps its things and which ports it uses. The defaults are those of an installed node; the flags
//! exist so that several agents can run beside each other on one machine.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

/// The default port of gossip; of members whose entry in the record names none, too.
pub(crate) const GOSSIP_PORT: u16 = 8946;

/// Paths, ports and programs.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// Directory for what must survive a restart.
    #[arg(long, default_value = "/var/lib/maekin")]
    pub(crate) state: PathBuf,
    /// Directory for what need not: sockets, rendered files.
    #[arg(long, default_value = "/run/maekin")]
    pub(crate) run: PathBuf,
    /// Address the API listens on.
    #[arg(long, default_value = "::")]
    pub(crate) listen: IpAddr,
    /// Port of the API.
    #[arg(long, default_value_t = 8443)]
    pub(crate) port: u16,
    /// Port of the record for clients.
    #[arg(long, default_value_t = 2379)]
    pub(crate) record_port: u16,
    /// Port of the record for its peers.
    #[arg(long, default_value_t = 2380)]
    pub(crate) record_peer_port: u16,
    /// Most bytes that the record may take before it refuses writes.
    #[arg(long, default_value_t = 256 << 20)]
    pub(crate) record_quota: u64,
    /// Port at which members tell each other that they are there (UDP).
    #[arg(long, default_value_t = GOSSIP_PORT)]
    pub(crate) gossip_port: u16,
    /// The program that starts services.
    #[arg(long, default_value = "systemctl")]
    pub(crate) systemctl: String,
    /// The program that looks at boot drives and heals them.
    #[arg(long, default_value = "maekin-installer")]
    pub(crate) installer: String,
    /// Where the kernel tells what the firmware says of the machine.
    #[arg(long, default_value = "/sys/class/dmi/id")]
    pub(crate) dmi: PathBuf,
    /// Root of the file system whose configuration files follow settings.
    #[arg(long, default_value = "/")]
    pub(crate) root: PathBuf,
    /// The program that reads the journal.
    #[arg(long, default_value = "journalctl")]
    pub(crate) journalctl: String,
}

impl Settings {
    /// SMBIOS UUID of the machine; empty where the firmware tells none.
    pub(crate) fn machine(&self) -> String {
        maekin_host::dmi::read(&self.dmi).uuid
    }

    /// The node file.
    pub(crate) fn node_file(&self) -> PathBuf {
        self.state.join("node.toml")
    }

    /// What the initrd found.
    pub(crate) fn boot_state(&self) -> PathBuf {
        self.run.join("boot.json")
    }

    /// Keys and certificates.
    pub(crate) fn pki(&self) -> PathBuf {
        self.state.join("pki")
    }

    /// Which cluster this node is a member of.
    pub(crate) fn membership(&self) -> PathBuf {
        self.state.join("membership.json")
    }

    /// Which members there were, for a start without the record.
    pub(crate) fn peers(&self) -> PathBuf {
        self.state.join("peers.json")
    }

    /// The agent's own socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run.join("agent.sock")
    }

    /// Environment of `maekin-etcd.service`.
    pub(crate) fn etcd_env(&self) -> PathBuf {
        self.run.join("etcd.env")
    }

    /// What etcd identifies itself with: the files that it needs, and no others.
    pub(crate) fn etcd_tls(&self) -> PathBuf {
        self.run.join("etcd-tls")
    }

    /// Configuration of `maekin-pxe.service`.
    pub(crate) fn pxe_config(&self) -> PathBuf {
        self.run.join("pxe.toml")
    }
}

#[cfg(test)]
impl Settings {
    /// Everything below `dir`, for tests.
    pub(crate) fn below(dir: &std::path::Path) -> Self {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            settings: Settings,
        }
        let [state, run] = ["state", "run"].map(|name| dir.join(name));
        let line = ["x".as_ref(), "--state".as_ref(), state.as_os_str(), "--run".as_ref(), run.as_os_str()];
        Line::parse_from(line).settings
    }
}
