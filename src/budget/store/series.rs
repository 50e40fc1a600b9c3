//! What sums are kept apart by.

use sha2::{Digest, Sha256};

use super::query::Dimension;

/// Longer names are cut: they end in `…`.
const NAME_CHARACTERS_MAX: usize = 200;
/// Tags of a request beyond these are not told apart.
const TAGS_MAX: usize = 8;
/// Stands between the tags of a request. Not in a tag: control characters are replaced.
const BETWEEN_TAGS: char = '\n';

/// Everything that reports tell records apart by. The sums of an hour are kept for each series that had a record in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The organisation.
    pub org: String,
    /// The team.
    pub team: String,
    /// The user.
    pub user: String,
    /// The key, by its name.
    pub key: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered.
    pub model_served: String,
    /// The provider.
    pub provider: String,
    /// The endpoint.
    pub endpoint: String,
    /// The features, each once, in order.
    pub tags: Tags,
    /// 2 for 200 to 299 and so on; 0 where there was no status.
    pub status_class: u8,
}

/// The tags of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tags(String);

/// What a series is called in the tables: it follows from its values, so that nobody has to look it up first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u64);

impl Series {
    /// Its id: the first bytes of a SHA-256 over all values.
    pub fn id(&self) -> SeriesId {
        let mut digest = Sha256::new();
        for value in self.texts() {
            // With its length first: no two lists of values are the same bytes.
            digest.update(u64::try_from(value.len()).unwrap_or(u64::MAX).to_le_bytes());
            digest.update(value.as_bytes());
        }
        digest.update([self.status_class]);
        let digest: [u8; 32] = digest.finalize().into();
        let first = digest.first_chunk().copied().unwrap_or_default();
        SeriesId(u64::from_le_bytes(first))
    }

    /// The values of a dimension: one, but for tags.
    pub fn values(&self, dimension: Dimension) -> Vec<&str> {
        let one = match dimension {
            Dimension::Org => &self.org,
            Dimension::Team => &self.team,
            Dimension::User => &self.user,
            Dimension::Key => &self.key,
            Dimension::Model => &self.model,
            Dimension::ModelServed => &self.model_served,
            Dimension::Provider => &self.provider,
            Dimension::Endpoint => &self.endpoint,
            Dimension::Tag => return self.tags.each().collect(),
            Dimension::StatusClass => return vec![class_name(self.status_class)],
        };
        vec![one]
    }

    /// Whether each of these dimensions has this value.
    pub fn fits(&self, only: &[(Dimension, String)]) -> bool {
        only.iter()
            .all(|(dimension, value)| self.values(*dimension).contains(&value.as_str()))
    }

    pub(super) fn texts(&self) -> [&str; 9] {
        [
            &self.org,
            &self.team,
            &self.user,
            &self.key,
            &self.model,
            &self.model_served,
            &self.provider,
            &self.endpoint,
            &self.tags.0,
        ]
    }
}

impl Tags {
    /// Of what a request carries.
    pub fn new<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tags: Vec<String> = tags.into_iter().map(name).collect();
        tags.retain(|tag| !tag.is_empty());
        tags.sort_unstable();
        tags.dedup();
        tags.truncate(TAGS_MAX);
        Self(tags.join(&BETWEEN_TAGS.to_string()))
    }

    /// Each of them; one empty name where there is none.
    pub fn each(&self) -> impl Iterator<Item = &str> {
        self.0.split(BETWEEN_TAGS)
    }

    pub(super) fn stored(text: String) -> Self {
        Self(text)
    }
}

/// A name that every database takes and that fits into a line.
pub(super) fn name(text: &str) -> String {
    let clean = |character: char| {
        if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    };
    let mut name: String = text.chars().take(NAME_CHARACTERS_MAX).map(clean).collect();
    if text.chars().nth(NAME_CHARACTERS_MAX).is_some() {
        name.push('…');
    }
    name
}

fn class_name(class: u8) -> &'static str {
    match class {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_every_database_takes() {
        let long = "ä".repeat(300);
        for (text, want) in [
            ("alice", "alice".to_owned()),
            ("a\0b\nc", "a\u{FFFD}b\u{FFFD}c".to_owned()),
            (&long, format!("{}…", "ä".repeat(200))),
        ] {
            assert_eq!(name(text), want);
        }
    }

    #[test]
    fn values_that_change_places_are_another_series() {
        let series = |org: &str, team: &str| Series {
            org: org.to_owned(),
            team: team.to_owned(),
            ..Series::default()
        };
        assert_ne!(series("ab", "").id(), series("a", "b").id());
        assert_ne!(series("a", "b").id(), series("b", "a").id());
        assert_eq!(series("a", "b").id(), series("a", "b").id());
    }

    #[test]
    fn tags_are_told_one_by_one_in_any_order() {
        let tags = Tags::new(["search", "chat", "", "chat"]);
        assert_eq!(tags, Tags::new(["chat", "search"]));
        assert_eq!(tags.each().collect::<Vec<_>>(), ["chat", "search"]);
        assert_eq!(Tags::default().each().collect::<Vec<_>>(), [""]);
    }
}
