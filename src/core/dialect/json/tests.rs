//! Whether the tape reads what a whole parser reads.

use proptest::prelude::*;

use super::*;

fn same(json: Json<'_>, value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Null => json.kind() == Kind::Null,
        Value::Bool(truth) => json.truth() == Some(*truth),
        Value::Number(number) => {
            serde_json::from_str::<serde_json::Number>(json.raw()).is_ok_and(|read| read == *number)
        }
        Value::String(text) => json.text().as_deref() == Some(text) && json.is(text),
        Value::Array(items) => {
            json.items().count() == items.len()
                && json
                    .items()
                    .zip(items)
                    .all(|(left, right)| same(left, right))
        }
        Value::Object(fields) => fields.iter().all(|(name, value)| {
            json.entries()
                .any(|(known, read)| known.is(name) && same(read, value))
        }),
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, want) in [
        ("", Some((0, "it ends too early"))),
        ("{\"a\":1", Some((6, "it ends too early"))),
        ("{\"a\" 1}", Some((5, "a colon should stand here"))),
        ("{a:1}", Some((1, "the name of a field should stand here"))),
        ("[1,]", Some((3, "a value should stand here"))),
        ("[1}", Some((2, "a comma or the end should stand here"))),
        ("1 2", Some((2, "something stands behind the value"))),
        ("01", Some((1, "something stands behind the value"))),
        ("-", Some((1, "a digit should stand here"))),
        ("\"\\x\"", Some((1, "an escape is wrong"))),
        (
            "\"\n\"",
            Some((1, "a control character stands in a string")),
        ),
        (" [ {} , [] ] ", None),
    ] {
        let mut tape = Tape::default();
        let got = tape.read(text.as_bytes()).err();
        assert_eq!(got.map(|wrong| (wrong.at, wrong.why)), want, "{text}");
    }
    let mut tape = Tape::default();
    let deep = "[".repeat(DEPTH_MAX + 1);
    assert_eq!(
        tape.read(deep.as_bytes()).unwrap_err().why,
        "it nests too deep"
    );
    let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
    assert_eq!(
        tape.read(many.as_bytes()).unwrap_err().why,
        "it holds too many values"
    );
}

#[test]
fn values_are_read_as_written() {
    let mut tape = Tape::default();
    let text =
        r#"{"a":1e3,"a":2.0,"n":null,"t":"x\u0041\ud83d\ude00\ud83d!","l":[1,{"z":1,"b":2},[]]}"#;
    let json = tape.read(text.as_bytes()).unwrap();
    assert_eq!(json.get("a").and_then(Json::whole), Some(2));
    assert_eq!(json.get("n").map(Json::kind), None);
    assert_eq!(json.text_of("t").as_deref(), Some("xA😀\u{fffd}!"));
    assert_eq!(
        json.get("t").unwrap().raw(),
        r#""x\u0041\ud83d\ude00\ud83d!""#
    );
    let list: Vec<_> = json.get("l").unwrap().items().map(Json::raw).collect();
    assert_eq!(list, ["1", r#"{"z":1,"b":2}"#, "[]"]);
}

proptest! {
    #[test]
    fn it_reads_what_serde_reads(text in r#"([{}\[\],:" ]|"(a|\\n|\\u00e9|\\ud83d\\ude00|é|b){0,3}"|-?[0-9]{1,3}(\.[0-9])?(e[0-9])?|true|null){0,24}"#) {
        let mut tape = Tape::default();
        let ours = tape.read(text.as_bytes());
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(value) => prop_assert!(ours.is_ok_and(|json| same(json, &value)), "{text}"),
            Err(_) => prop_assert!(ours.is_err(), "{text}"),
        }
    }

    #[test]
    fn it_reads_every_tree(value in tree()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let mut tape = Tape::default();
        prop_assert!(same(tape.read(text.as_bytes()).unwrap(), &value));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = Tape::default().read(&bytes);
    }
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(".{0,3}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}
