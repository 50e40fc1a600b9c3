//! What must hold of every dialect, whatever comes.

mod bad_input;
mod meaning;
mod readers;
mod writers;

use crate::dialect::event::Event;
use crate::dialect::reply::Reply;
use crate::dialect::speak::Reader;

/// The events of a stream that comes in these pieces, as text, and the reply they make.
fn read(reader: &mut dyn Reader, pieces: &[&[u8]]) -> (Vec<String>, Reply) {
    let (mut events, mut reply) = (Vec::new(), Reply::default());
    let mut sink = |event: Event<'_>| {
        events.push(format!("{event:?}"));
        reply.take(&event);
    };
    for piece in pieces {
        reader.feed(piece, &mut sink);
    }
    reader.finish(&mut sink);
    (events, reply)
}

/// Cuts bytes at these places.
fn cut<'a>(bytes: &'a [u8], places: &[proptest::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| place.index(bytes.len() + 1))
        .collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}
