//! As Azure serves OpenAI's models, on `/openai/deployments` and on `/azure/openai/deployments`: the deployment stands in the
//! path, and the interface has a date.

use serde_json::json;

use super::{Question, openai, wire};
use crate::fake::answer::Answer;
use crate::fake::connection::Request;

pub(super) fn answer(question: &Question<'_>) -> Answer {
    let asked = question.path.strip_prefix("/openai/deployments/");
    let asked = asked.and_then(|asked| asked.split_once('/'));
    let dated = question.query.split('&').any(|part| {
        part.strip_prefix("api-version=")
            .is_some_and(|date| !date.is_empty())
    });
    match asked {
        Some((deployment, operation)) if dated && !deployment.is_empty() => {
            let path = format!("/v1/{operation}");
            openai::answer(&Question {
                path: &path,
                ..*question
            })
        }
        _ => refusal(404),
    }
}

pub(super) fn refusal(status: u16) -> Answer {
    let (code, message) = match status {
        401 => (
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint.",
        ),
        404 => ("404", "Resource not found"),
        _ => return openai::refusal(status),
    };
    wire::free(
        status,
        &json!({"error": {"code": code, "message": message}}),
    )
}

pub(super) fn key(request: &Request) -> Option<&str> {
    request.header("api-key")
}
