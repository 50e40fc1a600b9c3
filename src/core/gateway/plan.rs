//! Who may be asked, in which order, and how each is asked.

use super::bounds::Bounds;
use super::weigh::Weighed;
use super::{Admission, Expected};
use crate::config::Target;
use crate::config::routing::OnUntranslatable;
use crate::dialect::anthropic::Messages;
use crate::dialect::chat::Chat;
use crate::dialect::gaps::Policy;
use crate::dialect::speak::Client;
use crate::endpoint::{Endpoint, Form, Kind, Others};
use crate::handoff::{Planned, Way};
use crate::health::Attempted;
use crate::refusal::Refusal;
use crate::request::{Cap, Reply, Request};
use crate::routing::explanation::Because;
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
    /// Position of the model that answers instead, and why.
    pub(super) downgraded_to: Option<(usize, Because)>,
    /// Position of the model by whose tokenizer the prompt was counted.
    pub(super) counted_as: usize,
    pub(super) body: &'a [u8],
}

impl<'a> Question<'a> {
    pub(super) fn of(weighed: &'a Weighed) -> Self {
        Self {
            expected: &weighed.expected,
            request: &weighed.request,
            prompt: &weighed.prompt,
            asked: weighed.asked,
            downgraded_to: weighed.downgraded_to,
            counted_as: weighed.counted_as,
            body: weighed.content.bytes(),
        }
    }
}

/// Why a target is not asked though it was chosen.
enum Obstacle {
    /// It has nothing like that, or nobody would pay for it there.
    Place(Refusal),
    /// Its dialect cannot say what this request says.
    Words(Refusal),
}

impl Obstacle {
    fn refusal(self) -> Refusal {
        match self {
            Self::Place(refusal) | Self::Words(refusal) => refusal,
        }
    }
}

impl From<Refusal> for Obstacle {
    fn from(refusal: Refusal) -> Self {
        Self::Place(refusal)
    }
}

impl Admission {
    /// A target that cannot express the request is passed over if its model wants that, or if others are asked first;
    /// if none can, the first of them says why.
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
            let Some(model) = self.config.models.get(pick.model) else {
                continue;
            };
            let Some(target) = model.targets.get(pick.target) else {
                continue;
            };
            let wish = model.routing.on_untranslatable;
            let asked = (question.expected.endpoint, wish.policy());
            let planned = self
                .way(asked, target, question.body, bounds, &mut chat)
                .and_then(|way| {
                    let usual = bounds
                        .goes_by_what_is_usual()
                        .then(|| weather.usual.answer(key, pick.model))
                        .flatten();
                    let of_target = (target, usual);
                    Ok(bounds.planned(&pick, of_target, family, question.body, way)?)
                });
            // Who only finds out if he is well again would not have been asked first.
            let first = chain.is_empty() && pick.attempted == Attempted::Ordinary;
            match planned {
                Ok(planned) => chain.push(planned),
                Err(Obstacle::Words(refusal)) if first && wish == OnUntranslatable::Refuse => {
                    return Err(refusal);
                }
                Err(obstacle) => {
                    let refusal = obstacle.refusal();
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

    /// Who counts tokens better than we do: whoever understands the question, if that is who would answer.
    pub(super) fn counters(
        &self,
        question: &Question<'_>,
        bounds: &Bounds,
    ) -> Result<(Vec<Planned>, Explanation), Refusal> {
        let explanation = Explanation {
            asked: question.asked,
            model: question.counted_as,
            ..Explanation::default()
        };
        let model = self.config.models.get(question.counted_as);
        let Some(target) = model.and_then(|model| model.targets.first()) else {
            return Ok((Vec::new(), explanation));
        };
        let provider = self.config.providers.get(target.provider);
        let understands = provider.map(|provider| provider.dialect.provider().understands());
        if understands != Some(Messages.name()) {
            return Ok((Vec::new(), explanation));
        }
        let pick = Pick {
            model: question.counted_as,
            target: 0,
            after: After::Failure,
            attempted: Attempted::Ordinary,
        };
        let family = Family::of(&target.model);
        let planned = bounds.planned(
            &pick,
            (target, None),
            family,
            question.body,
            (Way::Passes, None),
        )?;
        Ok((vec![planned], explanation))
    }

    fn picks(
        &self,
        question: &Question<'_>,
        weather: &mut Weather,
    ) -> Result<(Vec<Pick>, Explanation), Refusal> {
        let traits = match question.expected.endpoint.form {
            Form::Json => Traits::read(question.body)?,
            Form::Multipart => Traits::default(),
        };
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
            body: question.body,
            traits: &traits,
            wishes: &wishes,
            caller: &question.expected.caller.key,
            complexity: self
                .config
                .looks()
                .complexity
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
        (endpoint, policy): (&Endpoint, Policy),
        target: &Target,
        body: &[u8],
        bounds: &Bounds,
        chat: &mut Option<Chat>,
    ) -> Result<(Way, Option<Cap>), Obstacle> {
        let Kind::Forwarded { native, others, .. } = endpoint.kind else {
            return Err(Refusal::internal("this is answered here").into());
        };
        let provider = self.config.providers.get(target.provider);
        let provider = provider.ok_or_else(|| Refusal::internal("a target without a provider"))?;
        let dialect = provider.dialect.provider();
        if !native.is_empty() && dialect.understands() == native {
            let field = dialect.cap_field(endpoint.path);
            return Ok((Way::Passes, Some(bounds.cap_as(field, target))));
        }
        let nothing_like_it = || Refusal::untranslatable_endpoint(endpoint.path, dialect.name());
        match others {
            Others::Translated => {}
            Others::Never => return Err(nothing_like_it().into()),
            Others::Reranked => {
                let written = dialect.rerank(body, &provider.asked_for(target), policy);
                let written = written.ok_or_else(nothing_like_it)?;
                let written = written.map_err(Obstacle::Words)?;
                return Ok((Way::Translated(written), None));
            }
        }
        let chat = match chat {
            Some(chat) => chat,
            None => {
                let mut read = endpoint.client.read(body).map_err(Obstacle::Words)?;
                // Who may answer instead is for us alone.
                read.extras.retain(|extra| extra.name != "models");
                chat.insert(read)
            }
        };
        let written_by_caller = chat.output_max;
        if let Some(cap) = bounds.cap(target) {
            chat.output_max = Some(cap.0);
        }
        let written = dialect.write(chat, &provider.asked_for(target), policy);
        chat.output_max = written_by_caller;
        written
            .map(|written| (Way::Translated(written), None))
            .map_err(|untranslatable| Obstacle::Words(untranslatable.refusal()))
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
