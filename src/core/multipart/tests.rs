//! Forms as SDKs write them, and as nobody should.

use proptest::prelude::*;

use super::*;

fn scan(body: &[u8], cut: usize) -> Result<Form, Refusal> {
    let mut scanner = Scanner::new(b"xyz");
    for piece in body.chunks(cut.max(1)) {
        scanner.feed(piece)?;
    }
    scanner.finish()
}

const FILE: &str = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\ b;c.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF--xy\r\n--xy\r\n";

fn model(head: &str, value: &str) -> String {
    format!("--xyz\r\n{head}\r\n\r\n{value}\r\n")
}

const NAMED: &str = "Content-Disposition: form-data; name=\"model\"";

#[test]
fn the_model_is_found_wherever_it_stands() {
    for (before, head, after, stream) in [
        ("", NAMED, FILE, false),
        (FILE, NAMED, "", false),
        (
            FILE,
            "content-disposition:form-data;name=model",
            FILE,
            false,
        ),
        (
            "--xyz\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n",
            NAMED,
            FILE,
            true,
        ),
        (
            FILE,
            "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=\"model\"",
            "",
            false,
        ),
    ] {
        let body = format!("{before}{}{after}--xyz--\r\nepilogue", model(head, "small"));
        for cut in [1, 2, 3, 7, 64, 100_000] {
            let form =
                scan(body.as_bytes(), cut).unwrap_or_else(|refusal| panic!("{refusal:?}: {body}"));
            assert_eq!(
                (form.model.as_str(), form.stream, form.bytes),
                ("small", stream, body.len())
            );
            assert_eq!(body.get(form.place), Some("small"), "cut in {cut}: {body}");
        }
    }
}

/// Heads of the part that asks for the model, each of which some reader takes for another name.
const UNCLEAR: &[(&str, &str)] = &[
    ("no name", "Content-Disposition: form-data"),
    (
        "two names",
        "Content-Disposition: form-data; name=\"a\"; name=\"model\"",
    ),
    (
        "a name in another charset",
        "Content-Disposition: form-data; name=\"a\"; name*=utf-8''model",
    ),
    (
        "two dispositions",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"model\"",
    ),
    (
        "a quotation mark behind a backslash",
        "Content-Disposition: form-data; name=\"a\\\"; name=\"model\"",
    ),
    (
        "a folded line",
        "Content-Disposition: form-data;\r\n name=\"model\"",
    ),
    (
        "a bare new line",
        "X: a\nContent-Disposition: form-data; name=\"model\"",
    ),
    (
        "a file",
        "Content-Disposition: form-data; name=\"model\"; filename=\"m\"",
    ),
    (
        "base64",
        "Content-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name=\"model\"",
    ),
    ("no disposition", "Content-Type: text/plain"),
];

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let small = model(NAMED, "small");
    let end = "--xyz--\r\n";
    let large = format!("{NAMED}\r\n\r\nlarge\r\n{end}");
    let mut bodies: Vec<(&str, String)> = UNCLEAR
        .iter()
        .map(|(name, head)| (*name, format!("{}{end}", model(head, "small"))))
        .collect();
    bodies.extend([
        ("two models", format!("{small}{small}{end}")),
        ("a preamble", format!("hello\r\n{small}{end}")),
        (
            "a boundary in a line",
            format!("{}{small}{end}", FILE.replace("RIFF", "RIFF\n--xyz")),
        ),
        (
            "a boundary that goes on",
            format!("{small}--xyzz\r\n{large}"),
        ),
        ("half a new line", format!("--xyz\n{large}")),
        ("no end", small.clone()),
        ("nothing", String::new()),
        (
            "a long model",
            format!("{}{end}", model(NAMED, &"m".repeat(2_000))),
        ),
        (
            "a long head",
            format!(
                "{}{end}",
                model(&format!("{NAMED}\r\nX: {}", "x".repeat(9_000)), "small")
            ),
        ),
        ("many parts", format!("{}{end}", FILE.repeat(1_001))),
        ("no head", format!("--xyz\r\n\r\nsmall\r\n{end}")),
    ]);
    for (name, body) in bodies {
        for cut in [1, 1_000_000] {
            let refusal = scan(body.as_bytes(), cut).unwrap_err();
            let got = (refusal.status, refusal.code);
            assert_eq!(got, (400, "invalid_multipart"), "{name}");
        }
    }
    let refusal = scan(format!("{FILE}{end}").as_bytes(), 7).unwrap_err();
    let got = (refusal.code, refusal.param);
    assert_eq!(got, ("missing_required_parameter", Some("model")));
}

#[test]
fn a_boundary_is_one_and_plain() {
    for (content_type, want) in [
        ("multipart/form-data; boundary=xyz", Some("xyz")),
        (
            "Multipart/Form-Data;charset=utf-8; Boundary=\"x-y_z\"",
            Some("x-y_z"),
        ),
        ("multipart/form-data", None),
        ("multipart/mixed; boundary=xyz", None),
        ("application/json", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=\"a b\"", None),
        ("multipart/form-data; boundary=\"a", None),
    ] {
        let got = boundary(content_type).ok();
        assert_eq!(got.as_deref(), want.map(str::as_bytes), "{content_type}");
    }
    assert!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic_and_where_they_are_cut_does_not_matter(
        parts in prop::collection::vec(prop::sample::select(vec![
            "--xyz", "\r\n", "--", "\n", "Content-Disposition: form-data; name=\"model\"", "; filename=\"", "\"", "small", "\\", "\r\n\r\n", FILE,
        ]), 0..12),
        cut in 1_usize..40,
    ) {
        let body = parts.concat();
        prop_assert_eq!(scan(body.as_bytes(), cut).ok(), scan(body.as_bytes(), body.len()).ok());
    }

    #[test]
    fn little_is_held(content in "[a-z\r\n-]{0,3000}") {
        let mut scanner = Scanner::new(b"xyz");
        let body = FILE.replace("RIFF", &content);
        let _ = scanner.feed(body.as_bytes());
        prop_assert!(scanner.held.len() <= HEAD_BYTES_MAX);
    }
}
