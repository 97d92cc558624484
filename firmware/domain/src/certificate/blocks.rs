//! From what was pasted, dropped or uploaded to the DER of certificates (RFC 7468, and one certificate in plain DER).

use super::problem::Problem;
use super::{UPLOAD_BYTES, UPLOAD_CERTIFICATES};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer, X509Certificate};

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// Longest label that is shown.
const LABEL_CHARS: usize = 40;

/// A certificate of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it stands among the certificates, from 1.
    pub place: usize,
    /// As it was issued.
    pub der: Vec<u8>,
}

/// The certificates of `upload`, each once; what is no certificate is a problem each.
pub(super) fn read(upload: &[u8], problems: &mut Vec<Problem>) -> Vec<Block> {
    if upload.len() > UPLOAD_BYTES {
        problems.push(Problem::TooLarge { bytes: upload.len() });
        return Vec::new();
    }
    if upload.iter().all(u8::is_ascii_whitespace) {
        problems.push(Problem::Empty);
        return Vec::new();
    }
    let text = String::from_utf8_lossy(upload);
    if !text.contains(BEGIN) {
        return binary(upload, problems);
    }
    let blocks = pem(&text, problems);
    if blocks.len() > UPLOAD_CERTIFICATES {
        problems.push(Problem::TooMany { count: blocks.len() });
        return Vec::new();
    }
    if blocks.is_empty() && problems.is_empty() {
        problems.push(Problem::NoCertificate);
    }
    blocks
}

fn pem(text: &str, problems: &mut Vec<Problem>) -> Vec<Block> {
    let (mut blocks, mut place) = (Vec::<Block>::new(), 0);
    for part in text.split(BEGIN).skip(1) {
        let (label, rest) = part.split_once(DASHES).unwrap_or((part, ""));
        if let Some(problem) = refused(label) {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
            continue;
        }
        place += 1;
        match body(label, rest) {
            Ok(der) if blocks.iter().any(|known| known.der == der) => {}
            Ok(der) => blocks.push(Block { place, der }),
            Err(why) => problems.push(Problem::Damaged { place, why: why.to_owned() }),
        }
    }
    blocks
}

/// What a block of this label is refused as; `None` for a certificate.
fn refused(label: &str) -> Option<Problem> {
    match label {
        // The second and third are OpenSSL's older names (RFC 7468 5.1).
        "CERTIFICATE" | "X509 CERTIFICATE" | "X.509 CERTIFICATE" | "TRUSTED CERTIFICATE" => None,
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Some(Problem::Request),
        "PKCS7" | "CMS" => Some(Problem::Pkcs7),
        "PKCS12" => Some(Problem::Pkcs12),
        _ if label.ends_with("PRIVATE KEY") => Some(Problem::PrivateKey),
        _ => {
            let printable = |c: &char| !c.is_control();
            Some(Problem::Block { label: label.chars().filter(printable).take(LABEL_CHARS).collect() })
        }
    }
}

fn body(label: &str, rest: &str) -> Result<Vec<u8>, &'static str> {
    if label == "TRUSTED CERTIFICATE" {
        return Err("it is in OpenSSL's own form; write it by openssl x509");
    }
    let (body, end) = rest.split_once("-----END ").ok_or("its line END is missing")?;
    if !end.starts_with(label) {
        return Err("its lines BEGIN and END do not say the same");
    }
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).map_err(|_| "it is no base64 between its lines BEGIN and END")
}

/// One certificate in DER, or what else begins as such.
fn binary(upload: &[u8], problems: &mut Vec<Problem>) -> Vec<Block> {
    /// `1.2.840.113549.1.7.2` and `.1`, signedData and data (RFC 5652), as they stand in DER.
    const CMS: [&[u8]; 2] = [
        &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02],
        &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01],
    ];
    let head = upload.get(..32).unwrap_or(upload);
    let holds = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    let sequence = upload.first() == Some(&0x30);
    if X509Certificate::from_der(upload).is_ok() {
        return vec![Block { place: 1, der: upload.to_vec() }];
    }
    problems.push(match sequence {
        true if x509_parser::certification_request::X509CertificationRequest::from_der(upload).is_ok() => {
            Problem::Request
        }
        true if holds(CMS[0]) => Problem::Pkcs7,
        // A PFX begins with its version, 3, and then data (RFC 7292 4).
        true if holds(CMS[1]) && holds(&[0x02, 0x01, 0x03]) => Problem::Pkcs12,
        true if is_key(head) => Problem::PrivateKey,
        true | false => Problem::NoCertificate,
    });
    Vec::new()
}

/// A key begins with its version, 0 (PKCS #8 or RFC 8017 A.1.2) or 1 (RFC 5915), after a length of one to three bytes.
fn is_key(head: &[u8]) -> bool {
    let version = |at: usize| head.get(at..at + 3).is_some_and(|begin| matches!(begin, [0x02, 0x01, 0 | 1]));
    [2, 3, 4].into_iter().any(version)
}
