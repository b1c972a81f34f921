//! IPv6 beside [`crate::net`]: sockets that only know one interface, and its addresses.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn6, bind, listen, setsockopt, socket, sockopt,
};

/// Connections waiting to be accepted, listen(2).
const BACKLOG: i32 = 1024;

/// Opens a UDP socket on one interface (`SO_BINDTODEVICE`). Bound to a multicast address it hears what is sent there,
/// and nothing else; it then answers from the interface's link-local address.
///
/// # Errors
/// The error of the call that failed, with its name.
pub fn open_udp(interface: &str, address: Ipv6Addr, port: u16) -> io::Result<UdpSocket> {
    let (fd, local) = open(interface, address, port, SockType::Datagram)?;
    bind(fd.as_raw_fd(), &SockaddrIn6::from(local)).map_err(named("bind"))?;
    let socket = UdpSocket::from(fd);
    if address.is_multicast() {
        socket.join_multicast_v6(&address, local.scope_id())?;
    }
    Ok(socket)
}

/// Opens a listening TCP socket that only hears one interface.
///
/// # Errors
/// The error of the call that failed, with its name.
pub fn listen_tcp(interface: &str, address: Ipv6Addr, port: u16) -> io::Result<TcpListener> {
    let (fd, local) = open(interface, address, port, SockType::Stream)?;
    bind(fd.as_raw_fd(), &SockaddrIn6::from(local)).map_err(named("bind"))?;
    listen(&fd, Backlog::new(BACKLOG)?).map_err(named("listen"))?;
    Ok(TcpListener::from(fd))
}

fn open(
    interface: &str,
    address: Ipv6Addr,
    port: u16,
    kind: SockType,
) -> io::Result<(std::os::fd::OwnedFd, SocketAddrV6)> {
    let fd = socket(AddressFamily::Inet6, kind, SockFlag::SOCK_CLOEXEC, None).map_err(named("socket"))?;
    setsockopt(&fd, sockopt::Ipv6V6Only, &true).map_err(named("IPV6_V6ONLY"))?;
    setsockopt(&fd, sockopt::ReuseAddr, &true).map_err(named("SO_REUSEADDR"))?;
    setsockopt(&fd, sockopt::BindToDevice, &interface.into()).map_err(named("SO_BINDTODEVICE"))?;
    let scope = if_nametoindex(interface).map_err(named("if_nametoindex"))?;
    Ok((fd, SocketAddrV6::new(address, port, 0, scope)))
}

fn named(call: &'static str) -> impl Fn(Errno) -> io::Error {
    move |e| io::Error::new(io::Error::from(e).kind(), format!("{call}: {}", e.desc()))
}

/// The IPv6 addresses of `interface`, link-local ones included.
///
/// # Errors
/// As getifaddrs(3).
pub fn addresses(interface: &str) -> io::Result<Vec<Ipv6Addr>> {
    let of_it = getifaddrs()?.filter(|entry| entry.interface_name == interface);
    Ok(of_it.filter_map(|entry| Some(entry.address?.as_sockaddr_in6()?.ip())).collect())
}

/// The hardware address of `interface`, where it has one. Unlike sysfs it is this network namespace's.
///
/// # Errors
/// As getifaddrs(3).
pub fn hardware(interface: &str) -> io::Result<Option<[u8; 6]>> {
    let mut of_it = getifaddrs()?.filter(|entry| entry.interface_name == interface);
    Ok(of_it.find_map(|entry| entry.address?.as_link_addr()?.addr()).filter(|mac| *mac != [0; 6]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_hear_their_own_address_on_their_own_interface() {
        let server = open_udp("lo", Ipv6Addr::LOCALHOST, 0).unwrap();
        let client = open_udp("lo", Ipv6Addr::LOCALHOST, 0).unwrap();
        client.send_to(b"hello", server.local_addr().unwrap()).unwrap();
        let mut buf = [0; 16];
        let (len, from) = server.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..len], from), (b"hello".as_slice(), client.local_addr().unwrap()));
        assert!(listen_tcp("lo", Ipv6Addr::LOCALHOST, 0).is_ok());
        assert!(addresses("lo").unwrap().contains(&Ipv6Addr::LOCALHOST));
        assert_eq!(hardware("lo").unwrap(), None);
        let err = open_udp("no-such-if", Ipv6Addr::LOCALHOST, 0).unwrap_err();
        assert!(err.to_string().contains("SO_BINDTODEVICE"), "{err}");
    }
}
