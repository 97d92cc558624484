//! Passwords hashed by argon2id (RFC 9106) with 19 MiB of memory and two passes, as OWASP advises for a machine that
//! does other things too.

use super::access::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use base::{Secret, Seed};

/// Makes a hash, with salt from `seed`.
///
/// # Errors
/// If there is no memory for it.
pub fn hash(password: &Secret<String>, seed: Seed) -> Result<PasswordHash, String> {
    let made = Argon2::default().hash_password_with_salt(password.expose().as_bytes(), &seed.0[..16]);
    PasswordHash::new(made.map_err(|error| format!("the password could not be hashed: {error}"))?.to_string())
}

/// Whether `password` is the one that was hashed.
#[must_use]
pub fn matches(password: &Secret<String>, hash: &PasswordHash) -> bool {
    Argon2::default().verify_password(password.expose().as_bytes(), hash.expose()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let made = hash(&secret("correct horse battery"), Seed([9; 32])).unwrap();
        assert!(made.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", made.expose());
        assert!(matches(&secret("correct horse battery"), &made));
        assert!(!matches(&secret("correct horse batterz"), &made));
        let salted = hash(&secret("correct horse battery"), Seed([8; 32])).unwrap();
        assert_ne!(made, salted);
    }
}
