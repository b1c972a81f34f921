//! GRUB's boot code for BIOS, made to fit a disk: what `grub-install` does, without running it on the target.
//!
//! The BIOS loads the MBR (GRUB's `boot.img`), which loads the first sector of the core from a sector number written
//! into it; that first sector (`diskboot.img`) loads the rest of the core from a block list at its end. The core lies
//! in one piece in the BIOS boot partition, so both are a few bytes to patch (GRUB: `include/grub/i386/pc/boot.h`,
//! `include/grub/offsets.h`, `util/setup.c`). The core finds its files by itself: its prefix is `(,gpt2)/maekin/grub`.
//!
//! While a disk is being installed, its MBR is [`unfinished`]: code that starts the next drive instead, and a mark
//! by which an interrupted installation is recognised.

use uuid::Uuid;

use crate::gpt::BOOT_CODE;

const SECTOR: usize = 512;
/// Where `boot.img` keeps the sector number of the core, 8 bytes.
const BOOT_KERNEL_SECTOR: usize = 0x5c;
/// Where `boot.img` keeps the boot drive; 0xff: the one the BIOS names.
const BOOT_DRIVE: usize = 0x64;
/// Where `boot.img` jumps over its guess of the boot drive; two NOPs on hard disks, for BIOSes that pass rubbish.
const BOOT_DRIVE_CHECK: usize = 0x66;
/// The block list of `diskboot.img`: start (8 bytes), length (2) and load segment (2) at the end of its sector.
const BLOCK_LIST: usize = SECTOR - 12;
/// Segment that the second sector of the core is loaded to: 0x8000 linear, plus the first sector.
const KERNEL_SEGMENT: u16 = 0x820;
/// Jumps over the mark to [`NEXT_DRIVE`].
const JUMP: [u8; 2] = [0xeb, 0x7e];
const NEXT_DRIVE_AT: usize = 0x80;
/// Starts the next drive that has boot code, by the BIOS' own numbers; after the last, `int 0x18` gives the next boot
/// device its turn, and a halt catches BIOSes that come back. `int 0x18` alone would not do: there are BIOSes, SeaBIOS
/// among them, that boot from their first drive or from none, and so would never come to the other half of a mirror or
/// to the stick. Made by `as --32` (`.code16`); a drive whose first sector begins with zeros, as a GPT's protective MBR
/// does, has no code. Address 0x475 counts the BIOS' drives.
#[rustfmt::skip]
const NEXT_DRIVE: [u8; 90] = [
    0xfa, // 80: cli
    0x31, 0xc0, // 81: xor %ax,%ax
    0x8e, 0xd8, // 83: mov %ax,%ds
    0x8e, 0xc0, // 85: mov %ax,%es
    0x8e, 0xd0, // 87: mov %ax,%ss
    0xbc, 0x00, 0x7c, // 89: mov $0x7c00,%sp
    0xfb, // 8c: sti
    0xfc, // 8d: cld
    0xbe, 0x00, 0x7c, // 8e: mov $0x7c00,%si
    0xbf, 0x00, 0x06, // 91: mov $0x600,%di
    0xb9, 0x00, 0x01, // 94: mov $0x100,%cx
    0xf3, 0xa5, // 97: rep movsw %ds:(%si),%es:(%di)
    0xea, 0x9e, 0x06, 0x00, 0x00, // 99: ljmp $0x0,$0x69e
    0xf6, 0xc2, 0x80, // 9e: test $0x80,%dl
    0x75, 0x02, // a1: jne 0xa5
    0xb2, 0x80, // a3: mov $0x80,%dl
    0xfe, 0xc2, // a5: inc %dl
    0xa0, 0x75, 0x04, // a7: mov 0x475,%al
    0x04, 0x80, // aa: add $0x80,%al
    0x38, 0xc2, // ac: cmp %al,%dl
    0x73, 0x25, // ae: jae 0xd5
    0x52, // b0: push %dx
    0xb8, 0x01, 0x02, // b1: mov $0x201,%ax
    0xbb, 0x00, 0x7c, // b4: mov $0x7c00,%bx
    0xb9, 0x01, 0x00, // b7: mov $0x1,%cx
    0xb6, 0x00, // ba: mov $0x0,%dh
    0xcd, 0x13, // bc: int $0x13
    0x5a, // be: pop %dx
    0x72, 0xe4, // bf: jb 0xa5
    0x81, 0x3e, 0xfe, 0x7d, 0x55, 0xaa, // c1: cmpw $0xaa55,0x7dfe
    0x75, 0xdc, // c7: jne 0xa5
    0x83, 0x3e, 0x00, 0x7c, 0x00, // c9: cmpw $0x0,0x7c00
    0x74, 0xd5, // ce: je 0xa5
    0xea, 0x00, 0x7c, 0x00, 0x00, // d0: ljmp $0x0,$0x7c00
    0xcd, 0x18, // d5: int $0x18
    0xf4, // d7: hlt
    0xeb, 0xfd, // d8: jmp 0xd7
];
const MARK: &[u8] = b"maekin: installation unfinished ";
const MARK_AT: usize = 0x20;

/// The boot code cannot be made to fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootCodeError {
    /// `boot.img` is not one sector with a signature.
    #[error("boot.img is not a GRUB boot sector of 512 bytes")]
    BootImage,
    /// `core.img` is too short to be one.
    #[error("core.img has {0} bytes and is no GRUB core image")]
    CoreImage(usize),
    /// `core.img` does not fit its partition.
    #[error("core.img has {have} bytes and the BIOS boot partition {room}")]
    TooLarge {
        /// Bytes of the core.
        have: usize,
        /// Bytes of the partition.
        room: u64,
    },
}

/// The MBR boot code that loads the core from sector `core_lba`.
///
/// # Errors
/// [`BootCodeError::BootImage`].
pub fn mbr_code(boot_img: &[u8], core_lba: u64) -> Result<[u8; BOOT_CODE], BootCodeError> {
    if boot_img.len() != SECTOR || boot_img[510..] != [0x55, 0xaa] {
        return Err(BootCodeError::BootImage);
    }
    let mut code = [0; BOOT_CODE];
    code.copy_from_slice(&boot_img[..BOOT_CODE]);
    code[BOOT_KERNEL_SECTOR..BOOT_KERNEL_SECTOR + 8].copy_from_slice(&core_lba.to_le_bytes());
    code[BOOT_DRIVE] = 0xff;
    code[BOOT_DRIVE_CHECK..BOOT_DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
    Ok(code)
}

/// The core as it goes to the BIOS boot partition that begins at sector `core_lba` and has `room` bytes: its block list
/// points behind its own first sector, and it is padded to whole sectors.
///
/// # Errors
/// [`BootCodeError`].
pub fn core(core_img: &[u8], core_lba: u64, room: u64) -> Result<Vec<u8>, BootCodeError> {
    if core_img.len() <= SECTOR {
        return Err(BootCodeError::CoreImage(core_img.len()));
    }
    let sectors = core_img.len().div_ceil(SECTOR);
    let too_large = BootCodeError::TooLarge { have: core_img.len(), room };
    let rest = u16::try_from(sectors - 1).map_err(|_| too_large.clone())?;
    if (sectors * SECTOR) as u64 > room {
        return Err(too_large);
    }
    let mut core = core_img.to_vec();
    core.resize(sectors * SECTOR, 0);
    core[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(core_lba + 1).to_le_bytes());
    core[BLOCK_LIST + 8..BLOCK_LIST + 10].copy_from_slice(&rest.to_le_bytes());
    core[BLOCK_LIST + 10..SECTOR].copy_from_slice(&KERNEL_SEGMENT.to_le_bytes());
    Ok(core)
}

/// The boot code of a disk whose installation has not been committed.
#[must_use]
pub fn unfinished(install: Uuid) -> [u8; BOOT_CODE] {
    let mut code = [0; BOOT_CODE];
    code[..JUMP.len()].copy_from_slice(&JUMP);
    code[NEXT_DRIVE_AT..NEXT_DRIVE_AT + NEXT_DRIVE.len()].copy_from_slice(&NEXT_DRIVE);
    code[MARK_AT..MARK_AT + MARK.len()].copy_from_slice(MARK);
    let id = install.hyphenated().to_string();
    let at = MARK_AT + MARK.len();
    code[at..at + id.len()].copy_from_slice(id.as_bytes());
    code
}

/// The installation that was interrupted on a disk that begins with `head`, if one was.
#[must_use]
pub fn unfinished_install(head: &[u8]) -> Option<Uuid> {
    let rest = head.get(MARK_AT..)?.strip_prefix(MARK)?;
    std::str::from_utf8(rest.get(..36)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot_img() -> Vec<u8> {
        let mut img = vec![0x11; SECTOR];
        img[510..].copy_from_slice(&[0x55, 0xaa]);
        img
    }

    #[test]
    fn the_mbr_points_at_the_core() {
        let code = mbr_code(&boot_img(), 2048).unwrap();
        assert_eq!(code[0x5c..0x64], 2048u64.to_le_bytes());
        assert_eq!(code[0x64..0x68], [0xff, 0x11, 0x90, 0x90]);
        assert_eq!(mbr_code(&[0; 512], 1), Err(BootCodeError::BootImage));
        assert_eq!(mbr_code(&boot_img()[1..], 1), Err(BootCodeError::BootImage));
    }

    #[test]
    fn the_core_points_behind_its_first_sector() {
        let core = core(&vec![0x22; 3 * SECTOR + 1], 2048, 1 << 20).unwrap();
        assert_eq!(core.len(), 4 * SECTOR);
        assert_eq!(core[0x1f4..0x1fc], 2049u64.to_le_bytes());
        assert_eq!(core[0x1fc..0x200], [3, 0, 0x20, 0x08]);
        assert_eq!(core[4 * SECTOR - 1], 0, "padded");
    }

    #[test]
    fn a_core_that_is_none_or_does_not_fit_is_refused() {
        assert_eq!(core(&[0; 512], 1, 1 << 20), Err(BootCodeError::CoreImage(512)));
        let err = core(&vec![0; (1 << 20) + 1], 1, 1 << 20).unwrap_err();
        assert!(err.to_string().contains("1048577"), "{err}");
    }

    #[test]
    fn the_code_of_an_unfinished_disk_and_its_mark_leave_each_other_alone() {
        let code = unfinished(Uuid::from_u128(0xfeed));
        assert_eq!(code[0], 0xeb, "a short jump");
        assert_eq!(2 + usize::from(code[1]), NEXT_DRIVE_AT);
        assert!(MARK_AT + MARK.len() + 36 <= NEXT_DRIVE_AT && NEXT_DRIVE_AT + NEXT_DRIVE.len() <= BOOT_CODE);
        assert_eq!(code[NEXT_DRIVE_AT..][..NEXT_DRIVE.len()], NEXT_DRIVE);
        // The far jump behind the move lands on the instruction that follows it, 0x600 up.
        let jump = NEXT_DRIVE.iter().position(|byte| *byte == 0xea).unwrap();
        let target = u16::from_le_bytes([NEXT_DRIVE[jump + 1], NEXT_DRIVE[jump + 2]]);
        assert_eq!(usize::from(target), 0x600 + NEXT_DRIVE_AT + jump + 5);
    }

    #[test]
    fn an_unfinished_installation_is_recognised_and_nothing_else() {
        let id = Uuid::from_u128(0xfeed);
        assert_eq!(unfinished_install(&unfinished(id)), Some(id));
        assert_eq!(unfinished_install(&boot_img()), None);
        assert_eq!(unfinished_install(&unfinished(id)[..80]), None);
        assert_eq!(unfinished_install(&[]), None);
    }
}
