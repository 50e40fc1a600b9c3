//! The admin token: who has it may do everything, so it is long, compared in constant time, and readable by nobody else.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// In the data folder, where no token is configured.
pub const FILE_NAME: &str = "admin-token";
const PREFIX: &str = "tg-admin-";
/// Shorter ones can be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// Only the hash is kept, which also makes all tokens equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// Of a token as it is written.
    pub fn of(token: &str) -> Result<Self, String> {
        let token = token.trim();
        if token.len() < TOKEN_BYTES_MIN {
            return Err(format!(
                "the admin token has {} characters, which is too few\n  fix: make one of at least {TOKEN_BYTES_MIN}: \
                 `openssl rand -hex 24`",
                token.len()
            ));
        }
        Ok(Self(Sha256::digest(token.as_bytes()).into()))
    }

    /// Whether this is it. Takes equally long for every wrong one.
    pub fn matches(&self, presented: &[u8]) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        let differences = self.0.iter().zip(presented);
        let difference = differences.fold(0, |seen, (mine, theirs)| seen | (mine ^ theirs));
        std::hint::black_box(difference) == 0
    }
}

/// The token in the data folder; made, for this user alone, if there is none.
pub fn in_folder(folder: &Path) -> io::Result<String> {
    let file = folder.join(FILE_NAME);
    match fs::read_to_string(&file) {
        Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let token = random(PREFIX)?;
    let mut options = OpenOptions::new();
    let mut open = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&file)?;
    writeln!(open, "{token}")?;
    open.sync_all()?;
    Ok(token)
}

/// A prefix and 256 random bits, in letters and digits.
pub fn random(prefix: &str) -> io::Result<String> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = prefix.to_owned();
    let mut letters = 0;
    // 43 letters of 62 kinds are 256 bits.
    while letters < 43 {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        // Beyond the last whole multiple of 62 some letters would be more likely than others.
        for byte in bytes
            .iter()
            .filter(|byte| **byte < 248)
            .take(43_usize.saturating_sub(letters))
        {
            let digit = DIGITS.get(usize::from(byte % 62)).copied();
            text.push(char::from(digit.unwrap_or(b'0')));
            letters = letters.saturating_add(1);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_token_itself_matches() {
        let token = AdminToken::of(" 0123456789abcdef\n").unwrap();
        assert!(token.matches(b"0123456789abcdef"));
        for wrong in [
            "",
            "0123456789abcdeF",
            "0123456789abcdef0",
            "0123456789abcde",
        ] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong}");
        }
        assert!(AdminToken::of("short").is_err());
    }

    #[test]
    fn a_token_is_made_once_and_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let token = in_folder(folder.path()).unwrap();
        assert_eq!(in_folder(folder.path()).unwrap(), token);
        let mode = fs::metadata(folder.path().join(FILE_NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            token.starts_with(PREFIX) && token.len() == PREFIX.len() + 43,
            "{token}"
        );
    }

    #[test]
    fn random_texts_differ_and_use_all_letters() {
        let texts: Vec<String> = (0..50).map(|_| random("").unwrap()).collect();
        let mut letters: Vec<char> = texts.concat().chars().collect();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), 62);
        assert!(texts.iter().all(|text| text.len() == 43));
        assert_ne!(texts[0], texts[1]);
    }
}
