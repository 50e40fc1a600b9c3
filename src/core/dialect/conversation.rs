//! A conversation as most providers take it: instructions apart, and turns of two speakers who take turns.

use crate::dialect::chat::{Chat, Message, Part, Role, split_instructions};
use crate::dialect::gaps::Gaps;

/// Instructions, and what was said.
#[derive(Debug, Default)]
pub struct Conversation<'a> {
    /// In order, the late ones too.
    pub system: Vec<&'a Part>,
    /// Never two in a row of one speaker, and none that says nothing.
    pub turns: Vec<Turn<'a>>,
}

/// What one of the two said, before the other spoke.
#[derive(Debug)]
pub struct Turn<'a> {
    /// User or assistant.
    pub role: Role,
    /// At least one.
    pub parts: Vec<&'a Part>,
}

impl<'a> Conversation<'a> {
    /// Notes what of it cannot be expressed.
    pub fn of(chat: &'a Chat, gaps: &mut Gaps) -> Self {
        let (instructions, talk) = split_instructions(&chat.messages);
        let (late, talk): (Vec<&Message>, Vec<&Message>) =
            talk.iter().partition(|message| message.role.instructs());
        if !late.is_empty() {
            gaps.lost(
                "messages.role",
                "system messages stand before the conversation here; later ones were moved there",
            );
        }
        if chat.messages.iter().any(|message| message.name.is_some()) {
            gaps.advice("messages.name", "who speaks of several is not said here");
        }
        let instructions = instructions.iter().chain(late);
        let conversation = Self {
            system: said(instructions.flat_map(|message| &message.parts)),
            turns: turns(&talk),
        };
        if conversation.turns.is_empty() {
            gaps.lost(
                "messages",
                "there must be one that is not an instruction, and says something",
            );
        }
        conversation
    }
}

fn turns<'a>(talk: &[&'a Message]) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'a>> = Vec::new();
    for message in talk {
        let parts = said(message.parts.iter());
        let nothing = |part: &&Part| matches!(part, Part::CacheMark(_));
        if parts.iter().all(nothing) {
            continue;
        }
        match turns.last_mut().filter(|last| last.role == message.role) {
            Some(last) => last.parts.extend(parts),
            None => turns.push(Turn {
                role: message.role,
                parts,
            }),
        }
    }
    turns
}

/// Without empty texts, which say nothing and are refused by many.
fn said<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<&'a Part> {
    parts
        .filter(|part| !matches!(part, Part::Text(text) | Part::Refusal(text) if text.is_empty()))
        .collect()
}
