//! Who may be asked, in which order, and how each is asked.

use super::bounds::Bounds;
use super::{Admission, Expected};
use crate::config::Target;
use crate::dialect::chat::Chat;
use crate::dialect::gaps::Policy;
use crate::endpoint::{Endpoint, Kind, Others};
use crate::handoff::{Planned, Way};
use crate::refusal::Refusal;
use crate::request::{Cap, Reply, Request};
use crate::routing::traits::Traits;
use crate::routing::wishes::Wishes;
use crate::routing::{
    After, Ask, Explanation, Impossible, Pick, Weather, Why, complexity, random, route,
};
use crate::tokens::{Count, Family};

/// A request that looks for its way.
pub(super) struct Question<'a> {
    pub(super) expected: &'a Expected,
    pub(super) request: &'a Request,
    pub(super) prompt: &'a Count,
    /// Position of the model asked for.
    pub(super) asked: usize,
    /// Position of the model that answers because a budget is nearly spent.
    pub(super) downgraded_to: Option<usize>,
    /// Position of the model by whose tokenizer the prompt was counted.
    pub(super) counted_as: usize,
    pub(super) body: &'a [u8],
}

impl Admission {
    /// A target that cannot express the request is passed over; if none can, the first of them says why.
    pub(super) fn plan(
        &self,
        question: &Question<'_>,
        bounds: &Bounds,
        weather: &mut Weather,
    ) -> Result<(Vec<Planned>, Explanation), Refusal> {
        let (picks, mut explanation) = self.picks(question, weather)?;
        let counted = self.config.models.get(question.counted_as);
        let first = counted.and_then(|model| model.targets.first());
        let family = Family::of(first.map_or("", |target| &target.model));
        let key = question.expected.caller.key.name.as_str();
        let mut chat = None;
        let mut chain = Vec::with_capacity(picks.len());
        let mut why = None;
        for pick in picks {
            let model = self.config.models.get(pick.model);
            let Some(target) = model.and_then(|model| model.targets.get(pick.target)) else {
                continue;
            };
            let endpoint = question.expected.endpoint;
            let planned = self
                .way(endpoint, target, question.body, bounds, &mut chat)
                .and_then(|way| {
                    let usual = bounds
                        .goes_by_what_is_usual()
                        .then(|| weather.usual.answer(key, pick.model))
                        .flatten();
                    bounds.planned(&pick, (target, usual), family, question.body, way)
                });
            match planned {
                Ok(planned) => chain.push(planned),
                Err(refusal) => {
                    explanation.pass_over((pick.model, pick.target), Why::Untranslatable);
                    why = why.or(Some(refusal));
                }
            }
        }
        match why {
            Some(refusal) if !chain.iter().any(|planned| planned.after == After::Failure) => {
                Err(refusal)
            }
            _ => Ok((chain, explanation)),
        }
    }

    fn picks(
        &self,
        question: &Question<'_>,
        weather: &mut Weather,
    ) -> Result<(Vec<Pick>, Explanation), Refusal> {
        let traits = Traits::read(question.body)?;
        let instead = traits.models.iter().map(|name| self.model(name));
        let instead: Vec<usize> = instead.collect::<Result<_, _>>()?;
        let wishes = Wishes {
            tags: self.known.tags.clone(),
            ..question.expected.wishes.clone()
        };
        weather.random = random::mix(weather.random ^ self.known.started.0);
        let random = weather.random;
        let prompt = question.prompt.tokens;
        let ask = Ask {
            model: question.asked,
            instead: &instead,
            downgraded_to: question.downgraded_to,
            endpoint: question.expected.endpoint.path,
            stream: question.request.reply != Reply::Whole,
            prompt,
            traits: &traits,
            wishes: &wishes,
            caller: &question.expected.caller.key,
            complexity: self
                .config
                .looks_how_hard()
                .then(|| complexity::score(prompt, &traits, question.body)),
            now: self.known.started,
            random,
        };
        let (sky, memory) = weather.parts();
        let (picks, explanation) = route(&self.config, &self.commons.off, &ask, &sky, memory);
        match picks {
            Ok(picks) => Ok((picks, explanation)),
            Err(impossible) => Err(no_way(impossible, &question.request.model)),
        }
    }

    fn way(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        body: &[u8],
        bounds: &Bounds,
        chat: &mut Option<Chat>,
    ) -> Result<(Way, Option<Cap>), Refusal> {
        let Kind::Forwarded { native, others, .. } = endpoint.kind else {
            return Err(Refusal::internal("this is answered here"));
        };
        let provider = self.config.providers.get(target.provider);
        let provider = provider.ok_or_else(|| Refusal::internal("a target without a provider"))?;
        let dialect = provider.dialect.provider();
        if !native.is_empty() && dialect.understands() == native {
            let field = dialect.cap_field(endpoint.path);
            return Ok((Way::Passes, bounds.cap_as(field, target)));
        }
        if others == Others::Never {
            return Err(Refusal::untranslatable_endpoint(
                endpoint.path,
                dialect.name(),
            ));
        }
        let chat = match chat {
            Some(chat) => chat,
            None => {
                let mut read = endpoint.client.read(body)?;
                // Who may answer instead is for us alone.
                read.extras.retain(|extra| extra.name != "models");
                chat.insert(read)
            }
        };
        let written_by_caller = chat.output_max;
        if let Some(cap) = bounds.cap(target) {
            chat.output_max = Some(cap.0);
        }
        let written = dialect.write(chat, &provider.asked_for(target), Policy::Refuse);
        chat.output_max = written_by_caller;
        written
            .map(|written| (Way::Translated(written), None))
            .map_err(|untranslatable| untranslatable.refusal())
    }
}

/// Why nobody can be asked, for the caller.
fn no_way(impossible: Impossible<'_>, model: &str) -> Refusal {
    match impossible {
        Impossible::Denied(words) => Refusal::denied(words),
        Impossible::Later { wait_ms, why } => Refusal::no_target_now(model, wait_ms, why.name()),
        Impossible::Never(Why::ContextWindow) => Refusal::too_long(model),
        Impossible::Never(Why::OutputLimit) => Refusal::answer_too_long(model),
        Impossible::Never(Why::Lacks(what)) => Refusal::lacks(model, what.name()),
        Impossible::Never(Why::Region) => Refusal::not_in_region(model),
        Impossible::Never(Why::SwitchedOff) => Refusal::switched_off(model),
        Impossible::Never(_) => Refusal::not_for_this(model),
    }
}
