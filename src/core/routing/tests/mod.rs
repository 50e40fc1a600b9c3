//! A world that tests can bend; every strategy and every filter by table, the whole of a chain by story, and what must
//! hold for any chain.

mod chains;
mod filters;
mod order;

use std::collections::BTreeMap;

use super::explanation::Because;
use super::traits::Traits as Body;
use super::wishes::Wishes;
use super::*;
use crate::config::routing::Routing;
use crate::config::{Gateway, Key, Model, Price, Switches, Target};
use crate::health::change::Took;
use crate::health::{Attempted, Outcome, Row, Rules, Trouble};
use crate::price::Rates;
use crate::units::{NanoUsd, PricePerMillion, Timestamp, Tokens};

const T0_MS: u64 = 1_795_167_000_000;

/// A world that tests can bend.
struct World {
    config: Gateway,
    health: Table,
    busy: BTreeMap<DeploymentId, u32>,
    full: BTreeMap<DeploymentId, &'static str>,
    off: Switches,
    memory: Memory,
    body: Body,
    said: String,
    wishes: Wishes,
    caller: Key,
    instead: Vec<usize>,
    downgraded_to: Option<(usize, Because)>,
    prompt: u64,
    now_ms: u64,
    random: u64,
    complexity: Option<u8>,
}

fn target(model: &str) -> Target {
    Target {
        model: model.to_owned(),
        ..Target::default()
    }
}

fn price(dollars: u64) -> Price {
    let rate = PricePerMillion(NanoUsd(dollars * 1_000_000_000));
    Price {
        rates: Rates {
            input: rate,
            output: rate,
            ..Rates::default()
        },
        ..Price::default()
    }
}

/// Model `m` with targets `a`, `b`, `c` of three providers; the others as a test needs them.
fn world() -> World {
    let mut config = crate::testing::config();
    let third = config.providers[1].clone();
    config.providers.push(third);
    config.providers[2].name = "gamma".to_owned();
    let mut targets = vec![target("a"), target("b"), target("c")];
    for (position, target) in targets.iter_mut().enumerate() {
        target.provider = position;
    }
    config.models = vec![Model {
        name: "m".to_owned(),
        targets,
        ..Model::default()
    }];
    World {
        config,
        health: Table::default(),
        busy: BTreeMap::new(),
        full: BTreeMap::new(),
        off: Switches::default(),
        memory: Memory::default(),
        body: Body::default(),
        said: String::new(),
        wishes: Wishes::default(),
        caller: Key {
            name: "k".to_owned(),
            team: "search".to_owned(),
            tier: "free".to_owned(),
            ..Key::default()
        },
        instead: Vec::new(),
        downgraded_to: None,
        prompt: 100,
        now_ms: T0_MS,
        random: 7,
        complexity: None,
    }
}

impl World {
    fn add_model(&mut self, name: &str, targets: &[(usize, &str)]) -> usize {
        let targets = targets.iter().map(|(provider, model)| Target {
            provider: *provider,
            ..target(model)
        });
        self.config.models.push(Model {
            name: name.to_owned(),
            targets: targets.collect(),
            ..Model::default()
        });
        self.config.models.len() - 1
    }

    fn routing(&mut self) -> &mut Routing {
        &mut self.config.models[0].routing
    }

    fn of(&mut self, position: usize) -> &mut Target {
        &mut self.config.models[0].targets[position]
    }

    fn id(&self, position: usize) -> DeploymentId {
        let target = &self.config.models[0].targets[position];
        target.deployment(&self.config.providers[target.provider])
    }

    fn change(&mut self, position: usize, change: impl FnOnce(Row) -> Row) {
        let id = self.id(position);
        let row = change(self.health.row(id));
        self.health.set(id, row, self.now_ms);
    }

    fn fails(&mut self, position: usize, times: u32) {
        let now = self.now_ms;
        let broken = Outcome::Failed(Trouble::Broken {
            retry_after_ms: None,
        });
        for _ in 0..times {
            self.change(position, |row| {
                row.after(&Rules::default(), now, Attempted::Ordinary, broken, 0)
            });
        }
    }

    fn takes(&mut self, position: usize, us: u64) {
        let now = self.now_ms;
        let good = Outcome::Good(Took::FirstToken { us });
        self.change(position, |row| {
            row.after(&Rules::default(), now, Attempted::Ordinary, good, 0)
        });
    }

    fn route(&mut self) -> (Result<Vec<Pick>, String>, Explanation) {
        let ask = Ask {
            model: 0,
            instead: &self.instead,
            downgraded_to: self.downgraded_to,
            endpoint: "/v1/chat/completions",
            stream: true,
            prompt: Tokens(self.prompt),
            body: self.said.as_bytes(),
            traits: &self.body,
            wishes: &self.wishes,
            caller: &self.caller,
            complexity: self.complexity,
            now: Timestamp(self.now_ms * 1_000_000),
            random: self.random,
        };
        let sky = Sky {
            health: &self.health,
            busy: &self.busy,
            full: &self.full,
        };
        let (picks, explanation) = route(&self.config, &self.off, &ask, &sky, &mut self.memory);
        self.random = random::mix(self.random);
        (picks.map_err(|why| format!("{why:?}")), explanation)
    }

    /// The names of the targets in their order: `*` finds out, `!` only after a refusal for its content, `^` after one
    /// for its length.
    fn chain(&mut self) -> String {
        let picks = match self.route().0 {
            Ok(picks) => picks,
            Err(why) => return why,
        };
        let name = |pick: &Pick| {
            let mark = match (pick.attempted, pick.after) {
                (Attempted::AsProbe, _) => "*",
                (_, After::ContentPolicy) => "!",
                (_, After::ContextWindow) => "^",
                (Attempted::Ordinary, After::Failure) => "",
            };
            let model = &self.config.models[pick.model];
            format!("{mark}{}", model.targets[pick.target].model)
        };
        picks.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    /// How often each target is first.
    fn firsts(&mut self, requests: u32) -> BTreeMap<String, u32> {
        let mut firsts = BTreeMap::new();
        for _ in 0..requests {
            let first = self.chain().split(' ').next().unwrap().to_owned();
            *firsts.entry(first).or_default() += 1;
        }
        firsts
    }
}
