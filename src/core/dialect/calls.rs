//! Calls in replies that tell them in blocks: begun under a number, argued in pieces, ended.

use crate::dialect::event::Event;

/// More calls in one reply are not read: their numbers would have to be held.
const CALLS_MAX: usize = 1_024;

/// The calls of one reply, in order.
#[derive(Debug, Default)]
pub struct Calls(Vec<Call>);

#[derive(Clone, Copy, Debug)]
struct Call {
    block: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was said to it yet.
    Begun,
    Argued,
    Ended,
}

impl Calls {
    /// A call begins in this block. One that reuses a number ends what had it before.
    pub fn begin(&mut self, block: u64, (id, name): (&str, &str), sink: &mut dyn FnMut(Event<'_>)) {
        self.end(block, sink);
        if self.0.len() >= CALLS_MAX {
            return;
        }
        let call = number(self.0.len());
        self.0.push(Call {
            block,
            state: State::Begun,
        });
        sink(Event::ToolStart {
            choice: 0,
            call,
            id,
            name,
            signature: None,
        });
    }

    /// A piece of its arguments. What belongs to no open call is nobody's.
    pub fn argue(&mut self, block: u64, piece: &str, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some((call, state)) = self.open(block)
            && !piece.is_empty()
        {
            *state = State::Argued;
            sink(Event::ToolArguments {
                choice: 0,
                call,
                piece,
            });
        }
    }

    /// It is complete, if it was open. One without arguments says nothing; elsewhere an empty object is expected.
    pub fn end(&mut self, block: u64, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some((call, state)) = self.open(block) {
            if std::mem::replace(state, State::Ended) == State::Begun {
                sink(Event::ToolArguments {
                    choice: 0,
                    call,
                    piece: "{}",
                });
            }
            sink(Event::ToolEnd { choice: 0, call });
        }
    }

    /// The reply ends, and with it every call.
    pub fn end_all(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        let open: Vec<u64> = self
            .0
            .iter()
            .filter(|call| call.state != State::Ended)
            .map(|call| call.block)
            .collect();
        for block in open {
            self.end(block, sink);
        }
    }

    /// One that comes whole.
    pub fn say(&mut self, names: (&str, &str), arguments: &str, sink: &mut dyn FnMut(Event<'_>)) {
        let block = u64::from(number(self.0.len()));
        self.begin(block, names, sink);
        self.argue(block, arguments, sink);
        self.end(block, sink);
    }

    fn open(&mut self, block: u64) -> Option<(u32, &mut State)> {
        let at = self
            .0
            .iter()
            .rposition(|call| call.block == block && call.state != State::Ended)?;
        let call = self.0.get_mut(at)?;
        Some((number(at), &mut call.state))
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_end_once_and_say_something() {
        let mut told = Vec::new();
        let mut sink = |event: Event<'_>| {
            told.push(if let Event::ToolStart { call, id, name, .. } = event {
                format!("{call} begins {id} {name}")
            } else if let Event::ToolArguments { call, piece, .. } = event {
                format!("{call} says {piece}")
            } else if let Event::ToolEnd { call, .. } = event {
                format!("{call} ends")
            } else {
                format!("{event:?}")
            });
        };
        let mut calls = Calls::default();
        calls.argue(7, "lost", &mut sink);
        calls.end(7, &mut sink);
        calls.begin(7, ("a", "f"), &mut sink);
        calls.argue(7, "", &mut sink);
        calls.argue(7, "{1", &mut sink);
        calls.begin(7, ("a", "g"), &mut sink);
        calls.begin(9, ("b", "h"), &mut sink);
        calls.end(9, &mut sink);
        calls.argue(9, "late", &mut sink);
        calls.end_all(&mut sink);
        calls.end_all(&mut sink);
        calls.say(("c", "i"), "{}", &mut sink);
        let want = [
            "0 begins a f",
            "0 says {1",
            "0 ends",
            "1 begins a g",
            "2 begins b h",
            "2 says {}",
            "2 ends",
            "1 says {}",
            "1 ends",
            "3 begins c i",
            "3 says {}",
            "3 ends",
        ];
        assert_eq!(told, want);
    }

    #[test]
    fn more_calls_than_can_be_are_not_held() {
        let mut calls = Calls::default();
        let mut begun = 0;
        for block in 0..5_000 {
            calls.begin(block, ("", ""), &mut |_| begun += 1);
        }
        assert_eq!((calls.0.len(), begun), (CALLS_MAX, CALLS_MAX));
    }
}
