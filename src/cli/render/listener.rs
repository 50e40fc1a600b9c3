//! Where callers come in and, before Envoy 1.39, the inner listener that every attempt passes.

use tollgate_core::config::deploy::{AccessLog, Checked};
use tollgate_core::config::{Attempt, Plugin};

use super::yaml::{items, nested, path, text};
use super::{Mode, Options, errors, plugin, routes};

/// What Envoy may hold of one message at least: a reply that waits for its record is held whole.
const HELD_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// Beside the body: what the attempt role may add to it.
const BODY_MARGIN_BYTES: u64 = 64 * 1024;
/// The inner listener and the cluster that leads to it.
pub(super) const HOP: &str = "tollgate-hop";

/// All listeners.
pub(super) fn listeners(checked: &Checked, options: &Options) -> Vec<String> {
    let mut listeners = vec![outer(checked, options)];
    match options.version.mode() {
        Mode::Matcher => {}
        Mode::Hop => listeners.push(hop(checked, options)),
    }
    listeners
}

/// What Envoy may hold of one message: past it, it answers 413 itself or gives up retries.
pub(super) fn held_bytes(checked: &Checked) -> u64 {
    checked
        .gateway
        .body_bytes_max
        .saturating_add(BODY_MARGIN_BYTES)
        .max(HELD_BYTES_MIN)
        .min(u64::from(u32::MAX))
}

fn outer(checked: &Checked, options: &Options) -> String {
    let listen = checked.deployment.listen;
    let gateway = Plugin::Gateway(Box::new(checked.gateway.clone()));
    format!(
        r#"name: tollgate
address:
  socket_address:
    address: {address}
    port_value: {port}
per_connection_buffer_limit_bytes: {held}
filter_chains:
- filters:
  - name: envoy.filters.network.http_connection_manager
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: tollgate
      codec_type: AUTO
      server_name: tollgate
      generate_request_id: true
      use_remote_address: true
      # Nobody is internal (that address is nobody's): x-envoy-* of any client is dropped.
      internal_address_config:
        cidr_ranges:
        - address_prefix: 255.255.255.255
          prefix_len: 32
      normalize_path: true
      merge_slashes: true
      path_with_escaped_slashes_action: REJECT_REQUEST
      request_headers_timeout: 10s
      request_timeout: 60s
      # Of requests that have no route yet; routes have their own.
      stream_idle_timeout: 300s
      common_http_protocol_options:
        idle_timeout: 600s
      http2_protocol_options:
        max_concurrent_streams: 1000
        initial_stream_window_size: 262144
        initial_connection_window_size: 4194304
      {access_log}
      {own_errors}
      http_filters:
      - {wasm}
      {router}
      {routes}"#,
        address = text(listen.ip().to_string()),
        port = listen.port(),
        held = held_bytes(checked),
        access_log = nested(6, &access_log(&checked.deployment.access_log)),
        own_errors = nested(6, &own_errors()),
        wasm = nested(8, &plugin::stanza(&gateway, options)),
        router = nested(6, ROUTER),
        routes = nested(6, &routes::outer(checked, options)),
    )
}

/// Each attempt gets a header map of its own here, and the filter may name the cluster by header.
fn hop(checked: &Checked, options: &Options) -> String {
    format!(
        r#"name: {HOP}
internal_listener: {{}}
per_connection_buffer_limit_bytes: {held}
filter_chains:
- filters:
  - name: envoy.filters.network.http_connection_manager
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: tollgate_hop
      codec_type: HTTP1
      # The outer listener has done all this; here a request passes as it is.
      generate_request_id: false
      use_remote_address: false
      skip_xff_append: true
      server_header_transformation: PASS_THROUGH
      stream_idle_timeout: 0s
      {own_errors}
      http_filters:
      - {wasm}
      {router}
      {routes}"#,
        held = held_bytes(checked),
        own_errors = nested(6, &own_errors()),
        wasm = nested(8, &plugin::stanza(&Plugin::Attempt(Attempt::Hop), options)),
        router = nested(6, ROUTER),
        routes = nested(6, &routes::hop(checked)),
    )
}

fn own_errors() -> String {
    format!(
        "# Envoy's own errors in the shape that SDKs read; the filter's answers pass untouched.\n\
         local_reply_config:\n  mappers:\n  {}",
        items(2, errors::mappers())
    )
}

const ROUTER: &str = r#"- name: envoy.filters.http.router
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
    suppress_envoy_headers: true"#;

/// One line of JSON per request, written by the filter; requests it never saw have none.
fn access_log(target: &AccessLog) -> String {
    let (name, kind, place) = match target {
        AccessLog::Off => return "access_log: []".to_owned(),
        AccessLog::Stdout => (
            "envoy.access_loggers.stdout",
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            String::new(),
        ),
        AccessLog::File(file) => (
            "envoy.access_loggers.file",
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            format!("\n    path: {}", path(file)),
        ),
    };
    format!(
        r#"access_log:
- name: {name}
  typed_config:
    "@type": type.googleapis.com/{kind}{place}
    log_format:
      # A request that has no record has no line; a record ends its own.
      omit_empty_values: true
      text_format_source:
        inline_string: "%FILTER_STATE(wasm.tollgate_record:PLAIN)%""#
    )
}
