//! The side of the proxy.
//!
//! A [`LeaseRow`] is the money one process may spend for one scope. In wasm it lives in data shared by all workers, in a
//! slot of fixed size, and is changed by compare-and-swap: every change is a pure function from a row to a row, and the shell
//! repeats it until the swap succeeds. What must be told to the service comes back beside the row and is queued *after* the
//! swap: whoever dies in between leaves money held, never money lost.
//!
//! A request takes from several rows: [`Taking`] goes through them in canonical order and gives all back if one is short.
//! What it took is a [`Hold`]; at the end [`Settling`] pays from it. An [`Outbox`] carries the evidence to the service, one
//! batch at a time.

mod demand;
mod hold;
mod keeper;
mod outbox;
mod past;
mod row;
mod slot;

pub use demand::Demand;
pub use hold::{Finished, Hold, Part, Settling, SettlingStep, Taking, TakingStep};
pub use keeper::{Ending, Keeper, Outcome, Rows, Ticket};
pub use outbox::{
    AWAY_AFTER_MS, Arrival, BACKLOG_BYTES_MAX, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, Bookmark,
    OUTBOX_RETRY_MS, Outbox,
};
pub use row::{ASK_AGAIN_MS, IDLE_MS};
pub use row::{Asking, LeaseRow, Released, Settled, Short, Standing, Taken};
pub use slot::{PLACE_WAYS, Place, ROW_BYTES, UnreadableRow, place, ways};

#[cfg(test)]
mod keeper_tests;
#[cfg(test)]
mod outbox_tests;
#[cfg(test)]
mod tests;
