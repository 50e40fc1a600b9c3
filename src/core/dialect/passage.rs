//! A reply on its way from a provider's dialect into a client's, and what was seen of it on the way.

use crate::dialect::event::{Complaint, Event, Report, Suspect};
use crate::dialect::reply::Reply;
use crate::dialect::speak::{Asked, Calls, Client, Fault, Provider, Reader, Stream, Unreadable};

/// What passed so far: health, metering and fallback are decided from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Events that the caller was waiting for. While there are none, another target may still be asked.
    pub content_events: u64,
    /// Bytes of what the model said.
    pub text_bytes: u64,
    /// The figures: the provider's, or what stood in for them.
    pub report: Option<Report>,
    /// What is wrong with the provider's.
    pub suspect: Option<Suspect>,
    /// Whose they are.
    pub counted: Counted,
    /// How it ended, if it has.
    pub end: End,
}

/// Whose figures the report holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// The provider's.
    #[default]
    ByProvider,
    /// Ours.
    ByUs,
}

/// How a reply ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum End {
    /// It has not.
    #[default]
    Open,
    /// As it should.
    Done,
    /// The provider failed.
    Failed(Complaint),
}

impl Seen {
    fn note(&mut self, event: &Event<'_>) {
        if event.is_content() {
            self.content_events = self.content_events.saturating_add(1);
        }
        let bytes = u64::try_from(event.text_bytes()).unwrap_or(u64::MAX);
        self.text_bytes = self.text_bytes.saturating_add(bytes);
        match (event, &self.end) {
            // Behind the end nothing counts: the caller has had its figures.
            (Event::Usage(_), End::Done) => {}
            (Event::Usage(report), _) => {
                self.suspect = report.suspect;
                // What is no count is no report: ours will stand for it.
                self.report = report.counts().then_some(*report);
                self.counted = Counted::ByProvider;
            }
            (Event::Error(complaint), End::Open) => {
                self.end = End::Failed((*complaint).clone());
            }
            (Event::Done, End::Open) => self.end = End::Done,
            _ => {}
        }
    }

    /// What to settle. A reply that did not come to its end has had no last word on its figures (Anthropic
    /// tells one token at the start): then what was answered is the larger of theirs and ours.
    pub fn settle(&self, ours: Report) -> (Report, Counted) {
        let Some(theirs) = self.report else {
            return (ours, Counted::ByUs);
        };
        let answered = ours.usage.answer();
        if self.end == End::Done || theirs.usage.answer() >= answered {
            return (theirs, self.counted);
        }
        let usage = theirs.usage.with_answer(answered);
        (Report { usage, ..theirs }, Counted::ByUs)
    }

    /// Nobody can be answered without figures: where the provider gave none, ours come before the end.
    fn figures(&mut self, count: &mut dyn FnMut(&Self) -> Option<Report>) -> Option<Report> {
        if self.report.is_some() {
            return None;
        }
        let report = count(self)?;
        self.report = Some(report);
        self.counted = Counted::ByUs;
        Some(report)
    }
}

/// A streamed reply on its way.
pub struct Passage {
    reader: Box<dyn Reader>,
    stream: Box<dyn Stream>,
    calls: Calls,
    seen: Seen,
}

impl Passage {
    /// Nothing has passed yet.
    pub fn new(provider: &dyn Provider, client: &dyn Client, asked: Asked) -> Self {
        Self {
            reader: provider.reader(),
            calls: asked.calls,
            stream: client.stream(asked),
            seen: Seen::default(),
        }
    }

    /// What passed so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Takes bytes of the provider and adds what the client gets for them. `count` is asked for our own
    /// figures if the reply ends without any.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        count: &mut dyn FnMut(&Seen) -> Option<Report>,
    ) {
        let Self {
            reader,
            stream,
            calls,
            seen,
        } = self;
        reader.feed(bytes, &mut |event| {
            pass(&event, seen, (stream.as_mut(), *calls), out, count);
        });
    }

    /// The provider's bytes are over: adds the end, which is an error if the reply was cut.
    pub fn finish(
        &mut self,
        cut: &Fault<'_>,
        out: &mut Vec<u8>,
        count: &mut dyn FnMut(&Seen) -> Option<Report>,
    ) {
        let Self {
            reader,
            stream,
            calls,
            seen,
        } = self;
        reader.finish(&mut |event| {
            pass(&event, seen, (stream.as_mut(), *calls), out, count);
        });
        if seen.end != End::Done
            && let Some(ours) = count(seen)
        {
            let (report, counted) = seen.settle(ours);
            (seen.report, seen.counted) = (Some(report), counted);
        }
        stream.end(cut, out);
    }
}

fn pass(
    event: &Event<'_>,
    seen: &mut Seen,
    (stream, calls): (&mut dyn Stream, Calls),
    out: &mut Vec<u8>,
    count: &mut dyn FnMut(&Seen) -> Option<Report>,
) {
    if matches!(event, Event::Done)
        && seen.end == End::Open
        && let Some(report) = seen.figures(count)
    {
        stream.write(&Event::Usage(report), out);
    }
    seen.note(event);
    let no_figures = matches!(event, Event::Usage(report) if !report.counts());
    let too_many = event.call().is_some_and(|call| !calls.allows(call));
    if !no_figures && !too_many {
        stream.write(event, out);
    }
}

/// A reply in one piece, read.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    reply: Reply,
    seen: Seen,
}

impl Heard {
    /// Reads it, once: what it proves and what the client gets both come of this.
    pub fn read(provider: &dyn Provider, body: &[u8]) -> Result<Self, Unreadable> {
        let mut heard = Self::default();
        let Self { reply, seen } = &mut heard;
        provider.read(body, &mut |event| {
            seen.note(&event);
            reply.take(&event);
        })?;
        if let Some(complaint) = &reply.error {
            seen.end = End::Failed(complaint.clone());
        }
        Ok(heard)
    }

    /// Whether it is an error, though it came with a good status.
    pub fn failed(&self) -> bool {
        matches!(self.seen.end, End::Failed(_))
    }

    /// What the client gets, and what was seen. If it failed there is no answer: the status and the body of the error
    /// are the caller's choice.
    pub fn answer(
        mut self,
        (client, asked): (&dyn Client, &Asked),
        count: &mut dyn FnMut(&Seen) -> Option<Report>,
    ) -> (Vec<u8>, Seen) {
        if self.failed() {
            return (Vec::new(), self.seen);
        }
        if let Some(report) = self.seen.figures(count) {
            self.reply.report = Some(report);
        }
        self.reply.keep(asked.calls);
        (client.whole(asked, &self.reply), self.seen)
    }
}

/// A reply in one piece, from bytes to bytes.
pub fn whole(
    (provider, body): (&dyn Provider, &[u8]),
    client: (&dyn Client, &Asked),
    count: &mut dyn FnMut(&Seen) -> Option<Report>,
) -> Result<(Vec<u8>, Seen), Unreadable> {
    Ok(Heard::read(provider, body)?.answer(client, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::tables::{client, provider};
    use crate::units::Tokens;
    use crate::usage::Usage;

    const CUT: Fault<'static> = Fault {
        code: "cut",
        message: "cut",
        param: None,
    };

    fn ours(seen: &Seen) -> Option<Report> {
        Some(Report {
            usage: Usage {
                output: Tokens(seen.text_bytes),
                ..Usage::default()
            },
            ..Report::default()
        })
    }

    fn run(stream: &str) -> (String, Seen) {
        let (from, to) = (provider("openai").unwrap(), client("anthropic").unwrap());
        let mut passage = Passage::new(from, to, Asked::default());
        let mut out = Vec::new();
        passage.feed(stream.as_bytes(), &mut out, &mut ours);
        passage.finish(&CUT, &mut out, &mut ours);
        (String::from_utf8(out).unwrap(), passage.seen().clone())
    }

    #[test]
    fn figures_are_the_providers_or_ours_and_reach_the_caller() {
        const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}\n\n";
        const THEIRS: &str =
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":9}}\n\n";
        for (stream, tokens, counted, told) in [
            (
                format!("{TEXT}{THEIRS}data: [DONE]\n\n"),
                9,
                Counted::ByProvider,
                1,
            ),
            (format!("{TEXT}data: [DONE]\n\n"), 3, Counted::ByUs, 1),
            (TEXT.to_owned(), 3, Counted::ByUs, 0),
        ] {
            let (text, seen) = run(&stream);
            let report = seen.report.unwrap();
            assert_eq!((report.usage.output.0, seen.counted), (tokens, counted));
            let said = format!("\"output_tokens\":{tokens}}}");
            assert_eq!(text.matches(&said).count(), told, "{text}");
        }
    }

    #[test]
    fn figures_of_a_cut_reply_are_the_larger_ones() {
        let report = |input, output| Report {
            usage: Usage {
                input: Tokens(input),
                output: Tokens(output),
                ..Usage::default()
            },
            ..Report::default()
        };
        for (theirs, end, want) in [
            (None, End::Open, (7, 5, Counted::ByUs)),
            (Some(report(9, 1)), End::Open, (9, 5, Counted::ByUs)),
            (Some(report(9, 6)), End::Open, (9, 6, Counted::ByProvider)),
            (Some(report(9, 1)), End::Done, (9, 1, Counted::ByProvider)),
        ] {
            let seen = Seen {
                report: theirs,
                end,
                ..Seen::default()
            };
            let (got, counted) = seen.settle(report(7, 5));
            assert_eq!((got.usage.input.0, got.usage.output.0, counted), want);
        }
    }

    #[test]
    fn who_wants_one_call_gets_the_first() {
        let call = |at: u8, name: &str| {
            format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{at},\"id\":\"{name}\",\"function\":{{\"name\":\"{name}\",\"arguments\":\"{{}}\"}}}}]}}}}]}}\n\n"
            )
        };
        let stream = format!("{}{}data: [DONE]\n\n", call(0, "one"), call(1, "two"));
        let body = br#"{"choices":[{"message":{"tool_calls":[{"id":"one","function":{"name":"one","arguments":"{}"}},{"id":"two","function":{"name":"two","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
        let from = provider("openai").unwrap();
        for to in crate::dialect::tables::CLIENTS {
            let told = to.name() != "openai_completions";
            for (calls, second) in [(Calls::Any, told), (Calls::One, false)] {
                let asked = Asked {
                    calls,
                    ..Asked::default()
                };
                let mut passage = Passage::new(from, *to, asked.clone());
                let mut out = Vec::new();
                passage.feed(stream.as_bytes(), &mut out, &mut ours);
                let (answer, seen) = whole((from, body), (*to, &asked), &mut ours).unwrap();
                for text in [&out, &answer] {
                    let text = String::from_utf8_lossy(text);
                    let got = (text.contains("\"one\""), text.contains("\"two\""));
                    assert_eq!(got, (told, second), "{} {calls:?}: {text}", to.name());
                }
                // What is not passed on was produced all the same.
                assert_eq!((passage.seen().text_bytes, seen.text_bytes), (16, 16));
            }
        }
    }

    #[test]
    fn how_it_ended_is_seen_once() {
        let busy = "data: {\"error\":{\"message\":\"busy\",\"code\":\"overloaded\"}}\n\n";
        let (text, seen) = run(&format!("{busy}data: [DONE]\n\n"));
        assert!(matches!(&seen.end, End::Failed(complaint) if complaint.message == "busy"));
        assert_eq!(
            (seen.content_events, text.matches("event: error").count()),
            (0, 1)
        );
        let (text, seen) = run("data: {\"choices\":[]}\n\n");
        assert_eq!((seen.end, seen.content_events), (End::Open, 0));
        assert!(text.contains("\"code\":\"cut\""));
    }

    #[test]
    fn a_whole_reply_passes_with_figures() {
        let (from, to) = (provider("gemini").unwrap(), client("openai").unwrap());
        let asked = Asked::default();
        let body =
            r#"{"candidates":[{"content":{"parts":[{"text":"abc"}]},"finishReason":"STOP"}]}"#;
        let (text, seen) = whole((from, body.as_bytes()), (to, &asked), &mut ours).unwrap();
        assert!(
            String::from_utf8(text)
                .unwrap()
                .contains("\"completion_tokens\":3")
        );
        assert_eq!((seen.end, seen.counted), (End::Done, Counted::ByUs));
        let failed = r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"busy"}}"#;
        let (text, seen) = whole((from, failed.as_bytes()), (to, &asked), &mut ours).unwrap();
        assert!(text.is_empty() && matches!(seen.end, End::Failed(_)));
        assert_eq!(
            whole((from, b"<html>"), (to, &asked), &mut ours),
            Err(Unreadable)
        );
    }
}
