//! What a caller may want to know of an answer, in headers.

use tollgate_core::bill;
use tollgate_core::config::Explains;
use tollgate_core::handoff::Exchange;

use super::Stream;
use crate::host::Headers;

impl Stream {
    /// What a caller may want to know of who answered.
    pub(super) fn tell(&self, exchange: &Exchange) {
        // What a provider of this dialect says of its own request stays.
        if let Some(name) = exchange.endpoint.client.id_header()
            && !exchange.trace.is_empty()
            && Headers::Reply.get(name).is_none()
        {
            let _ = Headers::Reply.set(name.as_bytes(), exchange.trace.as_bytes());
        }
        if !self.settings.config.telemetry.response_headers {
            return;
        }
        let set = |name: &str, value: &str| {
            let _ = Headers::Reply.set(name.as_bytes(), value.as_bytes());
        };
        if let Some((_, target, provider)) = exchange.last() {
            set("x-tollgate-provider", &provider.name);
            set("x-tollgate-model", &target.model);
        }
        for (name, value) in self.limit_headers() {
            set(name, &value);
        }
        set("x-tollgate-attempts", &exchange.attempts.len().to_string());
        if !exchange.trace.is_empty() {
            set("x-tollgate-trace-id", &exchange.trace);
        }
        if self.settings.config.telemetry.explain == Explains::ToCaller {
            let route = exchange.explanation.json(&exchange.config);
            set("x-tollgate-route", &route.to_string());
        }
        if let Some(cost) = bill::told(exchange) {
            set("x-tollgate-cost", cost.to_string().trim_start_matches('$'));
        }
        if let Some(warning) = &exchange.warning {
            set("x-tollgate-budget-warning", warning);
        }
    }
}
