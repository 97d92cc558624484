//! `token-issuer`: signs a gateway token's request, as the operator of a conference would.

use anyhow::{Context, Result, bail};
use meet_sim::issuer::{DAYS, TokenIssuer};
use std::io::{Read, Write};
use std::path::PathBuf;

const USAGE: &str = "token-issuer FOLDER [--days N] < gms_gateway_token_request.csr > token.pem

Signs a request for a gateway token with the authority in FOLDER, which is made there at the first time. FOLDER/root.pem is what a
conference trusts: meet-sim --gateway-ca FOLDER/root.pem.";
/// Longest request that is read, in bytes.
const REQUEST_BYTES: u64 = 64 * 1024;

fn main() -> Result<()> {
    let (mut folder, mut days) = (None, DAYS);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" => {
                writeln!(std::io::stdout(), "{USAGE}")?;
                return Ok(());
            }
            "--days" => {
                let value = words.next().context("--days: its value is missing")?;
                days = value.parse().with_context(|| format!("--days {value}: write a number"))?;
            }
            _ if folder.is_none() && !word.starts_with('-') => folder = Some(PathBuf::from(word)),
            _ => bail!("{word} is unknown; see --help"),
        }
    }
    let issuer = TokenIssuer::open(&folder.with_context(|| format!("FOLDER is missing\n{USAGE}"))?)?;
    let mut request = String::new();
    std::io::stdin().take(REQUEST_BYTES).read_to_string(&mut request).context("reading the request")?;
    std::io::stdout().write_all(issuer.sign(&request, days)?.as_bytes()).context("writing the token")
}
