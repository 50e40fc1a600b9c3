//! Cuts text into pieces as the patterns of the encodings do, in one pass, without a regex engine.
//! Pieces are what merges happen within, never across.
//!
//! Each function takes the rest of a text and gives back the rest after what it matched. They are
//! the branches of the patterns in their order; where a branch cannot match, the reason is told.
//! No branch looks further than its own piece and the run of one class behind it, and no two
//! pieces look at the same run: work is linear in the text (a test counts it).

use crate::class::{self, BLANK, Classes, LOWER, MARK, NEWLINE, NUMBER, OTHER, UNCASED, UPPER};

const LETTER: Classes = UPPER.or(LOWER).or(UNCASED);
/// What the capitals of a word may be: `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`.
const WORD_HEAD: Classes = UPPER.or(UNCASED).or(MARK);
/// What the rest of a word may be: `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`.
const WORD_TAIL: Classes = LOWER.or(UNCASED).or(MARK);
/// `[^\s\p{L}\p{N}]`.
const SYMBOL: Classes = OTHER.or(MARK);
const SPACE: Classes = BLANK.or(NEWLINE);

/// What follows the first piece of `text` in `o200k_base`:
///
/// ```text
/// [^\r\n\p{L}\p{N}]?[HEAD]*[TAIL]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
/// [^\r\n\p{L}\p{N}]?[HEAD]+[TAIL]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
/// \p{N}{1,3}
///  ?[^\s\p{L}\p{N}]+[\r\n/]*
/// \s*[\r\n]+
/// \s+(?!\S)
/// \s+
/// ```
#[inline(always)]
pub(crate) fn after_o200k_piece(text: &str) -> &str {
    let Some((first, after_first)) = first(text) else {
        return text;
    };
    if LETTER.has(first) {
        return contraction_or_end(word(text).unwrap_or_else(|| skip(text, UPPER)));
    }
    if NUMBER.has(first) {
        return up_to_two_numbers(after_first);
    }
    if NEWLINE.has(first) {
        return after_space(text);
    }
    if let Some(rest) = word(after_first) {
        return contraction_or_end(rest);
    }
    // A mark may start a word itself; this gives back what the line above took as its prefix.
    if MARK.has(first)
        && let Some(rest) = word(text)
    {
        return contraction_or_end(rest);
    }
    // No word starts here, so if letters do, all of them are capitals.
    if let Some(rest) = skip_some(after_first, UPPER) {
        return contraction_or_end(rest);
    }
    if let Some(rest) = skip_some(text.strip_prefix(' ').unwrap_or(text), SYMBOL) {
        return rest.trim_start_matches(['\r', '\n', '/']);
    }
    after_space(text)
}

/// What follows the first piece of `text` in `cl100k_base`:
///
/// ```text
/// '(?i:[sdmt]|ll|ve|re)
/// [^\r\n\p{L}\p{N}]?+\p{L}++
/// \p{N}{1,3}+
///  ?[^\s\p{L}\p{N}]++[\r\n]*+
/// \s++$
/// \s*[\r\n]
/// \s+(?!\S)
/// \s
/// ```
#[inline(always)]
pub(crate) fn after_cl100k_piece(text: &str) -> &str {
    let Some((first, after_first)) = first(text) else {
        return text;
    };
    if LETTER.has(first) {
        return skip(after_first, LETTER);
    }
    if NUMBER.has(first) {
        return up_to_two_numbers(after_first);
    }
    if !NEWLINE.has(first) {
        if let Some(rest) = contraction(text) {
            return rest;
        }
        if let Some(rest) = skip_some(after_first, LETTER) {
            return rest;
        }
        if let Some(rest) = skip_some(text.strip_prefix(' ').unwrap_or(text), SYMBOL) {
            return rest.trim_start_matches(['\r', '\n']);
        }
    }
    let after_run = skip(text, SPACE);
    if after_run.is_empty() {
        after_run
    } else {
        after_space(text)
    }
}

/// `[HEAD]*[TAIL]+`, the two together: the head takes what it can, and gives back only when
/// nothing is left for the tail.
#[inline(always)]
fn word(text: &str) -> Option<&str> {
    let mut rest = text;
    let mut after_last_uncased = None;
    while let Some((class, next)) = first(rest) {
        if LOWER.has(class) {
            return Some(skip(next, WORD_TAIL));
        }
        if !WORD_HEAD.has(class) {
            break;
        }
        if !UPPER.has(class) {
            after_last_uncased = Some(next);
        }
        rest = next;
    }
    after_last_uncased
}

#[inline(always)]
fn contraction_or_end(text: &str) -> &str {
    contraction(text).unwrap_or(text)
}

/// `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` in any case. The long s of old prints is another
/// case of `s`, by Unicode and so by the patterns.
#[inline(always)]
fn contraction(text: &str) -> Option<&str> {
    let mut characters = text.strip_prefix('\'')?.chars();
    let first = characters.next()?.to_ascii_lowercase();
    let second = match first {
        's' | 't' | 'm' | 'd' | 'ſ' => return Some(characters.as_str()),
        'r' | 'v' => 'e',
        'l' => 'l',
        _ => return None,
    };
    characters
        .next()
        .filter(|found| found.to_ascii_lowercase() == second)
        .map(|_| characters.as_str())
}

fn up_to_two_numbers(text: &str) -> &str {
    let after = |text| {
        first(text)
            .filter(|(class, _)| NUMBER.has(*class))
            .map(|(_, rest)| rest)
    };
    after(text).map_or(text, |one| after(one).unwrap_or(one))
}

/// A run of space ends behind its last newline; without one, before its last character, which
/// belongs to what follows it; and if nothing follows, it is taken whole.
fn after_space(text: &str) -> &str {
    let mut rest = text;
    let mut before_last = text;
    let mut after_last_newline = None;
    while let Some((class, next)) = first(rest)
        && SPACE.has(class)
    {
        if NEWLINE.has(class) {
            after_last_newline = Some(next);
        }
        before_last = rest;
        rest = next;
    }
    match after_last_newline {
        Some(after) => after,
        None if rest.is_empty() || before_last.len() == text.len() => rest,
        None => before_last,
    }
}

#[inline(always)]
fn skip(text: &str, classes: Classes) -> &str {
    let mut rest = text;
    while let Some((class, next)) = first(rest)
        && classes.has(class)
    {
        rest = next;
    }
    rest
}

/// As [`skip`], but of at least one character.
#[inline(always)]
fn skip_some(text: &str, classes: Classes) -> Option<&str> {
    let rest = skip(text, classes);
    (rest.len() < text.len()).then_some(rest)
}

/// The class of the first character, and the text behind it.
#[inline(always)]
fn first(text: &str) -> Option<(Classes, &str)> {
    crate::work::step();
    let mut characters = text.chars();
    let class = class::of(characters.next()?);
    Some((class, characters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, after_piece: fn(&str) -> &str) -> Vec<&str> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let next = after_piece(rest);
            let (piece, _) = rest.split_at(rest.len() - next.len());
            assert!(!piece.is_empty(), "{text:?} would never end");
            pieces.push(piece);
            rest = next;
        }
        pieces
    }

    /// What the patterns do, by example; that it is what they do is shown against the oracle.
    #[test]
    fn text_is_cut_as_by_the_patterns() {
        for (text, o200k, cl100k) in [
            (
                "Hello, world",
                vec!["Hello", ",", " world"],
                vec!["Hello", ",", " world"],
            ),
            (
                "don't DON'T",
                vec!["don't", " DON'T"],
                vec!["don", "'t", " DON", "'T"],
            ),
            ("it'ſ", vec!["it'ſ"], vec!["it", "'ſ"]),
            ("aBCDe", vec!["a", "BCDe"], vec!["aBCDe"]),
            ("12345", vec!["123", "45"], vec!["123", "45"]),
            ("a/\n/b", vec!["a", "/\n/", "b"], vec!["a", "/\n", "/b"]),
            ("a   b", vec!["a", "  ", " b"], vec!["a", "  ", " b"]),
            (
                "a \n\n b",
                vec!["a", " \n\n", " b"],
                vec!["a", " \n\n", " b"],
            ),
            ("a\n  ", vec!["a", "\n", "  "], vec!["a", "\n  "]),
            ("ʰAB", vec!["ʰ", "AB"], vec!["ʰAB"]),
            ("\u{301}A", vec!["\u{301}", "A"], vec!["\u{301}A"]),
            ("中文!", vec!["中文", "!"], vec!["中文", "!"]),
            ("", vec![], vec![]),
        ] {
            assert_eq!(pieces(text, after_o200k_piece), o200k, "{text:?}");
            assert_eq!(pieces(text, after_cl100k_piece), cl100k, "{text:?}");
        }
    }
}
