//! What an image costs in tokens, by the rules that vendors document.

use tollgate_tokens::Text;

/// A vendor's rule. Sizes are in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Images {
    /// Fits into 2048 x 2048, shorter side at most 768, then squares of 512: so many tokens, and
    /// so many for each square. Low detail has no squares.
    Tiles {
        /// For any image.
        base: u64,
        /// For each square.
        tile: u64,
    },
    /// Squares of 32, at most 1,536 of them, each so many thousandths of a token.
    Patches {
        /// Thousandths of a token for each square.
        thousandths: u64,
    },
    /// Longer side at most 1568, then a token for every 750 pixels, at most 1,600.
    Area,
    /// Up to 384 x 384 one square; else squares of 768. Each is 258 tokens.
    Crops,
}

/// How closely a model is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Low,
    High,
}

impl Detail {
    /// What is not said to be low is taken for high: `auto` is, more often than not.
    pub(super) fn named(name: Option<Text<'_>>) -> Self {
        match name {
            Some(name) if name.unescaped() == "low" => Self::Low,
            _ => Self::High,
        }
    }
}

/// In pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u64,
    pub(super) height: u64,
}

/// Stands in for an image whose size only its host knows.
pub(super) const UNKNOWN_SIZE: Size = Size {
    width: 1024,
    height: 1024,
};

/// As much of a data URL as is looked at; a JPEG with a large preview hides its size behind it.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Parts of a JPEG that are looked at.
const JPEG_SEGMENTS_MAX: usize = 64;

impl Images {
    pub(super) fn depends_on_size(self, detail: Detail) -> bool {
        !matches!((self, detail), (Self::Tiles { .. }, Detail::Low))
    }

    pub(super) fn tokens(self, size: Size, detail: Detail) -> u64 {
        match (self, detail) {
            (Self::Tiles { base, .. }, Detail::Low) => base,
            (Self::Tiles { base, tile }, Detail::High) => {
                let size = size.within(2048, 2048).with_shorter_side(768);
                base.saturating_add(tile.saturating_mul(size.squares(512)))
            }
            (Self::Patches { thousandths }, _) => size
                .squares(32)
                .min(1536)
                .saturating_mul(thousandths)
                .div_ceil(1000),
            (Self::Area, _) => size.within(1568, 1568).area().div_ceil(750).min(1600),
            (Self::Crops, _) if size.width <= 384 && size.height <= 384 => 258,
            (Self::Crops, _) => size.squares(768).saturating_mul(258),
        }
    }
}

impl Images {
    /// The most that an image of any size can be; none where the rule knows no end.
    pub(super) fn most(self) -> Option<u64> {
        match self {
            // Within 2048 x 2048, with a shorter side of 768: two squares by four.
            Self::Tiles { base, tile } => Some(base.saturating_add(tile.saturating_mul(8))),
            Self::Patches { thousandths } => {
                Some(1536_u64.saturating_mul(thousandths).div_ceil(1000))
            }
            Self::Area => Some(1600),
            Self::Crops => None,
        }
    }
}

impl Size {
    /// Shrunk, not grown, to fit.
    fn within(self, width: u64, height: u64) -> Self {
        let narrowed = self.shrunk(self.width, width);
        narrowed.shrunk(narrowed.height, height)
    }

    fn with_shorter_side(self, most: u64) -> Self {
        self.shrunk(self.width.min(self.height), most)
    }

    /// Both sides in the proportion in which `side` must shrink to `most`.
    fn shrunk(self, side: u64, most: u64) -> Self {
        if side <= most {
            return self;
        }
        let shrink = |length: u64| {
            length
                .saturating_mul(most)
                .checked_div(side)
                .unwrap_or(length)
                .max(1)
        };
        Self {
            width: shrink(self.width),
            height: shrink(self.height),
        }
    }

    fn squares(self, side: u64) -> u64 {
        let along = |length: u64| length.max(1).div_ceil(side.max(1));
        along(self.width).saturating_mul(along(self.height))
    }

    fn area(self) -> u64 {
        self.width.saturating_mul(self.height)
    }
}

/// The size of the image in a data URL, read from its header: PNG, GIF, WebP or JPEG.
pub(super) fn size_in(url: Text<'_>) -> Option<Size> {
    let mut unescaped = String::new();
    let url = match url {
        Text::Plain(url) => url,
        // Some writers escape the slash, which base64 is full of.
        Text::Escaped(written) => {
            let end = written.floor_char_boundary(HEADER_BYTES_MAX.saturating_mul(2));
            Text::Escaped(written.get(..end)?).append_to(&mut unescaped);
            &unescaped
        }
    };
    let (head, data) = url.split_once(',')?;
    if !head.starts_with("data:") || !head.ends_with(";base64") {
        return None;
    }
    size_of_base64(data)
}

/// The same, of base64 without an address around it. Escaped slashes are not looked through.
pub(super) fn size_of(data: Text<'_>) -> Option<Size> {
    match data {
        Text::Plain(data) => size_of_base64(data),
        Text::Escaped(_) => None,
    }
}

fn size_of_base64(data: &str) -> Option<Size> {
    let data = Base64(data.as_bytes());
    png(data)
        .or_else(|| gif(data))
        .or_else(|| webp(data))
        .or_else(|| jpeg(data))
}

/// Base64 from which single bytes are taken, so that nothing has to be decoded whole.
#[derive(Clone, Copy)]
struct Base64<'a>(&'a [u8]);

impl Base64<'_> {
    fn byte(self, at: usize) -> Option<u8> {
        if at >= HEADER_BYTES_MAX {
            return None;
        }
        let group = at.checked_div(3)?.checked_mul(4)?;
        let within = at.checked_rem(3)?;
        let high = sextet(*self.0.get(group.checked_add(within)?)?)?;
        let low = sextet(*self.0.get(group.checked_add(within)?.checked_add(1)?)?)?;
        Some(match within {
            0 => high << 2 | low >> 4,
            1 => high << 4 | low >> 2,
            _ => high << 6 | low,
        })
    }

    fn starts_with(self, at: usize, expected: &[u8]) -> bool {
        (at..)
            .zip(expected)
            .all(|(at, byte)| self.byte(at) == Some(*byte))
    }

    /// A number of `count` bytes, the most significant first.
    fn big(self, at: usize, count: usize) -> Option<u64> {
        (at..).take(count).try_fold(0u64, |number, at| {
            Some(number << 8 | u64::from(self.byte(at)?))
        })
    }

    /// As [`Self::big`], the least significant first.
    fn little(self, at: usize, count: usize) -> Option<u64> {
        (at..)
            .take(count)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .try_fold(0u64, |number, at| {
                Some(number << 8 | u64::from(self.byte(at)?))
            })
    }
}

fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => character.checked_sub(b'A'),
        b'a'..=b'z' => character.checked_sub(b'a')?.checked_add(26),
        b'0'..=b'9' => character.checked_sub(b'0')?.checked_add(52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

fn png(data: Base64<'_>) -> Option<Size> {
    data.starts_with(0, b"\x89PNG").then_some(())?;
    Some(Size {
        width: data.big(16, 4)?,
        height: data.big(20, 4)?,
    })
}

fn gif(data: Base64<'_>) -> Option<Size> {
    data.starts_with(0, b"GIF8").then_some(())?;
    Some(Size {
        width: data.little(6, 2)?,
        height: data.little(8, 2)?,
    })
}

fn webp(data: Base64<'_>) -> Option<Size> {
    (data.starts_with(0, b"RIFF") && data.starts_with(8, b"WEBP")).then_some(())?;
    if data.starts_with(12, b"VP8 ") {
        // The two bits above the fourteen scale on display, not in the model.
        let side = |at| Some(data.little(at, 2)? & 0x3FFF);
        return Some(Size {
            width: side(26)?,
            height: side(28)?,
        });
    }
    let one_less = if data.starts_with(12, b"VP8L") {
        let packed = data.little(21, 4)?;
        Size {
            width: packed & 0x3FFF,
            height: packed >> 14 & 0x3FFF,
        }
    } else {
        Size {
            width: data.little(24, 3)?,
            height: data.little(27, 3)?,
        }
    };
    Some(Size {
        width: one_less.width.saturating_add(1),
        height: one_less.height.saturating_add(1),
    })
}

/// Steps from segment to segment to the one that begins the picture.
fn jpeg(data: Base64<'_>) -> Option<Size> {
    data.starts_with(0, b"\xFF\xD8").then_some(())?;
    let mut at = 2usize;
    for _ in 0..JPEG_SEGMENTS_MAX {
        data.starts_with(at, b"\xFF").then_some(())?;
        let kind = data.byte(at.checked_add(1)?)?;
        // C4, C8 and CC are tables among the kinds of pictures.
        if matches!(kind, 0xC0..=0xCF) && !matches!(kind, 0xC4 | 0xC8 | 0xCC) {
            let height = data.big(at.checked_add(5)?, 2)?;
            let width = data.big(at.checked_add(7)?, 2)?;
            return Some(Size { width, height });
        }
        let length = usize::try_from(data.big(at.checked_add(2)?, 2)?).ok()?;
        at = at.checked_add(2)?.checked_add(length)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    fn data_url(bytes: &[u8]) -> String {
        let mut url = "data:image/any;base64,".to_owned();
        for group in bytes.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for shift in [18, 12, 6, 0] {
                let sextet = usize::try_from(bits >> shift & 63).unwrap();
                url.push(char::from(ALPHABET[sextet]));
            }
        }
        url
    }

    fn size(bytes: &[u8]) -> Option<(u64, u64)> {
        size_in(Text::Plain(&data_url(bytes))).map(|size| (size.width, size.height))
    }

    #[test]
    fn sizes_are_read_from_the_headers_of_pictures() {
        let long_preview = [
            b"\xFF\xD8\xFF\xE1\x75\x30".as_slice(),
            &[0; 29_998],
            b"\xFF\xC2\x00\x11\x08\x02\x58\x03\x20\x03",
        ]
        .concat();
        for (name, bytes, want) in [
            (
                "png",
                b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x02\x01".as_slice(),
                Some((1024, 513)),
            ),
            ("gif", b"GIF89a\x40\x01\xc8\0", Some((320, 200))),
            (
                "webp",
                b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x42\xe0\x41",
                Some((640, 480)),
            ),
            (
                "webp without loss",
                b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x7f\xc2\x77\0",
                Some((640, 480)),
            ),
            (
                "webp with extras",
                b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0",
                Some((640, 480)),
            ),
            (
                "jpeg",
                b"\xFF\xD8\xFF\xE0\0\x04JF\xFF\xC4\0\x02\xFF\xC0\0\x11\x08\x02\x58\x03\x20\x03",
                Some((800, 600)),
            ),
            ("jpeg behind a preview", &long_preview, Some((800, 600))),
            ("jpeg cut short", b"\xFF\xD8\xFF\xE0\0\x04JF", None),
            ("jpeg that loops", b"\xFF\xD8\xFF\xE0\0\0\xFF\xE0\0\0", None),
            ("text", b"hello", None),
            ("nothing", b"", None),
        ] {
            assert_eq!(size(bytes), want, "{name}");
        }
        for url in [
            "https://example.com/a.png",
            "data:image/png,x",
            "data:image/png;base64,\u{e9}",
        ] {
            assert_eq!(size_in(Text::Plain(url)), None, "{url}");
        }
    }

    /// The examples are those of the vendors' documents.
    #[test]
    fn the_rules_of_the_vendors_are_followed() {
        let tiles = Images::Tiles {
            base: 85,
            tile: 170,
        };
        let patches = Images::Patches { thousandths: 1000 };
        for (rule, width, height, detail, want) in [
            (tiles, 1024, 1024, Detail::High, 765),
            (tiles, 2048, 4096, Detail::High, 1105),
            (tiles, 4096, 8192, Detail::Low, 85),
            (tiles, 1, 1, Detail::High, 255),
            (patches, 1024, 1024, Detail::High, 1024),
            (patches, 1800, 2400, Detail::High, 1536),
            (Images::Area, 1000, 1000, Detail::High, 1334),
            (Images::Area, 200, 200, Detail::High, 54),
            (Images::Area, 9000, 9000, Detail::High, 1600),
            (Images::Crops, 384, 384, Detail::High, 258),
            (Images::Crops, 1024, 768, Detail::High, 516),
        ] {
            let size = Size { width, height };
            assert_eq!(
                rule.tokens(size, detail),
                want,
                "{rule:?} {width} x {height}"
            );
        }
        let huge = Size {
            width: u64::from(u32::MAX),
            height: u64::from(u32::MAX),
        };
        assert_eq!(tiles.tokens(huge, Detail::High), 765);
        let thread = Size {
            width: u64::from(u32::MAX),
            height: 0,
        };
        assert_eq!(tiles.tokens(thread, Detail::High), 85 + 4 * 170);
    }
}
