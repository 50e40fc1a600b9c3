//! What is attacked, and what must hold whatever comes.

use tollgate_core::dialect::event::Report;
use tollgate_core::dialect::gaps::Policy;
use tollgate_core::dialect::json::{Json, Kind, Tape};
use tollgate_core::dialect::openai::{self, Look};
use tollgate_core::dialect::passage::{Heard, Passage, Seen};
use tollgate_core::dialect::reply::TEXT_BYTES_MAX;
use tollgate_core::dialect::speak::{Asked, Calls, Fault, Provider, Target, UsageWish};
use tollgate_core::dialect::tables::{CLIENTS, providers};
use tollgate_core::dialect::{accents::StreamUsage, base64, writer};
use tollgate_core::endpoint::Streams;
use tollgate_core::eventstream::{FRAME_BYTES_MAX, Frames, crc32};
use tollgate_core::json_tap::Tap;
use tollgate_core::multipart::Scanner;
use tollgate_core::request::{self, Cap, UsageOption};
use tollgate_core::sse::{EVENT_BYTES_MAX, Output, Splitter, Verdict};
use tollgate_core::units::Tokens;
use tollgate_core::usage::Usage;

use crate::mutate::Dice;

const CUT: Fault<'static> = Fault {
    code: "cut",
    message: "cut",
    param: None,
};

fn any_provider(dice: &mut Dice) -> &'static dyn Provider {
    let all: Vec<_> = providers().collect();
    *dice.of(&all)
}

fn asked() -> Asked {
    Asked {
        model: "small".to_owned(),
        id: "r".to_owned(),
        created: 1,
        usage: UsageWish::Asked,
        calls: Calls::Any,
    }
}

fn is_json(bytes: &[u8]) -> bool {
    Tape::default().read(bytes).is_ok()
}

/// A request is refused with its reason, or written for everyone as JSON that its own reader takes.
pub(crate) fn request(input: &[u8], dice: &mut Dice) -> String {
    let client = *dice.of(CLIENTS);
    let chat = match client.read(input) {
        Ok(chat) => chat,
        Err(refusal) => {
            assert!((400..500).contains(&refusal.status) && !refusal.message.is_empty());
            return format!("{} {} {:?}", client.name(), refusal.code, refusal.param);
        }
    };
    let target = Target {
        model: dice.of::<&str>(&[
            "claude-sonnet-4-5",
            "gemini-3-pro",
            "us.anthropic.claude-opus-4-6",
            "m",
        ]),
        ..Target::default()
    };
    let provider = any_provider(dice);
    let written = provider.write(&chat, &target, Policy::Drop).unwrap();
    assert!(is_json(&written.body), "{}", provider.name());
    match provider.write(&chat, &target, Policy::Refuse) {
        Ok(strict) => assert_eq!(strict, written, "{}", provider.name()),
        Err(refused) => assert!(!written.dropped.is_empty() && !refused.gaps.is_empty()),
    }
    if provider.understands() == client.name() && written.dropped.is_empty() {
        let again = client.read(&written.body);
        assert!(
            again.is_ok(),
            "{} cannot read its own: {again:?}",
            client.name()
        );
    }
    let dropped: Vec<_> = written.dropped.iter().map(|gap| &gap.parameter).collect();
    format!("{} {} {dropped:?}", client.name(), provider.name())
}

/// Where a stream is cut does not matter; what goes out is legal and ends once; nothing is held beyond its bound.
pub(crate) fn stream(input: &[u8], dice: &mut Dice) -> String {
    let provider = any_provider(dice);
    let framed = provider.name().contains("bedrock");
    let bytes = if framed && dice.below(4) > 0 {
        frames_of(input, Kinds::of(provider))
    } else {
        input.to_vec()
    };
    let (whole, _) = events(provider, &[&bytes]);
    let pieces = cut(&bytes, dice);
    let (cut, said) = events(provider, &pieces);
    assert_eq!(whole, cut, "{} cut", provider.name());
    assert!(
        said <= bytes.len().saturating_mul(2) + 4_096,
        "more is said than came"
    );
    for client in CLIENTS {
        let mut passage = Passage::new(provider, *client, asked());
        let mut out = Vec::new();
        for piece in &pieces {
            passage.feed(piece, &mut out, &mut ours);
        }
        passage.finish(&CUT, &mut out, &mut ours);
        let text = String::from_utf8(out).expect("UTF-8 is written");
        assert_eq!(
            ends(&text),
            1,
            "{} to {}: {text}",
            provider.name(),
            client.name()
        );
        for line in text.lines() {
            let data = line.strip_prefix("data: ");
            let legal = data.is_none_or(|data| data == "[DONE]" || is_json(data.as_bytes()));
            assert!(legal, "{}: {line}", client.name());
        }
        let report = passage.seen().report.expect("figures are always there");
        assert!(report.usage.total().0 < 16_000_000_000, "{report:?}");
    }
    let mut kinds: Vec<&str> = whole.iter().map(|event| kind(event)).collect();
    kinds.dedup();
    kinds.truncate(12);
    format!("{} {kinds:?}", provider.name())
}

fn kind(event: &str) -> &str {
    event.split([' ', '(']).next().unwrap_or_default()
}

fn ours(_: &Seen) -> Option<Report> {
    let usage = Usage {
        input: Tokens(7),
        ..Usage::default()
    };
    Some(Report {
        usage,
        ..Report::default()
    })
}

fn ends(text: &str) -> usize {
    let ends = [
        "data: [DONE]",
        "event: message_stop",
        "event: error",
        "event: response.completed",
        "event: response.incomplete",
        "event: response.failed",
        "data: {\"error\":",
    ];
    let of = |end: &&str| text.lines().filter(|line| line.starts_with(*end)).count();
    ends.iter().map(of).sum()
}

/// The events as text, and how many bytes they carry.
fn events(provider: &dyn Provider, pieces: &[&[u8]]) -> (Vec<String>, usize) {
    let (mut events, mut said) = (Vec::new(), 0_usize);
    let mut reader = provider.reader();
    for piece in pieces {
        reader.feed(piece, &mut |event| {
            said += event.text_bytes();
            events.push(format!("{event:?}"));
        });
        assert!(reader.held() <= EVENT_BYTES_MAX.max(FRAME_BYTES_MAX) + piece.len());
    }
    reader.finish(&mut |event| events.push(format!("{event:?}")));
    let ends = events.iter().filter(|event| *event == "Done").count();
    assert!(ends <= 1, "{} is done {ends} times", provider.name());
    (events, said)
}

fn cut<'a>(bytes: &'a [u8], dice: &mut Dice) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let longest = 1 << dice.below(10);
        let (piece, behind) = rest.split_at((1 + dice.below(longest)).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// A good status with a body: unreadable, an error, or an answer that is legal for everyone.
pub(crate) fn whole(input: &[u8], dice: &mut Dice) -> String {
    let provider = any_provider(dice);
    let Ok(heard) = Heard::read(provider, input) else {
        return format!("{} unreadable", provider.name());
    };
    if heard.failed() {
        return format!("{} failed", provider.name());
    }
    let client = *dice.of(CLIENTS);
    let (body, seen) = heard.answer((client, &asked()), &mut ours);
    assert!(is_json(&body), "{} to {}", provider.name(), client.name());
    assert!(body.len() <= TEXT_BYTES_MAX.saturating_mul(8));
    assert!(seen.report.is_some(), "figures are always there");
    let shape = (seen.content_events.min(5), seen.suspect, seen.counted);
    format!("{} {shape:?}", provider.name())
}

/// What a provider says of a failure is bounded, and can be told to everyone.
pub(crate) fn complaint(input: &[u8], dice: &mut Dice) -> String {
    let provider = any_provider(dice);
    let status = *dice.of(&[400, 401, 403, 404, 413, 429, 500, 503, 529]);
    let complaint = provider.complaint(status, input);
    assert!(complaint.message.chars().count() <= 2_000 && complaint.code.chars().count() <= 64);
    for client in CLIENTS {
        let body = client.error(complaint.class.status(), &Fault::from(&complaint));
        assert!(is_json(&body));
    }
    format!(
        "{} {:?} {}",
        provider.name(),
        complaint.class,
        complaint.message.is_empty()
    )
}

/// The tape takes what serde takes, but for what it says it does not; and what it writes again means the same.
pub(crate) fn json(input: &[u8], _: &mut Dice) -> String {
    let mut tape = Tape::default();
    let theirs = serde_json::from_slice::<serde_json::Value>(input);
    match (tape.read(input), theirs) {
        (Ok(json), theirs) => {
            let compact = writer::compact(json);
            if let Ok(value) = theirs {
                let again: serde_json::Value = serde_json::from_str(&compact).unwrap();
                assert_eq!(again, value);
            }
            format!("{:?} {}", json.kind(), walk(json))
        }
        (Err(wrong), Ok(_)) => panic!("serde takes it, we do not: {wrong:?}"),
        (Err(wrong), Err(_)) => wrong.why.to_owned(),
    }
}

/// Visits every value.
fn walk(json: Json<'_>) -> usize {
    let inside = match json.kind() {
        Kind::List => json.items().map(walk).sum(),
        Kind::Object => json.entries().map(|(_, value)| walk(value)).sum(),
        Kind::Text | Kind::EscapedText => {
            json.text().map_or(0, |text| usize::from(text.is_empty()))
        }
        Kind::Null | Kind::True | Kind::False | Kind::Number => 0,
    };
    inside + 1
}

/// However the bytes are cut, the same events are seen and the same bytes go on.
pub(crate) fn sse(input: &[u8], dice: &mut Dice) -> String {
    let split = |pieces: &[&[u8]]| {
        let (mut splitter, mut seen, mut out) = (Splitter::default(), Vec::new(), Vec::new());
        for piece in pieces {
            let output = splitter.feed(piece, |data| {
                seen.push(data.to_vec());
                if data.starts_with(b"x") {
                    Verdict::Drop
                } else {
                    Verdict::Keep
                }
            });
            match output {
                Output::Same => out.extend_from_slice(piece),
                Output::Changed(bytes) => out.extend(bytes),
            }
            assert!(splitter.held() <= EVENT_BYTES_MAX + piece.len());
        }
        out.extend(splitter.rest());
        (seen, out)
    };
    let whole = split(&[input]);
    assert_eq!(whole, split(&cut(input, dice)));
    format!("{}", whole.0.len().min(9))
}

/// The same for binary frames; and base64, which some of them hold.
pub(crate) fn frames(input: &[u8], dice: &mut Dice) -> String {
    let bytes = match dice.below(3) {
        0 => input.to_vec(),
        _ => {
            let mut bytes = frames_of(input, Kinds::Said);
            if let Some(byte) = dice
                .below(40)
                .checked_sub(20)
                .and_then(|at| bytes.get_mut(at))
            {
                *byte ^= 1;
            }
            bytes
        }
    };
    let read = |pieces: &[&[u8]]| {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for piece in pieces {
            let fed = frames.feed(piece, |frame| {
                let kind = frame.header(":event-type").map(str::to_owned);
                seen.push((kind, frame.payload.to_vec()));
            });
            assert!(frames.held() <= FRAME_BYTES_MAX + piece.len());
            if let Err(broken) = fed {
                return (seen, Some(broken));
            }
        }
        (seen, None)
    };
    let whole = read(&[&bytes]);
    assert_eq!(whole, read(&cut(&bytes, dice)));
    let text = String::from_utf8_lossy(input);
    let decoded = base64::decode(&text).is_some();
    format!("{} {:?} {decoded}", whole.0.len().min(9), whole.1)
}

/// Which kind stands on the frames.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    /// What stands before the JSON.
    Said,
    /// `chunk`, always.
    Chunks,
}

impl Kinds {
    fn of(provider: &dyn Provider) -> Self {
        match provider.name() {
            "anthropic_bedrock" => Self::Chunks,
            _ => Self::Said,
        }
    }
}

/// `KIND JSON` a line, as frames with good checksums.
fn frames_of(input: &[u8], kinds: Kinds) -> Vec<u8> {
    let lines = input
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .flat_map(|line| {
            let blank = line.iter().position(|byte| *byte == b' ').unwrap_or(0);
            let (kind, payload) = line.split_at(blank);
            let payload = payload.trim_ascii();
            let kind = String::from_utf8_lossy(&kind[..kind.len().min(200)]).into_owned();
            match kind.strip_prefix('!') {
                Some(kind) => frame(":exception-type", kind, payload),
                None if kinds == Kinds::Chunks => frame(":event-type", "chunk", payload),
                None => frame(":event-type", &kind, payload),
            }
        })
        .collect()
}

fn frame(name: &str, value: &str, payload: &[u8]) -> Vec<u8> {
    let mut head = vec![u8::try_from(name.len()).unwrap()];
    head.extend_from_slice(name.as_bytes());
    head.push(7);
    head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
    head.extend_from_slice(value.as_bytes());
    let total = u32::try_from(16 + head.len() + payload.len()).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame
}

/// The quick ways of what passes through: they look less closely, and must not see figures or errors that are not there.
pub(crate) fn native(input: &[u8], dice: &mut Dice) -> String {
    let mut seen = Vec::new();
    let look = *dice.of(&[Look::Closely, Look::Quickly]);
    Splitter::default().feed(input, |data| {
        seen.push(match openai::event(data, look) {
            openai::Event::Lifecycle => "lifecycle",
            openai::Event::Content(bytes) => {
                assert!(bytes <= data.len().saturating_mul(4));
                "content"
            }
            openai::Event::UsageOnly(_) => "usage",
            openai::Event::ContentAndUsage(..) => "both",
            openai::Event::Error(_) => "error",
            openai::Event::Done => "done",
        });
        Verdict::Keep
    });
    const WANTED: &[&str] = &["usage", "error", "choices"];
    let tap = |pieces: &[&[u8]]| {
        let mut tap = Tap::new(WANTED);
        pieces.iter().for_each(|piece| tap.feed(piece));
        WANTED
            .iter()
            .map(|name| tap.value(name).map(<[u8]>::to_vec))
            .collect::<Vec<_>>()
    };
    let whole = tap(&[input]);
    assert_eq!(whole, tap(&cut(input, dice)));
    let report = whole[0].as_deref().and_then(openai::usage);
    seen.dedup();
    seen.truncate(9);
    format!("{seen:?} {:?}", report.map(|report| report.suspect))
}

/// A body that is taken is spliced into one that still is JSON, as long as was said, with the other model's name.
pub(crate) fn splice(input: &[u8], dice: &mut Dice) -> String {
    let option = *dice.of(&[UsageOption::StreamOptions, UsageOption::Always]);
    let usage = *dice.of(&[StreamUsage::Asked, StreamUsage::Unasked]);
    let request = match request::parse(input, Streams::OnRequest, option) {
        Ok(request) => request,
        Err(refusal) => return refusal.code.to_owned(),
    };
    let model = "another \"model\"";
    let bound = Cap {
        field: dice.of::<&'static str>(&["max_tokens", "max_completion_tokens"]),
        tokens: *dice.of(&[None, Some(Tokens(77))]),
    };
    let cap = *dice.of(&[None, Some(bound)]);
    let length = request.splice.length(input.len(), model, usage, cap);
    let Some(written) = request.splice.write(input, model, usage, cap) else {
        assert_eq!(length, input.len());
        return "as it came".to_owned();
    };
    assert_eq!(written.len(), length);
    let mut tape = Tape::default();
    if let Ok(json) = tape.read(&written) {
        assert_eq!(json.text_of("model").as_deref(), Some(model));
    } else {
        assert!(!is_json(input), "what was JSON is none any more");
    }
    format!("{:?}", request.reply)
}

/// Where a form is cut does not matter; the model stands where it is said to stand.
pub(crate) fn form(input: &[u8], dice: &mut Dice) -> String {
    let read = |pieces: &[&[u8]]| {
        let mut scanner = Scanner::new(b"xyz");
        for piece in pieces {
            scanner.feed(piece)?;
        }
        scanner.finish()
    };
    let whole = read(&[input]);
    let in_pieces = read(&cut(input, dice));
    match (whole, in_pieces) {
        (Ok(whole), Ok(in_pieces)) => {
            assert_eq!(whole, in_pieces);
            assert_eq!(whole.bytes, input.len());
            let place = input.get(whole.place.clone());
            assert_eq!(place, Some(whole.model.as_bytes()));
            format!("{} {}", whole.stream, whole.count)
        }
        // Which of several mistakes is met first may depend on the cut.
        (Err(whole), Err(_)) => {
            assert_eq!(whole.status, 400);
            whole.code.to_owned()
        }
        (whole, in_pieces) => panic!("{whole:?} whole, {in_pieces:?} in pieces"),
    }
}
