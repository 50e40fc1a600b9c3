//! The name that was meant.

/// Longer words are not compared: the work grows with the square of the length.
const WORD_CHARS_MAX: usize = 64;

/// The known word nearest to this one, if any is near enough to be meant.
pub(super) fn nearest<'known>(
    word: &str,
    known: impl IntoIterator<Item = &'known str>,
) -> Option<&'known str> {
    let length = word.chars().count();
    if length > WORD_CHARS_MAX {
        return None;
    }
    // Half of a short word, never more than three letters of a long one.
    let near = length.div_ceil(2).clamp(1, 3);
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= WORD_CHARS_MAX.saturating_mul(2))
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= near && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be changed, added or left out (Levenshtein); case does not count.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (position, letter) in one.chars().enumerate() {
        let mut left = position.saturating_add(1);
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (candidate, above) in other.chars().zip(row.windows(2)) {
            let [diagonal, upper] = *above else { break };
            let change = usize::from(!letter.eq_ignore_ascii_case(&candidate));
            left = diagonal
                .saturating_add(change)
                .min(upper.saturating_add(1))
                .min(left.saturating_add(1));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters() {
        for (one, other, want) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("Alpha", "alpha", 0),
            ("antropic", "anthropic", 1),
            ("größe", "grösse", 2),
        ] {
            assert_eq!(distance(one, other), want, "{one} {other}");
            assert_eq!(distance(other, one), want, "{other} {one}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        for (word, known, want) in [
            (
                "antropic",
                ["openai", "anthropic"].as_slice(),
                Some("anthropic"),
            ),
            ("ulr", &["url", "key"], Some("url")),
            ("porvider", &["model", "provider"], Some("provider")),
            ("zzzzzz", &["model", "provider"], None),
            ("x", &["y"], None),
            ("a", &[], None),
        ] {
            assert_eq!(nearest(word, known.iter().copied()), want, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(65), ["a"]), None);
    }
}
