//! How Envoy reaches the budget service.

use tollgate_core::config::deploy::Checked;

use super::clusters::{CIRCUIT_BREAKERS, discovery, host};
use super::yaml::text;

/// The cluster that the filter calls by itself, over gRPC. No filter of ours stands on it: one that calls itself would
/// end its VM. A connection on which nothing comes back is found out within seconds, because money waits behind it.
pub(super) fn cluster(checked: &Checked) -> Option<String> {
    let service = checked.gateway.budget_service.as_ref()?;
    let place = checked.deployment.budget.as_ref()?;
    Some(format!(
        r#"name: {name}
{discovery}
connect_timeout: 1s
{CIRCUIT_BREAKERS}
upstream_connection_options:
  tcp_keepalive:
    keepalive_time: 10
    keepalive_interval: 5
    keepalive_probes: 3
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config:
      http2_protocol_options:
        connection_keepalive:
          interval: 5s
          timeout: 2s
load_assignment:
  cluster_name: {name}
  endpoints:
  - lb_endpoints:
    - endpoint:
        address:
          socket_address:
            address: {host}
            port_value: {port}"#,
        name = text(&service.cluster),
        discovery = discovery(&place.host),
        host = text(host(&place.host)),
        port = place.port,
    ))
}
