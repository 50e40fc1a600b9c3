//! What a caller is told when a request is not served: one line a reason.

use crate::config::Purse;
use crate::limits::{Counts, Draw, Short};
use crate::money::holder::Standing;
use crate::units::NanoUsd;

/// A reason not to serve, as a client and its SDK can act upon it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Stable: programs may compare it.
    pub code: &'static str,
    /// The field that is to blame, where it is one.
    pub param: Option<&'static str>,
    /// What the answer carries beside.
    pub headers: Vec<(&'static str, String)>,
    /// What happened, and what to do.
    pub message: String,
}

/// An answer of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Beside `content-type: application/json`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
    /// The stable code of a refusal; none for what was asked for.
    pub code: Option<&'static str>,
}

impl Refusal {
    /// Only the path and method are wrong.
    pub fn unknown_endpoint(method: &str, path: &str) -> Self {
        Self::new(
            404,
            "unknown_endpoint",
            format!(
                "Nothing is served at `{method} {path}`, and what cannot be metered is not passed on. \
             Use `POST /v1/chat/completions`, or `GET /v1/models` to see what you may use."
            ),
        )
    }

    /// The path is right.
    pub fn method_not_allowed(method: &str, takes: &str) -> Self {
        Self::new(
            405,
            "method_not_allowed",
            format!("This path takes `{takes}`, not `{method}`."),
        )
    }

    /// No credential at all.
    pub fn missing_key() -> Self {
        Self::new(
            401,
            "missing_api_key",
            "No API key was sent. Send yours as \
             `Authorization: Bearer sk-tg-...` (or `x-api-key`, or `api-key`)."
                .to_owned(),
        )
    }

    /// A credential that nobody here knows. It is never repeated.
    pub fn invalid_key() -> Self {
        Self::new(
            401,
            "invalid_api_key",
            "This API key is not known here. Check it for a typing mistake, \
             or ask the gateway's operator for a new one."
                .to_owned(),
        )
    }

    /// A credential that was switched off.
    pub fn disabled_key() -> Self {
        Self::new(
            401,
            "disabled_api_key",
            "This API key has been disabled. Ask the gateway's operator for another.".to_owned(),
        )
    }

    /// A credential whose time is over.
    pub fn expired_key() -> Self {
        Self::new(
            401,
            "expired_api_key",
            "This API key has expired. Ask the gateway's operator for another.".to_owned(),
        )
    }

    /// Nobody can say who is calling. It is not the caller's fault, so it is no 401.
    pub fn identity_unavailable() -> Self {
        Self::new(
            503,
            "identity_unavailable",
            "Your API key could not be looked up at the moment. Try again in a few seconds."
                .to_owned(),
        )
    }

    /// An endpoint that this key may not use.
    pub fn endpoint_not_allowed(path: &str) -> Self {
        Self::new(
            403,
            "endpoint_not_allowed",
            format!(
                "Your API key may not use `{path}`. Ask the gateway's operator for one that may."
            ),
        )
    }

    /// Nobody may ever tell what a request there used, and a budget insists on knowing.
    pub fn unmetered(path: &str) -> Self {
        Self::new(
            403,
            "unmetered_endpoint",
            format!(
                "What requests to `{path}` use is not always told, and a budget that pays for yours covers nothing that has \
                 no bound. Ask the gateway's operator to set `unbounded_hold` for this model."
            ),
        )
    }

    /// A budget does not cover what the request may cost. An SDK that tries again makes nothing better.
    pub fn budget_exceeded(
        purse: &Purse,
        standing: &Standing,
        amount: NanoUsd,
        resets_in_s: Option<u64>,
    ) -> Self {
        let name = &purse.name;
        let used = if standing.limit > NanoUsd::ZERO {
            format!(" ({} of {} are spent)", standing.spent, standing.limit)
        } else {
            String::new()
        };
        let again = resets_in_s.map_or_else(
            || "Ask the gateway's operator to raise it.".to_owned(),
            |seconds| {
                format!("It begins anew in {seconds} s; or ask the gateway's operator to raise it.")
            },
        );
        let message = format!(
            "The budget `{name}` does not cover this request, which may cost up to {amount}{used}. \
             A lower `max_tokens` or a cheaper model may fit. {again}"
        );
        let status = if purse.terms.refuse_with == 402 {
            402
        } else {
            429
        };
        let mut refusal = Self::new(status, "budget_exceeded", message);
        refusal.headers.push(("x-should-retry", "false".to_owned()));
        if let Some(seconds) = resets_in_s {
            refusal.headers.push(("retry-after", seconds.to_string()));
        }
        refusal
    }

    /// A limit is reached. Whoever waits as long as this says is let through, if nobody else comes before.
    pub fn rate_limited(short: &Short) -> Self {
        let Draw {
            name, counts, rate, ..
        } = &short.draw;
        let most = match counts {
            Counts::Requests | Counts::Tokens => rate.per_minute,
            Counts::Parallel => rate.burst,
        };
        let limit = format!("The limit `{name}` of {most} {}", counts.words());
        let Some(wait_ms) = short.wait_ms else {
            let asked = short.draw.amount;
            let mut refusal = Self::new(
                429,
                "request_exceeds_rate_limit",
                format!(
                    "{limit} never lets so much through at once as this request asks for ({asked}; {} at most). \
                     Send less, or ask for a shorter answer.",
                    rate.burst
                ),
            );
            refusal.headers.push(("x-should-retry", "false".to_owned()));
            return refusal;
        };
        let seconds = wait_ms.div_ceil(1_000).max(1);
        let message = format!("{limit} is reached. Try again in {seconds} s.");
        let mut refusal = Self::new(429, "rate_limit_exceeded", message);
        refusal.headers.push(("retry-after", seconds.to_string()));
        refusal
            .headers
            .push(("retry-after-ms", wait_ms.max(1).to_string()));
        refusal
    }

    /// The budget service is away, and what was lent to this process is used up.
    pub fn budget_unavailable(name: &str) -> Self {
        let message = format!(
            "The budget `{name}` cannot be asked at the moment, and nothing is spent unasked. Try again in a few seconds."
        );
        let mut refusal = Self::new(503, "budget_unavailable", message);
        refusal.headers.push(("retry-after", "2".to_owned()));
        refusal
    }

    /// No durable record of the request could be made in time.
    pub fn unrecorded() -> Self {
        let message = "No durable record of this request could be made, and nobody is answered here without one. Try again in a few seconds."
            .to_owned();
        let mut refusal = Self::new(503, "record_unavailable", message);
        refusal.headers.push(("retry-after", "2".to_owned()));
        refusal
    }

    /// Nobody knows what a model costs, and the budget is a hard one.
    pub fn unpriced(model: &str) -> Self {
        let model: String = model.chars().take(128).collect();
        Self::new(
            400,
            "unpriced_model",
            format!(
                "Nobody here knows what the model `{model}` costs, so a budget cannot cover it. Ask for another model, \
                 or ask the gateway's operator to write its price."
            ),
        )
        .blaming("model")
    }

    /// A request whose worst case nobody can tell, under a hard budget.
    pub fn unbounded(what: &str) -> Self {
        Self::new(
            400,
            "unbounded_request",
            format!(
                "Nobody can tell beforehand what this request costs: it has {what}, and a budget covers only what has a \
                 bound. Leave that out, or ask the gateway's operator to write `unbounded_hold` for this model."
            ),
        )
    }

    /// More body than is read.
    pub fn body_too_large(max: u64) -> Self {
        Self::new(
            413,
            "body_too_large",
            format!(
                "The request body is larger than the {max} bytes that are read here. Send less, or ask the \
             gateway's operator to raise `listen.max_body`."
            ),
        )
    }

    /// A body that is all brackets, empty strings or escapes.
    pub fn body_too_intricate() -> Self {
        Self::new(
            413,
            "body_too_intricate",
            "The request body holds more JSON values, escapes or blanks than are read here (125,000 values). Send \
             fewer or longer ones."
                .to_owned(),
        )
    }

    /// A compressed body.
    pub fn encoded_body(encoding: &str) -> Self {
        let encoding: String = encoding.chars().take(32).collect();
        Self::new(
            415,
            "unsupported_content_encoding",
            format!(
                "The request body is encoded (`content-encoding: {encoding}`) and cannot be metered. Send it plain."
            ),
        )
    }

    /// Fields behind the body: nothing here reads them, and they must not reach a provider unread.
    pub fn trailers() -> Self {
        Self::new(
            400,
            "unsupported_trailers",
            "The request has trailers behind its body, which are not read here. Send it without."
                .to_owned(),
        )
    }

    /// Not JSON, or JSON that says the same field twice.
    pub fn invalid_json(why: &str) -> Self {
        Self::new(
            400,
            "invalid_json",
            format!("The request body is not valid JSON: {why}. Send one JSON object."),
        )
    }

    /// A form that cannot be read, or in two ways.
    pub fn invalid_multipart(why: &str) -> Self {
        Self::new(
            400,
            "invalid_multipart",
            format!("The request body is not a form that can be read: {why}."),
        )
    }

    /// A field that must be there.
    pub fn missing(param: &'static str) -> Self {
        Self::new(
            400,
            "missing_required_parameter",
            format!("You must provide the parameter `{param}`."),
        )
        .blaming(param)
    }

    /// A field of the wrong type.
    pub fn invalid_type(param: &'static str, wants: &str) -> Self {
        Self::new(
            400,
            "invalid_type",
            format!("The parameter `{param}` must be {wants}."),
        )
        .blaming(param)
    }

    /// Of what was said before only the name was sent.
    pub fn nothing_stored(path: &str) -> Self {
        Self::new(
            400,
            "item_not_found",
            format!(
                "`{path}` names an item by its id, and nothing is stored here. Send the item itself (`store: false` makes \
                 SDKs do so)."
            ),
        )
        .blaming("input")
    }

    /// A model that nobody here knows.
    pub fn unknown_model(name: &str) -> Self {
        let name: String = name.chars().take(128).collect();
        Self::new(
            404,
            "model_not_found",
            format!(
                "The model `{name}` does not exist here. `GET /v1/models` lists what you may use."
            ),
        )
        .blaming("model")
    }

    /// A model that this key may not use.
    pub fn model_not_allowed(name: &str) -> Self {
        let name: String = name.chars().take(128).collect();
        Self::new(403, "model_not_allowed", format!(
            "Your API key may not use the model `{name}`. `GET /v1/models` lists what you may use."
        ))
        .blaming("model")
    }

    /// Nobody could answer; `tried` names each attempt and its end.
    pub fn no_answer(status: u16, code: &'static str, tried: &str) -> Self {
        Self::new(
            status,
            code,
            format!("No provider could answer ({tried}). Try again."),
        )
    }

    /// The provider does not accept the gateway's credential: the operator's matter, not the caller's.
    pub fn provider_credential(provider: &str) -> Self {
        Self::new(
            502,
            "provider_credential_refused",
            format!(
                "The provider `{provider}` does not accept the gateway's credential. Your own API key is fine: \
             tell the gateway's operator."
            ),
        )
    }

    /// A stream that broke off after its first token.
    pub fn stream_cut(provider: &str) -> Self {
        Self::new(
            502,
            "provider_stream_cut",
            format!(
                "The stream of the provider `{provider}` ended before it was complete. What came until here is all there is: ask again."
            ),
        )
    }

    /// There is no neutral form of what this endpoint does.
    pub fn untranslatable_endpoint(path: &str, dialect: &str) -> Self {
        Self::new(
            400,
            "untranslatable_endpoint",
            format!(
                "The provider behind this model speaks `{dialect}`, which has nothing like `{path}`. Ask for another model."
            ),
        )
    }

    /// A policy of the operator's, in his words.
    pub fn denied(words: &str) -> Self {
        Self::new(403, "denied_by_policy", words.to_owned())
    }

    /// Nobody can be asked for now; `why` names what keeps the one who is free first.
    pub fn no_target_now(model: &str, wait_ms: u64, why: &str) -> Self {
        let seconds = wait_ms.div_ceil(1_000).max(1);
        let mut refusal = Self::new(
            429,
            "no_target_available",
            format!(
                "Nobody who answers for `{model}` can be asked right now ({why}). Try again in {seconds} s."
            ),
        );
        refusal.headers.push(("retry-after", seconds.to_string()));
        refusal
    }

    /// No target reads so much.
    pub fn too_long(model: &str) -> Self {
        Self::new(
            400,
            "context_length_exceeded",
            format!(
                "The prompt and the longest answer you ask for are more tokens together than `{model}` reads here. \
                 Send less, or ask for another model."
            ),
        )
        .blaming("messages")
    }

    /// No target says so much.
    pub fn answer_too_long(model: &str) -> Self {
        Self::new(
            400,
            "max_tokens_too_large",
            format!(
                "No target of `{model}` gives answers as long as you ask for. Ask for fewer tokens."
            ),
        )
        .blaming("max_tokens")
    }

    /// No target can do this.
    pub fn lacks(model: &str, what: &str) -> Self {
        Self::new(
            400,
            "unsupported_capability",
            format!(
                "No target of `{model}` can do what this request needs: {what}. Ask for another model."
            ),
        )
    }

    /// No target stands there.
    pub fn not_in_region(model: &str) -> Self {
        Self::new(
            403,
            "no_target_in_region",
            format!(
                "No target of `{model}` stands in a region in which this request may be answered."
            ),
        )
    }

    /// The operator switched it off.
    pub fn switched_off(model: &str) -> Self {
        Self::new(
            503,
            "switched_off",
            format!(
                "`{model}` is switched off at the moment. Ask for another model, or try again later."
            ),
        )
    }

    /// Every target takes other requests only.
    pub fn not_for_this(model: &str) -> Self {
        Self::new(
            403,
            "no_target_for_request",
            format!(
                "No target of `{model}` takes requests like this one from you. Ask the gateway's operator."
            ),
        )
    }

    /// Inside the gateway something was missing that should be there.
    pub fn internal(what: &str) -> Self {
        Self::new(
            500,
            "gateway_error",
            format!("The gateway failed: {what}. Try again."),
        )
    }

    fn new(status: u16, code: &'static str, message: String) -> Self {
        Self {
            status,
            code,
            param: None,
            headers: Vec::new(),
            message,
        }
    }

    fn blaming(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }
}
