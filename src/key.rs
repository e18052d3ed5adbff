//! API keys as their holders have them: `mk_<id>_<secret>`.
//!
//! The id names a key in lists and logs. The secret is 256 random bits, so a plain hash of it tells nothing and is all that
//! is ever stored. What must always hold: nothing shows a secret but [`Token::reveal`], which is called once, when a key is
//! made.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What every key begins with, so that it is recognised where it should not be (in a commit, in a log).
const PREFIX: &str = "mk";

/// Bytes of an id; it is written in hexadecimal digits.
const ID_BYTES: usize = 6;

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Whose limits apply to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Whoever asks for a key.
    Free,
    /// Who pays.
    Pro,
    /// Who has a contract.
    Enterprise,
}

impl Tier {
    /// Every tier, from the least.
    pub const ALL: [Self; 3] = [Self::Free, Self::Pro, Self::Enterprise];

    /// Its spelling in the configuration, on the command line and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }

    /// The tier of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}

/// A key with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: [u8; SECRET_BYTES],
}

impl Token {
    /// A new key, from the system's random numbers.
    ///
    /// # Errors
    /// When the system has none.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        Ok(Self { id: id.iter().map(|byte| format!("{byte:02x}")).collect(), secret })
    }

    /// Reads a key; nothing of what is none, so that no look-up is made for it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The secret may hold underscores itself.
        let mut parts = text.splitn(3, '_');
        if parts.next() != Some(PREFIX) {
            return None;
        }
        let id = parts.next().filter(|id| is_id(id))?;
        let secret = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?.try_into().ok()?;
        Some(Self { id: id.to_owned(), secret })
    }

    /// What names the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The hash of the secret, as it is stored.
    #[must_use]
    pub fn secret_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// The whole key, to be shown to who asked for it, and never again.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}_{}_{}", self.id, URL_SAFE_NO_PAD.encode(self.secret))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Whether a text has the form of a key's id.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 2 * ID_BYTES && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{Tier, Token};

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let token = Token::draw().expect("the system has random numbers");
        let text = token.reveal();
        assert_eq!(Token::parse(&text), Some(token.clone()));
        assert_ne!(Token::draw().expect("random numbers"), token);
        let shown = format!("{token:?}");
        let secret = text.rsplit_once(token.id()).expect("the id is in it").1;
        assert!(shown.contains(token.id()) && !shown.contains(secret), "{shown}");
    }

    #[test]
    fn what_is_no_key_is_not_looked_up() {
        let text = Token::draw().expect("random numbers").reveal();
        for wrong in [
            "",
            "mk",
            "mk__",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}A"),
            &text.to_uppercase(),
            &text.replacen("mk_", "mk_'", 1),
            &format!(" {text}"),
        ] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_tier_is_named_as_it_is_read() {
        for tier in Tier::ALL {
            assert_eq!(Tier::from_name(tier.name()), Some(tier));
        }
        assert_eq!(Tier::from_name("Free"), None);
    }
}
