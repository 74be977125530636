//! Secrets: blank wherever they are shown, sealed wherever they are stored.
use std::{fmt, io, path::Path};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, AeadCore, KeyInit, OsRng, Payload},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{Code, Error, Result};

/// What stands where a secret was.
pub const REDACTED: &str = "***";

/// How a sealed secret begins; the version names the algorithm (XChaCha20-Poly1305, RFC 8439 with a 192-bit nonce).
const SEALED: &str = "sealed:v1:";

/// A password, key or token. It has no `Display`, its `Debug` is blank, and it serializes as `***` unless it is sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    /// Only [`Sealer::seal`] sets this: a password that looks like a sealed one is sealed like any other.
    sealed: bool,
}

impl Secret {
    /// A secret in the clear.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), sealed: false }
    }

    /// The text itself: for the driver that needs it, and nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.sealed { &self.text } else { REDACTED })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "password", "writeOnly": true})
    }
}

/// Seals secrets before they reach Redis and opens them in the worker.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    digest_key: [u8; 32],
}

impl Sealer {
    /// A sealer with a key of 32 bytes in hexadecimal.
    ///
    /// # Errors
    /// [`Code::SecretUnreadable`] if it is not such a key.
    pub fn from_hex(key: &str) -> Result<Self> {
        let bad = || Error::new(Code::SecretUnreadable, "the sealing key must be 64 hexadecimal digits (32 bytes)");
        let bytes = decode_hex(key.trim()).ok_or_else(bad)?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| bad())?;
        let digest_key = Sha256::new().chain_update("icehaul digest key").chain_update(&bytes).finalize().into();
        Ok(Self { cipher, digest_key })
    }

    /// A keyed hash: equal for equal texts, and no help in guessing them without the key.
    #[must_use]
    pub fn digest(&self, text: &[u8]) -> String {
        let inner = Sha256::new().chain_update(self.digest_key).chain_update(text).finalize();
        encode_hex(&Sha256::new().chain_update(self.digest_key).chain_update(inner).finalize())
    }

    /// Reads the key from a file, or makes one there (mode 600) if there is none.
    ///
    /// # Errors
    /// [`Code::SecretUnreadable`] if the file cannot be read or made.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::new(Code::SecretUnreadable, format!("cannot use the key file {}: {e}", path.display()))
        };
        use std::os::unix::fs::PermissionsExt;
        if std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o022 != 0) {
            let message = format!("others may write the key file {}: run `chmod 600` on it", path.display());
            return Err(Error::new(Code::SecretUnreadable, message));
        }
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_hex(&text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let key = encode_hex(&XChaCha20Poly1305::generate_key(&mut OsRng));
                match write_new_private(path, &key) {
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Self::open(path),
                    written => written.map_err(failed).and_then(|()| Self::from_hex(&key)),
                }
            }
            Err(e) => Err(failed(e)),
        }
    }

    /// Seals a secret for one job; it can be opened only with the same `context`. A sealed one stays as it is.
    ///
    /// # Errors
    /// [`Code::Internal`] if the cipher fails, which it does not.
    pub fn seal(&self, secret: &mut Secret, context: &str) -> Result<()> {
        if secret.sealed {
            return Ok(());
        }
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let payload = Payload { msg: secret.text.as_bytes(), aad: context.as_bytes() };
        let sealed = self.cipher.encrypt(&nonce, payload).map_err(|_| Error::new(Code::Internal, "sealing failed"))?;
        *secret = Secret { text: format!("{SEALED}{}{}", encode_hex(&nonce), encode_hex(&sealed)), sealed: true };
        Ok(())
    }

    /// A stamp for a text that is stored in the clear: an empty secret that opens only beside this text, and for the same
    /// `context`.
    ///
    /// # Errors
    /// Those of [`Sealer::seal`].
    pub fn stamp(&self, text: &str, context: &str) -> Result<String> {
        let mut stamp = Secret::new("");
        self.seal(&mut stamp, &stamped(text, context))?;
        Ok(stamp.text)
    }

    /// Checks that a text is the one that was stamped.
    ///
    /// # Errors
    /// [`Code::SecretUnreadable`] if it is not, or if it was stamped with another key or for another context.
    pub fn check_stamp(&self, stamp: &str, text: &str, context: &str) -> Result<()> {
        self.open_secret(&mut Secret::new(stamp), &stamped(text, context))
    }

    /// Opens in place what the queue has carried: a sealed secret, as [`Secret`] serialized it.
    ///
    /// # Errors
    /// [`Code::SecretUnreadable`] if it was sealed with another key or for another job.
    pub fn open_secret(&self, secret: &mut Secret, context: &str) -> Result<()> {
        let unreadable = || {
            Error::new(
                Code::SecretUnreadable,
                "this job was not sealed with this worker's key, or it was changed since: API and workers must have the same \
                 `secret_key` (ICEHAUL_SECRET_KEY) or `secret_key_file`",
            )
        };
        let bytes = secret.text.strip_prefix(SEALED).and_then(decode_hex).ok_or_else(unreadable)?;
        let (nonce, sealed) = bytes.split_at_checked(24).ok_or_else(unreadable)?;
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        let open = self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| unreadable())?;
        *secret = Secret::new(String::from_utf8(open).map_err(|_| unreadable())?);
        Ok(())
    }
}

/// No secret has a context of several lines, so none can be taken for a stamp.
fn stamped(text: &str, context: &str) -> String {
    format!("{context}\n{text}")
}

fn write_new_private(path: &Path, text: &str) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown_and_opens_only_for_its_job() {
        let sealer = Sealer::from_hex(&"ab".repeat(32)).expect("key");
        let mut secret = Secret::new("hunter2");
        assert_eq!(serde_json::to_string(&secret).expect("json"), "\"***\"");
        assert_eq!(format!("{secret:?}"), "***");
        sealer.seal(&mut secret, "job-1").expect("seal");
        let stored = serde_json::to_string(&secret).expect("json");
        assert!(stored.contains("sealed:v1:") && !stored.contains("hunter2"));
        assert_eq!(
            sealer.open_secret(&mut secret.clone(), "job-2").expect_err("other job").code(),
            Code::SecretUnreadable
        );
        sealer.open_secret(&mut secret, "job-1").expect("open");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_password_that_looks_sealed_is_sealed_all_the_same() {
        let sealer = Sealer::from_hex(&"ab".repeat(32)).expect("key");
        let mut secret: Secret = serde_json::from_str("\"sealed:v1:00\"").expect("json");
        assert_eq!(serde_json::to_string(&secret).expect("json"), "\"***\"");
        sealer.seal(&mut secret, "job-1").expect("seal");
        assert_ne!(secret.expose(), "sealed:v1:00");
        sealer.open_secret(&mut secret, "job-1").expect("open");
        assert_eq!(secret.expose(), "sealed:v1:00");
    }

    #[test]
    fn a_digest_depends_on_the_key() {
        let [one, other] = ["ab", "cd"].map(|byte| Sealer::from_hex(&byte.repeat(32)).expect("key"));
        assert_eq!(one.digest(b"hunter2"), one.clone().digest(b"hunter2"));
        assert_ne!(one.digest(b"hunter2"), one.digest(b"hunter3"));
        assert_ne!(one.digest(b"hunter2"), other.digest(b"hunter2"));
    }
}
