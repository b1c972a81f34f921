//! Many datagrams with one call: recvmmsg(2) and sendmmsg(2).

#![allow(clippy::cast_possible_truncation)] // of C constants, counts of a few hundred and sizes of structs

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use nix::libc;
use nix::poll::ppoll;

/// Longest datagram received; one that is longer is cut.
const LONGEST: usize = 2048;
/// Most datagrams handed to the kernel at once (`UIO_MAXIOV` is 1024).
const MOST: usize = 256;

/// Room for several datagrams, used again and again.
#[derive(Debug)]
pub struct Inbox {
    buffers: Vec<[u8; LONGEST]>,
    lengths: Vec<usize>,
}

impl Inbox {
    /// Room for `most` datagrams, at most 256.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { buffers: vec![[0; LONGEST]; most.clamp(1, MOST)], lengths: Vec::new() }
    }

    /// Waits for a datagram (as long as the socket's own limit has it), and takes what else has come already.
    ///
    /// # Errors
    /// As recvmmsg(2); `WouldBlock` when the limit ran out.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.receive_by(socket, libc::MSG_WAITFORONE)
    }

    /// Takes what has come when `pause` is over (to the microsecond): where many come, being woken for each of them
    /// costs more than answering them.
    ///
    /// # Errors
    /// As ppoll(2) and recvmmsg(2); `WouldBlock` when nothing has come.
    pub fn receive_after(&mut self, socket: &UdpSocket, pause: Duration) -> io::Result<()> {
        self.lengths.clear();
        if !pause.is_zero() {
            ppoll(&mut [], Some(pause.into()), None)?;
        }
        self.receive_by(socket, libc::MSG_DONTWAIT)
    }

    fn receive_by(&mut self, socket: &UdpSocket, flags: libc::c_int) -> io::Result<()> {
        self.lengths.clear();
        let mut iovs: Vec<libc::iovec> = self
            .buffers
            .iter_mut()
            .map(|b| libc::iovec { iov_base: b.as_mut_ptr().cast(), iov_len: LONGEST })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = iovs.iter_mut().map(header).collect();
        // SAFETY: every header points to one iovec of `iovs`, which points to one buffer of LONGEST bytes; all outlive
        // the call, none is aliased, and names and control data are null with length zero.
        #[allow(unsafe_code)]
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                flags as _,
                ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        self.lengths.extend(headers[..got].iter().map(|header| (header.msg_len as usize).min(LONGEST)));
        Ok(())
    }

    /// The datagrams of the last [`Inbox::receive`], in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + '_ {
        self.buffers.iter().zip(&self.lengths).map(|(buffer, len)| &buffer[..*len])
    }
}

/// Sends datagrams from our address `from` (whatever the routing table would have chosen), in their order. Tells
/// `failed` the place of each that could not be sent, and why; the others are sent.
pub fn send(
    socket: &UdpSocket,
    from: Ipv4Addr,
    datagrams: &[(&[u8], SocketAddrV4)],
    mut failed: impl FnMut(usize, io::Error),
) {
    let mut control = Control::new(from);
    let mut done = 0;
    for part in datagrams.chunks(MOST) {
        let mut names: Vec<libc::sockaddr_in> = part.iter().map(|(_, to)| name(*to)).collect();
        let mut iovs: Vec<libc::iovec> = part
            .iter()
            .map(|(bytes, _)| libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = iovs
            .iter_mut()
            .zip(&mut names)
            .map(|(iov, name)| {
                let mut header = header(iov);
                header.msg_hdr.msg_name = ptr::from_mut(name).cast();
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                header.msg_hdr.msg_control = ptr::from_mut(&mut control).cast();
                header.msg_hdr.msg_controllen = size_of::<Control>() as _;
                header
            })
            .collect();
        let mut at = 0;
        while at < headers.len() {
            let rest = &mut headers[at..];
            // SAFETY: every header points to a name, an iovec with a datagram, and the control message, all of which
            // outlive the call; sendmmsg(2) writes nothing but the headers' own lengths, so sharing the control
            // message and reading through a mutable pointer into the datagrams are sound.
            #[allow(unsafe_code)]
            let sent = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0)
            };
            match usize::try_from(sent) {
                Ok(sent) if sent > 0 => at += sent,
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        failed(done + at, error);
                        at += 1;
                    }
                }
            }
        }
        done += part.len();
    }
}

fn header(iov: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: mmsghdr is plain data, for which all zeros (null pointers, no lengths) are valid.
    #[allow(unsafe_code)]
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_iov = ptr::from_mut(iov);
    header.msg_hdr.msg_iovlen = 1;
    header
}

fn name(to: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) },
        sin_zero: [0; 8],
    }
}

/// One control message, `IP_PKTINFO` of ip(7), laid out as cmsg(3) has it.
#[repr(C)]
struct Control {
    head: libc::cmsghdr,
    info: libc::in_pktinfo,
}

/// CMSG_DATA follows the header without padding, since the header's size is a multiple of a word's.
const _: () = assert!(mem::offset_of!(Control, info) == size_of::<libc::cmsghdr>());

impl Control {
    fn new(from: Ipv4Addr) -> Self {
        // SAFETY: cmsghdr is plain data, for which all zeros are valid.
        #[allow(unsafe_code)]
        let mut head: libc::cmsghdr = unsafe { mem::zeroed() };
        head.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<libc::in_pktinfo>()) as _;
        head.cmsg_level = libc::IPPROTO_IP;
        head.cmsg_type = libc::IP_PKTINFO;
        let source = libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) };
        let none = libc::in_addr { s_addr: 0 };
        Self { head, info: libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: none } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{self, UdpOptions};

    fn open(ip: [u8; 4]) -> UdpSocket {
        let local = SocketAddrV4::new(ip.into(), 0);
        net::open_udp(UdpOptions { interface: "lo", local, receive_buffer: 1 << 20 }).unwrap()
    }

    #[test]
    fn a_burst_arrives_whole_and_in_order_and_from_the_address_asked_for() {
        let (a, b) = (open([0, 0, 0, 0]), open([127, 0, 0, 1]));
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, b.local_addr().unwrap().port());
        let texts: Vec<Vec<u8>> = (0u16..300).map(|n| n.to_be_bytes().repeat(1 + usize::from(n))).collect();
        let mut datagrams: Vec<(&[u8], SocketAddrV4)> = texts.iter().map(|t| (t.as_slice(), to)).collect();
        let endless = vec![0; 70_000];
        datagrams.insert(7, (&endless, to));
        let mut failures = Vec::new();
        send(&a, Ipv4Addr::new(127, 0, 0, 5), &datagrams, |at, e| failures.push((at, e.raw_os_error())));
        assert_eq!(failures, [(7, Some(libc::EMSGSIZE))], "and what cannot be sent stops nothing else");
        let mut inbox = Inbox::new(64);
        let mut got: Vec<Vec<u8>> = Vec::new();
        while got.len() < texts.len() {
            inbox.receive(&b).unwrap();
            assert!(inbox.iter().count() <= 64);
            got.extend(inbox.iter().map(<[u8]>::to_vec));
        }
        assert!(got == texts);
        send(&a, Ipv4Addr::new(127, 0, 0, 5), &[(b"who", to)], |_, e| panic!("{e}"));
        let (_, from) = b.recv_from(&mut [0; 9]).unwrap();
        assert_eq!(from.ip().to_string(), "127.0.0.5");
    }

    #[test]
    fn a_limit_of_the_socket_holds_and_a_long_datagram_is_cut() {
        let socket = open([127, 0, 0, 1]);
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut inbox = Inbox::new(4);
        assert_eq!(inbox.receive(&socket).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let short = inbox.receive_after(&socket, Duration::from_micros(300));
        assert_eq!(short.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let none = inbox.receive_after(&socket, Duration::ZERO);
        assert_eq!(none.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(inbox.iter().count(), 0);
        socket.send_to(&[7; 3000], socket.local_addr().unwrap()).unwrap();
        inbox.receive(&socket).unwrap();
        assert_eq!(inbox.iter().map(<[u8]>::len).collect::<Vec<_>>(), [LONGEST]);
    }
}
