//! Free TCP ports of the host.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

/// Finds `count` different TCP ports of 127.0.0.1 that nobody listens on right now.
///
/// They are held until all are found and then let go, so another program may still take one before QEMU does; QEMU
/// then refuses to start and says so.
///
/// # Errors
/// When the host has none left.
pub fn free(count: usize) -> anyhow::Result<Vec<u16>> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .context("cannot find a free TCP port on 127.0.0.1")?;
    held.iter().map(|l| Ok(l.local_addr().context("cannot tell a TCP port")?.port())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ports_differ_and_are_free() {
        let ports = free(8).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 8);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, ports[0])).is_ok());
    }
}
