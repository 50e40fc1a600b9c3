//! Strict records: no byte of a reply leaves before a durable record of its request exists.

use tollgate_core::dialect;
use tollgate_core::endpoint::client_of;
use tollgate_core::handoff::Exchange;
use tollgate_core::money::message::Open;
use tollgate_core::refusal::Refusal;
use tollgate_core::trace;

use super::{Opening, ReplyIs, Stream};
use crate::bank::{self, Durable};
use crate::callbacks::{Action, Then};
use crate::host;
use crate::host::call::Context;

/// A reply is not held for longer.
const PATIENCE_MS: u64 = 5_000;

impl Stream {
    /// Reports the request while it is on its way to the provider.
    pub(super) fn open(&mut self, exchange: &Exchange) {
        if !exchange.cover.is_strict() {
            return;
        }
        let open = Open {
            number: 0,
            trace: trace::bytes(&exchange.trace),
            reserved: exchange.cover.held,
        };
        let opened = bank::open(open, Context(self.context), PATIENCE_MS, host::now());
        self.opening = opened.map_or(Opening::Failed(None), |id| {
            Opening::Sent(id, ReplyIs::Absent)
        });
    }

    /// The head of the reply is ready to go.
    pub(super) fn hold_reply(&mut self) -> Action {
        match self.opening {
            Opening::NotAsked | Opening::Durable(_) => Action::Continue,
            Opening::Sent(id, _) => {
                self.opening = Opening::Sent(id, ReplyIs::Held);
                Action::Pause
            }
            Opening::Failed(_) => self.refuse_unrecorded(),
        }
    }

    /// Whether the reply still waits.
    pub(super) fn held(&self) -> Action {
        match self.opening {
            Opening::Sent(_, ReplyIs::Held) => Action::Pause,
            Opening::NotAsked
            | Opening::Durable(_)
            | Opening::Failed(_)
            | Opening::Sent(_, ReplyIs::Absent) => Action::Continue,
        }
    }

    /// The budget service has the record, or has not.
    pub(super) fn opened(&mut self, durable: Durable) -> Then {
        let Opening::Sent(id, reply) = self.opening else {
            return Then::Waits;
        };
        self.opening = match durable {
            Durable::Yes => Opening::Durable(id),
            Durable::No => Opening::Failed(Some(id)),
        };
        match (durable, reply) {
            (_, ReplyIs::Absent) => Then::Waits,
            (Durable::Yes, ReplyIs::Held) => Then::ReplyGoes,
            (Durable::No, ReplyIs::Held) => {
                self.refuse_unrecorded();
                Then::Waits
            }
        }
    }

    fn refuse_unrecorded(&mut self) -> Action {
        let client = match &self.meeting {
            Some((_, handle)) => handle
                .try_borrow()
                .map_or_else(|_| client_of(""), |shared| shared.exchange.endpoint.client),
            None => client_of(""),
        };
        self.answer(&dialect::answer(client, &Refusal::unrecorded()))
    }
}
