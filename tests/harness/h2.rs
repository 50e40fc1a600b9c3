//! A client that speaks HTTP/2 from the first byte, with many requests on one connection.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::client::{Call, Reply};
use crate::sse::{self, Event};
use crate::wire::{End, Head};

/// One connection.
pub struct H2 {
    runtime: Runtime,
    requests: SendRequest<Bytes>,
    authority: String,
}

/// A reply on its way.
pub struct H2Stream<'a> {
    client: &'a H2,
    head: Head,
    request: SendStream<Bytes>,
    reply: RecvStream,
    sent: Instant,
    buffer: Vec<u8>,
}

impl H2 {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let requests = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            let (requests, connection) = h2::client::handshake(stream).await.unwrap();
            // How it ends is seen by each of its streams.
            tokio::spawn(async move { drop(connection.await) });
            requests
        });
        Self {
            runtime,
            requests,
            authority: address.to_string(),
        }
    }

    /// Sends a request and reads the whole reply.
    pub fn send(&self, call: &Call) -> Reply {
        self.try_send(call).expect("a reply")
    }

    /// The same when there may be no reply at all.
    pub fn try_send(&self, call: &Call) -> Result<Reply, End> {
        self.runtime
            .block_on(async { whole(self.begin(call, None).await).await })
    }

    /// The same with fields behind the body.
    pub fn send_with_trailers(&self, call: &Call, trailers: &[(&str, &str)]) -> Reply {
        let trailers = trailers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.parse::<HeaderValue>().unwrap())
        });
        let trailers = trailers.collect();
        self.runtime
            .block_on(async { whole(self.begin(call, Some(trailers)).await).await })
            .expect("a reply")
    }

    /// Sends all of them before the first reply is read; gives the replies in the order of the requests.
    pub fn send_all(&self, calls: &[Call]) -> Vec<Reply> {
        self.runtime.block_on(async {
            let mut begun = Vec::new();
            for call in calls {
                begun.push(self.begin(call, None).await);
            }
            let reading: Vec<_> = begun
                .into_iter()
                .map(|begun| tokio::spawn(whole(begun)))
                .collect();
            let mut replies = Vec::new();
            for reply in reading {
                replies.push(reply.await.unwrap().expect("a reply"));
            }
            replies
        })
    }

    /// Sends a request and reads only the head of the reply.
    pub fn stream(&self, call: &Call) -> H2Stream<'_> {
        let (begun, reply) = self.runtime.block_on(async {
            let mut begun = self.begin(call, None).await;
            let reply = patiently(&mut begun.reply).await.unwrap();
            (begun, reply)
        });
        H2Stream {
            client: self,
            head: head(&reply),
            request: begun.request,
            reply: reply.into_body(),
            sent: begun.sent,
            buffer: Vec::new(),
        }
    }

    async fn begin(&self, call: &Call, trailers: Option<HeaderMap>) -> Begun {
        let (method, path, headers) = call.head();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.authority))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = call.body_bytes();
        let last = body.is_empty() && trailers.is_none();
        let sent = Instant::now();
        let mut requests = patiently(self.requests.clone().ready()).await.unwrap();
        let (reply, mut request) = requests
            .send_request(request.body(()).unwrap(), last)
            .unwrap();
        if !last {
            request.send_data(body.into(), trailers.is_none()).unwrap();
        }
        if let Some(trailers) = trailers {
            request.send_trailers(trailers).unwrap();
        }
        Begun {
            sent,
            request,
            reply,
        }
    }
}

impl H2Stream<'_> {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// Reads until so many tokens of text have come.
    pub fn read_tokens(&mut self, count: usize) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        let has = |events: &[Event]| {
            events
                .iter()
                .filter(|event| !event.delta().is_empty())
                .count()
        };
        while has(&events) < count {
            let bytes = self.client.runtime.block_on(next(&mut self.reply)).unwrap();
            self.buffer.extend_from_slice(&bytes.expect("more tokens"));
            events.extend(sse::take(&mut self.buffer, self.sent.elapsed()));
        }
        events
    }

    /// Goes away in the middle, while the connection stays.
    pub fn reset(mut self) {
        self.request.send_reset(Reason::CANCEL);
    }
}

/// A request that is on its way.
struct Begun {
    sent: Instant,
    request: SendStream<Bytes>,
    reply: ResponseFuture,
}

async fn whole(begun: Begun) -> Result<Reply, End> {
    let reply = patiently(begun.reply)
        .await
        .map_err(|error| ended(&error))?;
    let head = head(&reply);
    let mut stream = reply.into_body();
    let mut body = Vec::new();
    let end = loop {
        match next(&mut stream).await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => break End::Complete,
            Err(end) => break end,
        }
    };
    Ok(Reply::new(head, body, end, begun.sent.elapsed()))
}

async fn next(stream: &mut RecvStream) -> Result<Option<Bytes>, End> {
    let bytes = match timeout(PATIENCE, stream.data()).await {
        Err(_) => return Err(End::Silent),
        Ok(None) => return Ok(None),
        Ok(Some(Err(error))) => return Err(ended(&error)),
        Ok(Some(Ok(bytes))) => bytes,
    };
    stream.flow_control().release_capacity(bytes.len()).unwrap();
    Ok(Some(bytes))
}

fn ended(error: &h2::Error) -> End {
    if error.is_reset() {
        End::Reset
    } else {
        End::Closed
    }
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} for HTTP/2"))
}

fn head(reply: &Response<RecvStream>) -> Head {
    let headers = reply.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    Head {
        status: reply.status().as_u16(),
        headers: headers.collect(),
    }
}
