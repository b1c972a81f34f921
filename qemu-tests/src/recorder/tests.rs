use super::log::Log;
use super::*;
use maekin_host::cmd::{Cmd, CmdError};

fn qemu_io(socket: &Path, commands: &[&str]) -> Result<String, CmdError> {
    let mut cmd = Cmd::new("qemu-io").args(["-f", "raw"]);
    for command in commands {
        cmd = cmd.args(["-c", command]);
    }
    cmd.arg(format!("nbd+unix:///?socket={}", socket.display())).text()
}

#[test]
fn what_qemu_does_is_logged_in_order_and_can_be_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let drives = [0, 1].map(|i| (dir.path().join(format!("d{i}.raw")), 16 << 20));
    let recorder = Recorder::start(dir.path(), &drives).unwrap();
    qemu_io(&recorder.sockets()[0], &["write -P 7 4k 8k", "flush", "write -z 8k 4k", "read -P 7 4k 4k"])
        .unwrap();
    qemu_io(&recorder.sockets()[1], &["write -f -P 9 1M 512", "discard 2M 1M", "read -P 9 1M 512"]).unwrap();
    recorder.sync().unwrap();
    let log = Log::open(dir.path()).unwrap();
    let done: Vec<(u8, Op, u64, u64)> =
        log.entries.iter().filter(|e| e.op != Op::Flush).map(|e| (e.drive, e.op, e.offset, e.len)).collect();
    let want = [
        (0, Op::Write, 4096, 8192),
        (0, Op::Zero, 8192, 4096),
        (1, Op::Write, 1 << 20, 512),
        (1, Op::Discard, 2 << 20, 1 << 20),
    ];
    assert_eq!(done, want);
    let flush = log.entries.iter().position(|e| e.op == Op::Flush).unwrap();
    assert_eq!((flush, log.entries[flush].drive), (1, 0));
    assert!(log.entries.iter().any(|e| e.fua && e.drive == 1));
    let mut bytes = [0; 512];
    log.read(&log.entries[0], 100, &mut bytes).unwrap();
    assert_eq!(bytes, [7; 512]);
    assert_eq!(std::fs::metadata(&drives[0].0).unwrap().len(), 16 << 20);
}

#[test]
fn a_broken_part_fails_its_writes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(dir.path(), &[(dir.path().join("d.raw"), 1 << 20)]).unwrap();
    recorder.break_writes(0, 65536..66048);
    let socket = &recorder.sockets()[0];
    qemu_io(socket, &["write 0 64k", "read 64k 4k", "write 68k 4k"]).unwrap();
    assert!(qemu_io(socket, &["write 64k 4k"]).is_err());
}
