//! AWS's binary event stream out of bytes that may be cut anywhere: lengths, headers, checksums.

/// A longer frame is refused unread: nothing a model says in one event is as long.
pub const FRAME_BYTES_MAX: usize = 1_048_576;

/// Total length, length of the headers, and the checksum of both.
const PRELUDE_BYTES: usize = 12;

/// The prelude and the checksum of the whole.
const FRAME_BYTES_MIN: usize = 16;

/// Cuts a stream into frames. Between two calls it holds at most one that is not whole yet.
#[derive(Debug, Default)]
pub struct Frames {
    carry: Vec<u8>,
    broken: Option<Broken>,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    headers: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

/// Why a stream cannot be read on. Nothing behind such a place can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A checksum does not fit.
    Checksum,
    /// A frame is longer than is read.
    TooLong,
    /// The lengths contradict each other.
    Lengths,
}

impl Frames {
    /// Takes the bytes of one callback and shows each whole frame.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) -> Result<(), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let outcome = if self.carry.is_empty() {
            let read = take_all(bytes, &mut each);
            self.carry
                .extend_from_slice(bytes.get(read.1..).unwrap_or_default());
            read.0
        } else {
            let mut held = std::mem::take(&mut self.carry);
            held.extend_from_slice(bytes);
            let read = take_all(&held, &mut each);
            held.drain(..read.1.min(held.len()));
            self.carry = held;
            read.0
        };
        if let Err(broken) = outcome {
            self.broken = Some(broken);
            self.carry = Vec::new();
        }
        outcome
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.carry.len()
    }
}

/// How it went, and how many bytes were whole frames.
fn take_all(bytes: &[u8], each: &mut impl FnMut(Frame<'_>)) -> (Result<(), Broken>, usize) {
    let mut from: usize = 0;
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        match frame(rest) {
            Ok(None) => return (Ok(()), from),
            Ok(Some((frame, length))) => {
                each(frame);
                from = from.saturating_add(length);
            }
            Err(broken) => return (Err(broken), from),
        }
    }
}

/// The frame in front and its length; none while it is not whole.
fn frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Broken> {
    let Some((prelude, _)) = bytes.split_at_checked(PRELUDE_BYTES) else {
        return Ok(None);
    };
    let word = |at: usize| number(prelude.get(at..at.saturating_add(4)).unwrap_or_default());
    let (total, headers) = (word(0), word(4));
    if crc32(prelude.get(..8).unwrap_or_default()) != word(8) {
        return Err(Broken::Checksum);
    }
    let size = |word: u32| usize::try_from(word).unwrap_or(usize::MAX);
    let (total, headers) = (size(total), size(headers));
    if total > FRAME_BYTES_MAX {
        return Err(Broken::TooLong);
    }
    let payload_from = PRELUDE_BYTES.saturating_add(headers);
    let Some(payload_to) = total.checked_sub(4) else {
        return Err(Broken::Lengths);
    };
    if total < FRAME_BYTES_MIN || payload_from > payload_to {
        return Err(Broken::Lengths);
    }
    let Some((whole, _)) = bytes.split_at_checked(total) else {
        return Ok(None);
    };
    let (body, checksum) = whole.split_at_checked(payload_to).ok_or(Broken::Lengths)?;
    if crc32(body) != number(checksum) {
        return Err(Broken::Checksum);
    }
    let frame = Frame {
        headers: body.get(PRELUDE_BYTES..payload_from).unwrap_or_default(),
        payload: body.get(payload_from..).unwrap_or_default(),
    };
    Ok(Some((frame, total)))
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |sum: u32, byte| (sum << 8) | u32::from(*byte))
}

impl<'a> Frame<'a> {
    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.headers;
        loop {
            let (length, behind) = rest.split_first()?;
            let (known, behind) = behind.split_at_checked(usize::from(*length))?;
            let (kind, behind) = behind.split_first()?;
            let (value, behind) = value(*kind, behind)?;
            if known == name.as_bytes() {
                return std::str::from_utf8(value).ok();
            }
            rest = behind;
        }
    }
}

/// The value of a header and what follows it. Only texts are ever asked for; the others are passed over.
fn value(kind: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | 7 => {
            let (length, behind) = bytes.split_at_checked(2)?;
            let length = usize::try_from(number(length)).ok()?;
            return behind.split_at_checked(length);
        }
        _ => return None,
    };
    bytes.split_at_checked(length)
}

/// The checksum of Ethernet and zip.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        let [low, ..] = sum.to_le_bytes();
        let entry = TABLE.get(usize::from(low ^ byte)).copied();
        sum = (sum >> 8) ^ entry.unwrap_or_default();
    }
    !sum
}

static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut slots: &mut [u32] = &mut table;
    let mut index: u32 = 0;
    while let Some((slot, rest)) = slots.split_first_mut() {
        let mut sum = index;
        let mut bit: u32 = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 {
                (sum >> 1) ^ 0xedb8_8320
            } else {
                sum >> 1
            };
            bit = bit.saturating_add(1);
        }
        *slot = sum;
        slots = rest;
        index = index.saturating_add(1);
    }
    table
}

/// Writes a frame: what a provider would send, for tests.
#[cfg(test)]
pub(crate) fn write(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(16 + head.len() + payload.len()).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Seen = Vec<(Option<String>, Vec<u8>)>;

    fn run(pieces: &[&[u8]]) -> (Seen, Option<Broken>) {
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for piece in pieces {
            let outcome = frames.feed(piece, |frame| {
                seen.push((
                    frame.header(":event-type").map(str::to_owned),
                    frame.payload.to_vec(),
                ));
            });
            assert!(frames.held() <= FRAME_BYTES_MAX + 16_384);
            if let Err(broken) = outcome {
                return (seen, Some(broken));
            }
        }
        (seen, None)
    }

    #[test]
    fn the_checksum_is_that_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn headers_of_every_kind_are_passed_over() {
        let mut head = Vec::new();
        let values: [(u8, &[u8]); 9] = [
            (0, b""),
            (1, b""),
            (2, b"1"),
            (3, b"12"),
            (4, b"1234"),
            (5, b"12345678"),
            (6, b"\0\x03abc"),
            (8, b"12345678"),
            (9, b"1234567890123456"),
        ];
        for (kind, value) in values {
            head.extend_from_slice(b"\x01x");
            head.push(kind);
            head.extend_from_slice(value);
        }
        head.extend_from_slice(b"\x01y\x07\0\x02ok");
        let frame = Frame {
            headers: &head,
            payload: b"",
        };
        assert_eq!(frame.header("y"), Some("ok"));
        assert_eq!(frame.header("z"), None);
    }

    #[test]
    fn what_is_broken_is_said_and_nothing_behind_it_is_read() {
        let good = write(&[(":event-type", "a")], b"{}");
        let mut flipped = good.clone();
        flipped[20] ^= 1;
        let mut long = 2_000_000_u32.to_be_bytes().to_vec();
        long.extend_from_slice(&0_u32.to_be_bytes());
        long.extend_from_slice(&crc32(&long).to_be_bytes());
        let mut short = 8_u32.to_be_bytes().to_vec();
        short.extend_from_slice(&0_u32.to_be_bytes());
        short.extend_from_slice(&crc32(&short).to_be_bytes());
        for (bytes, want) in [
            (flipped, Broken::Checksum),
            (long, Broken::TooLong),
            (short, Broken::Lengths),
            (b"HTTP/1.1 502 Bad Gateway".to_vec(), Broken::Checksum),
        ] {
            let (seen, broken) = run(&[&good, &bytes, &good]);
            assert_eq!((seen.len(), broken), (1, Some(want)));
        }
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_does_not_matter(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| write(&[(":message-type", "event"), (":event-type", "chunk")], payload)).collect();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            places.extend([0, bytes.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let want: Seen = payloads.into_iter().map(|payload| (Some("chunk".to_owned()), payload)).collect();
            prop_assert_eq!(run(&pieces), (want, None));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>()) {
            let mut frame = write(&[(":event-type", "a")], b"{\"a\":1}");
            let at = at.index(frame.len());
            frame.splice(at..at, bytes.iter().copied());
            run(&[&frame, &bytes]);
        }
    }
}
