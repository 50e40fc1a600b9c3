//! A bucket of requests or tokens that fills by the minute, or by shares of the budget service.

use super::{Fed, Lack};
use crate::money::ids::Millis;
use crate::money::rates::{RateGrant, RateId, RateWant};

/// A token is so many parts: what comes in a millisecond is then a whole number of them.
pub const MINUTE_MS: u64 = 60_000;
/// Clocks of workers differ by less; one that is behind by more was turned back.
const CLOCKS_APART_MS: u64 = 1_000;
/// A share that nobody touched for so long goes home.
const IDLE_MS: u64 = 2_000;
/// A share that is used is taken anew when it lasts no longer than this: what is not given back in time is lost.
const RENEW_MS: u64 = 2_000;
/// A row that nobody touched for so long and that holds nothing is nobody's.
const FORGOTTEN_MS: u64 = 10_000;

/// One that time never fills is kept for so long.
const KEPT_MS: u64 = 86_400_000;

/// The size of a row in shared data.
pub const BUCKET_BYTES: usize = 65;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// So much comes in a minute.
    pub per_minute: u64,
    /// So much it holds.
    pub burst: u64,
}

/// What goes back to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Nothing.
    Nothing,
    /// Nobody uses it here.
    Idle(u64),
    /// It is used, and wanted again.
    Renewed(u64),
}

/// What is left of a limit in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Which limit.
    pub limit: RateId,
    fed: Fed,
    /// In parts; below nothing where more was used than was taken.
    level: i64,
    /// When it was filled last.
    at: Millis,
    used_at: Millis,
    /// What came from the service may be used until then; by then time has filled it.
    share_until: Millis,
    /// The service had nothing left at this moment; 0 where it had.
    dry_at: Millis,
    /// What the service had left when it was heard last.
    elsewhere: u64,
    heard_at: Millis,
}

impl Rate {
    fn whole(self) -> i64 {
        parts(self.burst)
    }

    /// Milliseconds in which so many parts come; none where nothing comes.
    fn time_of(self, parts: i64) -> Option<u64> {
        let parts = u64::try_from(parts).unwrap_or_default();
        if parts == 0 {
            return Some(0);
        }
        (self.per_minute > 0).then(|| parts.div_ceil(self.per_minute.max(1)))
    }

    fn gain(self, milliseconds: u64) -> i64 {
        let parts = u128::from(milliseconds).saturating_mul(u128::from(self.per_minute));
        i64::try_from(parts).unwrap_or(i64::MAX)
    }
}

fn parts(tokens: u64) -> i64 {
    i64::try_from(tokens.saturating_mul(MINUTE_MS)).unwrap_or(i64::MAX)
}

fn tokens(parts: i64) -> u64 {
    u64::try_from(parts).unwrap_or_default() / MINUTE_MS
}

impl Bucket {
    /// One that nobody has taken from.
    pub fn new(limit: RateId) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// As it is now: what time brought is in it, and shares whose time is over are not.
    #[must_use]
    pub fn at(mut self, rate: Rate, fed: Fed, now: Millis) -> Self {
        let behind = self.at.since(now);
        let passed = now.since(self.at);
        match (self.fed, fed) {
            (Fed::New, Fed::ByTime | Fed::New) => self.level = rate.whole(),
            (Fed::New, Fed::ByService) => self.level = 0,
            (Fed::ByTime, Fed::ByTime) => {
                self.level = self.level.saturating_add(rate.gain(passed));
            }
            // The service is back: what this process gave itself is not of its making. What is owed stays owed.
            (Fed::ByTime, Fed::ByService) => {
                self.level = self.level.min(0);
                self.dry_at = Millis(0);
            }
            (Fed::ByService, Fed::ByService) if now >= self.share_until => {
                self.level = self.level.min(0);
            }
            (Fed::ByService, Fed::ByService | Fed::ByTime) | (_, Fed::New) => {}
        }
        self.fed = fed;
        self.level = self.level.min(rate.whole());
        if behind == 0 || behind > CLOCKS_APART_MS {
            self.at = now;
        }
        self
    }

    /// A bucket that was filled in what is the future now, since a clock was turned back, begins to fill anew.
    pub fn turned_back(&self, rate: Rate, fed: Fed, now: Millis) -> Option<Self> {
        (self.at.since(now) > CLOCKS_APART_MS).then(|| self.at(rate, fed, now))
    }

    /// Takes all of it or nothing.
    pub fn take(self, amount: u64, rate: Rate, fed: Fed, now: Millis) -> Result<Self, Lack> {
        let mut bucket = self.at(rate, fed, now);
        if amount > rate.burst {
            return Err(Lack::Never);
        }
        let missing = parts(amount).saturating_sub(bucket.level);
        if missing <= 0 {
            bucket.level = bucket.level.saturating_sub(parts(amount));
            bucket.used_at = now;
            return Ok(bucket.full_at(rate, now));
        }
        let Some(ms) = rate.time_of(missing) else {
            return Err(Lack::Never);
        };
        if fed != Fed::ByService {
            return Err(Lack::Wait { ms });
        }
        if bucket.dry_at == Millis(0) || now < bucket.dry_at {
            return Err(Lack::Ask);
        }
        match ms.saturating_sub(now.since(bucket.dry_at)) {
            0 => Err(Lack::Ask),
            ms => Err(Lack::Wait { ms }),
        }
    }

    /// More or less was used than was taken. It never holds more than it is large, and owes no more than that either.
    #[must_use]
    pub fn give(self, more: u64, less: u64, rate: Rate, fed: Fed, now: Millis) -> Self {
        let mut bucket = self.at(rate, fed, now);
        let level = bucket.level.saturating_add(parts(more));
        let level = level.saturating_sub(parts(less));
        bucket.level = level.clamp(rate.whole().saturating_neg(), rate.whole());
        bucket.used_at = now;
        bucket.full_at(rate, now)
    }

    /// Notes when nothing will be to be known of it any more: when time has filled it.
    fn full_at(mut self, rate: Rate, now: Millis) -> Self {
        if self.fed == Fed::ByTime {
            let lacks = rate.whole().saturating_sub(self.level);
            let full_in = rate.time_of(lacks).unwrap_or(KEPT_MS);
            self.share_until = now.after(full_in);
        }
        self
    }

    /// How many are still to come before `amount` can be taken.
    pub fn missing(&self, amount: u64) -> u64 {
        let missing = parts(amount).saturating_sub(self.level);
        u64::try_from(missing)
            .unwrap_or_default()
            .div_ceil(MINUTE_MS)
    }

    /// The service answered.
    #[must_use]
    pub fn land(self, want: &RateWant, grant: &RateGrant, now: Millis) -> Self {
        let rate = Rate {
            per_minute: want.per_minute,
            burst: want.burst,
        };
        let mut bucket = self.at(rate, Fed::ByService, now);
        bucket.level = bucket.level.saturating_add(parts(grant.amount));
        bucket.level = bucket.level.min(rate.whole());
        bucket.share_until = now.after(u64::from(grant.valid_ms));
        bucket.elsewhere = grant.left;
        bucket.heard_at = now;
        let refused = want.amount.saturating_sub(grant.amount);
        bucket.dry_at = Millis(0);
        if refused > 0 {
            // As if nothing had been there at this moment: a part of the next token may have been.
            let all = rate.time_of(parts(refused)).unwrap_or_default();
            let before = all.saturating_sub(u64::from(grant.retry_ms));
            bucket.dry_at = Millis(now.0.saturating_sub(before).max(1));
        }
        bucket
    }

    /// Takes out what nobody needs here any more, or whose time is nearly over: it goes back to the service.
    #[must_use]
    pub fn send_home(self, rate: Rate, now: Millis) -> (Self, Home) {
        let mut bucket = self.at(rate, self.fed, now);
        let unused = tokens(bucket.level);
        if bucket.fed != Fed::ByService || unused == 0 {
            return (self, Home::Nothing);
        }
        let home = if now.is_over(bucket.used_at, IDLE_MS) {
            Home::Idle(unused)
        } else if bucket.share_until.since(now) < RENEW_MS {
            Home::Renewed(unused)
        } else {
            return (self, Home::Nothing);
        };
        bucket.level = bucket.level.saturating_sub(parts(unused));
        (bucket, home)
    }

    /// What is left, as far as is known here.
    pub fn left(&self, rate: Rate, now: Millis) -> u64 {
        let here = tokens(self.level);
        if self.fed != Fed::ByService {
            return here;
        }
        let gained = tokens(rate.gain(now.since(self.heard_at)));
        let all = here.saturating_add(self.elsewhere).saturating_add(gained);
        all.min(rate.burst)
    }

    /// Whole tokens that can be taken here without asking anybody.
    pub fn here(&self) -> u64 {
        tokens(self.level)
    }

    /// When it will be full, in milliseconds.
    pub fn full_in_ms(&self, rate: Rate, now: Millis) -> u64 {
        let lacks = match self.fed {
            Fed::ByService => parts(rate.burst.saturating_sub(self.left(rate, now))),
            Fed::New | Fed::ByTime => rate.whole().saturating_sub(self.level),
        };
        rate.time_of(lacks).unwrap_or_default()
    }

    /// Whether the row says nothing that a new one would not say.
    pub fn is_idle(&self, now: Millis) -> bool {
        match self.fed {
            Fed::New => true,
            Fed::ByTime => now >= self.share_until,
            Fed::ByService => self.level == 0 && now.is_over(self.used_at, FORGOTTEN_MS),
        }
    }

    /// For shared data.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BUCKET_BYTES);
        bytes.push(match self.fed {
            Fed::New => 0,
            Fed::ByTime => 1,
            Fed::ByService => 2,
        });
        bytes.extend(self.level.to_le_bytes());
        for word in [
            self.limit.0,
            self.at.0,
            self.used_at.0,
            self.share_until.0,
            self.dry_at.0,
            self.elsewhere,
            self.heard_at.0,
        ] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    /// None for what is no bucket.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BUCKET_BYTES] = bytes.try_into().ok()?;
        let (kind, words) = bytes.split_first()?;
        let mut words = words.as_chunks::<8>().0.iter();
        let level = words.next().copied().map(i64::from_le_bytes)?;
        let mut next = || words.next().copied().map(u64::from_le_bytes);
        Some(Self {
            fed: match kind {
                0 => Fed::New,
                1 => Fed::ByTime,
                2 => Fed::ByService,
                _ => return None,
            },
            level,
            limit: RateId(next()?),
            at: Millis(next()?),
            used_at: Millis(next()?),
            share_until: Millis(next()?),
            dry_at: Millis(next()?),
            elsewhere: next()?,
            heard_at: Millis(next()?),
        })
    }
}
