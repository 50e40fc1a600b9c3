//! The filter's share of the configuration, and the stanza that hands it over.

use tollgate_core::config::Plugin;

use super::Options;
use super::yaml::{json as quoted_json, path};

/// Compact plugin JSON.
pub(super) fn json(plugin: &Plugin) -> String {
    // Serialisation fails on maps whose keys are no strings, and on failing writers: neither is here.
    serde_json::to_string(plugin).unwrap_or_default()
}

/// The filter in one of its roles. Both name the same VM, so that they share memory in a worker.
pub(super) fn stanza(plugin: &Plugin, options: &Options) -> String {
    let role = match plugin {
        Plugin::Gateway(_) => "tollgate_gateway",
        Plugin::Attempt(_) => "tollgate_attempt",
    };
    format!(
        r#"name: {role}
typed_config:
  "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
  config:
    name: {role}
    root_id: {role}
    # Without it a request that waits for its body never gets one.
    allow_on_headers_stop_iteration: true
    failure_policy: FAIL_RELOAD
    reload_config:
      backoff:
        base_interval: 1s
    vm_config:
      vm_id: tollgate
      runtime: envoy.wasm.runtime.v8
      code:
        local:
          filename: {wasm}
    configuration:
      "@type": type.googleapis.com/google.protobuf.StringValue
      value: {value}"#,
        wasm = path(&options.wasm),
        value = quoted_json(&json(plugin)),
    )
}
