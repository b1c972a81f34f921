//! Frames on a unix stream: 4 bytes of length, big-endian, then the frame (QEMU, `-netdev stream`).

use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// A frame on its way to several ports.
pub(super) type Frame = Arc<[u8]>;

/// The longest frame taken: QEMU's own limit for this framing is 68 KiB (`NET_BUFSIZE`).
const MAX_FRAME: usize = 68 << 10;
/// Frames are written together up to about this many bytes.
const BATCH: usize = 64 << 10;

/// Reads frames off a stream.
pub(super) struct FrameReader<R> {
    stream: BufReader<R>,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream: BufReader::with_capacity(256 << 10, stream) }
    }

    /// The next frame; `None` where the stream ends between two.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut length = [0; 4];
        match self.stream.read(&mut length)? {
            0 => return Ok(None),
            n => self.stream.read_exact(&mut length[n..])?,
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            let reason = format!("a frame of {length} bytes; at most {MAX_FRAME} are taken");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame)?;
        Ok(Some(frame))
    }
}

/// Writes what comes through `queue` until the stream or the queue ends.
pub(super) fn write_queue(queue: &Receiver<Frame>, mut stream: impl Write) {
    let mut batch = Vec::with_capacity(BATCH + MAX_FRAME);
    while let Ok(first) = queue.recv() {
        batch.clear();
        append(&mut batch, &first);
        while batch.len() < BATCH {
            match queue.try_recv() {
                Ok(frame) => append(&mut batch, &frame),
                Err(_) => break,
            }
        }
        if stream.write_all(&batch).is_err() {
            return; // the guest is gone; its reader tells the switch
        }
    }
}

fn append(batch: &mut Vec<u8>, frame: &Frame) {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX); // read_frame took at most MAX_FRAME bytes
    batch.extend(length.to_be_bytes());
    batch.extend_from_slice(frame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn what_is_written_is_read_again() {
        let frames: Vec<Frame> = [vec![1; 60], vec![], vec![3; 1514]].map(Arc::from).to_vec();
        let (queue, receiver) = sync_channel(8);
        for frame in &frames {
            queue.send(frame.clone()).unwrap();
        }
        drop(queue);
        let mut wire = Vec::new();
        write_queue(&receiver, &mut wire);
        let mut reader = FrameReader::new(wire.as_slice());
        for frame in &frames {
            assert_eq!(reader.next().unwrap().as_deref(), Some(&**frame));
        }
        assert_eq!(reader.next().unwrap(), None);
    }

    #[test]
    fn hostile_streams_end_in_an_error() {
        let rows: [(&str, &[u8]); 4] = [
            ("cut in the length", &[0, 0]),
            ("cut in the frame", &[0, 0, 0, 9, 1, 2]),
            ("a gigabyte", &[0x40, 0, 0, 0]),
            ("longest possible", &[0xff; 4]),
        ];
        for (name, bytes) in rows {
            assert!(FrameReader::new(bytes).next().is_err(), "{name}");
        }
    }
}
