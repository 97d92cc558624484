//! An example of who issues gateway tokens: a root, an authority below it that signs requests, and nothing else.
//!
//! Of a request only its subject and its key are taken, after its own signature was checked; what a gateway token may be used for
//! is the authority's to say.

use anyhow::{Context, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long a token is good where nothing else is said, in days.
pub const DAYS: u32 = 365;
/// A clock that is behind by less still takes a new token.
const BACKDATED: Duration = Duration::from_secs(3_600);
const DAY: u64 = 86_400;

/// Signs requests for gateway tokens.
pub struct TokenIssuer {
    root: String,
    intermediate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl TokenIssuer {
    /// A new authority, whose root's key is thrown away.
    ///
    /// # Errors
    /// If certificates cannot be made.
    pub fn generate() -> Result<Self> {
        let (root_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
        let root = authority("gateway token root", BasicConstraints::Constrained(1))?;
        let root_pem = root.self_signed(&root_key).context("the root")?.pem();
        let params = authority("gateway token authority", BasicConstraints::Constrained(0))?;
        let signed =
            params.signed_by(&key, &Issuer::from_params(&root, &root_key)).context("the authority")?;
        Ok(Self { root: root_pem, intermediate: signed.pem(), issuer: Issuer::new(params, key) })
    }

    /// The authority that is kept in `folder`; a new one is made there at the first time.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = |name: &str| folder.join(name);
        let read = |name: &str| {
            fs::read_to_string(path(name)).with_context(|| format!("reading {}", path(name).display()))
        };
        if !path("root.pem").exists() {
            let new = Self::generate()?;
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
            fs::write(path("authority.key"), new.issuer.key().serialize_pem())?;
            fs::write(path("authority.pem"), &new.intermediate)?;
            fs::write(path("root.pem"), &new.root)?;
            return Ok(new);
        }
        let (root, intermediate) = (read("root.pem")?, read("authority.pem")?);
        let issuer = Issuer::from_ca_cert_pem(&intermediate, KeyPair::from_pem(&read("authority.key")?)?)?;
        Ok(Self { root, intermediate, issuer })
    }

    /// What a conference trusts, PEM.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root
    }

    /// The token for `request` (PEM): the gateway's certificate, good for `days` from now on, and the authority's.
    ///
    /// # Errors
    /// If it is no request, its signature is not its key's, or it names nobody.
    pub fn sign(&self, request: &str, days: u32) -> Result<String> {
        let request =
            CertificateSigningRequestParams::from_pem(request).context("this is no good request")?;
        let subject = request.params.distinguished_name;
        ensure!(subject.get(&DnType::CommonName).is_some(), "the request names no gateway (common name)");
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = subject;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("a clock after 1970")?;
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + now.saturating_sub(BACKDATED);
        params.not_after = epoch + (now + Duration::from_secs(u64::from(days) * DAY));
        params.use_authority_key_identifier_extension = true;
        let token = params.signed_by(&request.public_key, &self.issuer).context("the token")?;
        Ok(token.pem() + &self.intermediate)
    }
}

fn authority(name: &str, constraints: BasicConstraints) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;

    fn request(name: Option<&str>) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(name) = name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        // What it would like to be is not for it to say.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
    }

    /// The base64 of each certificate, as a JWT holds it.
    fn x5c(pem: &str) -> Vec<String> {
        let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
        blocks.map(|block| block.split("-----END").next().unwrap().split_whitespace().collect()).collect()
    }

    #[test]
    fn a_token_leads_to_its_root_and_to_no_other() {
        let (issuer, other) = (TokenIssuer::generate().unwrap(), TokenIssuer::generate().unwrap());
        let token = issuer.sign(&request(Some("gateway-1")), DAYS).unwrap();
        let leaf = Authority::new(issuer.root_pem()).unwrap().judge(&x5c(&token)).unwrap();
        assert_eq!(leaf.name, "gateway-1");
        assert!(Authority::new(other.root_pem()).unwrap().judge(&x5c(&token)).is_err());
        let authority = Authority::new(issuer.root_pem()).unwrap();
        assert!(authority.judge(&x5c(&token)[..1]).is_err(), "without the authority's own it leads nowhere");
        assert!(authority.judge(&[]).is_err() && authority.judge(&["*".to_owned()]).is_err());
    }

    #[test]
    fn what_is_no_good_request_is_not_signed() {
        let issuer = TokenIssuer::generate().unwrap();
        let good = request(Some("gateway-1"));
        let token = issuer.sign(&good, DAYS).unwrap();
        for bad in ["", "nonsense", &token, &request(None)] {
            assert!(issuer.sign(bad, DAYS).is_err(), "{bad}");
        }
        // Another key's signature: the last line before the end holds it.
        let other = request(Some("gateway-1"));
        let mut lines: Vec<_> = good.lines().collect();
        let (last, theirs) = (lines.len() - 2, other.lines().rev().nth(1).unwrap());
        lines[last] = theirs;
        assert!(issuer.sign(&lines.join("\n"), DAYS).is_err());
    }

    #[test]
    fn an_authority_is_kept_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = TokenIssuer::open(&folder.path().join("authority")).unwrap();
        let again = TokenIssuer::open(&folder.path().join("authority")).unwrap();
        assert_eq!(first.root_pem(), again.root_pem());
        let token = again.sign(&request(Some("gateway-1")), DAYS).unwrap();
        assert!(Authority::new(first.root_pem()).unwrap().judge(&x5c(&token)).is_ok());
    }
}
