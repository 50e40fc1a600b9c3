//! A question about the order of documents, written for Cohere. Its own callers write it so; those of others name more.

use crate::dialect::ask::{self, Place};
use crate::dialect::gaps::{Gaps, Policy};
use crate::dialect::json::{Json, Kind, Tape};
use crate::dialect::speak::{Calls, Target, Written};
use crate::dialect::writer::{Writer, object};
use crate::refusal::Refusal;

/// Fields that are the same there.
const SAME: &[&str] = &["query", "top_n", "max_tokens_per_doc", "priority"];

/// Writes a question.
pub fn write(
    name: &'static str,
    body: &[u8],
    target: &Target<'_>,
    policy: Policy,
) -> Result<Written, Refusal> {
    let mut tape = Tape::default();
    let json = ask::object(&mut tape, body)?;
    let mut gaps = Gaps::new(name, policy);
    let mut documents = Vec::new();
    for (at, document) in ask::items(json, "documents")? {
        let top = Place::top("documents");
        documents.push(text(document, &top.item(at), &mut gaps)?);
    }
    ask::text(json, "query", &Place::top("query"))?;
    let written = object(|o| {
        o.key("model").text(target.model);
        o.key("documents").list(|list| {
            for document in &documents {
                list.text(document);
            }
        });
        for (name, value) in json.entries() {
            let name = name.text().unwrap_or_default();
            field(o, &name, value, &mut gaps);
        }
    });
    Ok(Written {
        body: written,
        path: "/v2/rerank".to_owned(),
        headers: Vec::new(),
        dropped: gaps.settle().map_err(|lost| lost.refusal())?,
        calls: Calls::Any,
    })
}

fn field(o: &mut Writer<'_>, name: &str, value: Json<'_>, gaps: &mut Gaps) {
    match name {
        "model" | "documents" => {}
        _ if value.kind() == Kind::Null => {}
        same if SAME.contains(&same) => o.key(same).raw(&crate::dialect::writer::compact(value)),
        "return_documents" if value.truth() == Some(false) => {}
        other => gaps.lost(other, "this provider has no such parameter"),
    }
}

/// A document is its text here; others also take an object with one.
fn text(document: Json<'_>, place: &Place<'_>, gaps: &mut Gaps) -> Result<String, Refusal> {
    if let Some(text) = document.text() {
        return Ok(text.into_owned());
    }
    let text = document.text_of("text");
    let text = text.ok_or_else(|| place.wrong("a string, or an object with a `text`"))?;
    if document.entries().count() > 1 {
        gaps.lost(place.path(), "only the text of a document is read there");
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_becomes_what_cohere_reads() {
        let target = Target {
            model: "rerank-v3.5",
            ..Target::default()
        };
        let write = |body: &str, policy| write("cohere", body.as_bytes(), &target, policy);
        for (body, want) in [
            (
                r#"{"model":"x","query":"q","documents":["a","b"],"top_n":1}"#,
                r#"{"model":"rerank-v3.5","documents":["a","b"],"query":"q","top_n":1}"#,
            ),
            (
                r#"{"documents":[{"text":"a"},"b"],"query":"q","return_documents":false,"max_tokens_per_doc":9}"#,
                r#"{"model":"rerank-v3.5","documents":["a","b"],"query":"q","max_tokens_per_doc":9}"#,
            ),
        ] {
            let written = write(body, Policy::Refuse).unwrap();
            assert_eq!(String::from_utf8(written.body).unwrap(), want);
        }
        let more = r#"{"query":"q","documents":[{"text":"a","image":1}],"return_documents":true}"#;
        assert_eq!(
            write(more, Policy::Refuse).unwrap_err().code,
            "untranslatable_parameter"
        );
        let names: Vec<_> = write(more, Policy::Drop)
            .unwrap()
            .dropped
            .into_iter()
            .map(|gap| gap.parameter)
            .collect();
        assert_eq!(names, ["documents[0]", "return_documents"]);
        for body in [
            "[]",
            r#"{"query":"q"}"#,
            r#"{"documents":["a"]}"#,
            r#"{"query":"q","documents":[5]}"#,
        ] {
            assert_eq!(
                write(body, Policy::Refuse).unwrap_err().status,
                400,
                "{body}"
            );
        }
    }
}
