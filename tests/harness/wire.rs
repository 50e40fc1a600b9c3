//! A connection with nothing between the test and its bytes: for requests no client library would send.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::PATIENCE;

/// How a reply or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The reply was complete.
    Complete,
    /// The other side closed the connection; in the middle of a reply, that is too early.
    Closed,
    /// By a reset.
    Reset,
    /// Not at all, in the time there was.
    Silent,
    /// Nobody was there to begin it.
    Refused,
}

/// The head of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header; write its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("this begins no reply: {first:?}"));
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self { status, headers }
    }
}

/// How the end of a body is found.
#[derive(Debug)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Framing {
    pub(crate) fn of(method: &str, head: &Head) -> Self {
        let without = method == "HEAD" || head.status < 200 || [204, 304].contains(&head.status);
        if without {
            return Self::Length(0);
        }
        if head.header("transfer-encoding").is_some() {
            return Self::Chunked;
        }
        let length = head.header("content-length").map(|value| value.parse());
        length.map_or(Self::UntilClose, |length| {
            Self::Length(length.expect("content-length is a number"))
        })
    }
}

/// What comes next in a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Bytes(Vec<u8>),
    Complete,
    Broken(End),
}

/// A TCP connection to a gateway, or to anything else.
pub struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// Connects, if somebody is there.
    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true).unwrap();
        let wire = Self {
            stream,
            ahead: Vec::new(),
        };
        wire.patience(PATIENCE);
        Ok(wire)
    }

    /// So long a read waits for a byte.
    pub fn patience(&self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
    }

    /// Sends as much as the other side takes: it may answer and close before it has read everything.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // What matters then is what it answered, and that is still to be read.
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Sends in pieces of so many bytes, with this time between them.
    pub fn send_slowly(&mut self, bytes: impl AsRef<[u8]>, size: usize, gap: Duration) {
        for piece in bytes.as_ref().chunks(size) {
            self.send(piece);
            std::thread::sleep(gap);
        }
    }

    /// Says that nothing more will be sent; replies can still be read.
    pub fn finish_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next head, `100 Continue` included.
    pub fn head(&mut self) -> Result<Head, End> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&self.ahead[..end]).into_owned();
                self.ahead.drain(..end + 4);
                return Ok(Head::parse(&text));
            }
            self.more()?;
        }
    }

    /// All that comes until the connection ends.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.more() {
                return (std::mem::take(&mut self.ahead), end);
            }
        }
    }

    /// The next part of a body, as it arrives.
    pub(crate) fn part(&mut self, framing: &mut Framing) -> Part {
        match self.try_part(framing) {
            Ok(part) => part,
            Err(End::Closed) if matches!(framing, Framing::UntilClose) => Part::Complete,
            Err(end) => Part::Broken(end),
        }
    }

    fn try_part(&mut self, framing: &mut Framing) -> Result<Part, End> {
        match framing {
            Framing::Length(0) => Ok(Part::Complete),
            Framing::Length(left) => {
                self.some()?;
                let bytes: Vec<u8> = self.ahead.drain(..(*left).min(self.ahead.len())).collect();
                *left -= bytes.len();
                Ok(Part::Bytes(bytes))
            }
            Framing::UntilClose => {
                self.some()?;
                Ok(Part::Bytes(std::mem::take(&mut self.ahead)))
            }
            Framing::Chunked => self.chunk(),
        }
    }

    fn chunk(&mut self) -> Result<Part, End> {
        let line = loop {
            match find(&self.ahead, b"\r\n") {
                Some(end) => break end,
                None => self.more()?,
            }
        };
        let digits = String::from_utf8_lossy(&self.ahead[..line]).into_owned();
        let digits = digits.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16)
            .unwrap_or_else(|_| panic!("no size of a chunk: {digits:?}"));
        if size == 0 {
            return self.trailers(line + 2);
        }
        let whole = line + 2 + size + 2;
        while self.ahead.len() < whole {
            self.more()?;
        }
        let bytes = self.ahead[line + 2..line + 2 + size].to_vec();
        assert_eq!(
            &self.ahead[whole - 2..whole],
            b"\r\n",
            "a chunk ends with a line end"
        );
        self.ahead.drain(..whole);
        Ok(Part::Bytes(bytes))
    }

    fn trailers(&mut self, mut from: usize) -> Result<Part, End> {
        loop {
            match find(&self.ahead[from..], b"\r\n") {
                Some(0) => {
                    self.ahead.drain(..from + 2);
                    return Ok(Part::Complete);
                }
                Some(end) => from += end + 2,
                None => self.more()?,
            }
        }
    }

    fn some(&mut self) -> Result<(), End> {
        if self.ahead.is_empty() {
            self.more()
        } else {
            Ok(())
        }
    }

    fn more(&mut self) -> Result<(), End> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(End::Closed),
                Ok(count) => {
                    self.ahead.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let late = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
                    return Err(if late { End::Silent } else { End::Reset });
                }
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
