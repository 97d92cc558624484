//! Webhooks: each notice is posted as JSON by HTTPS, signed with a secret that both sides know.
//!
//! ```text
//!  POST <url>            {"node":"box-1","seq":9,"time":"2026-...Z","event":"alarm_raised","data":{...}}
//!  x-gantry-signature: sha256=<HMAC-SHA-256 of the body with the secret, in hexadecimal>
//! ```
//! Any 2xx says that it was taken. A receiver that keeps the greatest `seq` it has seen of a node hears nothing twice, and sees a notice that
//! somebody sends again.

use super::{Node, TRY, Undelivered};
use crate::net::https::{Https, LocalPorts};
use base::Secret;
use base::leg::{HttpFailure, HttpRequest};
use domain::alarm::{Notice, Shown};
use domain::config::notify::Webhook;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use std::sync::Arc;

/// The header that the signature is in.
pub const SIGNATURE: &str = "x-gantry-signature";

/// A way to a receiver.
pub(super) struct Hook {
    https: Https,
    url: String,
    secret: Secret<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    node: &'a str,
    seq: u64,
    time: String,
    event: &'static str,
    data: Shown<'a>,
}

impl Hook {
    pub(super) fn new(config: &Webhook, ports: &Arc<LocalPorts>) -> Result<Self, Undelivered> {
        let https = Https::new(config.ca_file.as_deref(), Arc::clone(ports))
            .map_err(|error| Undelivered::again(format!("its authorities: {error:#}")))?;
        Ok(Self { https, url: config.url.clone(), secret: config.secret.clone() })
    }

    pub(super) async fn send(&self, node: &Node, notice: &Notice) -> Result<(), Undelivered> {
        let (time, event) = (notice.at.to_string(), notice.change.word());
        let body = Body { node: &node.name, seq: notice.seq, time, event, data: notice.shown() };
        let body = serde_json::to_vec(&body).map_err(|error| Undelivered::never(error.to_string()))?;
        let signature = format!("sha256={}", sign(&self.secret, &body));
        let request = HttpRequest {
            id: notice.seq,
            method: "POST",
            url: self.url.clone(),
            headers: vec![(SIGNATURE, Secret::new(signature))],
            body: body.into(),
            timeout: TRY,
        };
        match self.https.fetch(request).await.result {
            Ok(response) => verdict(response.status),
            Err(failure) => Err(Undelivered::again(match failure {
                HttpFailure::Unreachable => "it cannot be reached",
                HttpFailure::Untrusted => "its certificate is not trusted",
                HttpFailure::TimedOut => "it does not answer in time",
                HttpFailure::Broken => "it does not speak HTTPS as it should",
            })),
        }
    }
}

/// What is wrong with the post itself stays wrong; everything else may be mended on the other side.
fn verdict(status: u16) -> Result<(), Undelivered> {
    match status {
        200..=299 => Ok(()),
        400 | 413 | 415 | 422 => Err(Undelivered::never(format!("it answers {status}"))),
        _ => Err(Undelivered::again(format!("it answers {status}"))),
    }
}

/// HMAC-SHA-256 (RFC 2104) in hexadecimal.
fn sign(secret: &Secret<String>, body: &[u8]) -> String {
    // HMAC takes keys of every length, so there is no other case.
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map(|mac| mac.chain_update(body));
    let bytes = mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 4.3.
    #[test]
    fn a_signature_is_an_hmac() {
        let secret = Secret::new("Jefe".to_owned());
        assert_eq!(
            sign(&secret, b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn only_what_would_be_refused_for_ever_is_given_up() {
        assert_eq!(verdict(204), Ok(()));
        for status in [400, 422] {
            assert_eq!(verdict(status), Err(Undelivered::never(format!("it answers {status}"))));
        }
        for status in [100, 301, 401, 403, 404, 408, 429, 500, 503] {
            assert_eq!(verdict(status), Err(Undelivered::again(format!("it answers {status}"))));
        }
    }
}
