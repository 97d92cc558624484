//! A chain held against what it is for, and the type that says it was.

use super::blocks::{self, Block};
use super::expiry::ExpiryState;
use super::facts::{Certificate, Summary};
use super::key::KeyId;
use super::links::link;
use super::names::Standing;
use super::problem::{Problem, Warning};
use crate::appliance::instant::UnixTime;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use std::fmt;

/// Characters of a line of PEM (RFC 7468 2).
const PEM_LINE: usize = 64;
/// Most names that a sentence lists.
const NAMES_TOLD: usize = 6;

/// Certificates, the leaf first, each issued by the next; without a root, which whoever trusts it has (RFC 8446 4.4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    certificates: Vec<Vec<u8>>,
    summaries: Vec<Summary>,
    key: KeyId,
    common_name: Option<String>,
}

/// A chain that was checked, by [`check`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedChain {
    /// What is to be shown.
    chain: Chain,
    /// What is worth knowing.
    warnings: Vec<Warning>,
}

/// What a chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// To serve these gateway domains (K2).
    Domains(&'a [String]),
    /// To sign the gateway's tokens (P3).
    GatewayToken,
}

/// What an upload is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The box's keys that it may be for: the one that waits for a chain, and the one in use.
    pub keys: &'a [KeyId],
    /// What it is for.
    pub purpose: Purpose<'a>,
    /// What the box's clock says.
    pub now: UnixTime,
}

/// Everything that is wrong with an upload. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Refused {}

/// Reads `upload` and holds it against what is expected.
///
/// # Errors
/// [`Refused`]: everything that is wrong, at once.
pub fn check(upload: &[u8], expected: &Expected<'_>) -> Result<CheckedChain, Refused> {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let blocks = blocks::read(upload, &mut problems);
    let certificates = certificates(&blocks, &mut problems);
    let ours = certificates.iter().position(|one| expected.keys.contains(&one.key));
    if ours.is_none() && !certificates.is_empty() {
        problems.push(Problem::NotOurKey);
    }
    let Some(leaf) = ours.or_else(|| presumed_leaf(&certificates)) else { return Err(Refused { problems }) };
    let places = link(&certificates, leaf, &mut problems, &mut warnings);
    for place in &places {
        stands(&certificates[*place], *place == leaf, expected.now, &mut problems);
    }
    uses(&certificates[leaf], expected.purpose, &mut problems, &mut warnings);
    if !problems.is_empty() {
        return Err(Refused { problems });
    }
    let chain = Chain::of(&certificates, &places);
    if let ExpiryState::Soon { days } = ExpiryState::of(chain.not_after(), expected.now) {
        warnings.push(Warning::ExpiresSoon { days, at: chain.not_after() });
    }
    Ok(CheckedChain { chain, warnings })
}

fn certificates<'a>(blocks: &'a [Block], problems: &mut Vec<Problem>) -> Vec<Certificate<'a>> {
    let mut read = Vec::with_capacity(blocks.len());
    for block in blocks {
        match Certificate::read(block) {
            Ok(certificate) => read.push(certificate),
            Err(problem) => problems.push(problem),
        }
    }
    read
}

/// The one that looks like the leaf, where none is of our key: what else is wrong is told of it.
fn presumed_leaf(certificates: &[Certificate<'_>]) -> Option<usize> {
    let leaf = certificates.iter().position(|one| !one.x509.is_ca());
    leaf.or((!certificates.is_empty()).then_some(0))
}

/// Dates and strength.
fn stands(certificate: &Certificate<'_>, is_leaf: bool, now: UnixTime, problems: &mut Vec<Problem>) {
    let (which, summary) = (|| certificate.which.clone(), &certificate.summary);
    if now < summary.not_before {
        problems.push(Problem::NotYetValid { which: which(), from: summary.not_before, now });
    }
    if ExpiryState::of(summary.not_after, now) == ExpiryState::Expired {
        problems.push(Problem::Expired { which: which(), at: summary.not_after, now });
    }
    if !summary.key.is_strong() {
        problems.push(Problem::WeakKey { which: which(), key: summary.key.to_string() });
    }
    // A root's signature of itself proves nothing, so that it may be as weak as it likes.
    let root = certificate.is_self_issued() && !is_leaf;
    if certificate.has_weak_signature() && !root {
        problems.push(Problem::WeakSignature { which: which(), algorithm: summary.signature.clone() });
    }
}

/// What the leaf may be used for.
fn uses(
    leaf: &Certificate<'_>,
    purpose: Purpose<'_>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) {
    let which = || leaf.which.clone();
    if leaf.x509.key_usage().ok().flatten().is_some_and(|usage| !usage.value.digital_signature()) {
        problems.push(Problem::NotForSignatures { which: which() });
    }
    match purpose {
        Purpose::GatewayToken if leaf.common_name().is_none() => {
            problems.push(Problem::NoCommonName { which: which() });
        }
        Purpose::GatewayToken => {}
        Purpose::Domains(domains) => {
            // Without the extension every use is allowed (RFC 5280 4.2.1.12).
            if let Some(usage) = leaf.x509.extended_key_usage().ok().flatten().map(|usage| usage.value) {
                if !usage.server_auth && !usage.any {
                    problems.push(Problem::NotForServers { which: which() });
                }
                if !usage.client_auth && !usage.any {
                    warnings.push(Warning::NotForClients { which: which() });
                }
            }
            named(leaf, domains, problems, warnings);
        }
    }
    if leaf.x509.is_ca() {
        warnings.push(Warning::Authority { which: which() });
    }
}

fn named(
    leaf: &Certificate<'_>,
    domains: &[String],
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) {
    let names = leaf.leaf_names();
    for domain in domains {
        let (which, domain) = (leaf.which.clone(), domain.clone());
        match names.standing(&domain) {
            Standing::Named => {}
            Standing::SipOnly => warnings.push(Warning::NotForBrowsers { which, domain }),
            Standing::BesideSipUris => problems.push(Problem::NotForSip { which, domain }),
            Standing::Wildcard(wildcard) => {
                problems.push(Problem::OnlyByWildcard { which, domain, wildcard });
            }
            Standing::Absent if names.is_empty() => problems.push(Problem::NoNames { which, domain }),
            Standing::Absent => {
                let names = told(&leaf.summary.names);
                problems.push(Problem::NotNamed { which, domain, names });
            }
        }
    }
}

/// The first few names, as a sentence lists them.
fn told(names: &[String]) -> String {
    let first: Vec<_> = names.iter().take(NAMES_TOLD).map(String::as_str).collect();
    let more = names.len().saturating_sub(NAMES_TOLD);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", first.join(", "))
}

impl Chain {
    fn of(certificates: &[Certificate<'_>], places: &[usize]) -> Self {
        let mut chain: Vec<_> = places.iter().map(|place| &certificates[*place]).collect();
        if chain.len() > 1 {
            let root = chain.last().is_some_and(|last| last.is_self_issued());
            chain.truncate(chain.len() - usize::from(root));
        }
        Self {
            certificates: chain.iter().map(|one| one.der.to_vec()).collect(),
            summaries: chain.iter().map(|one| one.summary.clone()).collect(),
            key: chain[0].key.clone(),
            common_name: chain[0].common_name(),
        }
    }

    /// Reads what [`Chain::pem`] wrote: it was checked before it was kept, and its dates are those of the time that has passed since.
    ///
    /// # Errors
    /// [`Refused`] if it was damaged meanwhile.
    pub fn read_kept(pem: &[u8]) -> Result<Self, Refused> {
        let mut problems = Vec::new();
        let blocks = blocks::read(pem, &mut problems);
        let certificates = certificates(&blocks, &mut problems);
        if certificates.is_empty() || !problems.is_empty() {
            return Err(Refused { problems });
        }
        let places: Vec<_> = (0..certificates.len()).collect();
        Ok(Self::of(&certificates, &places))
    }

    /// DER, the leaf's first.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// What is told of each, the leaf's first.
    #[must_use]
    pub fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// What is told of the leaf.
    #[must_use]
    pub fn leaf(&self) -> &Summary {
        &self.summaries[0]
    }

    /// The leaf's common name: in a gateway token, the gateway's name.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The key that the leaf is for.
    #[must_use]
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// When the first of its certificates expires.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.summaries.iter().map(|one| one.not_after).min().unwrap_or(UnixTime(0))
    }

    /// Where it stands in its life.
    #[must_use]
    pub fn expiry(&self, now: UnixTime) -> ExpiryState {
        ExpiryState::of(self.not_after(), now)
    }

    /// All of it as PEM, the leaf first.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificates.iter().map(|der| pem(der)).collect()
    }
}

/// `{"key": ..., "not_after": ..., "certificates": [...]}`; how many days are left depends on the time, so [`Chain::expiry`] tells.
impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            key: &'a KeyId,
            not_after: UnixTime,
            certificates: &'a [Summary],
        }
        let (key, not_after) = (&self.key, self.not_after());
        Shown { key, not_after, certificates: &self.summaries }.serialize(serializer)
    }
}

fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64.as_bytes().chunks(PEM_LINE) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

impl CheckedChain {
    /// What is to be shown.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What is worth knowing.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
