//! How a request finds its deployment, in used form: strategies, conditions, policies.

use serde::{Deserialize, Serialize};

use crate::catalogue;
use crate::dialect::gaps;
use crate::limits::Quota;
use crate::money::window::Zone;

/// How a model's requests find a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Routing {
    /// Which target is asked first.
    pub strategy: Strategy,
    /// Whose requests stay with one target.
    pub sticky: Sticky,
    /// Stands in the records of its requests.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub experiment: String,
    /// An answer of unknown length is taken to have so many tokens.
    pub expected_output: u64,
    /// Of a hundred requests under `fastest`, so many go to a target at random to see how fast it is.
    pub explore_percent: u32,
    /// What counts under `balanced`.
    pub balance: Balance,
    /// And when it is something else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
    /// Where the clock of the schedules hangs.
    #[serde(skip_serializing_if = "Clock::is_utc")]
    pub clock: Clock,
    /// How often the same target is asked again before the next one.
    pub retries: u32,
    /// What happens with a prompt that no target takes.
    pub when_too_long: WhenTooLong,
    /// What becomes of a request that a target cannot express whole.
    pub on_untranslatable: OnUntranslatable,
    /// Positions of models that are asked when all targets have failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<usize>,
    /// And when the prompt is too long for all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context_window_fallbacks: Vec<usize>,
    /// And when a provider's filter does not want it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_policy_fallbacks: Vec<usize>,
    /// The answer when nobody answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_resort: Option<String>,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            strategy: Strategy::Ordered,
            sticky: Sticky::Nobody,
            experiment: String::new(),
            expected_output: 500,
            explore_percent: 5,
            balance: Balance::default(),
            schedules: Vec::new(),
            clock: Clock::default(),
            retries: 0,
            when_too_long: WhenTooLong::Refuse,
            on_untranslatable: OnUntranslatable::Refuse,
            fallbacks: Vec::new(),
            context_window_fallbacks: Vec::new(),
            content_policy_fallbacks: Vec::new(),
            last_resort: None,
        }
    }
}

impl Routing {
    /// Whether nothing was written.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which target is asked first; each is a file of [`crate::routing::strategy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As written.
    #[default]
    Ordered,
    /// By weight.
    Weighted,
    /// By what this request costs there.
    Cheapest,
    /// By the time to the first token.
    Fastest,
    /// By how many requests run there.
    LeastBusy,
    /// By cost, latency and reliability together.
    Balanced,
}

/// Whose requests stay with one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// Nobody's.
    #[default]
    Nobody,
    /// A user's; a key's where no user is known.
    User,
    /// A key's.
    Key,
    /// A conversation's, by how it begins: so the provider's cache of prompts is warm.
    Conversation,
}

/// What happens with a prompt that no target takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenTooLong {
    /// The caller is told.
    #[default]
    Refuse,
    /// It is sent: the provider knows better.
    Send,
}

/// What becomes of a request that a target cannot express whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUntranslatable {
    /// Where that is the first who would be asked, it is refused, and says what he lacks.
    #[default]
    Refuse,
    /// The next is asked; it is refused where none is left.
    SkipTarget,
    /// It goes without what cannot be said, and that is recorded.
    Drop,
}

impl OnUntranslatable {
    /// What is done with a parameter that a target cannot express.
    pub fn policy(self) -> gaps::Policy {
        match self {
            Self::Drop => gaps::Policy::Drop,
            Self::Refuse | Self::SkipTarget => gaps::Policy::Refuse,
        }
    }
}

/// How much cost, latency and reliability count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// What the request costs.
    pub cost: u32,
    /// How long it takes to the first token.
    pub latency: u32,
    /// How seldom it fails.
    pub reliability: u32,
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            cost: 1,
            latency: 1,
            reliability: 1,
        }
    }
}

/// Hours of the day in which something else counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// From this minute of the day on.
    pub from: u16,
    /// Until before this one; if it is the earlier one, the night lies between.
    pub to: u16,
    /// What counts then.
    pub balance: Balance,
}

impl Schedule {
    /// Whether this minute of the day is one of them.
    pub fn holds(&self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// A wall clock: how far it is from UTC, and when it was turned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Clock {
    /// Seconds ahead of UTC before the first turn.
    pub offset: i32,
    /// From these seconds since the epoch on, so many seconds ahead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<(i64, i32)>,
}

impl Clock {
    fn is_utc(&self) -> bool {
        *self == Self::default()
    }

    /// The minute of its day.
    pub fn minute_of_day(&self, utc_seconds: i64) -> u16 {
        let local = utc_seconds.saturating_add(i64::from(self.offset_at(utc_seconds)));
        let minute = local.rem_euclid(86_400) / 60;
        u16::try_from(minute).unwrap_or_default()
    }
}

impl Zone for Clock {
    fn offset_at(&self, utc_seconds: i64) -> i32 {
        let turned = self.turns.iter().rev();
        turned
            .into_iter()
            .find(|(from, _)| *from <= utc_seconds)
            .map_or(self.offset, |(_, offset)| *offset)
    }
}

/// What a deployment is beside its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// Its share under `weighted`, and its size under `least_busy`.
    pub weight: u32,
    /// Where it stands.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Which requests it takes.
    #[serde(skip_serializing_if = "When::is_empty")]
    pub when: When,
    /// What it may be asked.
    #[serde(skip_serializing_if = "Quota::is_empty")]
    pub quota: Quota,
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            weight: 1,
            region: String::new(),
            when: When::default(),
            quota: Quota::default(),
        }
    }
}

impl Traits {
    /// Whether nothing was written.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a request needs and a model may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Functions that the model may call.
    Tools,
    /// Images.
    Vision,
    /// Answers by a JSON schema.
    Schema,
    /// Thinking.
    Reasoning,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Vision, Self::Schema, Self::Reasoning];

    /// As the catalogue knows it.
    pub fn of_catalogue(self) -> catalogue::Capability {
        match self {
            Self::Tools => catalogue::Capability::Tools,
            Self::Vision => catalogue::Capability::Vision,
            Self::Schema => catalogue::Capability::Schema,
            Self::Reasoning => catalogue::Capability::Reasoning,
        }
    }

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Vision => "vision",
            Self::Schema => "schema",
            Self::Reasoning => "reasoning",
        }
    }
}

/// Which requests: each condition must hold, and of a list one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct When {
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompt_tokens: Vec<Comparison>,
    /// Tokens of the answer, as far as the caller bounds them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_tokens: Vec<Comparison>,
    /// How hard it looks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub complexity: Vec<Complexity>,
    /// Whether it streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// It needs all of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Capability>,
    /// What is compared with texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<(Subject, Vec<String>)>,
}

impl When {
    /// Whether every request fits.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A text of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The model asked for.
    Model,
    /// The path.
    Endpoint,
    /// The caller's.
    Org,
    /// The caller's.
    Team,
    /// The caller's.
    User,
    /// The caller's.
    Key,
    /// The caller's.
    Tier,
    /// One of the request's tags.
    Tag,
    /// A header, by its name in lower case.
    Header(String),
    /// An entry of the request's `metadata`.
    Metadata(String),
}

/// `> 50000`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `<`
    Less(u64),
    /// `<=`
    AtMost(u64),
    /// `>`
    More(u64),
    /// `>=`
    AtLeast(u64),
}

impl Comparison {
    /// Whether it is so.
    pub fn holds(self, value: u64) -> bool {
        match self {
            Self::Less(than) => value < than,
            Self::AtMost(than) => value <= than,
            Self::More(than) => value > than,
            Self::AtLeast(than) => value >= than,
        }
    }
}

/// How hard a request looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    /// A small model will do.
    Simple,
    /// In between.
    Medium,
    /// For the best there is.
    Complex,
}

/// What is done with requests of some kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// For explanations.
    pub name: String,
    /// With which requests.
    pub when: When,
    /// Another model answers: its position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_model: Option<usize>,
    /// Another strategy decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Only targets in one of these regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// Refused, with these words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<String>,
}

/// A deployment wherever it is configured: the same provider, model and region have one health.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DeploymentId(pub u64);

impl DeploymentId {
    /// FNV-1a over what names it: stable, so that workers and reloads agree.
    pub fn of(provider: &str, model: &str, region: &str) -> Self {
        let parts = [provider, "\0", model, "\0", region];
        let bytes = parts.iter().flat_map(|part| part.bytes());
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

/// More failures than this are not remembered one by one.
pub const FAILURES_KEPT: usize = 8;

/// When a deployment is passed over, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// So many failures open the breaker; at most [`FAILURES_KEPT`]. With 0 a deployment is asked whatever it did, and
    /// whatever it asks for.
    pub failures: u32,
    /// If they fall into this time.
    pub within_ms: u64,
    /// And are at least this share, in percent, of what was asked in it.
    pub share_percent: u32,
    /// The first rest; every further one is twice as long.
    pub rest_ms: u64,
    /// No rest is longer.
    pub rest_max_ms: u64,
}

impl Rules {
    /// Whether nothing was written.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            failures: 3,
            within_ms: 60_000,
            share_percent: 10,
            rest_ms: 30_000,
            rest_max_ms: 600_000,
        }
    }
}
