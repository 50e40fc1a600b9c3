//! What Amazon's services have in common: signed requests, and events in binary frames with checksums.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollgate_core::eventstream::crc32;

use crate::fake::connection::Request;

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) &'static str);

const MISSING: Refused = Refused("Missing Authentication Token");
const INCOMPLETE: Refused = Refused(
    "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature', and a date beside it.",
);
const UNKNOWN: Refused = Refused("The security token included in the request is invalid.");
const WRONG: Refused = Refused(
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
);

/// Lets in who has the key, or has signed with the secret behind it (`ACCESS_KEY_ID:SECRET`). Where nothing is wanted,
/// a signature that is there must still be one of this very body.
pub(super) fn admit(request: &Request, wanted: Option<&str>) -> Result<(), Refused> {
    let header = request.header("authorization");
    let signature = header.and_then(|value| value.strip_prefix("AWS4-HMAC-SHA256 "));
    let Some(signature) = signature else {
        let key = header.and_then(|value| value.strip_prefix("Bearer "));
        return match (wanted, key) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(MISSING),
            (Some(wanted), Some(key)) if wanted == key => Ok(()),
            (Some(_), Some(_)) => Err(UNKNOWN),
        };
    };
    let signed = Signed::read(request, signature).ok_or(INCOMPLETE)?;
    if request.header("x-amz-content-sha256") != Some(hex(&Sha256::digest(&request.body)).as_str())
    {
        return Err(WRONG);
    }
    match wanted.map(|wanted| wanted.split_once(':').unwrap_or((wanted, ""))) {
        None => Ok(()),
        Some((id, _)) if id != signed.access_key_id => Err(UNKNOWN),
        Some((_, secret)) if signed.by(secret) != signed.signature => Err(WRONG),
        Some(_) => Ok(()),
    }
}

/// A signature, and what it is to be a signature of.
struct Signed<'a> {
    access_key_id: &'a str,
    /// Day, region, service, and a word that never changes.
    scope: [&'a str; 4],
    signature: &'a str,
    text: String,
}

impl<'a> Signed<'a> {
    /// None if a part is missing that every signature has.
    fn read(request: &'a Request, header: &'a str) -> Option<Self> {
        let part = |name: &str| {
            let mut parts = header.split(',').map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        let mut credential = part("Credential")?.split('/');
        let access_key_id = credential.next().filter(|id| !id.is_empty())?;
        let scope = [
            credential.next()?,
            credential.next()?,
            credential.next()?,
            credential.next()?,
        ];
        let date = request.header("x-amz-date")?;
        let names: Vec<&str> = part("SignedHeaders")?.split(';').collect();
        let fits = scope[3] == "aws4_request"
            && scope[2] == "bedrock"
            && date.starts_with(scope[0])
            && names.is_sorted()
            && ["host", "x-amz-date"]
                .iter()
                .all(|name| names.contains(name));
        if !fits {
            return None;
        }
        let canonical = Sha256::digest(canonical(request, &names)?);
        let text = format!(
            "AWS4-HMAC-SHA256\n{date}\n{}\n{}",
            scope.join("/"),
            hex(&canonical)
        );
        Some(Self {
            access_key_id,
            scope,
            signature: part("Signature")?,
            text,
        })
    }

    /// The signature as this secret makes it.
    fn by(&self, secret: &str) -> String {
        let first = format!("AWS4{secret}").into_bytes();
        let key = self
            .scope
            .iter()
            .fold(first, |key, part| hmac(&key, part.as_bytes()));
        hex(&hmac(&key, self.text.as_bytes()))
    }
}

/// The request as it is signed. A header that is named and not there spoils it.
fn canonical(request: &Request, names: &[&str]) -> Option<String> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let path: Vec<String> = path.split('/').map(escaped).collect();
    let mut query: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
    query.sort_unstable();
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        path.join("/"),
        query.join("&")
    );
    for name in names {
        let values: Vec<String> = request
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        if values.is_empty() {
            return None;
        }
        text.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let hash = hex(&Sha256::digest(&request.body));
    text.push_str(&format!("\n{}\n{hash}", names.join(";")));
    Some(text)
}

/// What is escaped already is escaped again: so it is for all services but one.
fn escaped(segment: &str) -> String {
    segment
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A keyed hash, as RFC 2104 has it.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 64;
    let mut block = if key.len() > BLOCK {
        Sha256::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    block.resize(BLOCK, 0);
    let with = |pad: u8, text: &[u8]| {
        let keyed: Vec<u8> = block.iter().map(|byte| byte ^ pad).collect();
        Sha256::new()
            .chain_update(keyed)
            .chain_update(text)
            .finalize()
    };
    with(0x5c, &with(0x36, text)).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An event of this kind.
pub(super) fn write_frame(out: &mut Vec<u8>, kind: &str, payload: &Value) {
    let headers = [
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    frame(out, &headers, payload);
}

/// What takes the place of the rest when a reply fails on its way.
pub(super) fn exception(kind: &str, message: &str) -> Vec<u8> {
    let headers = [
        (":exception-type", kind),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    let mut bytes = Vec::new();
    frame(&mut bytes, &headers, &json!({"message": message}));
    bytes
}

fn frame(out: &mut Vec<u8>, headers: &[(&str, &str)], payload: &Value) {
    const TEXT: u8 = 7;
    let mut fields = Vec::new();
    for (name, value) in headers {
        fields.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        fields.extend_from_slice(name.as_bytes());
        fields.push(TEXT);
        fields.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    // Two lengths and two checksums of four bytes each.
    let total = fields
        .len()
        .saturating_add(payload.len())
        .saturating_add(16);
    let start = out.len();
    out.extend_from_slice(&word(total));
    out.extend_from_slice(&word(fields.len()));
    let prelude = crc32(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&prelude.to_be_bytes());
    out.extend_from_slice(&fields);
    out.extend_from_slice(payload.as_bytes());
    let whole = crc32(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&whole.to_be_bytes());
}

fn word(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// Base64, with its padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| {
            (bits << 8) | u32::from(group.get(at).copied().unwrap_or_default())
        });
        for at in 0..4_usize {
            let shift = 18_usize.saturating_sub(at.saturating_mul(6));
            let letter = usize::try_from((bits >> shift) & 63).unwrap_or_default();
            let letter = LETTERS.get(letter).copied().unwrap_or(b'=');
            text.push(if at > group.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::connection::{After, Version};

    /// The example in Amazon's documentation of signatures, with the secret that everybody knows.
    #[test]
    fn a_signature_is_the_one_that_amazon_calculates() {
        let scope = ["20150830", "us-east-1", "iam", "aws4_request"];
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
                    f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        let signed = Signed {
            access_key_id: "AKIDEXAMPLE",
            scope,
            signature: "",
            text: text.to_owned(),
        };
        assert_eq!(
            signed.by("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn base64_is_what_others_read() {
        for (bytes, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), want);
        }
    }

    fn request(headers: &[(&str, &str)], body: &str) -> Request {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Request {
            method: "POST".to_owned(),
            path: "/bedrock/model/a%3Ab/converse".to_owned(),
            headers: headers.iter().map(owned).collect(),
            body: body.as_bytes().to_vec(),
            version: Version::Http11,
            after: After::KeepAlive,
        }
    }

    #[test]
    fn who_has_not_signed_this_very_request_stays_outside() {
        let hash = hex(&Sha256::digest("{}"));
        let base = [
            ("Host", "bedrock"),
            ("X-Amz-Date", "20260101T000000Z"),
            ("x-amz-content-sha256", hash.as_str()),
        ];
        let header = |signature: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=ID/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
            )
        };
        let unsigned = request(&base, "{}");
        let given = header("x");
        let mut signed = request(&base, "{}");
        signed
            .headers
            .push(("Authorization".to_owned(), given.clone()));
        let right = {
            let rest = given.strip_prefix("AWS4-HMAC-SHA256 ").unwrap();
            header(&Signed::read(&signed, rest).unwrap().by("secret"))
        };
        let with = |value: &str, body: &str| {
            let mut request = request(&base, body);
            request
                .headers
                .push(("authorization".to_owned(), value.to_owned()));
            request
        };
        let wanted = Some("ID:secret");
        for (name, request, wanted, want) in [
            ("signed", with(&right, "{}"), wanted, Ok(())),
            (
                "signed by another",
                with(&right, "{}"),
                Some("ID:other"),
                Err(WRONG),
            ),
            (
                "signed for another",
                with(&right, "{}"),
                Some("OTHER:secret"),
                Err(UNKNOWN),
            ),
            ("another body", with(&right, "{ }"), wanted, Err(WRONG)),
            ("a wrong signature", with(&given, "{}"), wanted, Err(WRONG)),
            ("nobody asks", with(&given, "{}"), None, Ok(())),
            (
                "nobody asks, another body",
                with(&given, "{ }"),
                None,
                Err(WRONG),
            ),
            (
                "half a signature",
                with("AWS4-HMAC-SHA256 Credential=ID", "{}"),
                None,
                Err(INCOMPLETE),
            ),
            ("unsigned", unsigned, wanted, Err(MISSING)),
            ("a key", with("Bearer key", "{}"), Some("key"), Ok(())),
            (
                "a wrong key",
                with("Bearer key", "{}"),
                wanted,
                Err(UNKNOWN),
            ),
        ] {
            assert_eq!(admit(&request, wanted), want, "{name}");
        }
    }
}
