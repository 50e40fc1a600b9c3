//! `budget_service`: where keys and money are kept.

use std::net::SocketAddr;

use super::super::reader::{Findings, Section};
use super::super::scalar::{address, duration, text};
use super::Given;

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
}

pub(super) fn budget_service(fields: &mut Section<'_>, findings: &mut Findings) -> BudgetService {
    BudgetService {
        listen: fields.single("listen", address, findings),
        admin: fields.single("admin", address, findings),
        store: fields.single("store", text, findings),
        keys_kept: fields.single("keys_kept", duration, findings),
        url: fields.single("url", text, findings),
    }
}
