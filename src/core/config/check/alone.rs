//! One tenant by itself, in the words of `gateway.yaml`: what the admin API is given.

use super::tenant::{self, Known};
use super::{key, name};
use crate::config::node::Node;
use crate::config::problem::{Place, Problem, Problems};
use crate::config::raw::{Given, money, tenants};
use crate::config::reader::{Findings, Part};
use crate::tenancy::{Common, Level, Tenant};

/// A tenant as it was written, and its name where that was written too.
pub fn read_tenant(
    level: Level,
    node: &Node,
    known: &Known,
) -> Result<(Option<String>, Tenant), Vec<Problem>> {
    let mut findings = Findings::default();
    let written = tenants::alone(level, part(node), &mut findings);
    let mut problems = findings.problems;
    let mut result = (None, Tenant::default());
    if let Given::Written(written) = written {
        let fields = &written.value;
        if let Given::Written(name) = &fields.name {
            name::check(name::Kind::Tenant, name, &mut problems);
            result.0 = Some(name.value.clone());
        }
        result.1 = tenant::tenant(&fields.tenant, known, &mut problems);
        let hash = fields.sha256.written();
        let hash = hash.and_then(|text| key::hash_text(text, &mut problems));
        result.1.secrets.extend(hash.map(key::secret));
        result.1.expires = fields.expires.written().map(|expires| expires.value);
    }
    told(problems).map(|()| result)
}

/// Budgets and limits that many share, as they were written.
pub fn read_common(node: &Node, known: &Known) -> Result<Common, Vec<Problem>> {
    let mut findings = Findings::default();
    let written = money::alone(part(node), &mut findings);
    let mut problems = findings.problems;
    let common = written
        .written()
        .map(|written| tenant::common(&written.value, known, &mut problems));
    told(problems).map(|()| common.unwrap_or_default())
}

/// Whether this can be the name of a tenant.
pub fn read_name(text: &str) -> Result<(), Vec<Problem>> {
    let mut problems = Problems::default();
    let written = crate::config::raw::Written::at(Place::root(0).named("name", 0), text.to_owned());
    name::check(name::Kind::Tenant, &written, &mut problems);
    told(problems)
}

fn part(node: &Node) -> Part<'_> {
    Part {
        node,
        place: Place::root(0),
    }
}

fn told(problems: Problems) -> Result<(), Vec<Problem>> {
    if problems.all.is_empty() {
        Ok(())
    } else {
        Err(problems.all)
    }
}
