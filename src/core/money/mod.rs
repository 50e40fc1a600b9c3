//! Hard budgets without a round trip per request: escrow leases.
//!
//! The budget service moves money from an account into a lease before anybody may use it; a proxy spends from its leases
//! and reports afterwards. Time never releases money, only evidence does: a holder that falls silent keeps its leases until
//! it speaks again, and what it never accounts for is presumed spent.
//!
//! * [`holder`] is the side of the proxy: rows of leases that workers change by compare-and-swap, and the outbox that reports.
//! * [`ledger`] is the side of the service: decisions over rows that any store can load and write in one transaction.
//! * [`message`] is what passes between them; [`live`] are the rows that a service keeps in memory; [`memory`] is the simplest
//!   store.
//! * [`rates`] are shares of limits by the minute: no money, and kept in memory only.

pub mod holder;
pub mod ids;
pub mod ledger;
pub mod live;
pub mod memory;
pub mod message;
pub mod rates;
pub mod thresholds;
pub mod usual;
pub mod wanted;
pub mod window;
