//! TFTP against the clients that others wrote, and against packets that nobody should send.

use std::fs;
use std::path::Path;
use std::time::Duration;

use maekin_host::cmd::Cmd;

use crate::client::tftp;
use crate::rig::in_rig;

/// Ways to fetch `remote` into `local`.
fn clients(remote: &str, local: &Path) -> Vec<(&'static str, Cmd)> {
    let url = format!("tftp://10.77.0.1/{remote}");
    let curl = || Cmd::new("curl").args(["-sS", "--max-time", "20", "-o"]).arg(local);
    let atftp = || Cmd::new("atftp").args(["--get", "-r", remote, "-l"]).arg(local);
    vec![
        (
            "tftp-hpa, no options",
            Cmd::new("tftp").args(["-m", "binary", "10.77.0.1", "-c", "get", remote]).arg(local),
        ),
        ("atftp, no options", atftp().arg("10.77.0.1")),
        (
            "atftp, blocks and window",
            atftp().args(["--option", "blksize 1468", "--option", "windowsize 16", "10.77.0.1"]),
        ),
        (
            "atftp, wants too much",
            atftp().args(["--option", "blksize 8192", "--option", "windowsize 100", "10.77.0.1"]),
        ),
        ("atftp, size", atftp().args(["--option", "tsize", "--option", "timeout 3", "10.77.0.1"])),
        ("curl, its own options", curl().arg(&url)),
        ("curl, blocks of 1428", curl().args(["--tftp-blksize", "1428", &url])),
        ("curl, no options", curl().args(["--tftp-no-options", &url])),
    ]
}

#[test]
fn tftp_hpa_and_atftp_and_curl_get_the_file() {
    in_rig(|rig| {
        let dir = tempfile::tempdir().expect("a directory");
        for (remote, wanted) in
            [("ipxe.efi", "boot/net/ipxe.efi"), ("/boot/net/undionly.kpxe", "boot/net/undionly.kpxe")]
        {
            let wanted = rig.file(wanted);
            for (name, client) in clients(remote, &dir.path().join("got")) {
                client.run().expect(name);
                let got = fs::read(dir.path().join("got")).expect(name);
                assert!(got == wanted, "{name}: {} of {} bytes", got.len(), wanted.len());
                fs::remove_file(dir.path().join("got")).expect(name);
            }
        }
    });
}

#[test]
fn tftp_clients_are_told_why_there_is_nothing_for_them() {
    in_rig(|_| {
        let dir = tempfile::tempdir().expect("a directory");
        let (got, own) = (dir.path().join("got"), dir.path().join("own"));
        fs::write(&own, "mine").expect("a file");
        let curl = || Cmd::new("curl").args(["-sS", "--max-time", "20"]);
        let rows = [
            ("no such file", curl().arg("-o").arg(&got).arg("tftp://10.77.0.1/private"), "(68)"),
            (
                "traversal",
                curl().args(["--path-as-is", "-o"]).arg(&got).arg("tftp://10.77.0.1/../private"),
                "(68)",
            ),
            ("writing", curl().arg("-T").arg(&own).arg("tftp://10.77.0.1/ipxe.efi"), "(69)"),
        ];
        for (name, client, wanted) in rows {
            let text = client.run().expect_err(name).to_string();
            assert!(text.contains(wanted), "{name}: {text}");
        }
    });
}

#[test]
fn tftp_packets_that_nobody_should_send_get_an_error_or_nothing() {
    in_rig(|rig| {
        std::os::unix::fs::symlink("/etc/passwd", rig.dir().join("boot/net/link")).expect("a link");
        let long = [b"\0\x01".as_slice(), &[b'a'; 600], b"\0octet\0"].concat();
        let rows: &[(&str, &[u8], Option<u8>)] = &[
            ("netascii", b"\0\x01ipxe.efi\0netascii\0", Some(0)),
            ("mail", b"\0\x01ipxe.efi\0mail\0", Some(0)),
            ("write", b"\0\x02ipxe.efi\0octet\0", Some(2)),
            ("a path out of the bundle", b"\0\x01../../etc/passwd\0octet\0", Some(1)),
            ("the same with a prefix that is taken off", b"\0\x01boot/net/../../private\0octet\0", Some(1)),
            ("an absolute path", b"\0\x01/etc/passwd\0octet\0", Some(1)),
            ("a link beside the loaders", b"\0\x01boot/net/link\0octet\0", Some(1)),
            ("a file of the bundle that is no loader", b"\0\x01vmlinuz\0octet\0", Some(1)),
            ("a name of 600 bytes", &long, Some(4)),
            ("a name that is not UTF-8", b"\0\x01\xff\xfe\0octet\0", Some(4)),
            ("no mode", b"\0\x01ipxe.efi", Some(4)),
            ("cut in its opcode", b"\0", None),
            ("empty", b"", None),
            ("an ACK of nothing", b"\0\x04\0\x01", None),
            ("DATA", b"\0\x03\0\x01data", None),
            ("an ERROR", b"\0\x05\0\x01\0", None),
            ("an opcode of the future", b"\0\x09ipxe.efi\0octet\0", None),
        ];
        for (name, packet, wanted) in rows {
            let limit = Duration::from_millis(if wanted.is_some() { 5000 } else { 200 });
            let error = tftp::answer(packet, limit).map(|bytes| {
                assert_eq!(bytes[..3], [0, 5, 0], "{name}");
                bytes[3]
            });
            assert_eq!(error, *wanted, "{name}");
        }
        let absurd = [("blksize", "1"), ("windowsize", "0"), ("timeout", "0"), ("tsize", "none")];
        let got = tftp::get_as_if_unasked("ipxe.efi", &absurd).expect("absurd options are as if unsaid");
        assert!(got == rig.file("boot/net/ipxe.efi"));
    });
}
