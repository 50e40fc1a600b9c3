//! Requests in, replies out, each entered in the ledger.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;

use super::answer::{Answer, Flow, Stage};
use super::connection::{After, ClientLeft, Connection, NoRequest, Request, Version};
use super::control;
use super::dialect::{self, Terms};
use super::ledger::{Ending, Progress};
use super::plan::{Client, Finale, Plan};
use super::reply::{Framing, Reply};
use super::state::{Next, Shared};

/// What is collected before it is handed to the network.
const WRITE_BYTES: usize = 64 * 1024;
/// So long the network is left alone between two pieces, so that they are not read as one.
const GAP: Duration = Duration::from_micros(150);
/// Before a reset, what was sent gets so much time to be read: a reset may overtake it.
const BEFORE_RESET: Duration = Duration::from_millis(20);
/// A stalled reply stalls until the client gives up, or this long.
const STALL_MAX: Duration = Duration::from_secs(3_600);

/// Serves a connection until one side ends it.
pub(crate) async fn converse(stream: TcpStream, shared: &Shared, number: u64) {
    // Without it, small pieces wait for acknowledgements of earlier ones.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut connection = Connection::new(stream);
    loop {
        let request = match connection.request().await {
            Ok(request) => request,
            Err(NoRequest::Gone) => return,
            Err(NoRequest::Refused { status, reason }) => {
                refuse(connection, status, reason).await;
                return;
            }
        };
        connection = match answer(connection, request, shared, number).await {
            Some(connection) => connection,
            None => return,
        };
    }
}

async fn refuse(mut connection: Connection, status: u16, reason: &str) {
    let body = serde_json::json!({"error": {"message": reason, "type": "invalid_request_error", "param": null, "code": null}});
    let reply = Reply::status(status).body("application/json", body.to_string());
    let client = Client {
        version: Version::Http11,
        after: After::Close,
        number: 0,
    };
    let plan = Plan::new(dialect::given(&reply), &reply, client);
    let mut bytes = plan.head;
    bytes.extend_from_slice(&plan.body.bytes);
    if connection.write(&bytes).await.is_ok() {
        connection.finish().await;
        // Closing with unread bytes would reset the connection, and our words with it.
        let _ = connection.wait(BEFORE_RESET).await;
    }
}

/// Answers one request; gives the connection back if it goes on.
async fn answer(
    mut connection: Connection,
    request: Request,
    shared: &Shared,
    number: u64,
) -> Option<Connection> {
    let (version, after) = (request.version, request.after);
    if let Some((status, body)) = control::answer(&request, shared) {
        let reply = Reply::status(status).body("application/json", body);
        let client = Client {
            version,
            after,
            number: 0,
        };
        let plan = Plan::new(dialect::given(&reply), &reply, client);
        let mut bytes = plan.head;
        bytes.extend_from_slice(&plan.body.bytes);
        connection.write(&bytes).await.ok()?;
        return (plan.after == After::KeepAlive).then_some(connection);
    }
    let next = shared.next(&request);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let terms = Terms {
        reply: &next.reply,
        name: &next.settings.name,
        api_key: next.settings.api_key.as_deref(),
        number: next.number,
        now: now.as_secs(),
    };
    let answer = match &next.misspelt {
        None => dialect::answer(&request, &terms),
        Some(problem) => misspelt(problem),
    };
    let client = Client {
        version,
        after,
        number: next.number,
    };
    let pace = Pace::of(&next, &answer);
    let plan = Plan::new(answer, &next.reply, client);
    // Entered before the first byte leaves: who has read the reply finds the request in the ledger.
    shared.enter(next.number, number, request);
    let _guard = Guard {
        shared,
        number: next.number,
    };
    let delivery = Delivery {
        connection,
        shared,
        plan: &plan,
        out: Vec::with_capacity(
            plan.head
                .len()
                .saturating_add(plan.body.bytes.len())
                .min(WRITE_BYTES),
        ),
        unsent: Progress {
            number: next.number,
            status: Some(plan.status).filter(|_| !plan.head.is_empty()),
            prompt_tokens: plan.prompt_tokens,
            completion_tokens: 0,
            ending: Ending::Open,
        },
        piece_bytes: next.reply.piece_bytes,
    };
    delivery.perform(&pace).await
}

fn misspelt(problem: &str) -> Answer {
    let body = serde_json::json!({"error": {"message": format!("x-fake-fault: {problem}"), "type": "invalid_request_error", "param": null, "code": "fake_fault"}});
    let reply = Reply::status(400).body("application/json", body.to_string());
    dialect::given(&reply)
}

/// When things leave.
struct Pace {
    head: Duration,
    first_token: Duration,
    token: Duration,
}

impl Pace {
    /// Who does not stream waits for all tokens, then gets everything at once.
    fn of(next: &Next, answer: &Answer) -> Self {
        let (reply, settings) = (&next.reply, &next.settings);
        let head = Duration::from_millis(reply.head_ms);
        let first_token =
            Duration::from_millis(reply.first_token_ms.unwrap_or(settings.first_token_ms));
        let token = Duration::from_millis(reply.pace_ms.unwrap_or(settings.pace_ms));
        if answer.flow != Flow::Whole || answer.status != 200 {
            return Self {
                head,
                first_token,
                token,
            };
        }
        let tokens = answer
            .pieces
            .marks
            .iter()
            .map(|mark| mark.tokens)
            .fold(0, u64::saturating_add);
        let further = u32::try_from(tokens.saturating_sub(1)).unwrap_or(u32::MAX);
        Self {
            head: head
                .saturating_add(first_token)
                .saturating_add(token.saturating_mul(further)),
            first_token: Duration::ZERO,
            token: Duration::ZERO,
        }
    }
}

/// One reply on its way.
struct Delivery<'a> {
    connection: Connection,
    shared: &'a Shared,
    plan: &'a Plan,
    out: Vec<u8>,
    /// What `out` will have served once it is written.
    unsent: Progress,
    piece_bytes: Option<usize>,
}

impl Delivery<'_> {
    async fn perform(mut self, pace: &Pace) -> Option<Connection> {
        match self.deliver(pace).await {
            Ok(()) => {}
            Err(ClientLeft) => {
                self.end(Ending::ClientLeft);
                return None;
            }
        }
        match self.plan.finale {
            Finale::Complete => (self.plan.after == After::KeepAlive).then_some(self.connection),
            Finale::Cut | Finale::Stall => None,
            Finale::Reset => {
                self.connection.reset();
                None
            }
        }
    }

    async fn deliver(&mut self, pace: &Pace) -> Result<(), ClientLeft> {
        self.pause(pace.head).await?;
        self.out.extend_from_slice(&self.plan.head);
        if self.plan.head.is_empty() {
            return self.finale().await;
        }
        let mut before_token = pace.first_token;
        let plan = self.plan;
        for (piece, mark) in plan.body.iter() {
            if mark.stage == Stage::Tokens {
                self.pause(before_token).await?;
                before_token = pace.token;
            }
            self.add(piece).await?;
            let tokens = &mut self.unsent.completion_tokens;
            *tokens = tokens.saturating_add(mark.tokens);
            if self.out.len() >= WRITE_BYTES {
                self.flush(Ending::Open).await?;
            }
        }
        self.finale().await
    }

    async fn finale(&mut self) -> Result<(), ClientLeft> {
        match self.plan.finale {
            Finale::Complete => {
                if self.plan.framing == Framing::Chunked {
                    self.out.extend_from_slice(b"0\r\n\r\n");
                }
                self.flush(Ending::Served).await?;
                if self.plan.after == After::Close {
                    self.connection.finish().await;
                }
                Ok(())
            }
            Finale::Cut => {
                self.flush(Ending::CutByUs).await?;
                self.connection.finish().await;
                Ok(())
            }
            Finale::Reset => {
                self.flush(Ending::CutByUs).await?;
                self.connection.wait(BEFORE_RESET).await
            }
            Finale::Stall => {
                self.flush(Ending::Open).await?;
                self.connection.wait(STALL_MAX).await?;
                self.end(Ending::CutByUs);
                Ok(())
            }
        }
    }

    /// Waits, after what is due has left.
    async fn pause(&mut self, time: Duration) -> Result<(), ClientLeft> {
        if time.is_zero() {
            return Ok(());
        }
        self.flush(Ending::Open).await?;
        self.connection.wait(time).await
    }

    async fn add(&mut self, piece: &[u8]) -> Result<(), ClientLeft> {
        let Some(size) = self.piece_bytes else {
            self.frame(piece);
            return Ok(());
        };
        for part in piece.chunks(size.max(1)) {
            self.frame(part);
            self.flush(Ending::Open).await?;
            gap().await;
        }
        Ok(())
    }

    fn frame(&mut self, bytes: &[u8]) {
        if self.plan.framing != Framing::Chunked {
            self.out.extend_from_slice(bytes);
        } else if !bytes.is_empty() {
            // An empty chunk would end the body.
            self.out
                .extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
            self.out.extend_from_slice(bytes);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Writes what is due. The ledger is told first, so that who has read the reply finds it there.
    async fn flush(&mut self, ending: Ending) -> Result<(), ClientLeft> {
        let tokens = self.unsent.completion_tokens;
        self.end(ending);
        if self.out.is_empty() {
            return Ok(());
        }
        let written = self.connection.write(&self.out).await;
        self.out.clear();
        if written.is_err() {
            self.shared.take_back(self.unsent.number, tokens);
        }
        written
    }

    fn end(&mut self, ending: Ending) {
        self.unsent.ending = ending;
        self.shared.note(self.unsent);
        self.unsent.prompt_tokens = 0;
        self.unsent.completion_tokens = 0;
    }
}

/// A delivery that is dropped while it runs was cut by us: its task is ended when the provider is shut.
struct Guard<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.shared.abandon(self.number);
    }
}

/// Leaves the network alone for a moment that is too short for a timer.
async fn gap() {
    let start = Instant::now();
    while start.elapsed() < GAP {
        tokio::task::yield_now().await;
    }
}
