//! Counts the functions that a request offers, and the schemas in them.

use tollgate_tokens::Text;

use super::framing::{Framing, How};
use super::json::{Next, Reader};

/// Before the properties of a schema.
const PROPERTIES: u64 = 3;
/// For each property.
const PROPERTY: u64 = 3;
/// For each choice of an enumeration; the first needs none.
const CHOICE: u64 = 3;
/// After the last function.
const FUNCTIONS_END: u64 = 12;
/// Schemas within schemas; deeper ones are counted as text. No vendor takes more than ten.
const SCHEMA_DEPTH_MAX: u32 = 10;

impl Framing<'_> {
    /// `tools`, or `functions` as they were once called.
    pub(super) fn functions(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Array) {
            return self.estimate_value(json);
        }
        let mut end = 0;
        while json.item() {
            end = FUNCTIONS_END;
            self.add_frame(self.family.function.0);
            self.tool(json);
        }
        self.add_frame(end);
    }

    /// A tool holds a function; in `functions` it is one.
    fn tool(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Object) {
            return self.estimate_value(json);
        }
        let mut line = Line::default();
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "type" => json.value(|_| ()),
                "function" => self.function(json),
                _ => self.function_member(key, &mut line, json),
            }
        }
        self.line(line);
    }

    fn function(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Object) {
            return self.estimate_value(json);
        }
        let mut line = Line::default();
        while let Some(key) = json.key() {
            self.function_member(key, &mut line, json);
        }
        self.line(line);
    }

    fn function_member<'a>(&mut self, key: Text<'a>, line: &mut Line<'a>, json: &mut Reader<'a>) {
        match &*key.unescaped() {
            "strict" => json.value(|_| ()),
            "name" if json.next() == Next::Text => line.name = json.text(),
            "description" if json.next() == Next::Text => line.description = json.text(),
            // The type of all parameters together is always `object`, and not counted.
            "parameters" | "schema" => {
                let schema = self.schema(json, 0);
                self.line(Line {
                    kind: None,
                    ..schema
                });
            }
            _ => self.estimate_member(key, json),
        }
    }

    /// Gives back what the schema says of itself, for the line of whatever it describes.
    fn schema<'a>(&mut self, json: &mut Reader<'a>, depth: u32) -> Line<'a> {
        let mut line = Line::default();
        if depth > SCHEMA_DEPTH_MAX || !json.enter(Next::Object) {
            self.estimate_value(json);
            return line;
        }
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "required" | "$schema" => json.value(|_| ()),
                "additionalProperties" if json.next() == Next::Scalar => json.value(|_| ()),
                "type" if json.next() == Next::Text => line.kind = json.text(),
                "description" if json.next() == Next::Text => line.description = json.text(),
                "enum" if json.enter(Next::Array) => self.choices(json),
                "properties" if json.enter(Next::Object) => self.properties(json, depth),
                "items" if json.next() == Next::Object => {
                    self.how = How::Estimated;
                    let items = self.schema(json, depth.saturating_add(1));
                    self.line(items);
                }
                _ => self.estimate_member(key, json),
            }
        }
        line
    }

    fn properties(&mut self, json: &mut Reader<'_>, depth: u32) {
        // The rule was found with flat schemas; it is stretched to nested ones.
        if depth > 0 {
            self.how = How::Estimated;
        }
        let mut block = PROPERTIES;
        while let Some(name) = json.key() {
            self.add_frame(std::mem::take(&mut block));
            self.add_frame(PROPERTY);
            let schema = self.schema(json, depth.saturating_add(1));
            self.line(Line {
                name: Some(name),
                ..schema
            });
        }
    }

    fn choices(&mut self, json: &mut Reader<'_>) {
        let mut choice = 0;
        while json.item() {
            self.add_frame(std::mem::replace(&mut choice, CHOICE));
            json.value(|text| self.add(&[text]));
        }
    }

    pub(super) fn response_format(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Object) {
            return self.estimate_value(json);
        }
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "json_schema" => {
                    self.how = How::Estimated;
                    self.function(json);
                }
                "type" => json.value(|_| ()),
                _ => self.estimate_member(key, json),
            }
        }
    }

    fn line(&mut self, line: Line<'_>) {
        let nothing = Text::Plain("");
        let colon = |text: Option<Text<'_>>| Text::Plain(text.map_or("", |_| ":"));
        let begun = line.name.or(line.kind);
        self.add(&[
            line.name.unwrap_or(nothing),
            colon(line.name.and(line.kind)),
            line.kind.unwrap_or(nothing),
            colon(begun.and(line.description)),
            line.description.map_or(nothing, without_full_stop),
        ]);
    }
}

/// `name:type:description`, as models are told of functions and properties. What is missing takes
/// its colon with it.
#[derive(Clone, Copy, Default)]
struct Line<'a> {
    name: Option<Text<'a>>,
    kind: Option<Text<'a>>,
    description: Option<Text<'a>>,
}

fn without_full_stop(text: Text<'_>) -> Text<'_> {
    match text {
        Text::Plain(text) => Text::Plain(text.strip_suffix('.').unwrap_or(text)),
        Text::Escaped(text) => Text::Escaped(text.strip_suffix('.').unwrap_or(text)),
    }
}
