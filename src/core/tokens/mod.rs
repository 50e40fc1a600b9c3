//! How many tokens a request has, before any provider says so.

pub use tollgate_tokens::{Counter, Encoding, Text};

mod bound;
mod burden;
mod family;
mod framing;
mod functions;
mod images;
mod json;
mod learned;

pub use bound::{Audio, Beyond, Bound, Media};
pub use burden::{UNITS_MAX, is_bearable};
pub use family::{Family, Function, Vendor};
pub use framing::{Count, How, count_chat};
pub use images::Images;
pub use learned::{Factor, Learned};
