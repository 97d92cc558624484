//! The packet filter's rules, as nftables itself reads them.

use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn example() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/examples/gantry.toml")
}

fn firewall(form: &str) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_gatewayd"))
        .arg("--config")
        .arg(example())
        .args(["--firewall", form])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A command in a network of its own, so that neither rights nor the machine's own filter matter.
fn apart(command: &[&str], input: &str) -> Result<(bool, String)> {
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("unshare")?;
    child.stdin.take().context("stdin")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn k4_the_rules_are_taken_by_nftables_and_drop_what_they_do_not_name() -> Result<()> {
    let rules = firewall("nft")?;
    let (taken, said) = apart(&["nft", "-c", "-f", "-"], &rules)?;
    ensure!(taken, "{said}\n{rules}");
    ensure!(rules.contains("hook input priority filter; policy drop;"));
    ensure!(rules.contains("tcp dport { 389, 443, 636, 5060-5061 } accept"), "{rules}");
    let (taken, said) = apart(&["nft", "-c", "-f", "-"], &rules.replace("dport", "dprt"))?;
    ensure!(!taken, "a broken rule was taken: {said}");
    Ok(())
}

/// What holds after a start with these rules: first those that keep the box shut, then these, in one transaction.
fn started_with(rules: &str) -> Result<String> {
    let base =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../board/rootfs/usr/share/gantry/firewall-base.nft");
    let both = format!("{}{rules}", std::fs::read_to_string(base)?);
    let (taken, said) = apart(&["sh", "-c", "nft -f - && nft list ruleset"], &both)?;
    ensure!(taken, "{said}");
    Ok(said)
}

#[test]
fn a_box_without_rules_of_its_own_is_shut_and_one_with_them_has_only_those() -> Result<()> {
    let shut = started_with("")?;
    ensure!(shut.contains("policy drop;") && !shut.contains("5060"), "{shut}");
    let open = started_with(&firewall("nft")?)?;
    ensure!(open.contains("5060-5061"), "{open}");
    ensure!(open.matches("hook input").count() == 1, "{open}");
    Ok(())
}

#[test]
fn k4_the_plan_is_printed_for_people() -> Result<()> {
    let table = firewall("table")?;
    ensure!(table.contains("conference"), "{table}");
    ensure!(table.lines().count() > 8, "{table}");
    Ok(())
}
