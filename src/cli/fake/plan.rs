//! From an answer and a reply to the bytes on the wire and the moments they leave.

use super::answer::{Answer, Flow, Mark, Pieces, Stage};
use super::connection::{After, Version};
use super::gzip::Gzip;
use super::reply::{At, Between, Encoding, Framing, How, Lines, Reply};

/// Everything that is sent, and how it ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) status: u16,
    pub(crate) head: Vec<u8>,
    pub(crate) body: Pieces,
    pub(crate) framing: Framing,
    pub(crate) finale: Finale,
    /// What becomes of the connection when the reply is complete.
    pub(crate) after: After,
    /// Tokens of the prompt that this reply makes somebody pay for.
    pub(crate) prompt_tokens: u64,
}

/// How the reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finale {
    /// As it should.
    Complete,
    /// The connection is closed.
    Cut,
    /// The connection is reset.
    Reset,
    /// Nothing more comes.
    Stall,
}

/// To whom the reply goes.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) version: Version,
    pub(crate) after: After,
    /// The number of the request, for the request id.
    pub(crate) number: u64,
}

impl Plan {
    /// What it says, how that is coded, and where the wire breaks: in this order, so that a body which ends early
    /// is still well coded, and one that is cut still announces its whole length.
    pub(crate) fn new(answer: Answer, reply: &Reply, client: Client) -> Self {
        let framing = framing(&answer, reply, client);
        let after = match framing {
            Framing::UntilClose => After::Close,
            Framing::Chunked | Framing::ContentLength => client.after,
        };
        let mut finale = Finale::Complete;
        let prompt_tokens = prompt_tokens(&answer, reply);
        let (status, flow, content_type) =
            (answer.status, answer.flow, answer.content_type.clone());
        let said = said(answer, reply);
        let mut body = coded(said, flow, reply);
        let length = body.bytes.len();
        let mut head = head(status, &content_type, reply, client);
        match framing {
            Framing::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Framing::ContentLength => {
                head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
            }
            Framing::UntilClose => {}
        }
        if after == After::Close {
            head.extend_from_slice(b"connection: close\r\n");
        }
        head.extend_from_slice(b"\r\n");
        if let Some(breaks) = reply.breaks
            && let Some(broken) = finale_of(breaks.how)
        {
            finale = broken;
            if breaks.at == At::Start {
                head.clear();
            }
            body = shortened(body, flow, breaks.at);
        }
        let body = match reply.merge {
            Some(count) => merged(&body, count),
            None => body,
        };
        Self {
            status,
            head,
            body,
            framing,
            finale,
            after,
            prompt_tokens,
        }
    }
}

/// Nobody pays for an error, or for a reply of which nothing came.
fn prompt_tokens(answer: &Answer, reply: &Reply) -> u64 {
    let begun = match reply.breaks {
        None => true,
        Some(breaks) => matches!((breaks.how, breaks.at), (How::End, _) | (_, At::Tokens(_))),
    };
    if begun && answer.status == 200 {
        answer.prompt_tokens
    } else {
        0
    }
}

fn finale_of(how: How) -> Option<Finale> {
    match how {
        How::Cut => Some(Finale::Cut),
        How::Reset => Some(Finale::Reset),
        How::Stall => Some(Finale::Stall),
        // These are things said, not a broken wire.
        How::End | How::Error => None,
    }
}

fn framing(answer: &Answer, reply: &Reply, client: Client) -> Framing {
    let usual = match answer.flow {
        Flow::Whole => Framing::ContentLength,
        Flow::Events | Flow::Frames => Framing::Chunked,
    };
    match reply.framing.unwrap_or(usual) {
        Framing::Chunked if client.version == Version::Http10 => Framing::UntilClose,
        framing @ (Framing::Chunked | Framing::ContentLength | Framing::UntilClose) => framing,
    }
}

/// The answer, less what an early end or an error leaves out.
fn said(answer: Answer, reply: &Reply) -> Pieces {
    let Some(breaks) = reply.breaks.filter(|_| answer.status == 200) else {
        return answer.pieces;
    };
    match (breaks.how, answer.flow) {
        (How::Cut | How::Reset | How::Stall, _) => answer.pieces,
        (How::End, flow) => shortened(answer.pieces, flow, breaks.at),
        (How::Error, Flow::Whole) => Pieces::whole(answer.error, 0),
        (How::Error, flow @ (Flow::Events | Flow::Frames)) => {
            let mut pieces = shortened(answer.pieces, flow, breaks.at);
            pieces.bytes.extend_from_slice(&answer.error);
            pieces.mark(Stage::Closing, 0);
            pieces
        }
    }
}

/// What was sent by that moment.
fn shortened(pieces: Pieces, flow: Flow, at: At) -> Pieces {
    let limit = match at {
        At::Start | At::Head => return Pieces::default(),
        At::Tokens(limit) => limit,
    };
    if flow == Flow::Whole {
        return beginning(&pieces, limit);
    }
    let total = pieces
        .marks
        .iter()
        .filter(|mark| mark.stage == Stage::Tokens)
        .fold(0_u64, |sum, mark| sum.saturating_add(mark.tokens));
    let mut sent = Pieces::default();
    let mut tokens = 0_u64;
    for (piece, mark) in pieces.iter() {
        let stays = match mark.stage {
            Stage::Opening => true,
            Stage::Tokens => {
                tokens = tokens.saturating_add(mark.tokens);
                tokens <= limit
            }
            Stage::Closing => limit > total,
            Stage::Terminator => false,
        };
        if !stays {
            break;
        }
        sent.push(piece, mark);
    }
    sent
}

/// Of a body in one piece: the share of its bytes that the tokens are of all tokens, and never all.
fn beginning(pieces: &Pieces, limit: u64) -> Pieces {
    let total = pieces
        .marks
        .iter()
        .fold(0_u64, |sum, mark| sum.saturating_add(mark.tokens));
    let length = pieces.bytes.len();
    let share = u128::try_from(length)
        .unwrap_or_default()
        .saturating_mul(u128::from(limit))
        .checked_div(u128::from(total))
        .and_then(|share| usize::try_from(share).ok())
        .unwrap_or_default();
    let share = share.min(length.saturating_sub(1));
    let bytes = pieces.bytes.get(..share).unwrap_or_default().to_vec();
    Pieces::whole(bytes, limit.min(total))
}

/// Line ends, comments and compression.
fn coded(pieces: Pieces, flow: Flow, reply: &Reply) -> Pieces {
    let plain = match flow {
        Flow::Whole | Flow::Frames => pieces,
        Flow::Events => with_lines(with_comments(pieces, reply.between), reply.lines),
    };
    match reply.encoding {
        Encoding::Identity => plain,
        Encoding::Gzip => compressed(&plain),
    }
}

fn with_comments(pieces: Pieces, between: Between) -> Pieces {
    if between == Between::Nothing {
        return pieces;
    }
    let mut commented = Pieces::default();
    for (piece, mark) in pieces.iter() {
        commented.bytes.extend_from_slice(b": keep-alive\n\n");
        commented.push(piece, mark);
    }
    commented
}

fn with_lines(pieces: Pieces, lines: Lines) -> Pieces {
    if lines == Lines::Lf {
        return pieces;
    }
    let mut rewritten = Pieces::default();
    for (piece, mark) in pieces.iter() {
        for byte in piece {
            if *byte == b'\n' {
                rewritten.bytes.push(b'\r');
            }
            rewritten.bytes.push(*byte);
        }
        rewritten.mark(mark.stage, mark.tokens);
    }
    rewritten
}

fn compressed(pieces: &Pieces) -> Pieces {
    let mut packed = Pieces::default();
    let mut gzip = Gzip::start(&mut packed.bytes);
    let last = pieces.marks.len();
    for (place, (piece, mark)) in pieces.iter().enumerate() {
        gzip.write(piece, &mut packed.bytes);
        if place.saturating_add(1) == last {
            gzip.finish(&mut packed.bytes);
        }
        packed.mark(mark.stage, mark.tokens);
    }
    if last == 0 {
        gzip.finish(&mut packed.bytes);
        packed.mark(Stage::Closing, 0);
    }
    packed
}

fn merged(pieces: &Pieces, count: usize) -> Pieces {
    let marks = pieces
        .marks
        .chunks(count.max(1))
        .filter_map(|group| {
            let last = group.last()?;
            Some(Mark {
                end: last.end,
                tokens: group
                    .iter()
                    .fold(0_u64, |sum, mark| sum.saturating_add(mark.tokens)),
                stage: last.stage,
            })
        })
        .collect();
    Pieces {
        bytes: pieces.bytes.clone(),
        marks,
    }
}

fn head(status: u16, content_type: &str, reply: &Reply, client: Client) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: {content_type}\r\nx-request-id: req_{}\r\n",
        reason(status),
        client.number,
    );
    let mut add = |name: &str, value: &str| {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    };
    if let Some(seconds) = reply.retry_after {
        add("retry-after", &seconds.to_string());
    }
    if reply.encoding == Encoding::Gzip {
        add("content-encoding", "gzip");
    }
    for (name, value) in &reply.headers {
        add(name, value);
    }
    head.into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Overloaded",
        _ => "Status",
    }
}
