//! What is told about requests afterwards: one record each, metrics that agree with it, and never what was said.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for"
)]

mod exposition;
mod metrics;
mod records;

/// Alpha's prices are 150, 75, 600 and 1200 nano-dollars a token; a token of `cents` is 50.1, and `unpriced` has no price.
const CONFIG: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
providers:
  alpha: {breaker: {disabled: true}, dialect: openai, url: http://{alpha}/v1}
  beta: {breaker: {disabled: true}, dialect: openai, url: http://{beta}/v1}
models:
  small:
    targets: [{provider: alpha, model: alpha-small}, {provider: beta, model: beta-small}]
  alone:
    targets: [{provider: alpha, model: alpha-small}]
  cents:
    targets: [{provider: beta, model: beta-cents}]
  unpriced:
    targets: [{provider: beta, model: beta-new}]
tenants:
  keys:
  - {name: red-1, sha256: {key red-1}, org: acme, team: red, user: ann}
  - {name: red-2, sha256: {key red-2}, org: acme, team: red, user: bob}
  - {name: blue-1, sha256: {key blue-1}, team: blue}
prices:
  alpha/alpha-small: {input: 0.15, cached_input: 0.075, output: 0.60, reasoning: 1.20}
  beta/beta-small: {input: 0.20, output: 0.80}
  beta/beta-cents: {input: 0.0501, output: 0.0501}
telemetry:
  access_log: {log}
";
