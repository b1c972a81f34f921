//! The cells of the matrix.

use std::collections::BTreeSet;

use maekin_qemu_tests::node::Firmware;

/// What the firmware remembers when the node starts without the drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nvram {
    /// As it was.
    Kept,
    /// Nothing, as on a replaced board.
    Empty,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    /// The drive that is lost, 1 or 2.
    pub(crate) lost: u8,
    /// `BIOS` or `UEFI` (with Secure Boot or without).
    pub(crate) firmware: String,
    pub(crate) nvram: Nvram,
    /// Bytes of a sector.
    pub(crate) sector: u32,
}

/// All cells but BIOS with 4096-byte sectors, which is refused.
pub(crate) fn matrix() -> BTreeSet<Cell> {
    let kinds = [(Firmware::Bios, 512), (Firmware::Uefi, 512), (Firmware::Uefi, 4096)];
    kinds.iter().flat_map(|(firmware, sector)| of_chain(*firmware, *sector, &[1, 2])).collect()
}

/// The cells of a chain that loses the drives `lost` with either state of the NVRAM.
pub(crate) fn of_chain(firmware: Firmware, sector: u32, lost: &[u8]) -> Vec<Cell> {
    let firmware = if firmware.is_uefi() { Firmware::Uefi } else { Firmware::Bios };
    let cell = |lost: u8, nvram| Cell { lost, firmware: firmware.to_string(), nvram, sector };
    lost.iter().flat_map(|lost| [Nvram::Kept, Nvram::Empty].map(|nvram| cell(*lost, nvram))).collect()
}
