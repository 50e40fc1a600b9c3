//! As Amazon's Bedrock speaks, on `/model/...` and on `/bedrock/model/...`: Converse, and Anthropic's models as they are.

mod converse;
mod request;

use serde_json::{Value, json};

use super::anthropic::{self, Delivery, Hosted};
use super::{Question, aws, wire};
use crate::fake::answer::Answer;

/// What is wrong with a request, as Bedrock tells it.
#[derive(Debug)]
struct Complaint {
    status: u16,
    message: String,
}

impl Complaint {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
        }
    }

    fn of_status(status: u16) -> Self {
        let message = match status {
            400 => "Malformed input request, please reformat your input and try again.",
            403 => "You don't have access to the model with the specified model ID.",
            404 => "The provided model identifier is invalid.",
            408 => "Model has timed out in processing the request. Try your request again.",
            424 => "The request failed due to an error while processing the model.",
            429 => "Too many requests, please wait before trying again.",
            503 => "Bedrock is unable to process your request.",
            _ => {
                "The system encountered an unexpected error during processing. Try your request again."
            }
        };
        Self {
            status,
            message: message.to_owned(),
        }
    }
}

pub(super) fn answer(question: &Question<'_>) -> Answer {
    let asked = question.path.strip_prefix("/model/");
    let asked = asked.and_then(|asked| asked.split_once('/'));
    let (Some((model, operation)), "POST") = (asked, question.method) else {
        return refusal(404);
    };
    let claude = |delivery| {
        let hosted = Hosted {
            version: "bedrock-2023-05-31",
            model,
            delivery,
        };
        anthropic::hosted(question, hosted)
            .map_err(|(status, message)| Complaint { status, message })
    };
    let answered = match operation {
        "converse" => converse(question, Delivery::Whole),
        "converse-stream" => converse(question, Delivery::Frames),
        "invoke" => claude(Delivery::Whole),
        "invoke-with-response-stream" => claude(Delivery::Frames),
        _ => Err(Complaint::of_status(404)),
    };
    answered.unwrap_or_else(|complaint| told(&complaint))
}

fn converse(question: &Question<'_>, delivery: Delivery) -> Result<Answer, Complaint> {
    let body: Value = serde_json::from_slice(question.body)
        .map_err(|problem| Complaint::invalid(format!("Unable to parse request: {problem}")))?;
    if !body.is_object() {
        return Err(Complaint::invalid("Expected a JSON object"));
    }
    let said = converse::said(question, &body)?;
    Ok(match delivery {
        Delivery::Whole => {
            let error = refusal(500).pieces.bytes;
            wire::whole(&said.in_one(), said.bill(error))
        }
        Delivery::Events | Delivery::Frames => {
            let error = aws::exception("modelStreamErrorException", "The model failed.");
            wire::frames(said.in_frames(), said.prompt_tokens, error)
        }
    })
}

pub(super) fn refusal(status: u16) -> Answer {
    told(&Complaint::of_status(status))
}

/// What who is not let in hears.
pub(super) fn refused(refused: &aws::Refused) -> Answer {
    told(&Complaint {
        status: 403,
        message: refused.0.to_owned(),
    })
}

fn told(complaint: &Complaint) -> Answer {
    wire::free(complaint.status, &json!({"message": complaint.message}))
}
