//! From a file to a socket without a copy through the program.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use rustix::fs::sendfile;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// Bytes read at a time by [`warm`].
const CHUNK: usize = 128 << 10;

/// Sends up to `len` bytes of `file` from `offset` on; how many went out, 0 at the end of the file.
///
/// # Errors
/// As sendfile(2); `WouldBlock` when the socket takes nothing at the moment.
pub fn send_file(socket: &impl AsFd, file: &File, offset: u64, len: usize) -> io::Result<usize> {
    let mut offset = offset;
    Ok(sendfile(socket, file, Some(&mut offset), len)?)
}

/// Whether the byte at `offset` can be read without waiting for the disk. Where the kernel cannot tell, it is taken to
/// be so.
pub fn is_cached(file: &File, offset: u64) -> bool {
    let mut byte = [0];
    let got = preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT);
    got != Err(Errno::AGAIN)
}

/// Has the kernel read `len` bytes from `offset` on, waiting for the disk.
///
/// # Errors
/// When the file cannot be read.
pub fn warm(file: &File, offset: u64, len: usize) -> io::Result<()> {
    let mut buf = vec![0; CHUNK.min(len.max(1))];
    let end = offset.saturating_add(len as u64);
    let mut at = offset;
    while at < end {
        match file.read_at(&mut buf, at)? {
            0 => break,
            n => at += n as u64,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_part_of_a_file_goes_to_a_socket() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        warm(&file, 0, 10).unwrap();
        warm(&file, 100, 1 << 20).unwrap();
        assert!(is_cached(&file, 3));
        assert_eq!(send_file(&ours, &file, 3, 4).unwrap(), 4);
        assert_eq!(send_file(&ours, &file, 8, 100).unwrap(), 2);
        assert_eq!(send_file(&ours, &file, 10, 1).unwrap(), 0, "the end");
        drop(ours);
        let mut got = String::new();
        theirs.read_to_string(&mut got).unwrap();
        assert_eq!(got, "345689");
    }
}
