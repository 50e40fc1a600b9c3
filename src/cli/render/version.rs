//! Which Envoys are supported, and what each of them can do.

use std::fmt;
use std::str::FromStr;

/// A release of Envoy, supported or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvoyVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

/// How a retry reaches another provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A matcher on filter state, asked again before each attempt.
    Matcher,
    /// Each attempt passes an inner listener, whose filter names the cluster.
    Hop,
}

/// The oldest minor version tests run against.
const OLDEST: (u16, u16) = (1, 36);
/// The newest minor version tests run against.
const NEWEST: (u16, u16) = (1, 40);
/// The first one that knows `refresh_cluster_on_retry`.
const FIRST_WITH_REFRESH: (u16, u16) = (1, 39);
impl EnvoyVersion {
    /// The newest supported release.
    pub const NEWEST: Self = Self {
        major: 1,
        minor: 40,
        patch: 0,
    };

    /// Whether tests run against this minor version.
    pub fn supported(self) -> bool {
        (OLDEST..=NEWEST).contains(&self.line())
    }

    /// How this version's retries reach another provider.
    pub fn mode(self) -> Mode {
        if self.line() >= FIRST_WITH_REFRESH {
            Mode::Matcher
        } else {
            Mode::Hop
        }
    }

    /// Reads what `envoy --version` prints:
    /// `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
    pub fn from_banner(banner: &str) -> Option<Self> {
        banner
            .split('/')
            .find_map(|part| part.split('-').next()?.parse().ok())
    }

    fn line(self) -> (u16, u16) {
        (self.major, self.minor)
    }
}

impl FromStr for EnvoyVersion {
    type Err = String;

    /// Reads `1.40.0`, `v1.40.0` or `1.40`.
    fn from_str(written: &str) -> Result<Self, String> {
        let wrong = || format!("`{written}` is no Envoy version: write it like 1.40.0");
        let mut numbers = written.strip_prefix('v').unwrap_or(written).split('.');
        let mut next = || numbers.next().map(str::parse::<u16>);
        let (Some(Ok(major)), Some(Ok(minor))) = (next(), next()) else {
            return Err(wrong());
        };
        let patch = next().unwrap_or(Ok(0)).map_err(|_| wrong())?;
        if next().is_some() {
            return Err(wrong());
        }
        Ok(Self {
            major,
            minor,
            patch,
        })
    }
}

impl fmt::Display for EnvoyVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The supported range, as messages name it.
pub fn supported_range() -> String {
    format!("{}.{} to {}.{}", OLDEST.0, OLDEST.1, NEWEST.0, NEWEST.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_people_and_envoy_write_them() {
        for (written, want) in [
            ("1.40.0", Some("1.40.0")),
            ("v1.36.4", Some("1.36.4")),
            ("1.38", Some("1.38.0")),
            ("1", None),
            ("1.x.0", None),
            ("1.40.0.1", None),
            ("", None),
        ] {
            let read = written.parse::<EnvoyVersion>().ok();
            assert_eq!(read.map(|v| v.to_string()).as_deref(), want, "{written}");
        }
        let banner = "\n/opt/envoy  version: bad8280/1.37.2-dev/Clean/RELEASE/BoringSSL\n\n";
        let read = EnvoyVersion::from_banner(banner);
        assert_eq!(read, "1.37.2".parse().ok());
        assert_eq!(EnvoyVersion::from_banner("no envoy at all"), None);
    }

    #[test]
    fn the_mode_follows_the_version_and_unknown_ones_are_refused() {
        for (written, supported, mode) in [
            ("1.35.9", false, Mode::Hop),
            ("1.36.0", true, Mode::Hop),
            ("1.38.3", true, Mode::Hop),
            ("1.39.0", true, Mode::Matcher),
            ("1.40.7", true, Mode::Matcher),
            ("1.41.0", false, Mode::Matcher),
        ] {
            let version: EnvoyVersion = written.parse().unwrap();
            assert_eq!((version.supported(), version.mode()), (supported, mode));
        }
    }
}
