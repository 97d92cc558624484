//! The box's certificate for TLS (K2) and its gateway token (P3): requests, uploads, status. Keys never leave the box.

use super::Admin;
use super::access::{Role, Who};
use super::body::Body;
use super::book::{Book, Method, Operation};
use super::problem::{FieldError, Problem, Sort};
use crate::alarms::GATEWAY_TOKEN;
use crate::certificates::data_key::DataKey;
use crate::certificates::gateway_token::HolderError;
use crate::certificates::key_store::{KeyStoreError, Status, UploadError};
use crate::certificates::{Credentials, KeyStore, TokenHolder};
use crate::configuration::now;
use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use domain::alarm::{CertificateState, Fact, Health};
use domain::certificate::request::{Draft, Usage};
use domain::certificate::{CsrRequest, ExpiryState, Purpose, Refused};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use utoipa::ToSchema;

/// Keys and chains, and where they are used.
pub struct Trust {
    tls: Mutex<KeyStore>,
    token: Mutex<TokenHolder>,
    credentials: Credentials,
}

/// A chain in use.
#[derive(Debug, Serialize, ToSchema)]
struct CurrentChain {
    /// Whose it is.
    subject: String,
    /// Who issued it.
    issuer: String,
    /// What it is for: names and addresses.
    names: Vec<String>,
    /// Good from then on.
    not_before: String,
    /// Good until then.
    not_after: String,
    /// Whole days left.
    days_left: u64,
    /// `good`, `soon` (30 days or fewer) or `expired`.
    state: &'static str,
    /// Its key.
    key: String,
    /// SHA-256 of the whole.
    fingerprint: String,
    /// Certificates in the chain.
    certificates: usize,
}

/// What there is of a certificate or token.
#[derive(Debug, Serialize, ToSchema)]
struct TrustStatus {
    /// What is in use; nothing if nothing was uploaded yet.
    current: Option<CurrentChain>,
    /// The kind of the key that waits for its chain, if one was requested.
    pending_key: Option<&'static str>,
    /// What guards the keys on the disk.
    keys_sealed_by: &'static str,
    /// Why a key that is kept can't be opened: what it was for is not in use, until another key is.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable_key: Option<String>,
    /// What is allowed but hardly meant, of what was uploaded just now.
    warnings: Vec<String>,
}

/// A request for a certificate, to be signed elsewhere.
#[derive(Debug, Serialize, ToSchema)]
struct Requested {
    /// What the file should be called.
    file: &'static str,
    /// PKCS #10 in PEM.
    csr: String,
}

/// A chain that came back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Upload {
    /// The leaf and its intermediates, PEM.
    #[schema(min_length = 1, max_length = 65_536)]
    pem: String,
}

impl Trust {
    /// What is kept in `folder`, in use from now on by whoever shares `credentials`.
    ///
    /// # Errors
    /// If what is kept can't be used; the message names the file.
    pub fn open(folder: &Path, data_key: &Arc<DataKey>, credentials: Credentials) -> Result<Self> {
        let tls = KeyStore::open(&folder.join("tls"), Arc::clone(data_key)).context("the certificate")?;
        if let Some(certified) = tls.certified().context("the certificate")? {
            credentials.tls.replace(certified)?;
        }
        let held = credentials.gateway_token.clone();
        let token = TokenHolder::open(&folder.join("gateway-token"), Arc::clone(data_key), held)?;
        Ok(Self { tls: Mutex::new(tls), token: Mutex::new(token), credentials })
    }

    /// What proves the box.
    #[must_use]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// When the certificate of `domain` and the gateway token end, of those that were uploaded, and whether their keys can be opened.
    pub fn facts(&self, domain: &str) -> impl Iterator<Item = Fact> + use<> {
        let certificate = self.tls().chain().map(|chain| Fact::Certificate {
            name: domain.to_owned(),
            state: CertificateState::Ends(chain.not_after()),
        });
        // That there is none is told as well: the one before may have been about to end.
        let token = Fact::GatewayToken { name: GATEWAY_TOKEN.to_owned(), ends: self.token().ends() };
        let secrets = [
            ("certificate", self.tls().unreadable().map(str::to_owned)),
            ("gateway token", self.token().unreadable().map(str::to_owned)),
        ];
        let secrets = secrets.map(|(name, why)| Fact::Secrets {
            name: name.to_owned(),
            health: why.map_or(Health::Good, |why| Health::Bad { why }),
        });
        certificate.into_iter().chain([token]).chain(secrets)
    }

    fn tls(&self) -> MutexGuard<'_, KeyStore> {
        // Each change is written before it is remembered.
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> MutexGuard<'_, TokenHolder> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request_tls(&self, request: &CsrRequest) -> Result<String, KeyStoreError> {
        let mut tls = self.tls();
        let id = match tls.pending() {
            Some(id) => id.clone(),
            None => tls.generate(request.key())?,
        };
        tls.csr(&id, request)
    }

    fn upload_tls(&self, pem: &str, domains: &[String]) -> Result<TrustStatus, UploadError> {
        let mut tls = self.tls();
        let checked = tls.upload(pem.as_bytes(), Purpose::Domains(domains), now())?;
        if let Some(certified) = tls.certified()? {
            let replaced = self.credentials.tls.replace(certified);
            replaced.map_err(|error| KeyStoreError::Crypto(error.to_string()))?;
        }
        let warnings = checked.warnings().iter().map(ToString::to_string).collect();
        Ok(TrustStatus { warnings, ..shown(&tls.status(now())) })
    }
}

fn shown(status: &Status) -> TrustStatus {
    let current = status.current.as_ref().map(|current| {
        let (leaf, expiry) = (current.chain.leaf(), current.expiry);
        CurrentChain {
            subject: leaf.subject.clone(),
            issuer: leaf.issuer.clone(),
            names: leaf.names.clone(),
            not_before: leaf.not_before.to_string(),
            not_after: leaf.not_after.to_string(),
            days_left: expiry.days_left(),
            state: match expiry {
                ExpiryState::Good { .. } => "good",
                ExpiryState::Soon { .. } => "soon",
                ExpiryState::Expired => "expired",
            },
            key: leaf.key.to_string(),
            fingerprint: leaf.fingerprint.clone(),
            certificates: current.chain.certificates().len(),
        }
    });
    TrustStatus {
        current,
        pending_key: status.pending.as_ref().map(|pending| pending.kind.name()),
        keys_sealed_by: status.protection.text(),
        unreadable_key: status.unreadable.clone(),
        warnings: Vec::new(),
    }
}

/// Adds the routes.
pub fn add(book: &mut Book) {
    let tls = |method, path: &str, what: &str| {
        Operation::new(method, format!("/tls-certificate{path}"), "certificates", what)
    };
    book.add(
        tls(Method::Get, "", "The certificate that callers over TLS are shown")
            .role(Role::Viewer)
            .gives::<TrustStatus>(),
        tls_status,
    );
    book.add(
        tls(Method::Post, ":request", "Makes a key, if none waits, and a request for its certificate")
            .takes::<Draft>()
            .gives::<Requested>()
            .problems(&[Sort::Conflict]),
        tls_request,
    );
    book.add(
        tls(Method::Delete, "/pending-key", "Gives up the key that waits for its certificate"),
        tls_discard,
    );
    book.add(
        tls(Method::Put, "", "Checks a chain and takes it into use; calls that stand go on")
            .takes::<Upload>()
            .gives::<TrustStatus>(),
        tls_upload,
    );
    let token = |method, path: &str, what: &str| {
        Operation::new(method, format!("/gateway-token{path}"), "gateway-token", what)
    };
    book.add(
        token(Method::Get, "", "The gateway token that joins are signed with")
            .role(Role::Viewer)
            .gives::<TrustStatus>(),
        token_status,
    );
    book.add(
        token(Method::Post, ":request", "Makes the request file for a gateway token")
            .takes::<Draft>()
            .gives::<Requested>()
            .problems(&[Sort::Conflict]),
        token_request,
    );
    book.add(
        token(Method::Delete, "/pending-key", "Gives up the key that waits for its token"),
        token_discard,
    );
    book.add(
        token(Method::Put, "", "Checks a signed gateway token and takes it into use")
            .takes::<Upload>()
            .gives::<TrustStatus>(),
        token_upload,
    );
    book.add(
        token(Method::Delete, "", "Takes the gateway token out of use: access tokens alone decide"),
        token_remove,
    );
}

fn request(draft: &Draft, usage: Usage) -> Result<CsrRequest, Problem> {
    CsrRequest::new(draft, usage).map_err(|problems| {
        let errors = problems.into_iter().map(|problem| FieldError {
            resource: String::new(),
            field: problem.field,
            message: problem.message,
        });
        Sort::Invalid.because("the request can't be made as it is").of_fields(errors.collect())
    })
}

async fn tls_status(State(admin): State<Arc<Admin>>) -> Json<TrustStatus> {
    Json(shown(&admin.trust.tls().status(now())))
}

async fn tls_request(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(draft): Body<Draft>,
) -> Result<Json<Requested>, Problem> {
    let request = request(&draft, Usage::Gateway)?;
    let csr = admin.away(move |admin| admin.trust.request_tls(&request)).await?;
    admin.note(&who.name, "request-certificate", draft.names).await;
    Ok(Json(Requested { file: "gateway.csr", csr }))
}

async fn tls_discard(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
) -> Result<StatusCode, Problem> {
    admin.away(|admin| admin.trust.tls().discard_pending()).await?;
    admin.note(&who.name, "discard-certificate-request", Vec::new()).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn tls_upload(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(upload): Body<Upload>,
) -> Result<Json<TrustStatus>, Problem> {
    let status = admin.away(move |admin| {
        let domains = admin.configuration.now().gateway.domains.clone();
        admin.trust.upload_tls(&upload.pem, &domains)
    });
    let status = status.await?;
    admin.note(&who.name, "replace-certificate", detail(&status)).await;
    admin.tell_trust();
    Ok(Json(status))
}

fn detail(status: &TrustStatus) -> Vec<String> {
    status
        .current
        .iter()
        .map(|current| format!("{} by {}, {}", current.subject, current.issuer, current.fingerprint))
        .collect()
}

async fn token_status(State(admin): State<Arc<Admin>>) -> Json<TrustStatus> {
    Json(shown(&admin.trust.token().status(now())))
}

async fn token_request(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(draft): Body<Draft>,
) -> Result<Json<Requested>, Problem> {
    let request = request(&draft, Usage::GatewayToken)?;
    let csr = admin.away(move |admin| admin.trust.token().request(&request)).await?;
    admin.note(&who.name, "request-gateway-token", Vec::new()).await;
    Ok(Json(Requested { file: domain::certificate::GATEWAY_TOKEN_REQUEST_FILE, csr }))
}

async fn token_discard(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
) -> Result<StatusCode, Problem> {
    admin.away(|admin| admin.trust.token().discard_request()).await?;
    admin.note(&who.name, "discard-gateway-token-request", Vec::new()).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn token_upload(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(upload): Body<Upload>,
) -> Result<Json<TrustStatus>, Problem> {
    let status = admin.away(move |admin| {
        let mut token = admin.trust.token();
        let checked = token.upload(upload.pem.as_bytes(), now())?;
        let warnings = checked.warnings().iter().map(ToString::to_string).collect();
        Ok::<_, HolderError>(TrustStatus { warnings, ..shown(&token.status(now())) })
    });
    let status = status.await?;
    admin.note(&who.name, "replace-gateway-token", detail(&status)).await;
    admin.tell_trust();
    Ok(Json(status))
}

async fn token_remove(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
) -> Result<StatusCode, Problem> {
    admin.away(|admin| admin.trust.token().remove()).await?;
    admin.note(&who.name, "remove-gateway-token", Vec::new()).await;
    admin.tell_trust();
    Ok(StatusCode::NO_CONTENT)
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let errors = refused.problems.iter().map(|problem| FieldError {
            resource: String::new(),
            field: "pem".to_owned(),
            message: problem.to_string(),
        });
        Sort::Invalid
            .because("it was not taken, and what was in use stays in use")
            .of_fields(errors.collect())
    }
}

impl From<KeyStoreError> for Problem {
    fn from(error: KeyStoreError) -> Self {
        let sort = match error {
            KeyStoreError::Waits(_) | KeyStoreError::OtherKind { .. } | KeyStoreError::Unknown(_) => {
                Sort::Conflict
            }
            _ => Sort::Failed,
        };
        sort.because(error.to_string())
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Refused(refused) => refused.into(),
            UploadError::Store(error) => error.into(),
        }
    }
}

impl From<HolderError> for Problem {
    fn from(error: HolderError) -> Self {
        match error {
            HolderError::Refused(refused) => refused.into(),
            HolderError::Store(error) => error.into(),
            HolderError::Token(error) => Sort::Invalid.because(error.to_string()),
        }
    }
}
