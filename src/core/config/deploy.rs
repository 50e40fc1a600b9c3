//! What surrounds the filter: addresses, secrets, files. `render` and `up` use it; the filter
//! never sees it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Gateway;
use crate::tenancy::Entity;

pub use super::problem::Problem;

/// A whole `gateway.yaml`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The filter's share.
    pub gateway: Gateway,
    /// Everything around it.
    pub deployment: Deployment,
    /// Who may call and who pays, for the budget service. What follows from it for each key is in [`Gateway::keys`].
    pub tenants: Vec<Entity>,
}

/// Where things listen, where providers are, where secrets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Where callers connect.
    pub listen: SocketAddr,
    /// Envoy's own admin interface.
    pub admin: SocketAddr,
    /// Where the line per request goes.
    pub access_log: AccessLog,
    /// One for each of [`Gateway::providers`], in the same order.
    pub upstreams: Vec<Upstream>,
    /// Where keys and money are kept; none where the file has no `budget_service`.
    pub budget: Option<BudgetPlace>,
}

/// How Envoy reaches the budget service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetPlace {
    /// A name to resolve, or an address.
    pub host: String,
    /// Of the host.
    pub port: u16,
    /// Sent as `:authority`.
    pub authority: String,
    /// Set where `tollgate up` starts it.
    pub local: Option<LocalBudget>,
}

/// A budget service that is started here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalBudget {
    /// Where filters ask, over gRPC.
    pub listen: SocketAddr,
    /// Where operators ask, over HTTP.
    pub admin: SocketAddr,
    /// `sqlite` (in the data directory), `sqlite:PATH`, `postgres://...` or `memory`.
    pub store: String,
    /// Who has it may do everything there; one is made in the data directory where none is written.
    pub admin_token: Option<Secret>,
    /// Who hears of budgets.
    pub alerts: Vec<AlertSink>,
}

/// A webhook that hears of budgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSink {
    /// Where its address stands: it is often a secret.
    pub url: Secret,
    /// What it understands.
    pub shape: AlertShape,
    /// Which shares of a budget it hears of, in percent; all that ask for an alert where nothing is said.
    pub at: Option<BTreeSet<u64>>,
}

/// What a webhook understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertShape {
    /// Every field there is.
    #[default]
    Json,
    /// `{"text": ...}`, as Slack, Mattermost and others take it.
    Slack,
}

/// Where the line per request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Envoy's standard output.
    Stdout,
    /// Appended to this file.
    File(PathBuf),
}

/// How Envoy reaches a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// A name to resolve, or an address.
    pub host: String,
    /// Of the host.
    pub port: u16,
    /// Whether and how the connection is encrypted.
    pub tls: Option<Tls>,
    /// How long a connection may take to be made.
    pub connect_timeout_ms: u64,
    /// What authorises us there; none for a server that asks for nothing.
    pub credential: Option<Credential>,
    /// Who signs our requests, where they carry no key.
    pub signing: Option<Signing>,
    /// Set where `tollgate up` itself plays this provider, at this address.
    pub fake: Option<SocketAddr>,
}

/// How a provider's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Sent as server name and compared with the certificate.
    pub server_name: String,
    /// The authorities that are trusted.
    pub ca_file: PathBuf,
}

/// A provider key, and the header it travels in. Envoy injects it; the filter never holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// In lower case: `authorization`, `x-api-key`.
    pub header: String,
    /// In front of the key: `Bearer `, or nothing.
    pub prefix: String,
    /// Where the key is read from when the configuration is rendered.
    pub secret: Secret,
}

/// Requests that are signed as Amazon wants it. Envoy signs; the filter never holds what it signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// What is asked: `bedrock`.
    pub service: &'static str,
    /// Where it is asked: `eu-central-1`.
    pub region: String,
    /// Where the credentials stand in the form of `~/.aws/credentials`, when Envoy runs. Without one it looks in its
    /// environment and asks the machine it runs on.
    pub credentials_file: Option<PathBuf>,
    /// Which of the credentials in that file; `default` where nothing is written.
    pub profile: Option<String>,
}

/// Where a secret stands; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file; white space at its end does not count.
    File(PathBuf),
}
