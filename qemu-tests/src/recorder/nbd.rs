//! The NBD protocol, as much as QEMU's client needs: fixed newstyle negotiation, simple replies.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;

const NBD_MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const RESPONSE: u32 = 0x6744_6698;
/// Fixed newstyle, and no padding behind the export.
const HANDSHAKE: u16 = 0b11;
const OPT_EXPORT_NAME: u32 = 1;
const OPT_ABORT: u32 = 2;
const OPT_INFO: u32 = 6;
const OPT_GO: u32 = 7;
/// The export has flags; flush, FUA, discard and write-zeroes can be sent.
const EXPORT: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6;
/// Largest option and request that is taken, in bytes.
const LARGEST: u32 = 64 << 20;
const EIO: u32 = 5;
const EINVAL: u32 = 22;

/// What is served.
pub(super) trait Export {
    /// Bytes.
    fn size(&self) -> u64;
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    fn write(&self, offset: u64, data: &[u8], fua: bool) -> io::Result<()>;
    fn zero(&self, offset: u64, len: u64, fua: bool) -> io::Result<()>;
    fn discard(&self, offset: u64, len: u64) -> io::Result<()>;
    fn flush(&self) -> io::Result<()>;
}

/// Serves one client until it leaves.
pub(super) fn serve(stream: &UnixStream, export: &dyn Export) -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 20, stream);
    let mut output = BufWriter::with_capacity(1 << 20, stream);
    if !negotiate(&mut input, &mut output, export.size())? {
        return Ok(());
    }
    let mut data = Vec::new();
    loop {
        let [magic, kind, handle_high, handle_low, offset_high, offset_low, len] = words(&mut input)?;
        if magic != REQUEST || len > LARGEST {
            return Err(invalid("it is no request, or too large"));
        }
        let (flags, kind) = (kind >> 16, kind & 0xffff);
        let offset = u64::from(offset_high) << 32 | u64::from(offset_low);
        let fua = flags & 1 != 0;
        let size = usize::try_from(len).unwrap_or_default();
        data.clear();
        if kind == 1 {
            data.resize(size, 0);
            input.read_exact(&mut data)?;
        }
        let fits = offset.checked_add(u64::from(len)).is_some_and(|end| end <= export.size());
        let done = match kind {
            2 => return Ok(()),
            _ if !fits => Err(invalid("past the end")),
            0 => {
                data.resize(size, 0);
                export.read(offset, &mut data)
            }
            1 => export.write(offset, &data, fua),
            3 => export.flush(),
            4 => export.discard(offset, len.into()),
            6 => export.zero(offset, len.into(), fua),
            _ => Err(invalid("an unknown command")),
        };
        let error = match &done {
            Ok(()) => 0,
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => EINVAL,
            Err(_) => EIO,
        };
        for word in [RESPONSE, error, handle_high, handle_low] {
            output.write_all(&word.to_be_bytes())?;
        }
        if kind == 0 && error == 0 {
            output.write_all(&data)?;
        }
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
}

/// True when requests follow.
fn negotiate(input: &mut impl Read, output: &mut impl Write, size: u64) -> io::Result<bool> {
    output.write_all(&NBD_MAGIC.to_be_bytes())?;
    output.write_all(&OPTION_MAGIC.to_be_bytes())?;
    output.write_all(&HANDSHAKE.to_be_bytes())?;
    output.flush()?;
    let [_client_flags] = words(input)?;
    loop {
        let [magic_high, magic_low, option, len] = words(input)?;
        if u64::from(magic_high) << 32 | u64::from(magic_low) != OPTION_MAGIC || len > LARGEST {
            return Err(invalid("it is no option, or too large"));
        }
        io::copy(&mut input.take(len.into()), &mut io::sink())?;
        let export = [&size.to_be_bytes()[..], &EXPORT.to_be_bytes()].concat();
        match option {
            OPT_EXPORT_NAME => {
                output.write_all(&export)?;
                output.flush()?;
                return Ok(true);
            }
            OPT_ABORT => {
                reply(output, option, 1, &[])?;
                return Ok(false);
            }
            OPT_INFO | OPT_GO => {
                reply(output, option, 3, &[&[0, 0], &export[..]].concat())?;
                reply(output, option, 1, &[])?;
                if option == OPT_GO {
                    return Ok(true);
                }
            }
            _ => reply(output, option, 0x8000_0001, &[])?,
        }
    }
}

fn reply(output: &mut impl Write, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    output.write_all(&REPLY_MAGIC.to_be_bytes())?;
    let len = u32::try_from(data.len()).unwrap_or_default(); // never more than an export's figures
    for word in [option, kind, len] {
        output.write_all(&word.to_be_bytes())?;
    }
    output.write_all(data)?;
    output.flush()
}

fn words<const N: usize>(input: &mut impl Read) -> io::Result<[u32; N]> {
    let mut words = [0; N];
    for word in &mut words {
        let mut bytes = [0; 4];
        input.read_exact(&mut bytes)?;
        *word = u32::from_be_bytes(bytes);
    }
    Ok(words)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
