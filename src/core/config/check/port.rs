//! Who listens where: no two at the same place.

use std::net::SocketAddr;

use super::{ADMIN, LISTEN, budget_service};
use crate::config::problem::{Place, Problems, shown};
use crate::config::raw::{self, Given, Written};

/// Where the gateway itself listens.
pub(super) struct Addresses {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
}

struct Claim<'written> {
    address: SocketAddr,
    /// None where it is the default.
    place: Option<&'written Place>,
    whose: String,
}

/// Reports every address that is taken already.
pub(super) fn check(written: &raw::Config, problems: &mut Problems) -> Addresses {
    let listen = written.listen.written().map(|listen| &listen.value.address);
    let admin = written.admin.written().map(|admin| &admin.value.address);
    let claims: Vec<Claim<'_>> = [
        own(listen, LISTEN, "listen.address"),
        own(admin, ADMIN, "admin.address"),
    ]
    .into_iter()
    .flatten()
    .chain(budget(written))
    .chain(fakes(written))
    .collect();
    for (position, later) in claims.iter().enumerate() {
        let taken = claims
            .iter()
            .take(position)
            .find(|earlier| overlap(earlier.address, later.address));
        let Some(earlier) = taken else { continue };
        let (place, other) = match (later.place, earlier.place) {
            (Some(place), _) => (place, earlier),
            (None, Some(place)) => (place, later),
            (None, None) => continue,
        };
        problems.push(place.problem(
            format!(
                "{} is taken by `{}`",
                shown(&other.address.to_string()),
                other.whose
            ),
            "give each a port of its own",
        ));
    }
    let value = |given: Option<&Given<SocketAddr>>, default| {
        given.map_or(default, |given| given.value_or(default))
    };
    Addresses {
        listen: value(listen, LISTEN),
        admin: value(admin, ADMIN),
    }
}

/// What a budget service takes that is started here.
fn budget(written: &raw::Config) -> impl Iterator<Item = Claim<'_>> {
    let section = written.budget_service.written();
    let section = section.map(|section| &section.value);
    let local = section.filter(|section| matches!(section.url, Given::Absent));
    local.into_iter().flat_map(|section| {
        let listen = Some(&section.listen);
        let admin = Some(&section.admin);
        [
            own(listen, budget_service::LISTEN, "budget_service.listen"),
            own(admin, budget_service::ADMIN, "budget_service.admin"),
        ]
        .into_iter()
        .flatten()
    })
}

fn own<'written>(
    given: Option<&'written Given<SocketAddr>>,
    default: SocketAddr,
    whose: &str,
) -> Option<Claim<'written>> {
    let (address, place) = match given {
        Some(Given::Mistaken) => return None,
        Some(Given::Written(Written { place, value, .. })) => (*value, Some(place)),
        Some(Given::Absent) | None => (default, None),
    };
    Some(Claim {
        address,
        place,
        whose: whose.to_owned(),
    })
}

fn fakes(written: &raw::Config) -> impl Iterator<Item = Claim<'_>> {
    written
        .providers
        .written()
        .into_iter()
        .flat_map(|providers| &providers.value)
        .filter_map(|named| {
            let Written { place, value, .. } = named.body.written()?.value.fake.written()?;
            Some(Claim {
                address: *value,
                place: Some(place),
                whose: place.at().to_owned(),
            })
        })
}

/// Every interface includes each of them; `[::]` takes IPv4 too on most systems.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || everywhere)
}
