//! The proxy-wasm filter: a thin shell around tollgate-core. Callbacks become inputs of the core's
//! machines, and their steps become host calls.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_core::config;

use crate::callbacks::Stream;
use crate::host::call::Context;

mod abi;
mod attempt;
mod bank;
mod callbacks;
mod counters;
mod figures;
mod gateway;
mod host;
mod line;
mod meeting;
mod room;
mod rows;
mod weather;

/// How often streams are looked at for silence, and what waits is looked after.
const TICK_MS: u32 = 50;

/// One plugin, as Envoy configured it.
#[derive(Default)]
enum Plugin {
    #[default]
    Unconfigured,
    Gateway(Rc<gateway::Settings>),
    Attempt(Rc<config::Attempt>),
}

impl Plugin {
    /// Whether the configuration can be used.
    fn configure(&mut self, context: Context, bytes: &[u8]) -> bool {
        match serde_json::from_slice::<config::Plugin>(bytes) {
            Ok(config::Plugin::Gateway(config)) => {
                bank::configure(context, config.budget_service.clone());
                *self = Self::Gateway(Rc::new(gateway::Settings::new(*config)));
                host::tick_every(TICK_MS);
                true
            }
            Ok(config::Plugin::Attempt(place)) => {
                *self = Self::Attempt(Rc::new(place));
                true
            }
            Err(problem) => {
                log::error!(
                    "the plugin configuration cannot be read ({problem}); write it with `tollgate render`"
                );
                false
            }
        }
    }

    fn tick(&self) {
        let now = host::now();
        for context in meeting::fallen_silent(now) {
            host::break_off(context);
        }
        let shifts = bank::tick(now);
        let turns = weather::tick(now);
        if let Self::Gateway(settings) = self {
            settings.turned(&turns);
            settings.shifted(&shifts);
        }
    }

    /// The budget service answered.
    fn answered(&self, token: u32, message: &[u8]) {
        if let Self::Gateway(settings) = self {
            settings.answered(token, message);
        }
    }

    /// The budget service did not answer.
    fn call_failed(&self, token: u32) {
        if let Self::Gateway(settings) = self {
            settings.call_failed(token);
        }
    }

    fn stream(&self, context: u32) -> Option<Rc<RefCell<dyn Stream>>> {
        match self {
            Self::Unconfigured => None,
            Self::Gateway(settings) => {
                let stream = gateway::Stream::new(Rc::clone(settings), context);
                Some(Rc::new(RefCell::new(stream)))
            }
            Self::Attempt(place) => {
                let stream = attempt::Stream::new(Rc::clone(place), Context(context));
                Some(Rc::new(RefCell::new(stream)))
            }
        }
    }
}
