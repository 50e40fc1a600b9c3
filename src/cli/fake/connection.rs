//! One TCP connection: requests read from it, bytes written to it, and whether the client is still there.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest request head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The most header fields of a request.
const HEADERS_MAX: usize = 128;
/// The largest request body.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest line that announces a chunk.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// What is asked of the socket in one read.
const READ_BYTES: usize = 16 * 1024;

/// A request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) version: Version,
    pub(crate) after: After,
}

/// What the client speaks: HTTP/1.0 knows no chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http10,
    Http11,
}

/// What becomes of the connection after the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    KeepAlive,
    Close,
}

impl Request {
    /// The value of a header, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// The first value of a header, whatever the case of its name.
pub(crate) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Why no further request comes from a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoRequest {
    /// The client closed it, or it broke.
    Gone,
    /// What came is no request we take: say so and close.
    Refused { status: u16, reason: &'static str },
}

/// The client closed the connection, or it broke.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientLeft;

impl From<io::Error> for NoRequest {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<io::Error> for ClientLeft {
    fn from(_: io::Error) -> Self {
        Self
    }
}

const fn refused(status: u16, reason: &'static str) -> NoRequest {
    NoRequest::Refused { status, reason }
}

const HEAD_TOO_LARGE: NoRequest = refused(431, "the request head is too large");

/// A connection with what was read ahead.
pub(crate) struct Connection {
    stream: TcpStream,
    inbound: Vec<u8>,
}

/// What the head says about the body.
#[derive(Clone, Copy)]
enum BodyLength {
    Known(usize),
    Chunked,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            inbound: Vec::new(),
        }
    }

    /// The next request, whole.
    pub(crate) async fn request(&mut self) -> Result<Request, NoRequest> {
        let (mut request, length) = loop {
            if let Some(found) = self.take_head()? {
                break found;
            }
            if self.inbound.len() > HEAD_BYTES_MAX {
                return Err(HEAD_TOO_LARGE);
            }
            self.read_more().await?;
        };
        self.invite(&request, length).await?;
        request.body = match length {
            BodyLength::Known(length) => self.body_of(length).await?,
            BodyLength::Chunked => self.body_in_chunks().await?,
        };
        Ok(request)
    }

    fn take_head(&mut self) -> Result<Option<(Request, BodyLength)>, NoRequest> {
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut fields);
        let size = match head.parse(&self.inbound) {
            Ok(httparse::Status::Complete(size)) if size <= HEAD_BYTES_MAX => size,
            Ok(httparse::Status::Complete(_)) => return Err(HEAD_TOO_LARGE),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(refused(431, "too many header fields"));
            }
            Err(_) => return Err(refused(400, "this is not HTTP/1.1")),
        };
        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|field| {
                let value = String::from_utf8_lossy(field.value).into_owned();
                (field.name.to_owned(), value)
            })
            .collect();
        let version = match head.version {
            Some(0) => Version::Http10,
            _ => Version::Http11,
        };
        let length = body_length(&headers)?;
        let request = Request {
            method: head.method.unwrap_or_default().to_owned(),
            path: head.path.unwrap_or_default().to_owned(),
            after: after(version, &headers),
            headers,
            body: Vec::new(),
            version,
        };
        self.inbound.drain(..size);
        Ok(Some((request, length)))
    }

    /// A client that waits for permission to send its body gets it.
    async fn invite(&mut self, request: &Request, length: BodyLength) -> Result<(), NoRequest> {
        let waits = request
            .header("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
        let whole = match length {
            BodyLength::Known(length) => self.inbound.len() >= length,
            BodyLength::Chunked => !self.inbound.is_empty(),
        };
        if waits && !whole {
            self.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await?;
        }
        Ok(())
    }

    async fn body_of(&mut self, length: usize) -> Result<Vec<u8>, NoRequest> {
        self.have(length).await?;
        let rest = self.inbound.split_off(length);
        Ok(std::mem::replace(&mut self.inbound, rest))
    }

    async fn body_in_chunks(&mut self) -> Result<Vec<u8>, NoRequest> {
        let mut body = Vec::new();
        loop {
            let size = self.chunk_size().await?;
            if size == 0 {
                self.skip_trailers().await?;
                return Ok(body);
            }
            if body.len().saturating_add(size) > BODY_BYTES_MAX {
                return Err(refused(413, "the request body is too large"));
            }
            self.have(size.saturating_add(2)).await?;
            body.extend(self.inbound.drain(..size));
            let end: Vec<u8> = self.inbound.drain(..2).collect();
            if end != b"\r\n" {
                return Err(refused(400, "a chunk does not end where it should"));
            }
        }
    }

    async fn chunk_size(&mut self) -> Result<usize, NoRequest> {
        loop {
            match httparse::parse_chunk_size(&self.inbound) {
                Ok(httparse::Status::Complete((used, size))) => {
                    self.inbound.drain(..used);
                    return usize::try_from(size)
                        .map_err(|_| refused(413, "the request body is too large"));
                }
                Ok(httparse::Status::Partial) if self.inbound.len() < CHUNK_LINE_BYTES_MAX => {
                    self.read_more().await?;
                }
                Ok(httparse::Status::Partial) | Err(_) => {
                    return Err(refused(400, "this is not the size of a chunk"));
                }
            }
        }
    }

    async fn skip_trailers(&mut self) -> Result<(), NoRequest> {
        loop {
            if let Some(end) = self.inbound.windows(2).position(|pair| pair == b"\r\n") {
                self.inbound.drain(..end.saturating_add(2));
                if end == 0 {
                    return Ok(());
                }
            } else if self.inbound.len() > HEAD_BYTES_MAX {
                return Err(refused(431, "the trailers are too large"));
            } else {
                self.read_more().await?;
            }
        }
    }

    /// Reads until at least so many bytes are there.
    async fn have(&mut self, wanted: usize) -> Result<(), NoRequest> {
        while self.inbound.len() < wanted {
            self.read_more().await?;
        }
        Ok(())
    }

    async fn read_more(&mut self) -> Result<(), NoRequest> {
        self.inbound.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.inbound).await? {
            0 => Err(NoRequest::Gone),
            _ => Ok(()),
        }
    }

    /// Writes all of it.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ClientLeft> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Waits, and notices a client that leaves meanwhile. What it sends ahead is kept.
    pub(crate) async fn wait(&mut self, time: Duration) -> Result<(), ClientLeft> {
        let pause = tokio::time::sleep(time);
        tokio::pin!(pause);
        loop {
            let room = self.inbound.len() < HEAD_BYTES_MAX;
            if room {
                self.inbound.reserve(READ_BYTES);
            }
            tokio::select! {
                () = &mut pause => return Ok(()),
                read = self.stream.read_buf(&mut self.inbound), if room => {
                    if read? == 0 {
                        return Err(ClientLeft);
                    }
                }
            }
        }
    }

    /// Ends our direction, so that the client reads a clean end.
    pub(crate) async fn finish(&mut self) {
        // The client may be gone already: then there is nobody to tell.
        let _ = self.stream.shutdown().await;
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        // Fails only on a connection that is broken already.
        let _ = self.stream.set_zero_linger();
    }
}

/// Two ways to say how long the body is are one too many: the next request would be read from its middle.
fn body_length(headers: &[(String, String)]) -> Result<BodyLength, NoRequest> {
    let all = |name: &'static str| {
        headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    };
    let mut lengths = all("content-length");
    let mut encodings = all("transfer-encoding");
    match (lengths.next(), encodings.next()) {
        (None, None) => Ok(BodyLength::Known(0)),
        (Some(_), Some(_)) => Err(refused(400, "both content-length and transfer-encoding")),
        (None, Some(encoding)) => {
            if !encoding.eq_ignore_ascii_case("chunked") || encodings.next().is_some() {
                return Err(refused(501, "no transfer-encoding but chunked is known"));
            }
            Ok(BodyLength::Chunked)
        }
        (Some(length), None) => {
            let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            if !digits || lengths.next().is_some() {
                return Err(refused(400, "content-length is not one number"));
            }
            match length.parse() {
                Ok(length) if length <= BODY_BYTES_MAX => Ok(BodyLength::Known(length)),
                _ => Err(refused(413, "the request body is too large")),
            }
        }
    }
}

fn after(version: Version, headers: &[(String, String)]) -> After {
    let says = |word: &str| {
        find(headers, "connection").is_some_and(|value| {
            value
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(word))
        })
    };
    match version {
        Version::Http10 if says("keep-alive") => After::KeepAlive,
        Version::Http10 => After::Close,
        Version::Http11 if says("close") => After::Close,
        Version::Http11 => After::KeepAlive,
    }
}
