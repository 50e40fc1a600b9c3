//! Where the two roles of a request meet: in the memory of the worker's VM, under a number.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tollgate_core::handoff::Exchange;
use tollgate_core::units::Timestamp;

use crate::host::{self, RawHead};
use crate::room::Attempting;
use crate::weather::Running;

/// What the gateway role leaves for the attempts.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) exchange: Exchange,
    /// The head as the caller sent it, to start each attempt from.
    pub(crate) head: RawHead,
    /// The host's number of the gateway role's stream.
    pub(crate) context: u32,
    /// The attempt that runs counts at its deployment.
    pub(crate) running: Option<Running>,
    /// And against the limits of that.
    pub(crate) attempting: Option<Attempting>,
}

/// Held by the gateway role for as long as its request lives, and by each attempt while it runs.
pub(crate) type Handle = Rc<RefCell<Shared>>;

#[derive(Default)]
struct Table {
    /// Unlike those of a VM that died: an attempt of its requests must not meet a stranger.
    epoch: u64,
    last: u64,
    waiting: BTreeMap<String, Handle>,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

/// The reply is a stream: Envoy picks the route that watches for silence.
pub(crate) const STREAMED: char = 's';
/// The reply comes in one piece, after any silence.
pub(crate) const WHOLE: char = 'p';

/// Puts a request where its attempts find it; gives its name. None if the table is in use, which
/// only a callback inside a callback could cause.
pub(crate) fn open(kind: char, shared: Shared) -> Option<(String, Handle)> {
    TABLE.with(|table| {
        let mut table = table.try_borrow_mut().ok()?;
        if table.epoch == 0 {
            table.epoch = host::now().0.max(1);
        }
        table.last = table.last.wrapping_add(1);
        let name = format!("{kind}-{:x}-{:x}", table.epoch, table.last);
        let handle = Rc::new(RefCell::new(shared));
        table.waiting.insert(name.clone(), Rc::clone(&handle));
        Some((name, handle))
    })
}

/// The request of this name, if it lives in this VM.
pub(crate) fn find(name: &[u8]) -> Option<Handle> {
    let name = std::str::from_utf8(name).ok()?;
    TABLE.with(|table| table.try_borrow().ok()?.waiting.get(name).map(Rc::clone))
}

/// Breaking off more than this in one callback would nest the host's callbacks too deep.
const BROKEN_OFF_MAX: usize = 64;

/// The streams whose providers have fallen silent for too long; the rest of them next time.
pub(crate) fn fallen_silent(now: Timestamp) -> Vec<u32> {
    TABLE.with(|table| {
        let Ok(table) = table.try_borrow() else {
            return Vec::new();
        };
        let silent = table.waiting.values().filter_map(|handle| {
            let mut shared = handle.try_borrow_mut().ok()?;
            shared
                .exchange
                .give_up_if_silent(now)
                .then_some(shared.context)
        });
        silent.take(BROKEN_OFF_MAX).collect()
    })
}

/// The request is over.
pub(crate) fn close(name: &str) {
    TABLE.with(|table| {
        if let Ok(mut table) = table.try_borrow_mut() {
            table.waiting.remove(name);
        }
    });
}
