//! A vocabulary as merges: which two tokens make which third.

use std::collections::HashMap;

use tiktoken_rs::CoreBPE;

use crate::Outcome;

pub(crate) struct Vocabulary {
    /// The token of each single byte.
    pub(crate) byte_tokens: Vec<u32>,
    /// The lowest token of two. All above it are of two as well.
    pub(crate) lowest: u32,
    pub(crate) merges: Vec<Merge>,
}

pub(crate) struct Merge {
    pub(crate) left: u32,
    pub(crate) right: u32,
}

/// Every token longer than a byte is made by exactly one last merge, so the merges are the whole
/// vocabulary and no token's bytes have to be kept.
pub(crate) fn read(vocabulary: &CoreBPE) -> Outcome<Vocabulary> {
    // Ordinary tokens are numbered without a gap; special ones come after a gap.
    let tokens: Vec<Vec<u8>> = (0..)
        .map_while(|token| vocabulary.decode_bytes(&[token]).ok())
        .collect();
    let mut ranks = HashMap::new();
    for (rank, bytes) in (0u32..).zip(&tokens) {
        ranks.insert(bytes.as_slice(), rank);
    }
    let byte_tokens = (0..=u8::MAX)
        .map(|byte| ranks.get([byte].as_slice()).copied())
        .collect::<Option<Vec<u32>>>()
        .ok_or("a byte has no token")?;
    let lowest = byte_tokens.iter().max().map_or(0, |highest| highest + 1);
    let mut merges = Vec::new();
    for (merged, bytes) in (0u32..).zip(&tokens).skip(lowest as usize) {
        let at = last_cut(bytes, merged, &ranks)
            .ok_or_else(|| format!("token {merged} is not made of two"))?;
        let (left, right) = bytes.split_at(at);
        merges.push(Merge {
            left: ranks[left],
            right: ranks[right],
        });
    }
    if merges.len() + byte_tokens.len() != tokens.len() {
        return Err("a token of two stands below one of a byte".into());
    }
    Ok(Vocabulary {
        byte_tokens,
        lowest,
        merges,
    })
}

/// Where the two tokens meet that make this one, found by merging its bytes as an encoder would
/// that knew only the tokens before it.
fn last_cut(bytes: &[u8], token: u32, ranks: &HashMap<&[u8], u32>) -> Option<usize> {
    let mut cuts: Vec<usize> = (0..=bytes.len()).collect();
    while cuts.len() > 3 {
        let (_, at) = cuts
            .windows(3)
            .enumerate()
            .filter_map(|(at, cut)| Some((*ranks.get(&bytes[cut[0]..cut[2]])?, at)))
            .filter(|(rank, _)| *rank < token)
            .min()?;
        cuts.remove(at + 1);
    }
    cuts.get(1).copied()
}
