//! What an answer tells a client about booting: its file, and the options without which firmware of some kind does not
//! take it. The same for a full answer and, with its differences, for one of ProxyDHCP.

use super::options::{self, MessageType};
use super::packet::{Packet, Writer};
use super::proxy::{ProxyLoader, ProxyStyle};
use super::server::Settings;
use crate::boot::{self, Boot, Client};
use crate::script::Target;

/// The boot part of an answer.
pub(super) struct Netboot<'a> {
    pub(super) settings: &'a Settings,
    pub(super) packet: &'a Packet<'a>,
    pub(super) client: Client,
}

impl Netboot<'_> {
    /// Writes it for a client that takes its address from this answer too.
    pub(super) fn write(&self, writer: &mut Writer, boot: Boot) {
        match boot {
            Boot::Nothing | Boot::Unsupported => return,
            Boot::Script => {
                writer.option(options::IPXE, &[options::IPXE_NO_PXEDHCP, 1, 1]);
                self.script(writer);
            }
            Boot::HttpLoader => self.http_loader(writer),
            Boot::Tftp(file) => {
                self.pxe_class(writer);
                skip_discovery(writer);
                self.tftp(writer, file);
            }
        }
        self.machine(writer);
    }

    /// Writes it for a client that has its address from another server: `kind` is OFFER on port 67, ACK on port 4011.
    pub(super) fn write_proxy(&self, writer: &mut Writer, boot: Boot, kind: MessageType) {
        match boot {
            Boot::Nothing | Boot::Unsupported => return,
            // iPXE goes by the class and the next server, or it would ask on port 4011 once more.
            Boot::Script => {
                self.pxe_class(writer);
                writer.set_siaddr(self.settings.server);
                self.script(writer);
            }
            Boot::HttpLoader => self.http_loader(writer),
            Boot::Tftp(file) => {
                self.pxe_class(writer);
                let asks_again = !boot::is_bios(self.client.arch) && self.settings.proxy == ProxyStyle::Binl;
                match self.boot_item().filter(|_| kind == MessageType::Ack) {
                    Some(item) => writer.option(options::VENDOR, &[item, &[options::END]].concat()),
                    None if asks_again => {}
                    None => skip_discovery(writer),
                }
                let ipxe = file == boot::UEFI_LOADER && self.settings.proxy_loader == ProxyLoader::Ipxe;
                self.tftp(writer, if ipxe { boot::UEFI_IPXE } else { file });
            }
        }
        self.machine(writer);
    }

    /// The boot server that the client chose from a menu (PXE 2.1 table 2-1, tag 71), tag and length included: the
    /// answer must name the same.
    fn boot_item(&self) -> Option<&[u8]> {
        let mut rest = self.packet.option(options::VENDOR)?;
        loop {
            match *rest {
                [options::PAD, ref tail @ ..] => rest = tail,
                [options::PXE_BOOT_ITEM, 4, ref tail @ ..] if tail.len() >= 4 => return rest.get(..6),
                [options::END, ..] => return None,
                [_, len, ref tail @ ..] => rest = tail.get(usize::from(len)..)?,
                _ => return None,
            }
        }
    }

    fn script(&self, writer: &mut Writer) {
        let http = self.settings.http();
        boot_file(
            writer,
            &Target {
                http: &http,
                others: &self.settings.masters,
                hw: self.packet.hw,
                arch: self.client.arch,
            }
            .script_url(),
        );
    }

    /// Firmware takes an offer for HTTP boot only when option 60 says that it is one (xcat2/xcat-core #7743).
    fn http_loader(&self, writer: &mut Writer) {
        writer.option(options::VENDOR_CLASS, b"HTTPClient");
        boot_file(writer, &format!("{}/boot/{}", self.settings.http(), boot::UEFI_LOADER));
    }

    fn pxe_class(&self, writer: &mut Writer) {
        writer.option(options::VENDOR_CLASS, b"PXEClient");
    }

    fn tftp(&self, writer: &mut Writer, file: &str) {
        writer.set_siaddr(self.settings.server);
        writer.option(options::TFTP_SERVER, self.settings.server.to_string().as_bytes());
        boot_file(writer, file);
    }

    /// RFC 4578 sections 2.2 and 2.3: answers carry the network interface and the machine as the client named them.
    fn machine(&self, writer: &mut Writer) {
        for code in [options::UNDI, options::MACHINE_ID] {
            if let Some(value) = self.packet.option(code) {
                writer.option(code, value);
            }
        }
    }
}

/// Without it EDK2 takes option 60 for a boot server to ask on port 4011, and ROMs show a menu.
fn skip_discovery(writer: &mut Writer) {
    writer.option(options::VENDOR, &[options::PXE_DISCOVERY, 1, options::PXE_SKIP_DISCOVERY, options::END]);
}

/// The boot file in both places; in option 67 with a NUL at its end, for ROMs that read it as a C string.
fn boot_file(writer: &mut Writer, name: &str) {
    writer.set_file(name.as_bytes());
    let mut value = name.as_bytes().to_vec();
    value.push(0);
    writer.option(options::BOOT_FILE, &value);
}
