//! OpenIPMI's simulator of a controller, with a script of ours for its switch.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::wait::until;

use super::super::Ipmi;
use super::{IpmiWay, PASSWORD, ipmi};

pub(super) fn way(port: u16) -> IpmiWay {
    IpmiWay {
        host: "127.0.0.1".into(),
        port,
        user: "admin".into(),
        password: PASSWORD.to_owned().into(),
        firmware: None,
        cipher_suite: Some(3),
    }
}

/// A controller of the simulator's, which asks a script of ours to switch and to keep the boot device.
pub(super) struct Sim {
    dir: tempfile::TempDir,
    pub(super) port: u16,
    child: Child,
}

impl Sim {
    /// Starts one; `keeps` is whether it does what it says it does. None where there is no simulator here.
    pub(super) fn start(keeps: bool) -> Option<Self> {
        if !maekin_lab::has("a test of IPMI", &["ipmi_sim", "ipmitool"]) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display().to_string();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let keep = if keeps { "echo \"$2\" >" } else { ": >>" };
        let script = format!(
            "#!/bin/sh\n# MC get|set NAME [VALUE] ...\necho \"$@\" >>{at}/asked\nverb=$2; shift 2\n\
             while [ $# -gt 0 ]; do case $verb-$1 in\n\
             get-power) echo power:$(cat {at}/power) ;;\nget-boot) echo boot:$(cat {at}/boot) ;;\n\
             set-power) {keep}{at}/power; shift ;;\nset-boot) {keep}{at}/boot; shift ;;\n*) shift ;;\n\
             esac; shift; done\n"
        );
        fs::write(dir.path().join("chassis"), script).unwrap();
        fs::set_permissions(dir.path().join("chassis"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("power"), "0\n").unwrap();
        fs::write(dir.path().join("boot"), "default\n").unwrap();
        let all = "none md2 md5 straight";
        let lan = format!(
            "name \"bmc\"\nset_working_mc 0x20\nstartlan 1\naddr 127.0.0.1 {port}\npriv_limit admin\n\
             allowed_auths_callback {all}\nallowed_auths_user {all}\nallowed_auths_operator {all}\n\
             allowed_auths_admin {all}\nguid a123456789abcdefa123456789abcdef\nendlan\nchassis_control \"{at}/chassis 0x20\"\n\
             user 1 false \"\" \"\" user 10 {all}\nuser 2 true \"admin\" \"{PASSWORD}\" admin 10 {all}\n"
        );
        fs::write(dir.path().join("lan.conf"), lan).unwrap();
        let commands =
            "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n";
        fs::write(dir.path().join("sim.emu"), commands).unwrap();
        fs::create_dir(dir.path().join("state")).unwrap();
        let child = Cmd::new("ipmi_sim")
            .args(["-n", "-c", &format!("{at}/lan.conf"), "-f", &format!("{at}/sim.emu")])
            .args(["-s", &format!("{at}/state")])
            .spawn(Stdio::null(), Stdio::null(), Stdio::null())
            .unwrap();
        let sim = Self { dir, port, child };
        let bound = || {
            let table = fs::read_to_string("/proc/net/udp").unwrap();
            table.contains(&format!("0100007F:{port:04X} ")).then_some(())
        };
        until("the simulator to listen", Duration::from_secs(20), Duration::from_millis(10), bound).unwrap();
        Some(sim)
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default().trim().to_owned()
    }

    /// What the script was told to set since the last call.
    pub(super) fn sets(&self) -> Vec<String> {
        let asked = self.read("asked");
        let _ = fs::remove_file(self.dir.path().join("asked"));
        asked.lines().filter_map(|line| line.strip_prefix("0x20 set ").map(str::to_owned)).collect()
    }

    pub(super) fn bmc(&self) -> Ipmi {
        ipmi(way(self.port))
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
