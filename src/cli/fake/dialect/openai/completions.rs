//! `POST /v1/completions`, the older way to ask.

use serde_json::{Value, json};

use super::usage::claimed;
use super::{
    Complaint, FINGERPRINT, Question, Wish, events, model, number, whole, wish, write_done,
    write_event,
};
use crate::fake::answer::{Answer, Pieces, Stage};
use crate::fake::text;

/// What is written when no limit is given, as with the real one.
const TOKENS_WITHOUT_LIMIT: u64 = 16;

pub(super) fn answer(question: &Question<'_>, body: &Value) -> Result<Answer, Complaint> {
    let model = model(body)?;
    let prompts = prompts(body)?;
    let wish = wish(body)?;
    let limit = number(body, "max_tokens", u64::MAX)?.unwrap_or(TOKENS_WITHOUT_LIMIT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let full: Vec<_> = prompts
        .iter()
        .map(|prompt| text_for(question, prompt))
        .collect();
    let choices: Vec<Vec<&str>> = full
        .iter()
        .map(|text| text::tokens(text).into_iter().take(limit).collect())
        .collect();
    let finish = |place: usize, kept: &[&str]| {
        let all = full.get(place).map_or(0, |text| text::tokens(text).len());
        if all > kept.len() { "length" } else { "stop" }
    };
    let prompt_tokens = sum(prompts.iter().map(|prompt| text::count(prompt)));
    let tokens = sum(choices
        .iter()
        .map(|kept| u64::try_from(kept.len()).unwrap_or(u64::MAX)));
    let usage = claimed(prompt_tokens, tokens, question.reply);
    let around = |choices: Value| {
        json!({
            "id": format!("cmpl-fake{:024}", question.number),
            "object": "text_completion",
            "created": question.now,
            "model": model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        })
    };
    let choice = |place: usize, text: &str, finish: Option<&str>| json!({"text": text, "index": place, "logprobs": null, "finish_reason": finish});
    if wish == Wish::Whole {
        let list = choices.iter().enumerate();
        let list: Value = list
            .map(|(place, kept)| choice(place, &kept.concat(), Some(finish(place, kept))))
            .collect();
        let mut reply = around(list);
        if let (Some(usage), Some(fields)) = (usage, reply.as_object_mut()) {
            fields.insert("usage".to_owned(), json!(usage));
        }
        return Ok(whole(reply.to_string().into_bytes(), prompt_tokens, tokens));
    }
    let mut pieces = Pieces::default();
    for (place, kept) in choices.iter().enumerate() {
        for token in kept {
            let event = around(json!([choice(place, token, None)]));
            write_event(&mut pieces, Stage::Tokens, 1, &event);
        }
    }
    for (place, kept) in choices.iter().enumerate() {
        let event = around(json!([choice(place, "", Some(finish(place, kept)))]));
        write_event(&mut pieces, Stage::Closing, 0, &event);
    }
    if let Some(usage) = usage.filter(|_| wish == Wish::EventsWithUsage) {
        let mut event = around(json!([]));
        if let Some(fields) = event.as_object_mut() {
            fields.insert("usage".to_owned(), json!(usage));
        }
        write_event(&mut pieces, Stage::Closing, 0, &event);
    }
    write_done(&mut pieces);
    Ok(events(pieces, prompt_tokens))
}

fn prompts(body: &Value) -> Result<Vec<&str>, Complaint> {
    let list = match body.get("prompt") {
        None => return Err(Complaint::missing("prompt")),
        Some(Value::String(prompt)) => Some(vec![prompt.as_str()]),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
        Some(_) => None,
    };
    list.filter(|list| !list.is_empty()).ok_or_else(|| {
        Complaint::invalid(
            "prompt",
            "Invalid type for 'prompt': expected a string or an array of strings.",
        )
    })
}

fn text_for(question: &Question<'_>, prompt: &str) -> String {
    match (&question.reply.text, question.reply.tokens) {
        (Some(text), _) => text.clone(),
        (None, Some(tokens)) => text::of_length(tokens),
        (None, None) => text::echo(question.name, prompt),
    }
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}
