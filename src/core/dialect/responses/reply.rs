//! Answers in OpenAI's Responses, in one piece.

use crate::dialect::event::{Finish, Report};
use crate::dialect::openai::reply::{seal, tokens};
use crate::dialect::reply::{Reply, Said};
use crate::dialect::speak::{Asked, Fault};
use crate::dialect::writer::{Writer, object};

/// Tells a thought that is sealed whole from the seal of one that is shown, when it comes back.
pub const SEALED_WHOLE: &str = "sealed:";

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// More is to come.
    InProgress,
    /// It is complete.
    Completed,
    /// It ended before its end.
    Incomplete(&'static str),
    /// It failed.
    Failed,
}

impl Status {
    /// By why the answer ended.
    pub fn of(finish: Option<Finish>) -> Self {
        match finish {
            Some(Finish::Length) => Self::Incomplete("max_output_tokens"),
            Some(Finish::ContentFilter) => Self::Incomplete("content_filter"),
            Some(
                Finish::Stop
                | Finish::StopSequence
                | Finish::ToolCalls
                | Finish::Refusal
                | Finish::Pause,
            )
            | None => Self::Completed,
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// An answer in one piece.
pub fn whole(asked: &Asked, reply: &Reply) -> Vec<u8> {
    let finish = reply.choices.first().and_then(|choice| choice.finish);
    object(|o| response(o, asked, reply, Status::of(finish), None))
}

/// The name of a response: theirs, with the beginning that is usual here.
pub fn id(asked: &Asked, reply: &Reply) -> String {
    let id = if reply.id.is_empty() {
        &asked.id
    } else {
        &reply.id
    };
    match id.strip_prefix("resp_") {
        Some(_) => id.clone(),
        None => format!("resp_{id}"),
    }
}

/// The response as it stands.
pub fn response(
    o: &mut Writer<'_>,
    asked: &Asked,
    reply: &Reply,
    status: Status,
    fault: Option<&Fault<'_>>,
) {
    let id = id(asked, reply);
    o.key("id").text(&id);
    o.key("object").text("response");
    o.key("created_at")
        .whole(reply.created.unwrap_or(asked.created));
    o.key("status").text(status.word());
    o.key("error");
    match fault {
        Some(fault) => o.object(|o| {
            o.key("code").text(fault.code);
            o.key("message").text(fault.message);
        }),
        None => o.null(),
    }
    o.key("incomplete_details");
    match status {
        Status::Incomplete(reason) => o.object(|o| o.key("reason").text(reason)),
        Status::InProgress | Status::Completed | Status::Failed => o.null(),
    }
    o.key("instructions").null();
    o.key("metadata").object(|_| {});
    o.key("model").text(&asked.model);
    o.key("output").list(|list| {
        let first = reply.choices.first();
        let logprobs = first.map_or(&[][..], |choice| choice.logprobs.as_slice());
        for (at, said) in first
            .map(|choice| &choice.said)
            .into_iter()
            .flatten()
            .enumerate()
        {
            list.object(|o| item(o, &item_id(&id, said, at), (said, logprobs), status));
        }
    });
    o.key("parallel_tool_calls").truth(true);
    o.key("tool_choice").text("auto");
    o.key("tools").list(|_| {});
    o.key("usage");
    match &reply.report {
        Some(report) => o.object(|o| usage(o, report)),
        None => o.null(),
    }
}

/// Item by item, each with a name of its own.
pub fn item_id(id: &str, said: &Said, at: usize) -> String {
    let kind = match said {
        Said::Text(_) | Said::Refusal(_) => "msg",
        Said::Thinking { .. } | Said::SealedThinking(_) => "rs",
        Said::Call { .. } => "fc",
    };
    format!("{kind}_{}_{at}", id.strip_prefix("resp_").unwrap_or(id))
}

/// One item of the output.
pub fn item(o: &mut Writer<'_>, id: &str, (said, logprobs): (&Said, &[String]), status: Status) {
    o.key("id").text(id);
    match said {
        Said::Text(_) | Said::Refusal(_) => {
            o.key("type").text("message");
            o.key("status").text(status.word());
            o.key("role").text("assistant");
            o.key("content").list(|list| {
                // What is only announced has no part yet: SDKs add those as they come.
                if status != Status::InProgress {
                    list.object(|o| content_part(o, said, logprobs));
                }
            });
        }
        Said::Thinking { text, signature } => {
            o.key("type").text("reasoning");
            o.key("summary").list(|list| {
                if !text.is_empty() {
                    list.object(|o| {
                        o.key("type").text("summary_text");
                        o.key("text").text(text);
                    });
                }
            });
            if !signature.is_empty() {
                o.key("encrypted_content").text(signature);
            }
        }
        Said::SealedThinking(data) => {
            o.key("type").text("reasoning");
            o.key("summary").list(|_| {});
            o.key("encrypted_content")
                .text(&format!("{SEALED_WHOLE}{data}"));
        }
        Said::Call {
            id: call_id,
            name,
            arguments,
            signature,
            ..
        } => {
            o.key("type").text("function_call");
            o.key("status").text(status.word());
            o.key("call_id").text(call_id);
            o.key("name").text(name);
            o.key("arguments").text(arguments);
            seal(o, signature.as_deref());
        }
    }
}

/// The only part of a message.
pub fn content_part(o: &mut Writer<'_>, said: &Said, logprobs: &[String]) {
    if let Said::Text(text) = said {
        o.key("type").text("output_text");
        o.key("text").text(text);
        o.key("annotations").list(|_| {});
        o.key("logprobs")
            .list(|list| logprobs.iter().for_each(|piece| tokens(list, piece)));
    } else if let Said::Refusal(text) = said {
        o.key("type").text("refusal");
        o.key("refusal").text(text);
    }
}

/// `input_tokens` is the whole prompt here too.
fn usage(o: &mut Writer<'_>, report: &Report) {
    let used = &report.usage;
    let (prompt, answer) = (used.prompt(), used.answer());
    o.key("input_tokens").whole(prompt.0);
    o.key("input_tokens_details").object(|o| {
        o.key("cached_tokens").whole(used.cached_input.0);
        o.key("cache_write_tokens").whole(used.written().0);
    });
    o.key("output_tokens").whole(answer.0);
    o.key("output_tokens_details")
        .object(|o| o.key("reasoning_tokens").whole(used.reasoning.0));
    o.key("total_tokens").whole(prompt.plus(answer).0);
}
