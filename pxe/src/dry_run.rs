//! What real packets would be answered, as text. Hears ports 67 and 4011, and sends nothing.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use maekin_host::net::{self, UdpOptions};

use crate::config::Config;
use crate::dhcp::foreign::{self, Mode};
use crate::dhcp::leases::Leases;
use crate::dhcp::packet::Packet;
use crate::dhcp::proxy::{self, BOOT_SERVER_PORT};
use crate::dhcp::server::{self, Reply, SERVER_PORT, Silence};
use crate::dhcp::store::Clock;
use crate::simulate::{describe, hex};

const RECEIVE_BUFFER: usize = 1 << 20;
/// How long one port is listened to before it is seen whether the other side still wants to read.
const PATIENCE: Duration = Duration::from_millis(500);

/// Prints to `out` what is heard and what would be answered, until the sockets or `out` fail.
///
/// # Errors
/// When a port cannot be had, or fails, or `out` does.
pub fn run(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let (heard, packets) = mpsc::channel();
    for port in [SERVER_PORT, BOOT_SERVER_PORT] {
        let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        let options = UdpOptions { interface: &config.interface, local, receive_buffer: RECEIVE_BUFFER };
        let socket = net::open_udp(options)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let heard = heard.clone();
        std::thread::Builder::new()
            .name(format!("port-{port}"))
            .spawn(move || listen(&socket, port, &heard))?;
    }
    drop(heard);
    writeln!(out, "== nothing is sent; stop with Ctrl-C")?;
    let mut dry = DryRun { leases: Leases::new(config.plan.clone()), config, clock: Clock::start() };
    for packet in packets {
        let (bytes, from, port) = packet?;
        out.write_all(dry.tell(&bytes, from, port).as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

type Heard = io::Result<(Vec<u8>, SocketAddrV4, u16)>;

fn listen(socket: &UdpSocket, port: u16, heard: &mpsc::Sender<Heard>) {
    let mut buf = [0; 2048];
    loop {
        let sent = match net::receive(socket, &mut buf) {
            Ok(got) => heard.send(Ok((buf[..got.len].to_vec(), got.from, port))),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(e) => heard.send(Err(e)),
        };
        if sent.is_err() {
            return; // nobody reads any more
        }
    }
}

struct DryRun<'a> {
    leases: Leases,
    config: &'a Config,
    clock: Clock,
}

impl DryRun<'_> {
    fn tell(&mut self, bytes: &[u8], from: SocketAddrV4, port: u16) -> String {
        let mut text = format!("-> from {from} to port {port}\n{}{}", describe(bytes), hex(bytes));
        let Ok(packet) = Packet::parse(bytes) else { return text };
        if let Some(seen) =
            foreign::sighting(&packet).filter(|seen| seen.server != self.config.settings.server)
        {
            text += &format!("== another DHCP server gives addresses here: {}\n", seen.server);
        }
        match self.answer(&packet, from, port) {
            Ok(reply) => {
                let answer = reply.message.as_bytes();
                text + &format!("<- would go to {}\n{}{}", reply.to, describe(answer), hex(answer))
            }
            Err(why) => text + &format!("<- nothing: {why}\n"),
        }
    }

    fn answer(&mut self, packet: &Packet<'_>, from: SocketAddrV4, port: u16) -> Result<Reply, Silence> {
        let (settings, now) = (&self.config.settings, self.clock.now());
        let leases = &mut self.leases;
        match (port, self.config.mode) {
            (_, Mode::Off) => Err(Silence::Off),
            (BOOT_SERVER_PORT, _) => proxy::boot_server(settings, packet, from),
            (_, Mode::Proxy) => proxy::beside(leases, settings, now, packet),
            (_, Mode::Auto | Mode::Server) => server::handle(leases, settings, now, packet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_config;
    use crate::dhcp::options::MessageType;
    use crate::dhcp::packet::Writer;

    #[test]
    fn what_is_heard_and_what_would_be_answered() {
        let text = "interface = \"x\"\naddress = \"10.0.0.1/24\"\npool_start = \"10.0.0.100\"\n\
                    pool_end = \"10.0.0.199\"\nrelease_dir = \"/r\"\nroot_path = \"/r/root\"\n\
                    agent_socket = \"/a\"\nlease_file = \"/l\"\n[beside]\nmode = ";
        let from = "10.0.0.50:68".parse().unwrap();
        let mut discover =
            Writer::request(MessageType::Discover, 1, "52:54:00:00:00:01".parse().unwrap(), true);
        discover.option(60, b"PXEClient");
        let discover = discover.finish().unwrap();
        let mut request =
            Writer::request(MessageType::Request, 1, "52:54:00:00:00:01".parse().unwrap(), true);
        request.option(60, b"PXEClient");
        request.option(54, &[10, 0, 0, 200]);
        let request = request.finish().unwrap();
        let rows: &[(&str, &[u8], u16, &[&str])] = &[
            (
                "\"auto\"",
                discover.as_bytes(),
                67,
                &["<- would go to 255.255.255.255:68", "yiaddr  10.0.0.100"],
            ),
            (
                "\"proxy\"",
                discover.as_bytes(),
                67,
                &["<- would go to 255.255.255.255:68", "siaddr  10.0.0.1"],
            ),
            (
                "\"auto\"",
                request.as_bytes(),
                67,
                &["== another DHCP server gives addresses here: 10.0.0.200"],
            ),
            ("\"auto\"", discover.as_bytes(), 4011, &["<- nothing: not a client's message"]),
            ("\"off\"", discover.as_bytes(), 67, &["<- nothing: DHCP is switched off"]),
            ("\"auto\"", b"nonsense", 67, &["not a DHCP message"]),
        ];
        for (mode, bytes, port, wanted) in rows {
            let config = parse_config(&format!("{text}{mode}\n")).unwrap();
            let mut dry =
                DryRun { leases: Leases::new(config.plan.clone()), config: &config, clock: Clock::start() };
            let told = dry.tell(bytes, from, *port);
            assert!(told.starts_with(&format!("-> from 10.0.0.50:68 to port {port}\n")), "{told}");
            for part in *wanted {
                assert!(told.contains(part), "{mode} {port}: {part}: {told}");
            }
        }
    }
}
