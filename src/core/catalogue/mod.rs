//! What vendors charge for their models, what fits into them and what they can do, from the file that
//! `scripts/catalogue.py` makes. Who needs it brings the text: the filter does not, it gets what was found with its
//! configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::price::Price;
use crate::units::{Timestamp, Tokens};

mod line;
mod names;
#[cfg(test)]
mod tests;

/// All that is known, by vendor and name.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// When it was made, as `YYYY-MM-DD`.
    pub made: String,
    /// From what.
    pub sources: Vec<Source>,
    listed: Vec<Listed>,
    /// Positions in `listed`, by vendor and name.
    by_name: BTreeMap<(String, String), usize>,
}

/// Where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// The package.
    pub name: String,
    /// Of it.
    pub version: String,
}

/// Models of one vendor that are alike in everything that stands here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who serves them.
    pub vendor: String,
    /// What they are called there, in lower case.
    pub names: Vec<String>,
    /// The earliest first. None where nothing is known of prices.
    pub prices: Vec<Dated>,
    /// How many tokens a prompt may have.
    pub context_window: Option<Tokens>,
    /// How many tokens an answer may have.
    pub max_output: Option<Tokens>,
    /// What they can do; none where that is not known.
    pub capabilities: Option<BTreeSet<Capability>>,
    /// What the other source says, by class, where the two differ by more than one in a hundred.
    pub differs: BTreeMap<String, u64>,
    /// What is to be known of these prices.
    pub notes: Vec<String>,
}

/// A price, and since when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// The beginning of time where none is known.
    pub from: Timestamp,
    /// Until the next one.
    pub price: Price,
}

/// What a model can do beside answering text with text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Calls tools.
    Tools,
    /// Calls several at once.
    ParallelTools,
    /// Sees pictures.
    Vision,
    /// Follows a JSON schema.
    Schema,
    /// Thinks before it answers.
    Reasoning,
    /// Hears.
    AudioInput,
    /// Speaks.
    AudioOutput,
    /// Reads PDFs.
    Documents,
    /// Its vendor caches prompts.
    PromptCache,
    /// Its vendor searches the web for it.
    WebSearch,
}

impl Capability {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::ParallelTools => "parallel_tools",
            Self::Vision => "vision",
            Self::Schema => "schema",
            Self::Reasoning => "reasoning",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
            Self::Documents => "documents",
            Self::PromptCache => "prompt_cache",
            Self::WebSearch => "web_search",
        }
    }
}

/// A model that was found, and how surely it is the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// What is known of it.
    pub listed: &'a Listed,
    /// By which name.
    pub by: Named,
}

/// How a name led to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It is listed so.
    Exactly,
    /// Without the date or version behind it.
    Undated,
    /// As a tuned variant of the model it was made from.
    Tuned,
}

/// A file that is not what the script makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// From 1.
    pub line: usize,
    /// In the parser's words.
    pub reason: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {} of the catalogue: {}", self.line, self.reason)
    }
}

/// The file that belongs to this version. Only native programs refer to it, so it is not in the filter.
const SHIPPED: &str = include_str!("models.jsonl");

impl Catalogue {
    /// What belongs to this version.
    pub fn shipped() -> Result<Self, Malformed> {
        Self::parse(SHIPPED)
    }

    /// Reads the file. Every line must be understood: a price that was passed over would be a price of nothing.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut lines = text.lines().zip(1..);
        let malformed = |line, reason: String| Malformed { line, reason };
        let (head, _) = lines
            .next()
            .ok_or_else(|| malformed(1, "it is empty".to_owned()))?;
        let head = line::head(head).map_err(|reason| malformed(1, reason))?;
        let mut catalogue = Self {
            made: head.made,
            sources: head.sources,
            ..Self::default()
        };
        for (text, number) in lines {
            let listed = line::listed(text).map_err(|reason| malformed(number, reason))?;
            for name in &listed.names {
                let key = (listed.vendor.clone(), name.clone());
                if catalogue
                    .by_name
                    .insert(key, catalogue.listed.len())
                    .is_some()
                {
                    let twice = format!("{}/{name} is there already", listed.vendor);
                    return Err(malformed(number, twice));
                }
            }
            catalogue.listed.push(listed);
        }
        Ok(catalogue)
    }

    /// What is known of a model at a provider that speaks this dialect. The name as it is comes first; then without what
    /// stands around it, see [`Named`]. A dialect that anybody may speak leads nowhere.
    pub fn find(&self, dialect: &str, model: &str) -> Option<Found<'_>> {
        let vendors = names::vendors(dialect)?;
        names::candidates(model).into_iter().find_map(|(name, by)| {
            vendors.iter().find_map(|vendor| {
                let key = ((*vendor).to_owned(), name.clone());
                let listed = self.listed.get(*self.by_name.get(&key)?)?;
                Some(Found { listed, by })
            })
        })
    }

    /// Every line, in the order of the file.
    pub fn listed(&self) -> impl Iterator<Item = &Listed> {
        self.listed.iter()
    }
}

impl Listed {
    /// What it costs at a moment. Before the first known date: the first that is known.
    pub fn price_at(&self, now: Timestamp) -> Option<&Price> {
        let holds = self.prices.iter().rev().find(|dated| dated.from <= now);
        holds
            .or_else(|| self.prices.first())
            .map(|dated| &dated.price)
    }
}
