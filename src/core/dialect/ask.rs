//! Helps client dialects to understand a body: every wrong value is named with its path, and every field
//! that nobody reads is remembered.

use crate::dialect::chat::{Number, Source, is_base64};
use crate::dialect::json::{Json, Kind, Tape};
use crate::refusal::Refusal;

/// More paths are not remembered.
const UNREAD_MAX: usize = 32;

/// Reads a body as one object.
pub fn object<'a>(tape: &'a mut Tape, body: &'a [u8]) -> Result<Json<'a>, Refusal> {
    let json = tape
        .read(body)
        .map_err(|wrong| Refusal::invalid_json(&format!("{} at byte {}", wrong.why, wrong.at)))?;
    if json.kind() == Kind::Object {
        Ok(json)
    } else {
        Err(Refusal::invalid_json("it is not an object"))
    }
}

/// A value that cannot be.
pub fn wrong(param: &'static str, at: &str, wants: &str) -> Refusal {
    let mut refusal = Refusal::invalid_type(param, wants);
    refusal.code = "invalid_value";
    let at: String = at.chars().take(200).collect();
    refusal.message = format!("The parameter `{at}` must be {wants}.");
    refusal
}

/// A place in a body, for messages: its path is only put together when something is wrong there.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    param: &'static str,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Top,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'static> {
    /// A field at the top.
    pub const fn top(param: &'static str) -> Self {
        Self {
            param,
            step: Step::Top,
        }
    }
}

impl Place<'_> {
    /// A field in it.
    pub fn field<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place {
            param: self.param,
            step: Step::Field(self, name),
        }
    }

    /// A value in it.
    pub fn item(&self, at: usize) -> Place<'_> {
        Place {
            param: self.param,
            step: Step::Item(self, at),
        }
    }

    /// As it is written.
    pub fn path(&self) -> String {
        match self.step {
            Step::Top => self.param.to_owned(),
            Step::Field(outer, name) => format!("{}.{name}", outer.path()),
            Step::Item(outer, at) => format!("{}[{at}]", outer.path()),
        }
    }

    /// The refusal of the value that stands here.
    pub fn wrong(&self, wants: &str) -> Refusal {
        wrong(self.param, &self.path(), wants)
    }

    /// The refusal of a value that should stand here.
    pub fn missing(&self) -> Refusal {
        let mut refusal = Refusal::missing(self.param);
        refusal.message = format!("You must provide the parameter `{}`.", self.path());
        refusal
    }
}

/// The text of a field that must be there.
pub fn text(json: Json<'_>, name: &str, place: &Place<'_>) -> Result<String, Refusal> {
    let place = place.field(name);
    let value = json.get(name).ok_or_else(|| place.missing())?;
    let text = value.text().ok_or_else(|| place.wrong("a string"))?;
    Ok(text.into_owned())
}

/// The text of a field that may be there.
pub fn text_if(json: Json<'_>, name: &str, place: &Place<'_>) -> Result<Option<String>, Refusal> {
    optional(json, name, |value| value.text().map(String::from))
        .map_err(|()| place.field(name).wrong("a string"))
}

/// The seal of a thought. We write an empty one where a dialect wants one and the provider had none.
pub fn seal(json: Json<'_>, name: &str, place: &Place<'_>) -> Result<Option<String>, Refusal> {
    Ok(text_if(json, name, place)?.filter(|seal| !seal.is_empty()))
}

/// A truth at the top.
pub fn truth(json: Json<'_>, name: &'static str) -> Result<Option<bool>, Refusal> {
    optional(json, name, Json::truth).map_err(|()| wrong(name, name, "true or false"))
}

/// A whole number at the top.
pub fn whole(json: Json<'_>, name: &'static str) -> Result<Option<u64>, Refusal> {
    optional(json, name, Json::whole).map_err(|()| wrong(name, name, "a whole number from 0"))
}

/// A number at the top, between two others.
pub fn number(
    json: Json<'_>,
    name: &'static str,
    least: f64,
    most: f64,
) -> Result<Option<Number>, Refusal> {
    let wants = || format!("a number from {least} to {most}");
    let number =
        optional(json, name, Number::from_json).map_err(|()| wrong(name, name, &wants()))?;
    match number {
        Some(number) if !number.is_within(least, most) => Err(wrong(name, name, &wants())),
        number => Ok(number),
    }
}

fn optional<'a, T>(
    json: Json<'a>,
    name: &str,
    read: impl FnOnce(Json<'a>) -> Option<T>,
) -> Result<Option<T>, ()> {
    match json.get(name) {
        None => Ok(None),
        Some(value) => read(value).map(Some).ok_or(()),
    }
}

/// One text, or several.
pub fn texts(json: Json<'_>, name: &'static str) -> Result<Vec<String>, Refusal> {
    let wants = "a string or a list of strings";
    let Some(value) = json.get(name) else {
        return Ok(Vec::new());
    };
    if let Some(text) = value.text() {
        return Ok(vec![text.into_owned()]);
    }
    if value.kind() != Kind::List {
        return Err(wrong(name, name, wants));
    }
    value
        .items()
        .map(|item| item.text().map(String::from))
        .collect::<Option<_>>()
        .ok_or_else(|| wrong(name, name, wants))
}

/// The items of a list that must be there, and hold something.
pub fn items<'a>(
    json: Json<'a>,
    name: &'static str,
) -> Result<impl Iterator<Item = (usize, Json<'a>)>, Refusal> {
    let list = json.get(name).ok_or_else(|| Refusal::missing(name))?;
    if list.kind() != Kind::List || list.items().next().is_none() {
        return Err(wrong(name, name, "a list that holds at least one"));
    }
    Ok(list.items().enumerate())
}

/// Remembers the fields of an object that are not among the known.
pub fn note_unread(json: Json<'_>, known: &[&str], place: &Place<'_>, unread: &mut Vec<String>) {
    for (name, value) in json.entries() {
        let name = name.text().unwrap_or_default();
        if value.kind() != Kind::Null && !known.contains(&name.as_ref()) {
            note(unread, &place.field(&name).path());
        }
    }
}

/// Remembers a path.
pub fn note(unread: &mut Vec<String>, path: &str) {
    if unread.len() < UNREAD_MAX {
        unread.push(path.chars().take(200).collect());
    }
}

/// Base64 that is none would fail at every provider, with a worse message.
pub fn checked(source: Source, place: &Place<'_>) -> Result<Source, Refusal> {
    if let Source::Data { media, base64 } = &source
        && (media.is_empty() || !is_base64(base64))
    {
        return Err(place.wrong("an address, or data with a media type in base64"));
    }
    Ok(source)
}
