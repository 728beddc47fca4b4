//! A kernel as a distribution ships it, `bzImage`, and the kernel inside it, which QEMU starts without
//! the seconds that its own decompression takes under TCG (the PVH entry of Linux
//! `arch/x86/platform/pvh`).

use super::{VmError, decompress::Format};

/// `Documentation/arch/x86/boot.rst`, section "the real-mode kernel header".
const SETUP_SECTORS: usize = 0x1f1;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR: usize = 512;

/// How many sectors an old kernel means that says none.
const SECTORS_BY_DEFAULT: usize = 4;

/// What a program of 64 bits begins with.
const ELF: &[u8] = b"\x7fELF\x02";

/// The kernel inside a `bzImage`, as ELF; none where it is compressed in a way that is not known here, and
/// is then to be started as it is.
pub(super) fn inside(image: &[u8]) -> Result<Option<Vec<u8>>, VmError> {
    let Some(payload) = payload(image) else {
        return Ok(None);
    };
    let Some(format) = Format::of(payload) else {
        return Ok(None);
    };
    // Behind what is compressed stands its size, in four bytes (`scripts/Makefile.lib`, `size_append`),
    // but not behind gzip, which ends with it.
    let (before, size) = payload.split_at(payload.len() - 4);
    let kernel = format.expand(if format.ends_with_its_size() { payload } else { before })?;
    let whole = u32::try_from(kernel.len()).is_ok_and(|length| length.to_le_bytes() == *size);
    Ok((whole && kernel.starts_with(ELF)).then_some(kernel))
}

/// What is compressed in a `bzImage`.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| {
        let bytes: [u8; 4] = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let sectors = match usize::from(*image.get(SETUP_SECTORS)?) {
        0 => SECTORS_BY_DEFAULT,
        sectors => sectors,
    };
    let from = (sectors + 1) * SECTOR + word(PAYLOAD_OFFSET)?;
    let payload = image.get(from..from.checked_add(word(PAYLOAD_LENGTH)?)?)?;
    (payload.len() > 4).then_some(payload)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Seek, Write},
        process::Command,
    };

    use super::*;

    /// An image with one sector of set-up, and a payload 16 bytes behind it.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2 * SECTOR + 16];
        image[SETUP_SECTORS] = 1;
        image[PAYLOAD_OFFSET] = 16;
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&length);
        image.extend_from_slice(payload);
        image
    }

    fn compressed(program: &str, bytes: &[u8]) -> Vec<u8> {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(bytes).unwrap();
        input.rewind().unwrap();
        Command::new(program).arg("-c").stdin(input).output().unwrap().stdout
    }

    #[test]
    fn the_kernel_is_taken_out_whole() {
        let kernel = [ELF, &[7; 3000]].concat();
        let size = u32::try_from(kernel.len()).unwrap().to_le_bytes();
        let xz = [compressed("xz", &kernel), size.to_vec()].concat();
        assert_eq!(inside(&image(&xz)).unwrap().as_deref(), Some(&kernel[..]));
        assert_eq!(inside(&image(&compressed("gzip", &kernel))).unwrap(), Some(kernel));
    }

    #[test]
    fn what_is_no_whole_kernel_is_not_taken_out() {
        let other = compressed("gzip", b"no program");
        assert_eq!(inside(&image(&other)).unwrap(), None);
        for broken in [&b""[..], &[0; SECTOR], &image(b"lzo"), &image(b"")] {
            assert_eq!(inside(broken).unwrap(), None);
        }
        let mut beyond = image(&[0xff; 16]);
        beyond[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&[0xff; 4]);
        assert_eq!(inside(&beyond).unwrap(), None);
    }
}
