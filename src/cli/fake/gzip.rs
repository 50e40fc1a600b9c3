//! gzip without compression: stored blocks, so that no library is needed and each event can be flushed by itself.

/// The largest stored block.
const BLOCK_BYTES_MAX: usize = 65_535;

/// The state of one gzip stream.
pub(crate) struct Gzip {
    crc: u32,
    length: u32,
}

impl Gzip {
    pub(crate) fn start(out: &mut Vec<u8>) -> Self {
        // Magic, deflate, no flags, no time, no hints, unknown system.
        out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        Self {
            crc: u32::MAX,
            length: 0,
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for block in bytes.chunks(BLOCK_BYTES_MAX) {
            stored(0, block, out);
        }
        for byte in bytes {
            self.crc ^= u32::from(*byte);
            for _ in 0..8 {
                let odd = self.crc & 1 == 1;
                self.crc >>= 1;
                if odd {
                    self.crc ^= 0xedb8_8320;
                }
            }
        }
        let length = u32::try_from(bytes.len()).unwrap_or_default();
        self.length = self.length.wrapping_add(length);
    }

    pub(crate) fn finish(&self, out: &mut Vec<u8>) {
        stored(1, &[], out);
        out.extend_from_slice(&(!self.crc).to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
    }
}

fn stored(last: u8, block: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(block.len()).unwrap_or_default();
    out.push(last);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(block);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_that_gzip_reads() {
        let mut out = Vec::new();
        let mut gzip = Gzip::start(&mut out);
        gzip.write(b"1234", &mut out);
        gzip.write(b"56789", &mut out);
        gzip.finish(&mut out);
        let want: &[u8] = &[
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 0, 4, 0, 251, 255, b'1', b'2', b'3', b'4', 0, 5,
            0, 250, 255, b'5', b'6', b'7', b'8', b'9', 1, 0, 0, 255, 255,
            // The check value of CRC-32, and nine bytes.
            0x26, 0x39, 0xf4, 0xcb, 9, 0, 0, 0,
        ];
        assert_eq!(out, want);
    }
}
