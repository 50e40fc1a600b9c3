//! How Envoy reaches each provider.

use std::net::IpAddr;
use std::path::Path;

use tollgate_core::config::deploy::{Checked, Credential, Signing, Tls, Upstream};
use tollgate_core::config::{Attempt, Plugin, Provider};

use super::budget;
use super::listener::{HOP, held_bytes};
use super::yaml::{items, path, seconds, text};
use super::{Mode, Options, plugin, secrets};

/// vLLM's server hangs up after 5 s of silence: be first, so that no request meets its farewell.
const PLAIN_IDLE_MS: u64 = 4_000;
/// A new TLS session costs more, and hosted providers wait a minute or more.
const TLS_IDLE_MS: u64 = 55_000;

/// All clusters: one or two for each provider; and what attempts need to fail in order: since Envoy 1.39 the address of
/// providers that have none, before it the way to the inner listener.
pub(super) fn clusters(checked: &Checked, options: &Options) -> Vec<String> {
    let providers = checked.gateway.providers.iter();
    let mut clusters = Vec::new();
    let mut by_name = false;
    for (provider, upstream) in providers.zip(&checked.deployment.upstreams) {
        let filters = filters(options, provider, upstream);
        let named = address(&upstream.host).is_none();
        match options.version.mode() {
            Mode::Matcher if named => {
                by_name = true;
                let named = format!("{}.dns", provider.cluster);
                clusters.push(resolved_or_refused(provider, &named, &filters));
                clusters.push(cluster(checked, &named, upstream, &[CODEC.to_owned()]));
            }
            Mode::Matcher | Mode::Hop => {
                clusters.push(cluster(checked, &provider.cluster, upstream, &filters));
            }
        }
    }
    match options.version.mode() {
        Mode::Matcher if by_name => clusters.push(unreachable()),
        Mode::Matcher => {}
        Mode::Hop => clusters.push(hop(checked)),
    }
    clusters.extend(budget::cluster(checked));
    clusters
}

/// Envoy does not retry a cluster without addresses, it answers 503 at once; and a refused connection it retries. So a
/// provider whose name cannot be resolved is one that refuses connections.
fn resolved_or_refused(provider: &Provider, named: &str, filters: &[String]) -> String {
    format!(
        r#"name: {name}
lb_policy: CLUSTER_PROVIDED
connect_timeout: 1s
{CIRCUIT_BREAKERS}
cluster_type:
  name: envoy.clusters.aggregate
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig
    # The second is asked where the first has no address: it refuses, and the next target is tried.
    clusters: [{named}, {UNREACHABLE}]
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config:
      http_protocol_options: {{}}
    http_filters:
    {filters}"#,
        name = text(&provider.cluster),
        named = text(named),
        filters = items(4, filters.iter().cloned()),
    )
}

/// Where nobody can listen, since the path leads through a file. The dot, because names of providers have none.
const UNREACHABLE: &str = "tollgate.unreachable";

fn unreachable() -> String {
    format!(
        r#"name: {UNREACHABLE}
type: STATIC
connect_timeout: 1s
{CIRCUIT_BREAKERS}
load_assignment:
  cluster_name: {UNREACHABLE}
  endpoints:
  - lb_endpoints:
    - endpoint:
        address:
          pipe:
            path: /dev/null/nobody"#
    )
}

fn cluster(checked: &Checked, name: &str, upstream: &Upstream, filters: &[String]) -> String {
    let name = text(name);
    let idle_ms = match upstream.tls {
        Some(_) => TLS_IDLE_MS,
        None => PLAIN_IDLE_MS,
    };
    let tls = upstream.tls.as_ref().map(tls).unwrap_or_default();
    format!(
        r#"name: {name}
{discovery}
connect_timeout: {connect}
per_connection_buffer_limit_bytes: {held}
{CIRCUIT_BREAKERS}
upstream_connection_options:
  tcp_keepalive:
    keepalive_time: 60
    keepalive_interval: 15
    keepalive_probes: 4{tls}
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    common_http_protocol_options:
      idle_timeout: {idle}
    explicit_http_config:
      http_protocol_options: {{}}
    http_filters:
    {filters}
load_assignment:
  cluster_name: {name}
  endpoints:
  - lb_endpoints:
    - endpoint:
        address:
          socket_address:
            address: {host}
            port_value: {port}"#,
        discovery = discovery(&upstream.host),
        connect = seconds(upstream.connect_timeout_ms),
        held = held_bytes(checked),
        idle = seconds(idle_ms),
        filters = items(4, filters.iter().cloned()),
        host = text(host(&upstream.host)),
        port = upstream.port,
    )
}

/// A name may have many addresses, of both families: try them as browsers do.
pub(super) fn discovery(host: &str) -> &'static str {
    if address(host).is_some() {
        "type: STATIC"
    } else {
        "type: LOGICAL_DNS\ndns_lookup_family: ALL"
    }
}

fn address(host: &str) -> Option<IpAddr> {
    self::host(host).parse().ok()
}

/// Without the brackets that an IPv6 address wears in a URL.
pub(super) fn host(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

/// Envoy's defaults (3 retries at once, 1024 requests) would refuse what the filter has admitted.
pub(super) const CIRCUIT_BREAKERS: &str = r#"circuit_breakers:
  thresholds:
  - max_connections: 100000
    max_pending_requests: 100000
    max_requests: 100000
    max_retries: 100000"#;

fn tls(tls: &Tls) -> String {
    let server_name = text(&tls.server_name);
    let (sni, san) = match address(&tls.server_name) {
        Some(_) => (String::new(), "IP_ADDRESS"),
        None => (format!("\n    sni: {server_name}"), "DNS"),
    };
    format!(
        r#"
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext{sni}
    common_tls_context:
      alpn_protocols: [http/1.1]
      tls_params:
        tls_minimum_protocol_version: TLSv1_2
        tls_maximum_protocol_version: TLSv1_3
      validation_context:
        trusted_ca:
          filename: {ca}
        match_typed_subject_alt_names:
        - san_type: {san}
          matcher:
            exact: {server_name}"#,
        ca = path(&tls.ca_file),
    )
}

/// The attempt role first: the key is injected after it, and never passes through it.
fn filters(options: &Options, provider: &Provider, upstream: &Upstream) -> Vec<String> {
    let mut filters = Vec::new();
    match options.version.mode() {
        Mode::Matcher => {
            let provider = provider.name.clone();
            let attempt = Plugin::Attempt(Attempt::Cluster { provider });
            filters.push(plugin::stanza(&attempt, options));
        }
        Mode::Hop => {}
    }
    if let Some(credential) = &upstream.credential {
        filters.push(injector(options, provider, credential));
    }
    if let Some(signing) = &upstream.signing {
        filters.push(signer(signing));
    }
    filters.push(CODEC.to_owned());
    filters
}

const CODEC: &str = r#"name: envoy.filters.http.upstream_codec
typed_config:
  "@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"#;

fn injector(options: &Options, provider: &Provider, credential: &Credential) -> String {
    let file = options.base.join(secrets::file(&provider.name));
    let header = match credential.header.as_str() {
        "authorization" => String::new(),
        other => format!("\n      header: {}", text(other)),
    };
    format!(
        r#"name: envoy.filters.http.credential_injector
typed_config:
  "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
  overwrite: true
  credential:
    name: envoy.http.injected_credentials.generic
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
      credential:
        name: {name}
        sds_config:
          path_config_source:
            path: {file}{header}"#,
        name = text(secrets::name(&provider.name)),
        file = path(&file),
    )
}

/// Signs what has become of the request, body included: it stands behind the attempt role.
fn signer(signing: &Signing) -> String {
    let mut filter = format!(
        r#"name: envoy.filters.http.aws_request_signing
typed_config:
  "@type": type.googleapis.com/envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning
  service_name: {service}
  region: {region}
  # Envoy, or what stands between, may still change these; the others are ours.
  match_excluded_headers:
  - prefix: x-envoy
  - prefix: x-forwarded
  - exact: x-request-id
  - exact: traceparent
  - exact: tracestate"#,
        service = signing.service,
        region = text(&signing.region),
    );
    let Some(file) = &signing.credentials_file else {
        return filter;
    };
    let folder = file.parent().unwrap_or_else(|| Path::new("/"));
    let profile = signing.profile.as_ref();
    let profile = profile.map(|name| format!("\n      profile: {}", text(name)));
    filter.push_str(&format!(
        r#"
  credential_provider:
    # This file and nothing else.
    custom_credential_provider_chain: true
    credentials_file_provider:
      credentials_data_source:
        filename: {file}
        # Read again when something is moved into its folder.
        watched_directory:
          path: {folder}{profile}"#,
        file = path(file),
        folder = path(folder),
        profile = profile.unwrap_or_default(),
    ));
    filter
}

fn hop(checked: &Checked) -> String {
    format!(
        r#"name: {HOP}
type: STATIC
connect_timeout: 1s
per_connection_buffer_limit_bytes: {held}
{CIRCUIT_BREAKERS}
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config:
      http_protocol_options: {{}}
load_assignment:
  cluster_name: {HOP}
  endpoints:
  - lb_endpoints:
    - endpoint:
        address:
          envoy_internal_address:
            server_listener_name: {HOP}"#,
        held = held_bytes(checked),
    )
}
