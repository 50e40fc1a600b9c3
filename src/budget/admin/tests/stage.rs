//! A service in memory behind a real socket, and a client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_core::money::ids::{
    AccountKey, Incarnation, LeaseId, RecordNumber, ScopeId, StreamId,
};
use tollgate_core::money::ledger::{Account, Lease, LeaseStanding, Opening};
use tollgate_core::money::window::{FixedOffset, WindowNow, window_at};
use tollgate_core::tenancy::{Directory, ScopeSpec};
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::admin::token::AdminToken;
use crate::admin::{BASE, Backend, Context, Decide, Refused, Reprice, Settings, serve};
use crate::store::*;

pub(super) const TOKEN: &str = "0123456789abcdef0123";

/// Everything in memory.
#[derive(Default)]
pub(super) struct Service {
    pub(super) directory: RwLock<Directory>,
    audit: Mutex<Vec<AuditEntry>>,
    /// Spent and held in every window of every budget.
    pub(super) account: Mutex<Account>,
    pub(super) unwell: Mutex<Option<String>>,
}

impl Backend for Service {
    fn look(&self, look: &mut dyn FnMut(&Directory)) {
        look(&self.directory.read().unwrap());
    }

    fn change(&self, decide: Decide) -> Result<(), Refused> {
        let mut directory = self.directory.write().unwrap();
        let plan = decide(&directory)?;
        for entity in plan.entities {
            let revision = directory.revision() + 1;
            directory.apply(entity, revision)?;
        }
        self.audit.lock().unwrap().extend(plan.audit);
        Ok(())
    }

    fn reprice(&self, reprice: Reprice) -> Result<usize, Refused> {
        self.audit.lock().unwrap().push(reprice.audit);
        Ok(0)
    }

    fn read(
        &self,
        read: &mut dyn FnMut(&mut dyn Reader) -> Result<(), StoreError>,
    ) -> Result<(), Refused> {
        let mut books = Books {
            audit: self.audit.lock().unwrap().clone(),
            account: *self.account.lock().unwrap(),
        };
        Ok(read(&mut books)?)
    }

    fn windows(&self, scope: &ScopeSpec, now: Timestamp) -> Vec<WindowNow> {
        let budgets = scope.budgets.iter();
        budgets
            .map(|budget| window_at(budget.period, &FixedOffset(0), now))
            .collect()
    }

    fn recall(&self, _: &str) -> Result<u64, Refused> {
        Ok(1)
    }

    fn health(&self) -> Result<(), String> {
        self.unwell.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

struct Books {
    audit: Vec<AuditEntry>,
    account: Account,
}

fn page<Row>(rows: Vec<Row>) -> Result<Paged<Row>, StoreError> {
    Ok(Paged { rows, next: None })
}

impl Reader for Books {
    fn records(
        &mut self,
        filter: &RecordFilter,
        _: &Page,
    ) -> Result<Paged<StoredRecord>, StoreError> {
        let facts = Facts {
            cost: NanoUsd(45_000),
            ..Facts::default()
        };
        let record = StoredRecord {
            name: RecordName {
                incarnation: Incarnation(1),
                stream: StreamId(0),
                number: RecordNumber(7),
            },
            facts,
            corrected: None,
            charges: Vec::new(),
            debts: Vec::new(),
            line: json!({"model": "small", "only": format!("{:?}", filter.only)}).to_string(),
        };
        page(vec![record])
    }

    fn report(&mut self, query: &ReportQuery) -> Result<Report, StoreError> {
        let figures = Figures {
            requests: 3,
            cost: NanoUsd(1_500_000_000),
            ..Figures::default()
        };
        let line = Line {
            from: query.from,
            values: query.by.iter().map(|by| format!("{by:?}")).collect(),
            figures: figures.clone(),
        };
        Ok(Report {
            lines: vec![line],
            total: figures,
        })
    }

    fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<Vec<AccountRow>, StoreError> {
        let account = self.account;
        Ok(keys
            .iter()
            .map(|key| AccountRow { key: *key, account })
            .collect())
    }

    fn all_accounts(&mut self, _: &Page) -> Result<Paged<AccountRow>, StoreError> {
        page(Vec::new())
    }

    fn open_leases(
        &mut self,
        scope: Option<ScopeId>,
        _: &Page,
    ) -> Result<Paged<LeaseRow>, StoreError> {
        let scope = scope.unwrap_or_default();
        let lease = Lease {
            incarnation: Incarnation(1),
            scope,
            accounts: Vec::new(),
            granted: NanoUsd(5),
            settled: NanoUsd(2),
            returned: NanoUsd(0),
            overrun: NanoUsd(0),
            standing: LeaseStanding::Presumed,
        };
        page(vec![LeaseRow {
            id: LeaseId(1),
            lease,
        }])
    }

    fn openings(&mut self, _: &Page) -> Result<Paged<Opening>, StoreError> {
        page(Vec::new())
    }

    fn audit(&mut self, _: &Page) -> Result<Paged<AuditRow>, StoreError> {
        let rows = self.audit.iter().zip(1_u64..).map(|(entry, id)| AuditRow {
            id,
            at: Timestamp(1_795_132_800_000_000_000),
            entry: entry.clone(),
        });
        let mut rows: Vec<AuditRow> = rows.collect();
        rows.reverse();
        page(rows)
    }

    fn alerts(&mut self, _: &Page) -> Result<Paged<AlertRow>, StoreError> {
        let row = AlertRow {
            id: AlertId(1),
            at: Timestamp(0),
            body: json!({"kind": "budget_step"}).to_string(),
            standing: AlertStanding::Pending,
            tries: 0,
            due: Timestamp(0),
            note: String::new(),
        };
        page(vec![row])
    }

    fn corrections(&mut self, _: &Page) -> Result<Paged<CorrectionRow>, StoreError> {
        page(Vec::new())
    }

    fn check(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// The API on a socket of its own; it ends with this.
pub(super) struct Stage {
    pub(super) service: Arc<Service>,
    pub(super) url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Stage {
    pub(super) fn new() -> Self {
        let service = Arc::new(Service::default());
        Self::over(Arc::<Service>::clone(&service), service, runtime())
    }

    /// Over another service; what is in `service` is of no matter then.
    pub(super) fn over(
        backend: Arc<dyn Backend>,
        service: Arc<Service>,
        runtime: tokio::runtime::Runtime,
    ) -> Self {
        let models = ["small", "large"].map(str::to_owned);
        let settings = Settings {
            token: AdminToken::of(TOKEN).unwrap(),
            context: Context {
                backend,
                models: Some(models.into()),
            },
        };
        let listen = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = runtime.block_on(listen).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(serve(listener, settings, std::future::pending()));
        Self {
            service,
            url,
            _runtime: runtime,
        }
    }

    pub(super) fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = [("authorization", format!("Bearer {TOKEN}"))];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.raw(method, &format!("{BASE}{path}"), &headers, &body)
    }

    pub(super) fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body.to_owned()).unwrap();
        let mut response = agent.run(request).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap_or_else(|_| json!(text)),
        )
    }

    /// One line a call: `METHOD PATH [BODY]`, and what it gives.
    pub(super) fn does(&self, line: &str, want: u16) -> Value {
        let mut words = line.splitn(3, ' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let body = words
            .next()
            .map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        let (status, reply) = self.call(method, path, &body);
        assert_eq!(status, want, "{line}: {reply}");
        reply
    }

    /// The code of a refusal.
    pub(super) fn refuses(&self, line: &str, status: u16) -> String {
        let reply = self.does(line, status);
        let error = &reply["error"];
        let told = |field: &str| error[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(told("message") && told("fix"), "{line}: {reply}");
        error["code"].as_str().unwrap().to_owned()
    }
}

/// The fields of an object that matter.
pub(super) fn fields(value: &Value, names: &[&str]) -> BTreeMap<String, Value> {
    let one = |name: &&str| ((*name).to_owned(), value[*name].clone());
    names.iter().map(one).collect()
}
