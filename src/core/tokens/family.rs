//! What is known of a model by its name: how its tokens are counted.

use tollgate_tokens::Encoding;

use super::images::Images;

/// Models that count alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The vocabulary, or the nearest to it that is public.
    pub encoding: Encoding,
    /// Tokens of this family for a thousand of the encoding's; 1,000 where the encoding is its own.
    /// What replies report may put a better number here.
    pub thousandths: u64,
    /// Whose rules the rest follows.
    pub vendor: Vendor,
    /// How functions are shown to the model.
    pub function: Function,
    /// What an image costs.
    pub images: Images,
}

/// Whether the count follows the vendor's own documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// Encoding and framing are documented.
    OpenAi,
    /// Neither is; the count is an estimate.
    Other,
}

/// Tokens that stand before each function, besides its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function(pub u64);

impl Family {
    /// The family of a model. A path or a vendor before the name is no matter
    /// (`openrouter/openai/gpt-4o`, `us.anthropic.claude-3-haiku`, `ft:gpt-4o-mini:team`), and a
    /// name that nobody has heard of is counted with a margin.
    pub fn of(model: &str) -> Self {
        let behind =
            |(at, separator): (usize, &str)| model.get(at.saturating_add(separator.len())..);
        let separated = model.match_indices(['/', '.', ':']);
        let starts: Vec<&str> = std::iter::once(model)
            .chain(separated.filter_map(behind))
            .collect();
        let names = |prefix: &&str| starts.iter().any(|start| begins(start, prefix));
        FAMILIES
            .iter()
            .find(|(prefixes, _)| prefixes.iter().any(names))
            .map_or(UNKNOWN, |(_, family)| *family)
    }
}

fn begins(text: &str, prefix: &str) -> bool {
    text.as_bytes()
        .get(..prefix.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes()))
}

const fn openai(encoding: Encoding, images: Images) -> Family {
    let function = match encoding {
        Encoding::O200k => Function(7),
        Encoding::Cl100k => Function(10),
    };
    Family {
        encoding,
        thousandths: 1000,
        vendor: Vendor::OpenAi,
        function,
        images,
    }
}

const fn other(thousandths: u64, images: Images) -> Family {
    Family {
        encoding: Encoding::O200k,
        thousandths,
        vendor: Vendor::Other,
        function: Function(7),
        images,
    }
}

const TILES: Images = Images::Tiles {
    base: 85,
    tile: 170,
};
const UNKNOWN: Family = other(1100, TILES);

/// The first line that fits counts, so a longer name stands before a shorter.
/// The factors of other vendors are claims of third parties, to start from; see `usage`.
static FAMILIES: &[(&[&str], Family)] = &[
    (
        &["gpt-4o-mini"],
        openai(
            Encoding::O200k,
            Images::Tiles {
                base: 2833,
                tile: 5667,
            },
        ),
    ),
    (
        &["gpt-4.1-mini", "gpt-5-mini"],
        openai(Encoding::O200k, Images::Patches { thousandths: 1620 }),
    ),
    (
        &["gpt-4.1-nano", "gpt-5-nano"],
        openai(Encoding::O200k, Images::Patches { thousandths: 2460 }),
    ),
    (
        &["o4-mini"],
        openai(Encoding::O200k, Images::Patches { thousandths: 1720 }),
    ),
    (
        &["gpt-5"],
        openai(
            Encoding::O200k,
            Images::Tiles {
                base: 70,
                tile: 140,
            },
        ),
    ),
    (
        &["o1", "o3", "o4"],
        openai(
            Encoding::O200k,
            Images::Tiles {
                base: 75,
                tile: 150,
            },
        ),
    ),
    (
        &["gpt-4o", "gpt-4.1", "gpt-4.5", "chatgpt-4o"],
        openai(Encoding::O200k, TILES),
    ),
    (&["gpt-oss"], other(1000, TILES)),
    (
        &[
            "gpt-4",
            "gpt-3.5",
            "gpt-35",
            "text-embedding-3",
            "text-embedding-ada",
        ],
        openai(Encoding::Cl100k, TILES),
    ),
    (
        &[
            "claude-instant",
            "claude-2",
            "claude-3",
            "claude-haiku-4",
            "claude-sonnet-4-0",
            "claude-sonnet-4-2",
            "claude-sonnet-4-5",
            "claude-sonnet-4-6",
            "claude-opus-4-0",
            "claude-opus-4-1",
            "claude-opus-4-2",
            "claude-opus-4-5",
            "claude-opus-4-6",
        ],
        other(1180, Images::Area),
    ),
    (&["claude"], other(1500, Images::Area)),
    (&["gemini", "gemma"], other(1050, Images::Crops)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_its_name_wherever_it_is_served() {
        use Encoding::{Cl100k, O200k};
        use Vendor::{OpenAi, Other};
        for (model, encoding, thousandths, vendor) in [
            ("gpt-4o", O200k, 1000, OpenAi),
            ("gpt-4o-mini-2024-07-18", O200k, 1000, OpenAi),
            ("gpt-4.1-nano", O200k, 1000, OpenAi),
            ("gpt-5.1-codex", O200k, 1000, OpenAi),
            ("o1", O200k, 1000, OpenAi),
            ("o3-mini", O200k, 1000, OpenAi),
            ("o4-mini", O200k, 1000, OpenAi),
            ("openrouter/openai/gpt-4o", O200k, 1000, OpenAi),
            ("ft:gpt-4o-mini:acme::x", O200k, 1000, OpenAi),
            ("GPT-4", Cl100k, 1000, OpenAi),
            ("gpt-4-turbo", Cl100k, 1000, OpenAi),
            ("gpt-3.5-turbo-16k", Cl100k, 1000, OpenAi),
            ("gpt-35-turbo", Cl100k, 1000, OpenAi),
            ("text-embedding-3-small", Cl100k, 1000, OpenAi),
            ("gpt-oss-20b", O200k, 1000, Other),
            ("claude-3-5-sonnet-20241022", O200k, 1180, Other),
            (
                "us.anthropic.claude-sonnet-4-20250514-v1:0",
                O200k,
                1180,
                Other,
            ),
            ("claude-opus-4-1", O200k, 1180, Other),
            ("claude-opus-4-8", O200k, 1500, Other),
            ("claude-sonnet-5", O200k, 1500, Other),
            ("google/gemini-2.5-flash", O200k, 1050, Other),
            ("llama-3.3-70b", O200k, 1100, Other),
            ("solo1", O200k, 1100, Other),
            ("", O200k, 1100, Other),
        ] {
            let family = Family::of(model);
            let found = (family.encoding, family.thousandths, family.vendor);
            assert_eq!(found, (encoding, thousandths, vendor), "{model}");
        }
    }
}
