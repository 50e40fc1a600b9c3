//! Moderation, the order of documents, sound and pictures: little of it is real, but its shapes are.

use serde_json::{Value, json};

use super::{Complaint, Question, model, whole};
use crate::fake::answer::{Answer, Flow, Pieces};
use crate::fake::connection::find;
use crate::fake::dialect::claim::Claim;
use crate::fake::dialect::wire;
use crate::fake::text;

/// What every sound is like: the beginning of an MP3, and bytes that no text has.
const SOUND: &[u8] = b"ID3\x04\x00\x00\xff\xfb\x90\x00data: not an event\n\n";
/// A picture of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

pub(super) fn moderations(question: &Question<'_>, body: &Value) -> Result<Answer, Complaint> {
    let model = model(body)?;
    let input = body
        .get("input")
        .ok_or_else(|| Complaint::missing("input"))?;
    let one = json!({"flagged": false, "categories": {"violence": false}, "category_scores": {"violence": 0.01}});
    let count = input.as_array().map_or(1, Vec::len);
    let results = vec![one; count];
    let id = format!("modr-fake{}", question.number);
    Ok(json_body(
        &json!({"id": id, "model": model, "results": results}),
        0,
    ))
}

pub(super) fn rerank(question: &Question<'_>, body: &Value) -> Result<Answer, Complaint> {
    let model = model(body)?;
    let documents = body.get("documents").and_then(Value::as_array);
    let documents = documents.ok_or_else(|| Complaint::missing("documents"))?;
    let query = body.get("query").and_then(Value::as_str);
    let query = query.ok_or_else(|| Complaint::missing("query"))?;
    let texts = documents.iter().map(|one| one.get("text").unwrap_or(one));
    let tokens = texts
        .filter_map(Value::as_str)
        .map(text::count)
        .fold(text::count(query), u64::saturating_add);
    let mut reply = json!({"id": format!("rerank-fake{}", question.number), "model": model, "results": ranked(documents.len(), body)});
    if let (Some(claim), Some(fields)) = (
        Claim::of(tokens, 0, 0, question.reply),
        reply.as_object_mut(),
    ) {
        fields.insert("usage".to_owned(), json!({"total_tokens": claim.prompt}));
    }
    Ok(json_body(&reply, tokens))
}

/// The last is the best here, as far as the best are wanted.
pub(in crate::fake::dialect) fn ranked(count: usize, body: &Value) -> Vec<Value> {
    let wanted = body.get("top_n").and_then(Value::as_u64);
    let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
    (0..count)
        .rev()
        .take(wanted.unwrap_or(usize::MAX))
        .map(|index| json!({"index": index, "relevance_score": 0.5}))
        .collect()
}

pub(super) fn speech(question: &Question<'_>, body: &Value) -> Result<Answer, Complaint> {
    model(body)?;
    let input = body.get("input").and_then(Value::as_str);
    let input = input.ok_or_else(|| Complaint::missing("input"))?;
    if body.get("voice").is_none() {
        return Err(Complaint::missing("voice"));
    }
    let mut sound = SOUND.to_vec();
    sound.extend_from_slice(question.name.as_bytes());
    Ok(Answer {
        status: 200,
        content_type: "audio/mpeg".to_owned(),
        flow: Flow::Whole,
        pieces: Pieces::whole(sound, 0),
        error: Complaint::of_status(500).body(),
        prompt_tokens: text::count(input),
    })
}

/// Of `dall-e` nobody hears what it used.
pub(super) fn pictures(question: &Question<'_>, body: &Value) -> Result<Answer, Complaint> {
    let prompt = body.get("prompt").and_then(Value::as_str);
    let prompt = prompt.ok_or_else(|| Complaint::missing("prompt"))?;
    Ok(picture(question, model(body)?, prompt))
}

fn picture(question: &Question<'_>, model: &str, prompt: &str) -> Answer {
    let tokens = text::count(prompt);
    let mut reply = json!({"created": question.now, "data": [{"b64_json": PIXEL}]});
    let claim = Claim::of(tokens, 100, 0, question.reply).filter(|_| !model.starts_with("dall-e"));
    if let (Some(claim), Some(fields)) = (claim, reply.as_object_mut()) {
        let usage = json!({
            "input_tokens": claim.prompt,
            "input_tokens_details": {"text_tokens": claim.prompt, "image_tokens": 0},
            "output_tokens": claim.completion,
            "total_tokens": claim.prompt.saturating_add(claim.completion),
        });
        fields.insert("usage".to_owned(), usage);
    }
    json_body(&reply, tokens)
}

/// What came as a form. Sound is as many tokens as bytes.
pub(super) fn form(question: &Question<'_>) -> Result<Answer, Complaint> {
    let wrong = || Complaint::invalid("file", "Could not parse multipart form");
    let content_type = find(question.headers, "content-type").unwrap_or_default();
    let boundary = content_type
        .split_once("boundary=")
        .ok_or_else(wrong)?
        .1
        .trim_matches('"');
    let field = |name: &str| field(question.body, boundary, name);
    let model = field("model").ok_or_else(|| Complaint::missing("model"))?;
    let model = String::from_utf8_lossy(model).into_owned();
    if question.path.starts_with("/v1/images/") {
        field("image").ok_or_else(|| Complaint::missing("file"))?;
        let prompt = String::from_utf8_lossy(field("prompt").unwrap_or_default());
        return Ok(picture(question, &model, &prompt));
    }
    let file = field("file").ok_or_else(|| Complaint::missing("file"))?;
    let heard = format!("{} heard {} bytes", question.name, file.len());
    if field("response_format") == Some(b"text") {
        return Ok(Answer {
            content_type: "text/plain; charset=utf-8".to_owned(),
            ..whole(format!("{heard}\n").into_bytes(), 0, 0)
        });
    }
    let input = u64::try_from(file.len()).unwrap_or(u64::MAX);
    let output = text::count(&heard);
    let usage = json!({"type": "tokens", "input_tokens": input, "output_tokens": output, "total_tokens": input.saturating_add(output)});
    if field("stream") == Some(b"true") {
        let mut pieces = Pieces::default();
        for word in text::tokens(&heard) {
            let event = json!({"type": "transcript.text.delta", "delta": word});
            wire::write_data(&mut pieces, crate::fake::answer::Stage::Tokens, 1, &event);
        }
        let done = json!({"type": "transcript.text.done", "text": heard, "usage": usage});
        wire::write_data(
            &mut pieces,
            crate::fake::answer::Stage::Terminator,
            0,
            &done,
        );
        return Ok(wire::events(pieces, input, Vec::new()));
    }
    // Whisper tells seconds, and no tokens.
    let usage = if model.starts_with("whisper") {
        json!({"type": "duration", "seconds": 1})
    } else {
        usage
    };
    Ok(json_body(&json!({"text": heard, "usage": usage}), input))
}

/// The content of a field, as the simplest of all readers finds it.
fn field<'a>(body: &'a [u8], boundary: &str, name: &str) -> Option<&'a [u8]> {
    let find = |text: &'a [u8], wanted: &str| {
        text.windows(wanted.len())
            .position(|window| window == wanted.as_bytes())
    };
    let start = find(body, &format!("name=\"{name}\""))?;
    let rest = body.get(start..)?;
    let head = find(rest, "\r\n\r\n")?;
    let content = rest.get(head.saturating_add(4)..)?;
    let end = find(content, &format!("\r\n--{boundary}"))?;
    content.get(..end)
}

fn json_body(body: &Value, prompt_tokens: u64) -> Answer {
    whole(body.to_string().into_bytes(), prompt_tokens, 0)
}
