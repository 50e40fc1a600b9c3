//! The proxy-wasm filter: a thin shell around tollgate-core. Callbacks become inputs of the core's
//! machines, and their steps become host calls.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_core::config;

use crate::callbacks::Stream;

mod attempt;
mod callbacks;
mod counters;
mod gateway;
mod host;
mod meeting;

/// How often streams are looked at for silence.
const TICK_MS: u32 = 250;

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
    fn configure(&mut self, bytes: &[u8]) -> bool {
        match serde_json::from_slice::<config::Plugin>(bytes) {
            Ok(config::Plugin::Gateway(config)) => {
                *self = Self::Gateway(Rc::new(gateway::Settings::new(config)));
                host::tick_every(TICK_MS);
                true
            }
            Ok(config::Plugin::Attempt(place)) => {
                *self = Self::Attempt(Rc::new(place));
                true
            }
            Err(problem) => {
                let message = format!(
                    "tollgate: the plugin configuration cannot be read ({problem}); write it with `tollgate render`"
                );
                host::log(host::Level::Error, &message);
                false
            }
        }
    }

    fn tick(&self) {
        for context in meeting::fallen_silent(host::now()) {
            host::break_off(context);
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
                let stream = attempt::Stream::new(Rc::clone(place));
                Some(Rc::new(RefCell::new(stream)))
            }
        }
    }
}
