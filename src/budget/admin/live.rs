//! The engine as the service behind the API.

use tollgate_core::money::window::{WindowNow, window_at};
use tollgate_core::tenancy::{Directory, ScopeSpec};
use tollgate_core::units::Timestamp;

use super::backend::{Backend, Decide};
use super::reply::Refused;
use crate::calendar::Wall;
use crate::engine::{Engine, Trouble};
use crate::store::{Reader, StoreError};

impl Backend for Engine {
    fn look(&self, look: &mut dyn FnMut(&Directory)) {
        look(&self.directory());
    }

    fn change(&self, decide: Decide) -> Result<(), Refused> {
        Self::change(self, decide)??;
        Ok(())
    }

    fn read(
        &self,
        read: &mut dyn FnMut(&mut dyn Reader) -> Result<(), StoreError>,
    ) -> Result<(), Refused> {
        Ok(Self::read(self, read)?)
    }

    fn windows(&self, scope: &ScopeSpec, now: Timestamp) -> Vec<WindowNow> {
        let open = scope.budgets.iter().map(|budget| {
            // The engine took no budget whose zone it does not know.
            let wall = Wall::of(&budget.time_zone).or_else(|_| Wall::of("UTC"));
            wall.map(|wall| window_at(budget.period, &wall, now))
        });
        open.filter_map(Result::ok).collect()
    }

    fn health(&self) -> Result<(), String> {
        Self::health(self).map_err(|trouble| trouble.to_string())
    }
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => error.into(),
            Trouble::Stopping => Self::new(
                503,
                "stopping",
                trouble.to_string(),
                "try again when it is back",
            ),
            Trouble::Thread(_) => {
                let fix = "look into the log of the budget service";
                Self::new(500, "failed", trouble.to_string(), fix)
            }
            Trouble::Tenants(_) => {
                let fix = "write something that fits what there is";
                Self::new(409, "conflict", trouble.to_string(), fix)
            }
        }
    }
}
