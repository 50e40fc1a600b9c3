//! The proxy-wasm filter: a thin shell around tollgate-core. Callbacks become inputs of the core's
//! machines, and their steps become host calls.
#![allow(
    missing_docs,
    reason = "nothing here is for other crates; the SDK's macro makes one public function"
)]

use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use tollgate_core::config::Plugin;

mod attempt;
mod counters;
mod gateway;
mod host;
mod meeting;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root { role: Role::Unconfigured }));
}}

/// How often streams are looked at for silence.
const TICK_MS: u32 = 250;

/// One plugin as Envoy configured it.
struct Root {
    role: Role,
}

enum Role {
    Unconfigured,
    Gateway(Rc<gateway::Settings>),
    Attempt(Rc<tollgate_core::config::Attempt>),
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        match serde_json::from_slice::<Plugin>(&bytes) {
            Ok(Plugin::Gateway(config)) => {
                self.role = Role::Gateway(Rc::new(gateway::Settings::new(config)));
                host::tick_every(TICK_MS);
                true
            }
            Ok(Plugin::Attempt(place)) => {
                self.role = Role::Attempt(Rc::new(place));
                true
            }
            Err(problem) => {
                error!(
                    "tollgate: the plugin configuration cannot be read ({problem}); write it with `tollgate render`"
                );
                false
            }
        }
    }

    fn on_tick(&mut self) {
        for context in meeting::fallen_silent(host::now()) {
            host::break_off(context);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        match &self.role {
            Role::Unconfigured => None,
            Role::Gateway(settings) => {
                let settings = Rc::clone(settings);
                Some(Box::new(gateway::Stream::new(settings, context_id)))
            }
            Role::Attempt(place) => Some(Box::new(attempt::Stream::new(Rc::clone(place)))),
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
