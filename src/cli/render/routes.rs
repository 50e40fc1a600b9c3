//! Which way a request goes, how long it may be silent, and what is tried again.

use tollgate_core::config::deploy::Checked;
use tollgate_core::config::{Model, Provider};

use super::listener::{HOP, held_bytes};
use super::yaml::{items, nested, seconds, text};
use super::{Mode, Options};

/// Beyond what the attempts of a request may take together: room for what is no attempt.
const PATIENCE_MS: u64 = 60_000;

/// The routes of the outer listener: a streamed exchange, and everything else.
pub(super) fn outer(checked: &Checked, options: &Options) -> String {
    let idle_ms = checked.gateway.idle_timeout_ms;
    // Envoy's clock for silence runs before the first token as well: let it not strike before the
    // filter's own, which is each provider's.
    let first_tokens = checked.gateway.providers.iter();
    let silence_ms = first_tokens
        .map(|provider| provider.first_token_timeout_ms)
        .fold(idle_ms, u64::max);
    let cluster = match options.version.mode() {
        Mode::Matcher => matcher(&checked.gateway.providers),
        Mode::Hop => format!("cluster: {HOP}"),
    };
    let streamed_ms = longest_chain_ms(checked, |provider| {
        provider.first_token_timeout_ms.saturating_add(idle_ms)
    });
    let plain_ms = longest_chain_ms(checked, |provider| provider.reply_timeout_ms);
    let streamed = Route {
        idle_ms: streamed_ms,
        per_try_idle_ms: Some(silence_ms),
        cluster: &cluster,
        mode: options.version.mode(),
    };
    let plain = Route {
        idle_ms: plain_ms,
        per_try_idle_ms: None,
        ..streamed
    };
    format!(
        r#"route_config:
  name: tollgate
  virtual_hosts:
  - name: tollgate
    domains: ["*"]
    # Past it Envoy would forward a body, but could not send it again to the next provider.
    request_body_buffer_limit: {held}
    routes:
    # The gateway role names the exchange: s-<id> is streamed, p-<id> is not.
    - name: streamed
      match:
        prefix: /
        headers:
        - name: x-tollgate-exchange
          string_match:
            prefix: s-
      {streamed}
    - name: plain
      match:
        prefix: /
      {plain}"#,
        held = held_bytes(checked),
        streamed = nested(6, &streamed.action()),
        plain = nested(6, &plain.action()),
    )
}

/// What all attempts of the longest chain may take one after the other: a request that is still
/// being tried must not be cut as idle.
fn longest_chain_ms(checked: &Checked, attempt_ms: impl Fn(&Provider) -> u64) -> u64 {
    let providers = &checked.gateway.providers;
    let models = &checked.gateway.models;
    let of = |model: &Model| {
        let asked = u64::from(model.routing.retries).saturating_add(1);
        let targets = model.targets.iter();
        targets
            .filter_map(|target| providers.get(target.provider))
            .map(&attempt_ms)
            .fold(0, u64::saturating_add)
            .saturating_mul(asked)
    };
    let mut longest_ms = 0;
    for first in 0..models.len() {
        // Fallbacks have fallbacks of their own; each model is in a chain once.
        let mut chain = vec![first];
        let mut at: usize = 0;
        while let Some(model) = chain.get(at).and_then(|position| models.get(*position)) {
            at = at.saturating_add(1);
            let routing = &model.routing;
            let behind = [
                &routing.fallbacks,
                &routing.context_window_fallbacks,
                &routing.content_policy_fallbacks,
            ];
            for next in behind.into_iter().flatten() {
                if !chain.contains(next) {
                    chain.push(*next);
                }
            }
        }
        let all = chain.iter().filter_map(|position| models.get(*position));
        longest_ms = longest_ms.max(all.map(of).fold(0, u64::saturating_add));
    }
    longest_ms.saturating_add(PATIENCE_MS)
}

#[derive(Clone, Copy)]
struct Route<'a> {
    idle_ms: u64,
    per_try_idle_ms: Option<u64>,
    cluster: &'a str,
    mode: Mode,
}

impl Route<'_> {
    fn action(self) -> String {
        let mut retries = RETRIES.replace("CODES", self.mode.retried());
        if let Some(idle) = self.per_try_idle_ms {
            retries.push_str(&format!("\nper_try_idle_timeout: {}", seconds(idle)));
        }
        match self.mode {
            Mode::Matcher => retries.push_str("\nrefresh_cluster_on_retry: true"),
            Mode::Hop => {}
        }
        format!(
            r#"route:
  # A timeout of the whole would cut running streams; attempts have theirs.
  timeout: 0s
  idle_timeout: {idle}
  retry_policy:
    {retries}
  {cluster}"#,
            idle = seconds(self.idle_ms),
            retries = nested(4, &retries),
            cluster = nested(2, self.cluster),
        )
    }
}

impl Mode {
    /// In the inner listener a reset that comes while the filter holds a reply's head is answered by Envoy past
    /// all filters, with 502 or 504: such an attempt has failed too. What the filter lets through has none of these.
    fn retried(self) -> &'static str {
        match self {
            Self::Matcher => "503",
            Self::Hop => "502, 503, 504",
        }
    }
}

/// The filter decides what is tried again and says so by the status 503; how often and how long
/// it says per request, with x-envoy-max-retries and x-envoy-upstream-rq-per-try-timeout-ms.
const RETRIES: &str = r#"retry_on: connect-failure,refused-stream,reset,retriable-status-codes
retriable_status_codes: [CODES]
num_retries: 3
retry_back_off:
  base_interval: 0.01s
  max_interval: 0.05s"#;

/// The filter names the next cluster in filter state; Envoy asks again before each attempt.
fn matcher(providers: &[Provider]) -> String {
    let clusters = providers.iter().map(|provider| {
        let name = text(&provider.cluster);
        format!(
            r#"{name}:
  action:
    name: cluster
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction
      cluster: {name}"#
        )
    });
    let clusters: Vec<String> = clusters.collect();
    format!(
        r#"inline_cluster_specifier_plugin:
  extension:
    name: envoy.router.cluster_specifier_plugin.matcher
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier
      cluster_matcher:
        matcher_tree:
          input:
            name: next
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput
              key: wasm.tollgate_next
          exact_match_map:
            map:
              {clusters}"#,
        clusters = nested(14, &clusters.join("\n")),
    )
}

/// The one route of the inner listener: where the attempt role says, once.
pub(super) fn hop(checked: &Checked) -> String {
    let internal = ["x-tollgate-cluster", "x-tollgate-exchange"];
    format!(
        r#"route_config:
  name: {HOP}
  request_headers_to_remove:
  {internal}
  virtual_hosts:
  - name: {HOP}
    domains: ["*"]
    request_body_buffer_limit: {held}
    routes:
    - match:
        prefix: /
      route:
        cluster_header: x-tollgate-cluster
        timeout: 0s"#,
        internal = items(2, internal.map(str::to_owned)),
        held = held_bytes(checked),
    )
}
