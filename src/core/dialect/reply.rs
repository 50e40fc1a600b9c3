//! A whole reply, put together from events: for answers in one piece, and for protocols that repeat at the
//! end what they streamed.

use crate::dialect::event::{Class, Complaint, Event, Finish, Report};
use crate::dialect::speak::Calls;

/// More answers to one request are not kept.
const CHOICES_MAX: usize = 128;

/// More pieces of one answer are not kept: a model does not say that many different things.
const PARTS_MAX: usize = 4_096;

/// More text in one reply is an error: it would have to be held.
pub const TEXT_BYTES_MAX: usize = 8_388_608;

/// Everything that came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The provider's name for it.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// Seconds since the epoch.
    pub created: Option<u64>,
    /// In the order of their numbers.
    pub choices: Vec<Choice>,
    /// What was used.
    pub report: Option<Report>,
    /// The provider failed.
    pub error: Option<Complaint>,
    /// Of all texts so far.
    bytes: usize,
}

/// One of several answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Its number.
    pub index: u32,
    /// What it says, in order.
    pub said: Vec<Said>,
    /// Why it ends.
    pub finish: Option<Finish>,
    /// As OpenAI writes them; pieces of several events joined.
    pub logprobs: Vec<String>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Words.
    Text(String),
    /// It declines.
    Refusal(String),
    /// It thinks.
    Thinking {
        /// What.
        text: String,
        /// The seal.
        signature: String,
    },
    /// Sealed whole.
    SealedThinking(String),
    /// It calls.
    Call {
        /// Which of its calls.
        call: u32,
        /// Joins call and result.
        id: String,
        /// Of the tool.
        name: String,
        /// JSON.
        arguments: String,
        /// The seal of the thought behind it.
        signature: Option<String>,
    },
}

impl Reply {
    /// Takes what came.
    pub fn take(&mut self, event: &Event<'_>) {
        self.bytes = self.bytes.saturating_add(event.text_bytes());
        if self.bytes > TEXT_BYTES_MAX {
            let message = "The provider's reply is longer than is held here.";
            let complaint = Complaint::new(message, "reply_too_long", Class::Server);
            self.error.get_or_insert(complaint);
            return;
        }
        match event {
            Event::Start { id, model, created } => {
                (*id).clone_into(&mut self.id);
                (*model).clone_into(&mut self.model);
                self.created = *created;
            }
            Event::Text { choice, text } => self.say(*choice, text, open_text, Said::Text),
            Event::Refusal { choice, text } => {
                self.say(*choice, text, open_refusal, Said::Refusal);
            }
            Event::Thinking { choice, text } => self.say(*choice, text, open_thought, thought),
            Event::Signature { choice, signature } => self.seal(*choice, signature),
            Event::SealedThinking { choice, data } => {
                self.push(*choice, Said::SealedThinking((*data).to_owned()));
            }
            Event::ToolStart {
                choice,
                call,
                id,
                name,
                signature,
            } => self.push(
                *choice,
                Said::Call {
                    call: *call,
                    id: (*id).to_owned(),
                    name: (*name).to_owned(),
                    arguments: String::new(),
                    signature: signature.map(str::to_owned),
                },
            ),
            Event::ToolArguments {
                choice,
                call,
                piece,
            } => self.argue(*choice, *call, piece),
            Event::Logprobs { choice, json } => {
                if let Some(choice) = self.choice(*choice)
                    && choice.logprobs.len() < PARTS_MAX
                {
                    choice.logprobs.push((*json).to_owned());
                }
            }
            Event::Finish { choice, reason } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.finish = Some(*reason);
                }
            }
            Event::Usage(report) => self.report = Some(*report),
            Event::Error(complaint) => self.error = Some((*complaint).clone()),
            Event::ToolEnd { .. } | Event::Done => {}
        }
    }

    /// Forgets the calls that the caller does not want.
    pub fn keep(&mut self, calls: Calls) {
        for choice in &mut self.choices {
            let wanted =
                |said: &Said| !matches!(said, Said::Call { call, .. } if !calls.allows(*call));
            choice.said.retain(wanted);
        }
    }

    fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        let at = match self
            .choices
            .binary_search_by_key(&index, |choice| choice.index)
        {
            Ok(at) => at,
            Err(_) if self.choices.len() >= CHOICES_MAX => return None,
            Err(at) => {
                self.choices.insert(
                    at,
                    Choice {
                        index,
                        ..Choice::default()
                    },
                );
                at
            }
        };
        self.choices.get_mut(at)
    }

    fn push(&mut self, choice: u32, said: Said) {
        if let Some(choice) = self.choice(choice)
            && choice.said.len() < PARTS_MAX
        {
            choice.said.push(said);
        }
    }

    fn say(
        &mut self,
        choice: u32,
        text: &str,
        goes_on: fn(&mut Said) -> Option<&mut String>,
        begins: fn(String) -> Said,
    ) {
        let last = self
            .choice(choice)
            .and_then(|choice| choice.said.last_mut())
            .and_then(goes_on);
        match last {
            Some(before) => before.push_str(text),
            None if text.is_empty() => {}
            None => self.push(choice, begins(text.to_owned())),
        }
    }

    /// A seal may stand alone: some providers show no thought and seal it all the same.
    fn seal(&mut self, choice: u32, seal: &str) {
        let last = self
            .choice(choice)
            .and_then(|choice| choice.said.last_mut());
        if let Some(Said::Thinking { signature, .. }) = last {
            signature.push_str(seal);
            return;
        }
        let said = Said::Thinking {
            text: String::new(),
            signature: seal.to_owned(),
        };
        self.push(choice, said);
    }

    fn argue(&mut self, choice: u32, number: u32, piece: &str) {
        let arguments = self.choice(choice).and_then(|choice| {
            choice
                .said
                .iter_mut()
                .rev()
                .find_map(|said| arguments_of(said, number))
        });
        if let Some(arguments) = arguments {
            arguments.push_str(piece);
        }
    }
}

fn thought(text: String) -> Said {
    Said::Thinking {
        text,
        signature: String::new(),
    }
}

fn open_text(said: &mut Said) -> Option<&mut String> {
    if let Said::Text(text) = said {
        Some(text)
    } else {
        None
    }
}

fn open_refusal(said: &mut Said) -> Option<&mut String> {
    if let Said::Refusal(text) = said {
        Some(text)
    } else {
        None
    }
}

/// A sealed thought is complete; what follows is another.
fn open_thought(said: &mut Said) -> Option<&mut String> {
    if let Said::Thinking { text, signature } = said
        && signature.is_empty()
    {
        Some(text)
    } else {
        None
    }
}

fn arguments_of(said: &mut Said, number: u32) -> Option<&mut String> {
    if let Said::Call {
        call, arguments, ..
    } = said
        && *call == number
    {
        Some(arguments)
    } else {
        None
    }
}

impl Choice {
    /// All words together.
    pub fn text(&self) -> String {
        self.said
            .iter()
            .filter_map(|said| {
                if let Said::Text(text) = said {
                    Some(text.as_str())
                } else {
                    None
                }
            })
            .collect()
    }
}
