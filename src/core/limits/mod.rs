//! How fast callers may ask: buckets of requests and tokens that fill with time, and places for what runs at the same
//! time.
//!
//! * [`draw`] says what a request takes, and of which limits;
//! * [`bucket`] and [`places`] are the rows that all workers of a process share;
//! * [`limiter`] is what one worker does with them: it takes from all limits of a request or from none, lets requests wait
//!   their turn, asks the budget service for shares, and gives back;
//! * [`quota`] is the same towards providers: a deployment that is nearly used up is passed over;
//! * [`tell`] is what callers hear of it.
//!
//! With a budget service a process spends shares that it leases for a few seconds, so a limit holds over all Envoys.
//! Without one, or while it is away, each process counts for itself.

pub mod bucket;
pub mod draw;
pub mod limiter;
pub mod places;
pub mod queue;
pub mod quota;
pub mod tell;

pub use draw::{Counts, Draw, Over};
pub use limiter::{Limiter, Outcome, Rows, Short, Taken, Used};
pub use quota::Quota;
pub use tell::Status;

#[cfg(test)]
mod tests;

/// Who fills the rows of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fed {
    /// Nobody has yet.
    #[default]
    New,
    /// Time: this process counts for itself.
    ByTime,
    /// The budget service, by shares.
    ByService,
}

/// Why a limit does not give what is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It never holds so much.
    Never,
    /// It will after so many milliseconds, if nobody else comes.
    Wait {
        /// How long.
        ms: u64,
    },
    /// The budget service may have more.
    Ask,
}
