//! What a provider's dialect asks for beside a key: signatures, dated interfaces, a path that ends so.

use std::path::PathBuf;

use super::must;
use crate::config::Dialect;
use crate::config::deploy::Signing;
use crate::config::problem::{Place, Problems};
use crate::config::raw::{self, Given, Written};
use crate::config::url::Url;

const REGION_HOW: &str = "write the region in the provider's URL: `region: us-east-1`";

/// Exactly one of `aws` and `key` says who asks, where requests can be signed; elsewhere there is only `key`.
pub(super) fn signing(
    written: &raw::Provider,
    dialect: Dialect,
    place: &Place,
    problems: &mut Problems,
) -> Option<Signing> {
    match (dialect.provider().signed_service(), &written.aws) {
        (None, Given::Absent) | (_, Given::Mistaken) => None,
        (None, Given::Written(aws)) => {
            problems.push(aws.place.problem(
                format!("requests to `{}` are not signed", dialect.name()),
                "remove it; a `key` says who asks",
            ));
            None
        }
        (Some(_), Given::Absent) => {
            let real = !matches!(written.url, Given::Absent);
            if real && matches!(written.key, Given::Absent) {
                problems.missing(
                    &["aws", "key"],
                    place,
                    "neither `aws` nor `key` says who asks",
                    "write `aws: {region: REGION}`, or the API key: `key: {env: AWS_BEARER_TOKEN_BEDROCK}`",
                );
            }
            None
        }
        (Some(_), Given::Written(aws)) if !matches!(written.key, Given::Absent) => {
            problems.push(
                aws.place
                    .problem("both `aws` and `key` say who asks", "keep one of them"),
            );
            None
        }
        (Some(service), Given::Written(aws)) => signed(service, aws, problems),
    }
}

fn signed(
    service: &'static str,
    aws: &Written<raw::Aws>,
    problems: &mut Problems,
) -> Option<Signing> {
    let fields = &aws.value;
    let region = must(&fields.region, "region", &aws.place, REGION_HOW, problems);
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if let Some(region) = region
        && (region.value.is_empty() || !region.value.bytes().all(named))
    {
        let found = format!("{} is no region", region.shown());
        problems.push(region.place.problem(found, REGION_HOW));
    }
    if let Given::Written(file) = &fields.credentials_file
        && !file.value.starts_with('/')
    {
        problems.push(file.place.problem(
            format!("{} is not an absolute path", file.shown()),
            "write a path that begins with `/`: Envoy reads the file when it runs",
        ));
    }
    if let Given::Written(profile) = &fields.profile {
        let word = |byte: u8| byte.is_ascii_graphic() && byte != b'[' && byte != b']';
        if profile.value.is_empty() || !profile.value.bytes().all(word) {
            let found = format!("{} is no name of a profile", profile.shown());
            let fix = "write what stands in brackets in the file: `profile: default`";
            problems.push(profile.place.problem(found, fix));
        } else if matches!(fields.credentials_file, Given::Absent) {
            let found = "a profile is a part of a file, and none is named";
            let fix = "name it beside it: `credentials_file: PATH`";
            problems.push(profile.place.problem(found, fix));
        }
    }
    Some(Signing {
        service,
        region: region?.value.clone(),
        credentials_file: fields
            .credentials_file
            .written()
            .map(|file| PathBuf::from(&file.value)),
        profile: fields
            .profile
            .written()
            .map(|profile| profile.value.clone()),
    })
}

/// Only for providers whose paths are dated.
pub(super) fn api_version(
    written: &raw::Provider,
    dialect: Dialect,
    problems: &mut Problems,
) -> Option<String> {
    let version = written.api_version.written()?;
    let dated = dialect.provider().api_version();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match dated {
        None => problems.push(version.place.problem(
            format!(
                "the paths of `{}` have no version to choose",
                dialect.name()
            ),
            "remove it",
        )),
        Some(default) if version.value.is_empty() || !version.value.bytes().all(fits) => {
            problems.push(version.place.problem(
                format!("{} is no version of an interface", version.shown()),
                format!("write its date: `api_version: {default}`"),
            ));
        }
        Some(_) => {}
    }
    Some(version.value.clone())
}

/// The URL of a provider must lead to where its models are.
pub(super) fn base_path(
    written: &raw::Provider,
    dialect: Dialect,
    url: &Url,
    problems: &mut Problems,
) {
    let end = dialect.provider().base_path_end();
    if let Given::Written(text) = &written.url
        && !url.path.ends_with(end)
    {
        problems.push(text.place.problem(
            format!("the paths of `{}` end with `{end}`", dialect.name()),
            format!(
                "write `https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION{end}`"
            ),
        ));
    }
}
