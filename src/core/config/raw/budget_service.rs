//! `budget_service`: where keys and money are kept.

use std::net::SocketAddr;

use super::super::deploy::{AlertShape, Secret};
use super::super::node::Scalar;
use super::super::reader::{Findings, Section, section, single};
use super::super::scalar::{Read, Wrong, address, duration, text, whole};
use super::provider::secret;
use super::{Given, each};

/// `budget_service`
#[derive(Clone, Debug, Default)]
pub struct BudgetService {
    /// `listen`
    pub listen: Given<SocketAddr>,
    /// `admin`
    pub admin: Given<SocketAddr>,
    /// `store`
    pub store: Given<String>,
    /// `keys_kept`, in milliseconds.
    pub keys_kept: Given<u64>,
    /// `url`
    pub url: Given<String>,
    /// `admin_token`
    pub admin_token: Given<Secret>,
    /// `alerts`
    pub alerts: Given<Vec<Given<Alert>>>,
}

/// An element of `budget_service.alerts`
#[derive(Clone, Debug, Default)]
pub struct Alert {
    /// `url`
    pub url: Given<Secret>,
    /// `shape`
    pub shape: Given<AlertShape>,
    /// `at`, in percent.
    pub at: Given<Vec<Given<u64>>>,
}

pub(super) fn budget_service(fields: &mut Section<'_>, findings: &mut Findings) -> BudgetService {
    BudgetService {
        listen: fields.single("listen", address, findings),
        admin: fields.single("admin", address, findings),
        store: fields.single("store", text, findings),
        keys_kept: fields.single("keys_kept", duration, findings),
        url: fields.single("url", text, findings),
        admin_token: secret(fields, "admin_token", findings),
        alerts: each(
            fields,
            "alerts",
            |part, findings| section(part, alert, findings),
            findings,
        ),
    }
}

fn alert(fields: &mut Section<'_>, findings: &mut Findings) -> Alert {
    Alert {
        url: secret(fields, "url", findings),
        shape: fields.single("shape", shape, findings),
        at: each(
            fields,
            "at",
            |part, findings| single(&part, whole, findings),
            findings,
        ),
    }
}

fn shape(scalar: &Scalar) -> Read<AlertShape> {
    match scalar.text.as_str() {
        "json" => Ok(AlertShape::Json),
        "slack" => Ok(AlertShape::Slack),
        _ => Err(Wrong {
            found: format!("{} is no shape that is known", scalar.shown()),
            fix: "write `json` or `slack`".to_owned(),
        }),
    }
}
