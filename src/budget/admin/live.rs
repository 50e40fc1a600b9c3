//! The engine as the service behind the API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;

use tollgate_core::money::ids::{AccountKey, LeaseId, ScopeId};
use tollgate_core::money::ledger::View;
use tollgate_core::money::window::{WindowNow, window_at};
use tollgate_core::tenancy::{BudgetSpec, Directory, ScopeSpec};
use tollgate_core::units::{NanoUsd, Timestamp};

use super::backend::{Backend, Decide, Reprice};
use super::reply::Refused;
use crate::calendar::Wall;
use crate::engine::{Edit, Engine, Trouble};
use crate::store::{self, Commit, Reader, RecordName, StoreError, StoredRecord};

impl Backend for Engine {
    fn look(&self, look: &mut dyn FnMut(&Directory)) {
        look(&self.directory());
    }

    fn change(&self, decide: Decide) -> Result<(), Refused> {
        Self::change(self, decide)??;
        Ok(())
    }

    fn reprice(&self, reprice: Reprice) -> Result<usize, Refused> {
        let charges = reprice
            .records
            .iter()
            .flat_map(|(record, _)| &record.charges);
        let leases: BTreeSet<LeaseId> = charges.map(|charge| charge.lease).collect();
        let owed = self.owed(&reprice.records);
        let (tell, told) = mpsc::channel();
        let edit = Edit {
            leases: leases.clone(),
            accounts: owed.values().flatten().copied().collect(),
            decide: Box::new(move |live| {
                let (commits, skipped) = entries(live.rows(), &leases, &owed, reprice);
                // The other end waits below.
                let _ = tell.send(skipped);
                Ok(commits)
            }),
        };
        match self.edit(edit)? {
            Ok(_) => Ok(told.recv().unwrap_or_default()),
            Err(refused) => {
                let fix = "look at the records again, and try again";
                Err(Refused::new(409, "conflict", format!("{refused:?}"), fix))
            }
        }
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

    fn recall(&self, actor: &str) -> Result<u64, Refused> {
        Ok(Self::recall(self, actor)?)
    }

    fn health(&self) -> Result<(), String> {
        Self::health(self).map_err(|trouble| trouble.to_string())
    }
}

type Owed = BTreeMap<(RecordName, ScopeId), Vec<AccountKey>>;

impl Engine {
    /// The balances that paid what was spent without a lease: those of the windows in which the requests came.
    fn owed(&self, records: &[(StoredRecord, NanoUsd)]) -> Owed {
        let directory = self.directory();
        let mut owed = Owed::new();
        for (record, _) in records {
            for debt in &record.debts {
                let spec = directory.scopes().find(|spec| spec.id == debt.scope);
                let accounts = spec.map(|spec| {
                    let windows = Backend::windows(self, &spec, record.facts.at);
                    let budgets = spec.budgets.iter().zip(windows);
                    let account = |(spec, window): (&BudgetSpec, WindowNow)| AccountKey {
                        budget: spec.budget.id,
                        window: window.id,
                    };
                    budgets.map(account).collect()
                });
                owed.insert((record.name, debt.scope), accounts.unwrap_or_default());
            }
        }
        owed
    }
}

/// What is written, and how many records were passed over.
fn entries(
    rows: &View,
    leases: &BTreeSet<LeaseId>,
    owed: &Owed,
    reprice: Reprice,
) -> (Vec<Commit>, usize) {
    let found = |id: &LeaseId| Some((*id, rows.leases.get(id)?.clone()));
    let mut view = View {
        leases: leases.iter().filter_map(found).collect(),
        ..View::default()
    };
    let paid = view.leases.values().flat_map(|lease| &lease.accounts);
    let keys: BTreeSet<AccountKey> = paid.chain(owed.values().flatten()).copied().collect();
    let found = |key: &AccountKey| Some((*key, *rows.accounts.get(key)?));
    view.accounts = keys.iter().filter_map(found).collect();
    let mut commits = vec![Commit::Audit(reprice.audit)];
    let mut skipped = 0_usize;
    for (record, new) in reprice.records {
        let owes = |scope| owed.get(&(record.name, scope)).cloned().unwrap_or_default();
        match store::reprice(&view, &record, new, &reprice.reason, &owes) {
            Ok(entry) => {
                view.absorb(&entry.changes);
                commits.push(Commit::Reprice(Box::new(entry)));
            }
            Err(_) => skipped = skipped.saturating_add(1),
        }
    }
    (commits, skipped)
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
