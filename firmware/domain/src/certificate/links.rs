//! From certificates in any order to a chain: each issued and signed by the next (RFC 5280 6.1).

use super::facts::{Certificate, shown};
use super::problem::{Problem, Warning};
use x509_parser::error::X509Error;

/// Places of the chain's certificates, the leaf's first.
pub(super) fn link(
    certificates: &[Certificate<'_>],
    leaf: usize,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) -> Vec<usize> {
    let mut chain = vec![leaf];
    let mut last = leaf;
    while !certificates[last].is_self_issued() {
        let Some(next) = issuer(certificates, &chain, last) else { break };
        signed(&certificates[last], &certificates[next], problems);
        chain.push(next);
        last = next;
    }
    if certificates[last].is_self_issued() {
        signed(&certificates[last], &certificates[last], problems);
    }
    authorities(certificates, &chain, problems);
    ends(certificates, &chain, problems, warnings);
    chain
}

/// Who issued `of`, by name: whoever also signed it goes first.
fn issuer(certificates: &[Certificate<'_>], chain: &[usize], of: usize) -> Option<usize> {
    let of = &certificates[of];
    let name = of.x509.issuer().as_raw();
    let named: Vec<_> = (0..certificates.len())
        .filter(|at| !chain.contains(at) && certificates[*at].x509.subject().as_raw() == name)
        .collect();
    let signed = |at: &&usize| of.x509.verify_signature(Some(certificates[**at].x509.public_key())).is_ok();
    named.iter().find(signed).or_else(|| named.first()).copied()
}

fn signed(what: &Certificate<'_>, by: &Certificate<'_>, problems: &mut Vec<Problem>) {
    // A weak key or digest has a sentence of its own, and cannot be checked by everything that checks.
    if what.has_weak_signature() || !by.summary.key.is_strong() {
        return;
    }
    match what.x509.verify_signature(Some(by.x509.public_key())) {
        Ok(()) => {}
        Err(X509Error::SignatureUnsupportedAlgorithm) => problems.push(Problem::UnknownSignature {
            which: what.which.clone(),
            algorithm: what.summary.signature.clone(),
        }),
        Err(_) => {
            problems.push(Problem::BadSignature { which: what.which.clone(), issuer: by.which.clone() });
        }
    }
}

/// Whether each that signed another may (RFC 5280 4.2.1.9, 6.1.4).
fn authorities(certificates: &[Certificate<'_>], chain: &[usize], problems: &mut Vec<Problem>) {
    let mut below = 0;
    for at in &chain[1..] {
        let authority = &certificates[*at];
        let which = authority.which.clone();
        if !authority.is_authority() {
            problems.push(Problem::NotAuthority { which: which.clone() });
        }
        if let Some(allowed) = authority.path_length().filter(|allowed| below > *allowed as usize) {
            problems.push(Problem::TooDeep { which, allowed, found: below });
        }
        if !authority.is_self_issued() {
            below += 1;
        }
    }
}

/// How the chain ends, and what is left over.
fn ends(
    certificates: &[Certificate<'_>],
    chain: &[usize],
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) {
    let leaf = &certificates[chain[0]];
    let over: Vec<_> = (0..certificates.len()).filter(|at| !chain.contains(at)).collect();
    let (alone, which) = (chain.len() == 1, leaf.which.clone());
    if alone && leaf.is_self_issued() {
        warnings.push(Warning::SelfSigned { which });
    } else if alone {
        let issuer = shown(leaf.x509.issuer());
        if over.is_empty() {
            warnings.push(Warning::MissingIntermediate { which, issuer });
        } else {
            problems.push(Problem::Broken { which, issuer });
            return;
        }
    }
    warnings.extend(over.iter().map(|at| Warning::Stray { which: certificates[*at].which.clone() }));
}
