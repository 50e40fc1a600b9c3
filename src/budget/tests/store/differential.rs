//! Any sequence of operations leaves the same in every store.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tollgate_budget::store::{
    AlertId, AlertOutcome, AuditEntry, Commit, Dimension, EntityChange, Every, Memory, Notice,
    Order, Page, RecordFilter, ReportQuery, Revision, Store, StoredRecord, reprice,
};
use tollgate_core::money::ids::{AccountKey, BudgetId, LeaseId, StreamId, WindowId};
use tollgate_core::money::ledger::{
    Changes, Correction, HolderStanding, Opening, correct, presume, reconcile,
};
use tollgate_core::money::message::Open;
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::places::Place;
use crate::server::Server;
use crate::stories::{give_back, ledger};
use crate::workload::{NOON, Service};

#[derive(Clone, Debug)]
enum Operation {
    Hello,
    Batch(u64),
    GiveBack(usize, u64),
    Presume(HolderStanding),
    Reconcile(usize, u64),
    Correct(u64, u64),
    Open(u64),
    Close(u64),
    Entity(u8, Option<String>),
    Notice(String, Option<u8>),
    Outcome(u64, AlertOutcome),
    Audit(String),
    Reprice(usize, u64),
    Repeat,
    Forget(u64, usize),
    Write,
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation as O;
    let standing = prop_oneof![
        Just(HolderStanding::Alive),
        Just(HolderStanding::Suspect),
        Just(HolderStanding::Presumed),
    ];
    let outcome = prop_oneof![
        Just(AlertOutcome::Sent),
        (0_u64..9, ".{0,5}").prop_map(|(at, note)| AlertOutcome::Retry {
            at: Timestamp(NOON.0 + at),
            note
        }),
        ".{0,5}".prop_map(|note| AlertOutcome::GivenUp { note }),
    ];
    prop_oneof![
        2 => Just(O::Hello),
        8 => (0_u64..6).prop_map(O::Batch),
        3 => (any::<usize>(), 0_u64..101).prop_map(|(lease, part)| O::GiveBack(lease, part)),
        1 => standing.prop_map(O::Presume),
        2 => (any::<usize>(), 0_u64..90_000_000).prop_map(|(lease, spent)| O::Reconcile(lease, spent)),
        1 => (0_u64..900, 0_u64..900).prop_map(|(more, less)| O::Correct(more, less)),
        1 => (0_u64..5).prop_map(O::Open),
        1 => (0_u64..5).prop_map(O::Close),
        2 => (0_u8..4, proptest::option::of(".{0,6}")).prop_map(|(id, body)| O::Entity(id, body)),
        2 => (".{0,6}", proptest::option::of(0_u8..3)).prop_map(|(body, once)| O::Notice(body, once)),
        2 => (1_u64..6, outcome).prop_map(|(id, outcome)| O::Outcome(id, outcome)),
        1 => ".{0,6}".prop_map(O::Audit),
        2 => (any::<usize>(), 0_u64..2_000_000).prop_map(|(record, cost)| O::Reprice(record, cost)),
        1 => Just(O::Repeat),
        1 => (0_u64..40, 0_usize..9).prop_map(|(age, most)| O::Forget(age, most)),
        8 => Just(O::Write),
        1 => Just(O::Reopen),
    ]
}

#[test]
fn any_sequence_of_operations_leaves_the_same_in_every_store() {
    let server = Server::start();
    let mut runner = TestRunner::new(Config {
        cases: 12,
        // A case is expensive; what fails is told whole.
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    });
    let operations = prop::collection::vec(operation(), 0..80);
    let compared = runner.run(&operations, |operations| {
        let postgres = server
            .as_ref()
            .map(|server| Place::Postgres(server.database("same")));
        let others = [Some(Place::sqlite()), postgres];
        Play::new(others.into_iter().flatten().collect()).run(operations);
        Ok(())
    });
    compared.unwrap_or_else(|why| panic!("{why}"));
}

/// The stores side by side, and the service that decides for all of them.
struct Play {
    places: Vec<Place>,
    stores: Vec<Box<dyn Store>>,
    memory: Memory,
    service: Service,
    committed: Service,
    group: Vec<Commit>,
    now: Timestamp,
}

impl Play {
    fn new(places: Vec<Place>) -> Self {
        let mut memory = Memory::default();
        let service = Service::new(memory.live().unwrap(), 5);
        Self {
            stores: places.iter().map(Place::open).collect(),
            places,
            memory,
            committed: service.clone(),
            service,
            group: Vec::new(),
            now: NOON,
        }
    }

    fn run(mut self, operations: Vec<Operation>) {
        for operation in operations {
            self.now.0 += 1_000_000_000 * 300;
            self.play(operation);
        }
        self.write();
        self.compare();
    }

    fn play(&mut self, operation: Operation) {
        let is_new = self.service.view.holders.is_empty();
        let commit = match operation {
            Operation::Hello => Some(ledger(self.service.hello(self.now))),
            Operation::Batch(_) if is_new => Some(ledger(self.service.hello(self.now))),
            Operation::Batch(requests) => Some(ledger(self.service.batch(self.now, requests))),
            Operation::GiveBack(lease, part) => self.give_back(lease, part),
            Operation::Presume(standing) => {
                self.decide(|service| presume(&service.view, service.holder, standing).ok())
            }
            Operation::Reconcile(lease, spent) => self.decide(|service| {
                let id = nth(&service.view.leases, lease)?;
                reconcile(&service.view, id, NanoUsd(spent)).ok()
            }),
            Operation::Correct(more, less) => self.decide(|service| {
                let account = AccountKey {
                    budget: BudgetId(1),
                    window: WindowId(0),
                };
                let (more, less) = (NanoUsd(more), NanoUsd(less));
                correct(
                    &service.view,
                    Correction {
                        account,
                        more,
                        less,
                    },
                )
                .ok()
            }),
            Operation::Open(number) => Some(ledger(opened(&self.service, number))),
            Operation::Close(number) => Some(ledger(closed(&self.service, number))),
            Operation::Entity(id, body) => Some(Commit::Entity(EntityChange {
                kind: "key".to_owned(),
                id: id.to_string(),
                body,
            })),
            Operation::Notice(body, once) => Some(Commit::Notice(Notice {
                body,
                once: once.map(|once| once.to_string()),
            })),
            Operation::Outcome(id, outcome) => Some(Commit::Alert(AlertId(id), outcome)),
            Operation::Audit(actor) => Some(Commit::Audit(AuditEntry {
                actor,
                ..AuditEntry::default()
            })),
            Operation::Reprice(record, cost) => self.reprice(record, cost),
            Operation::Repeat => self.group.last().cloned(),
            Operation::Forget(age, most) => return self.forget(age, most),
            Operation::Write => return self.write(),
            Operation::Reopen => return self.reopen(),
        };
        self.group.extend(commit);
    }

    fn decide(&mut self, decide: impl Fn(&Service) -> Option<Changes>) -> Option<Commit> {
        let changes = decide(&self.service)?;
        self.service.view.absorb(&changes);
        Some(ledger(changes))
    }

    fn give_back(&mut self, lease: usize, part: u64) -> Option<Commit> {
        let own = self.service.view.leases.iter();
        let own = own.filter(|(_, lease)| lease.incarnation == self.service.holder);
        let own: Vec<_> = own
            .map(|(id, lease)| (*id, lease.remainder().unwrap()))
            .collect();
        let (id, rest) = own.get(lease % own.len().max(1))?;
        let nanos = NanoUsd(rest.0 / 100 * part);
        Some(ledger(give_back(&mut self.service, *id, nanos)))
    }

    fn reprice(&mut self, record: usize, cost: u64) -> Option<Commit> {
        // What is not written yet is not known, and neither is what it does to balances.
        self.write();
        let records = records(&mut self.memory, Order::OldestFirst);
        let record = records.get(record % records.len().max(1))?;
        let entry = reprice(&self.service.view, record, NanoUsd(cost), "test", &|_| {
            Vec::new()
        });
        let entry = entry.ok()?;
        self.service.view.absorb(&entry.changes);
        Some(Commit::Reprice(Box::new(entry)))
    }

    fn write(&mut self) {
        let group = std::mem::take(&mut self.group);
        let told = self.memory.commit(self.now, &group);
        for (place, store) in self.places.iter().zip(&mut self.stores) {
            assert_eq!(store.commit(self.now, &group), told, "{}", place.name());
        }
        if told.is_ok() {
            self.committed = self.service.clone();
        } else {
            self.service = self.committed.clone();
        }
    }

    fn forget(&mut self, age: u64, most: usize) {
        self.write();
        let before = Timestamp(NOON.0 + age * 300_000_000_000);
        let forgotten = self.memory.forget_records(before, most);
        for store in &mut self.stores {
            assert_eq!(store.forget_records(before, most), forgotten);
        }
    }

    fn reopen(&mut self) {
        self.write();
        self.compare();
        self.stores.clear();
        self.stores = self.places.iter().map(Place::open).collect();
    }

    fn compare(&mut self) {
        let want = everything(&mut self.memory, &self.service);
        for (place, store) in self.places.iter().zip(&mut self.stores) {
            let found = everything(store.as_mut(), &self.service);
            for (want, found) in want.iter().zip(&found) {
                assert_eq!(want, found, "{}", place.name());
            }
        }
    }
}

fn nth<Row>(leases: &std::collections::BTreeMap<LeaseId, Row>, place: usize) -> Option<LeaseId> {
    leases.keys().nth(place % leases.len().max(1)).copied()
}

fn opened(service: &Service, number: u64) -> Changes {
    let open = Open {
        number,
        trace: [u8::try_from(number).unwrap(); 16],
        reserved: NanoUsd(number),
    };
    let opening = Opening {
        incarnation: service.holder,
        stream: StreamId(0),
        open,
    };
    Changes {
        opened: vec![opening],
        ..Changes::default()
    }
}

fn closed(service: &Service, number: u64) -> Changes {
    let open = tollgate_core::money::ids::OpenId {
        stream: StreamId(0),
        number,
    };
    Changes {
        closed: vec![(service.holder, open)],
        ..Changes::default()
    }
}

fn records(store: &mut dyn Store, order: Order) -> Vec<StoredRecord> {
    let mut reader = store.reader().unwrap();
    let filter = RecordFilter {
        order,
        ..RecordFilter::default()
    };
    let page = Page {
        size: 10_000,
        after: None,
    };
    reader.records(&filter, &page).unwrap().rows
}

/// Whatever can be asked, as text.
fn everything(store: &mut dyn Store, service: &Service) -> Vec<String> {
    let ids: BTreeSet<LeaseId> = service.view.leases.keys().copied().collect();
    let mut told = vec![
        format!("{:?}", store.live().unwrap()),
        format!("{:?}", store.leases(&ids).unwrap()),
        format!("{:?}", store.holder(service.holder).unwrap()),
        format!("{:?}", store.entities(Revision(0)).unwrap()),
        format!("{:?}", store.due_alerts(Timestamp(NOON.0 + 4), 3).unwrap()),
        format!("{:?}", records(store, Order::NewestFirst)),
    ];
    let mut reader = store.reader().unwrap();
    let page = Page {
        size: 7,
        after: None,
    };
    told.extend([
        format!("{:?}", reader.all_accounts(&page).unwrap()),
        format!("{:?}", reader.open_leases(None, &page).unwrap()),
        format!("{:?}", reader.openings(&page).unwrap()),
        format!("{:?}", reader.audit(&page).unwrap()),
        format!("{:?}", reader.alerts(&page).unwrap()),
        format!("{:?}", reader.corrections(&page).unwrap()),
        format!("{:?}", reader.check()),
    ]);
    for by in [
        Dimension::Org,
        Dimension::User,
        Dimension::Tag,
        Dimension::ModelServed,
    ] {
        let query = ReportQuery {
            until: Timestamp(NOON.0 * 2),
            by: vec![by, Dimension::StatusClass],
            every: Every::Hours(3),
            ..ReportQuery::default()
        };
        told.push(format!("{:?}", reader.report(&query).unwrap()));
    }
    told
}
