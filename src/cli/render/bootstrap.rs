//! The whole of `envoy.yaml`.

use tollgate_core::config::deploy::Checked;

use super::yaml::{items, text};
use super::{Mode, Options, clusters, listener};

/// Labels of the filter's metrics. It names a series
/// `tgprovider=.=alpha;.tgmodel=.=small;.tollgate_requests_total`; any label may be absent.
const LABELS: [&str; 6] = ["provider", "model", "team", "user", "status", "kind"];

/// From a cached answer to a long chain of thought, in milliseconds.
const BUCKETS_MS: &str = "1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 20000, \
                          30000, 60000, 120000, 300000, 600000, 1800000";

/// A complete bootstrap. No secret is in it, only where Envoy reads them.
pub fn bootstrap(checked: &Checked, options: &Options) -> String {
    let mode = options.version.mode();
    let admin = checked.deployment.admin;
    format!(
        r#"# Written by `tollgate render` for Envoy {versions}: edit gateway.yaml, not this file.
node:
  id: tollgate
  cluster: tollgate

admin:
  address:
    socket_address:
      address: {admin_address}
      port_value: {admin_port}
{extensions}
stats_config:
  # Labels of the filter's metrics, which it writes into their names.
  stats_tags:
  {tags}
  histogram_bucket_settings:
  - match:
      safe_regex:
        regex: ".*tollgate_[a-z_]+_ms"
    buckets: [{BUCKETS_MS}]

static_resources:
  listeners:
  {listeners}
  clusters:
  {clusters}
"#,
        versions = match mode {
            Mode::Matcher => "1.39 and later",
            Mode::Hop => "1.36 to 1.38",
        },
        admin_address = text(admin.ip().to_string()),
        admin_port = admin.port(),
        extensions = extensions(mode),
        tags = items(2, LABELS.iter().map(|label| tag(label))),
        listeners = items(2, listener::listeners(checked, options)),
        clusters = items(2, clusters::clusters(checked, options)),
    )
}

fn tag(label: &str) -> String {
    format!("tag_name: {label}\nregex: '(tg{label}=\\.=(.*?);\\.)'")
}

fn extensions(mode: Mode) -> &'static str {
    match mode {
        Mode::Matcher => "",
        Mode::Hop => {
            r#"
bootstrap_extensions:
- name: envoy.bootstrap.internal_listener
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener
"#
        }
    }
}
