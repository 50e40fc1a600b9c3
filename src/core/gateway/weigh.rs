//! What a request is, how much it asks for, and what its limits say to that.

use std::rc::Rc;

use super::content::{self, Content};
use super::{Admission, Expected, State, Step, allowed};
use crate::config::{Key, Purse};
use crate::cover;
use crate::endpoint::{Endpoint, Kind, Metered, Others};
use crate::limits::draw::{self, Asked};
use crate::limits::{Draw, Over, Short};
use crate::money::rates::RateId;
use crate::money::wanted::Standings;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::routing::explanation::Because;
use crate::tokens::{Count, Counter, Family, count_chat};
use crate::units::Tokens;

/// A request that is understood and counted.
#[derive(Debug)]
pub(super) struct Weighed {
    pub(super) expected: Expected,
    pub(super) request: Request,
    pub(super) prompt: Count,
    pub(super) purses: Vec<Purse>,
    /// Position of the model asked for.
    pub(super) asked: usize,
    /// Position of the model that answers instead, and why.
    pub(super) downgraded_to: Option<(usize, Because)>,
    /// Position of the model by whose tokenizer the prompt was counted.
    pub(super) counted_as: usize,
    pub(super) content: Content,
    /// Limits that it need not keep: another model answers because of them.
    passed: Vec<RateId>,
}

impl Admission {
    pub(super) fn weigh(
        &mut self,
        expected: &Expected,
        content: Content,
        counter: &mut Counter,
        standings: &dyn Standings,
    ) -> Result<Weighed, Refusal> {
        let Expected {
            caller, endpoint, ..
        } = expected;
        let request = content.read(endpoint)?;
        let asked = self.model(&request.model)?;
        self.known.model = Some(asked);
        if !allowed(caller, &request.model) {
            return Err(Refusal::model_not_allowed(&request.model));
        }
        let purses = self.purses(&caller.key, &request.model, endpoint);
        let cheaper = cover::downgrade(&purses, standings);
        let downgraded_to = cheaper.and_then(|name| self.model(name).ok());
        let counted_as = downgraded_to.unwrap_or(asked);
        let prompt = self.count(counted_as, &content, counter);
        Ok(Weighed {
            expected: Expected {
                caller: Rc::clone(caller),
                endpoint,
                wishes: expected.wishes.clone(),
            },
            request,
            prompt,
            purses,
            asked,
            downgraded_to: downgraded_to.map(|model| (model, Because::Budget)),
            counted_as,
            content,
            passed: Vec::new(),
        })
    }

    /// What it takes of which limits.
    pub(super) fn draws(&self, weighed: &Weighed) -> Vec<Draw> {
        let Expected {
            caller, endpoint, ..
        } = &weighed.expected;
        let key = &caller.key;
        if key.limits.is_empty() && self.commons.limits.is_empty() {
            return Vec::new();
        }
        let model = weighed
            .downgraded_to
            .map_or(weighed.asked, |(model, _)| model);
        let model = self.config.models.get(model);
        let answers = matches!(
            endpoint.kind,
            Kind::Forwarded {
                others: Others::Translated,
                ..
            }
        );
        let expected = Tokens(model.map_or(0, |model| model.routing.expected_output));
        let wishes = &weighed.request.wishes;
        let output = match wishes.cap {
            _ if !answers => Tokens(0),
            Some(cap) => cap.min(expected),
            None => expected,
        };
        let output = output.0.saturating_mul(wishes.choices);
        let asked = Asked {
            model: model.map_or("", |model| &model.name),
            endpoint: endpoint.path,
            tags: &self.known.tags,
            tokens: weighed.prompt.tokens.0.saturating_add(output),
        };
        let mut draws = draw::draws(key, &self.commons, asked);
        draws.retain(|draw| !weighed.passed.contains(&draw.limit));
        draws
    }

    /// A limit does not let it through: another model answers, where the limit says so; else its caller is told.
    pub(super) fn over_the_limit(
        &mut self,
        mut weighed: Weighed,
        short: Short,
    ) -> Result<Step, Refusal> {
        let Over::Downgrade(name) = &short.draw.over else {
            return Err(Refusal::rate_limited(&short));
        };
        let cheaper = self.model(name)?;
        let answers = weighed
            .downgraded_to
            .map_or(weighed.asked, |(model, _)| model);
        let is_known = weighed.passed.contains(&short.draw.limit);
        if cheaper == answers || is_known {
            return Err(Refusal::rate_limited(&short));
        }
        weighed.passed.push(short.draw.limit);
        weighed.downgraded_to = Some((cheaper, Because::Limit));
        let draws = self.draws(&weighed);
        self.state = State::ExpectRoom(Box::new(weighed));
        Ok(Step::Limit(draws))
    }

    /// Everybody who pays for a request of this key for this model.
    fn purses(&self, key: &Key, model: &str, endpoint: &Endpoint) -> Vec<Purse> {
        if endpoint.metered == Metered::Nothing {
            return Vec::new();
        }
        let commons = &self.commons;
        let of_model = commons.models.get(model).into_iter().flatten();
        let tags = self.known.tags.iter();
        let of_tags = tags.filter_map(|tag| commons.tags.get(tag)).flatten();
        let of_endpoint = commons.endpoints.get(endpoint.path).into_iter().flatten();
        let of_tier = commons.tiers.get(&key.tier).into_iter().flatten();
        let all = key.purses.iter().chain(&commons.everyone);
        all.chain(of_model)
            .chain(of_tags)
            .chain(of_endpoint)
            .chain(of_tier)
            .cloned()
            .collect()
    }

    /// By the tokenizer of the first target. The clock's nanoseconds place the samples of a large body where
    /// nobody can aim at.
    fn count(&self, model: usize, content: &Content, counter: &mut Counter) -> Count {
        let Content::Object(body) = content else {
            return content::NO_TEXT;
        };
        let target = self
            .config
            .models
            .get(model)
            .and_then(|model| model.targets.first());
        let family = Family::of(target.map_or("", |target| &target.model));
        count_chat(counter, family, body, self.known.started.0)
    }
}
