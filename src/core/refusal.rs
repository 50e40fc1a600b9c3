//! What a caller is told when a request is not served: one line a reason.

/// A reason not to serve, as a client and its SDK can act upon it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Stable: programs may compare it.
    pub code: &'static str,
    /// The field that is to blame, where it is one.
    pub param: Option<&'static str>,
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
            message,
        }
    }

    fn blaming(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }
}
